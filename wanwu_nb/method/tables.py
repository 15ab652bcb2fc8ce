"""The rows of a ladder as tables for people, with neutral column names: `views.headings` puts two languages there."""

import pandas as pd

from ..quality import Share, agreement, differences, score_drift
from .article import ARTICLE
from .ladder import Ladder
from .steps import DEFAULT, STEPS
from .trial import Row

AT_A_GLANCE = ["seconds", "range", "times_default", "gain", "ready", "cpu_busy", "gpu_busy", "agreement", "note"]
SIDES = ("default", "step")  # who has a tag that the other has not
TO = "\u2060–\u2060"  # word joiners keep a range together where a table's cell is narrow

Line = dict[str, object]


def whole_ladder(ladder: Ladder) -> pd.DataFrame:
    """Returns all that the rows so far hold, as text, a row a step; columns that say nothing are left out.

    >>> whole_ladder(ladder).loc["resident", "times_default"]
    '2.31'
    """
    lines = {}
    for name, row in ladder.rows.items():
        lines[name] = _line(row, ladder.default)
    table = _as_table(lines)
    empty = (table == "").all()
    return table.loc[:, ~empty]


def at_a_glance(ladder: Ladder) -> pd.DataFrame:
    """Returns of `whole_ladder` the columns to look at after each step.

    >>> at_a_glance(ladder).loc["resident", "seconds"]
    '0.0821'
    """
    table = whole_ladder(ladder)
    columns = [name for name in AT_A_GLANCE if name in table]
    return table[columns]


def beside_article(ladder: Ladder) -> pd.DataFrame:
    """Returns the article's figures, and its ratios beside ours: other hardware and model, the same steps.

    >>> beside_article(ladder).loc["batched", "times_default_article"]
    '6.46'
    """
    article = {name: figures["seconds"] for name, figures in ARTICLE.items()}
    here = {name: row.spread.median for name, row in ladder.measured.items()}
    lines: dict[str, Line] = {}
    for name in STEPS:
        line: Line = {}
        if name in ARTICLE:
            line.update(ARTICLE[name])
        line["times_default_article"] = _times_default(article, name)
        line["times_default_here"] = _times_default(here, name)
        lines[name] = line
    return _as_table(lines)


def changed_tags(ladder: Ladder) -> pd.DataFrame:
    """Returns a row for each object that only the default found, or only another step; the surest first.

    Columns `step`, `image`, `only in` ("default" or "step"), `label`, `confidence`.

    >>> changed_tags(ladder).head(20)
    """
    changes = []
    for row in ladder.measured.values():
        if row.agreement is not None:
            changes += _changes(ladder, row)
    table = pd.DataFrame(changes, columns=["step", "image", "only in", "label", "confidence"])
    return table.sort_values("confidence", ascending=False, ignore_index=True, kind="stable")


def precisions(ladder: Ladder) -> pd.DataFrame:
    """Returns the same loop in full and in half precision, a row each: speed, memory, changed tags, drift of scores.

    On a GPU this measures bfloat16, too.

    >>> precisions(ladder).loc["fp16", "times_fp32"]
    '1.93'
    """
    rows = ladder.precision_rows()
    lines = {}
    for row in rows:
        name = row.precision or row.step
        lines[name] = _line_beside(rows[0], row, ladder)
    return _as_table(lines)


def _as_table(lines: dict[str, Line]) -> pd.DataFrame:
    table = pd.DataFrame.from_dict(lines, orient="index")
    return table.astype(object).fillna("")


def _line(row: Row, default: Row) -> Line:
    if row.reason:
        return {"note": str(row)}
    median = row.spread.median
    rate = 1 / median
    return {
        "seconds": f"{median:.4f}",
        "range": _range(row),
        "pictures_per_second": f"{rate:.1f}",
        "times_default": _times(default, row),
        "gain": _gain(row),
        "ready": f"{row.ready:.1f}",
        "cpu_busy": _percent(row.cpu_busy),
        "gpu_busy": _percent(row.gpu_busy),
        "memory": _megabytes(row.peak_mb),
        "gpu_memory": _megabytes(row.peak_gpu_mb),
        "accuracy": _with_interval(row.accuracy),
        "agreement": _with_interval(row.agreement),
        "precision": row.precision.split(" ")[0],
    }


def _line_beside(full: Row, row: Row, ladder: Ladder) -> Line:
    """A line of `precisions`: a row against the one in full precision."""
    for each in (row, full):
        if each.reason:
            return {"note": str(each)}
    pairs = ladder.pairs(full, row)
    drift = pd.Series(score_drift(pairs, by_id=True), dtype=float)
    share = agreement(pairs, by_id=True)
    return {
        "seconds": f"{row.spread.median:.4f}",
        "times_fp32": _times(full, row),
        "memory": _megabytes(row.peak_gpu_mb or row.peak_mb),
        "changed_tags": _changed(share),
        "drift_median": f"{drift.median():.4f}",
        "drift_largest": f"{drift.max():.4f}",
    }


def _changes(ladder: Ladder, row: Row) -> list[Line]:
    """The objects that only the default step found, or only that of `row`."""
    changes: list[Line] = []
    pairs = ladder.pairs(ladder.default, row)
    for image, unmatched in zip(ladder.job.names, differences(pairs, by_id=True), strict=True):
        for side, tags in zip(SIDES, unmatched, strict=True):
            for tag in tags:
                where: Line = {"step": row.step, "image": image, "only in": side}
                what: Line = {"label": tag.label, "confidence": tag.confidence}
                changes.append(where | what)
    return changes


def _times_default(seconds: dict[str, float], name: str) -> str:
    default = seconds.get(DEFAULT.name)
    if default is None or name not in seconds:
        return ""
    times = default / seconds[name]
    return f"{times:.2f}"


def _times(slower: Row, faster: Row) -> str:
    """How many times as fast; nothing where the slower was not run."""
    if slower.reason:
        return ""
    times = slower.spread.median / faster.spread.median
    return f"{times:.2f}"


def _gain(row: Row) -> str:
    if not row.base:
        return ""
    return f"{row.gain:.2f}"


def _changed(share: Share | None) -> str:
    if share is None:
        return ""
    changed = share.trials - share.hits
    return f"{changed} of {share.trials}"


def _range(row: Row) -> str:
    if len(row.seconds) == 1:
        return "one run 仅一次"
    spread = row.spread
    return f"{spread.low:.4f}{TO}{spread.high:.4f}"


def _megabytes(memory: float | None) -> str:
    if memory is None:
        return ""
    return f"{memory:,.0f}"


def _percent(share: float | None) -> str:
    if share is None:
        return ""
    return f"{share:.0%}"


def _with_interval(share: Share | None) -> str:
    if share is None:
        return ""
    low = 100 * share.low
    high = 100 * share.high
    return f"{share.value:.1%} {low:.1f}{TO}{high:.1f}"
