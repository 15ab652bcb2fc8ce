"""What the rows of a ladder say together: what to run here, and whether speed was bought with wrong tags."""

from collections.abc import Iterable, Mapping

from ..errors import MeasurementError, WanwuError
from ..quality import Share
from .steps import DEFAULT
from .trial import Row


class TagsChanged(WanwuError):
    """A faster step gives other tags than the default script: speed bought with wrong tags."""


def row_of(rows: Mapping[str, Row], name: str) -> Row:
    """Returns the row of a step, also of one that has not run.

    >>> row_of({}, "batched").reason
    'not measured yet'
    """
    if name in rows:
        return rows[name]
    return Row(name, "not measured yet")


def fastest(rows: Iterable[Row]) -> Row | None:
    """Returns the row with the fewest seconds a picture, of those that hold a measurement and are not refused; None if
    none does.

    >>> fastest([Row("default", seconds=(1.0,)), Row("resident", seconds=(0.5,))]).step
    'resident'
    """
    measured = [row for row in rows if not row.reason and not row.refused]
    return min(measured, key=lambda row: row.spread.median, default=None)


def advice(rows: Mapping[str, Row]) -> str:
    """Returns what to run here, and what to leave out, a line each.

    >>> print(advice(ladder.rows))
    fastest here 本机最快: overlapped, × 4.00
    """
    best = fastest(rows.values())
    if best is None:
        return "no step has run 没有一步能运行"
    text = f"fastest here 本机最快: {best.step}"
    default = row_of(rows, DEFAULT.name)
    if not default.reason:
        times = default.spread.median / best.spread.median
        text += f", × {times:.2f}"
    slower = []
    for row in rows.values():
        if row.is_slower:
            slower.append(f"{row.step} (× {row.gain:.2f} of {row.base})")
    if slower:
        names = ", ".join(slower)
        text += f"\nbrought nothing here 本机无收益: {names}"
    for row in rows.values():
        if row.refused:
            text += f"\nnot used 不采用: {row.step}, {row.precision}: {row.refused}"
    return text


def check(rows: Mapping[str, Row], min_agreement: float) -> str:
    """Raise TagsChanged where a step's agreement lies, with its whole interval, below `min_agreement`.

    One that was refused for its tags is no part of it: nothing was built on it. Returns the verdict otherwise, in a
    sentence. Raises MeasurementError where there is nothing to compare with.

    >>> print(check(ladder.rows, min_agreement=0.99))
    """
    default = row_of(rows, DEFAULT.name)
    if default.reason:
        not_run = f"the default step was not run ({default.reason})"
        raise MeasurementError(f"{not_run}: there is nothing to compare the others with")
    others = [row for row in rows.values() if row.step != DEFAULT.name and not row.reason and not row.refused]
    compared = False
    for row in others:
        if row.agreement is not None:
            _check_agreement(row, row.agreement, min_agreement)
            compared = True
    if not others:
        return "only the default step ran: there is nothing to compare 只有默认步骤运行，无从比较"
    if compared:
        return "no step surely changes more tags than min_agreement allows 没有一步确定超出允许的标签变化"
    return "nothing was found in any picture: tags could not be compared 所有图片均无结果，无法比较标签"


def too_low(agreement: Share, min_agreement: float) -> str:
    """Returns in words what a step surely changes, "" where its interval reaches what is asked.

    >>> too_low(Share(100, 100, 0.963, 1.0), 0.99)
    ''
    """
    if agreement.high >= min_agreement:
        return ""
    interval = f"95 % interval {agreement.low:.1%} to {agreement.high:.1%}"
    agrees = f"agrees with the default on {agreement.value:.1%} of the tags ({interval})"
    return f"{agrees}, below min_agreement={min_agreement:g}"


def _check_agreement(row: Row, agreement: Share, min_agreement: float) -> None:
    problem = too_low(agreement, min_agreement)
    if problem:
        raise TagsChanged(f"{row.step}, {row.precision}, {problem}: leave it out, or look at what it changes")
