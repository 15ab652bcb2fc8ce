"""The rows of a vocabulary: what each asks for, and of which label."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .columns import HEADINGS, LABEL, TO_READ_ONLY, WORDS, Wish, column_of, wish
from .tables import read_table
from .unclear import Unclear

EXAMPLE = "label 原标签, name 改为, drop 不要, threshold 阈值, category 类目, english 英文"


@dataclass(frozen=True)
class Row:
    """One row: `number` as spreadsheets count, `label` as it is written there, `wishes` by column.

    Example: `Row(2, "T恤", {"name": "上衣"})`
    """

    number: int
    label: str
    wishes: Mapping[str, Wish]


def read_rows(path: Path) -> list[Row]:
    """Returns the rows below the heading that name a label. Raises Unclear, with the row's number.

    Example: `read_rows(Path("vocabulary.csv"))`
    """
    (_, heading), *table = read_table(path)
    columns = _columns(heading)
    rows = []
    for number, cells in table:
        row = _row(number, cells, columns)
        if row is not None:
            rows.append(row)
    return rows


def _columns(heading: Sequence[str]) -> list[str]:
    """The column of each cell of the heading, "" below none."""
    columns = []
    for cell in heading:
        column = column_of(cell) if cell else ""
        if column is None:
            raise Unclear(_unknown_column(cell, heading))
        if column and column in columns:
            raise Unclear(f"two of its columns are {HEADINGS[column]}: leave one")
        columns.append(column)
    if LABEL not in columns:
        raise Unclear(f"it has no column {HEADINGS[LABEL]}: its first row must be a heading, such as {EXAMPLE}")
    return columns


def _unknown_column(cell: str, heading: Sequence[str]) -> str:
    close = difflib.get_close_matches(cell.casefold(), WORDS, n=1, cutoff=0.5)
    if close:
        return f"its column {cell!r} is not known: did you mean {close[0]}?"
    if any(map(column_of, heading)):
        return f"its column {cell!r} is not known: known are {EXAMPLE}"
    return f"its first row must be a heading, such as {EXAMPLE}"


def _row(number: int, cells: Sequence[str], columns: Sequence[str]) -> Row | None:
    label = ""
    wishes: dict[str, Wish] = {}
    for i, cell in enumerate(cells):
        column = columns[i] if i < len(columns) else ""
        if cell and not column:
            raise Unclear(f"row {number} has {cell!r} in a column without a heading: quote cells that hold a comma")
        if column == LABEL:
            label = cell
        elif column and column not in TO_READ_ONLY:
            _add_wish(wishes, number, column, cell)
    if label:
        return Row(number, label, wishes)
    if wishes:
        raise Unclear(f"row {number} names no label: write one into its column {HEADINGS[LABEL]}, or empty the row")
    return None


def _add_wish(wishes: dict[str, Wish], number: int, column: str, cell: str) -> None:
    try:
        value = wish(column, cell)
    except Unclear as error:
        raise Unclear(f"in row {number}, {error}") from None
    if value is not None:
        wishes[column] = value
