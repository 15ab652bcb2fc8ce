"""Labels in lines of text: one name a line, or a table of class ids and names."""

import csv
import re
from collections.abc import Sequence

Pairs = list[tuple[int, object]]
Row = list[str]

NUMBER = re.compile(r"[+-]?\d{1,18}")
ID_WORDS = {"id", "ids", "idx", "index", "no", "no.", "number", "code", "wnid", "synset", "class_id", "label_id"}
ID_WORDS |= {"category_id", "编号", "序号", "索引", "代码", "类别编号", "类别id", "标签id", "标签编号"}
NAME_WORDS = {"name", "names", "label", "labels", "class", "classes", "category", "categories", "class_name"}
NAME_WORDS |= {"classname", "label_name", "category_name", "display_name", "名称", "名字", "中文", "中文名", "中文名称"}
NAME_WORDS |= {"类别", "类名", "类别名", "类别名称", "标签", "标签名", "标签名称"}


class Unclear(Exception):
    """Why a labels file cannot be read for sure."""


def names_in_lines(lines: Sequence[str], is_csv: bool) -> list[Pairs]:
    """Read the lines of a labels file: with a column of numbers by these, else counted from 0.

    Returns the (class id, name) pairs of each reading: two or more where the first line may be a heading, or lines
    before it are blank. Raises Unclear for a table that nobody can read for sure.

    >>> names_in_lines(["0,台灯", "1,椅子"], is_csv=True)
    [[(0, '台灯'), (1, '椅子')]]
    """
    first, last = _written_lines(lines)
    rows = _rows(lines[first:last], is_csv)
    numbered = _numbered(rows)
    if numbered is not None:
        return [numbered]
    column = _name_column(rows, is_csv)
    names = [_cell(row, column) for row in rows]
    return _counted(names, first, _has_heading_words(rows[0]))


def lines_of(text: str) -> list[str]:
    """Returns the lines as a person sees them: str.splitlines cuts at form feeds and the like, too.

    >>> lines_of("台灯\\r\\n椅子")
    ['台灯', '椅子']
    """
    return re.split(r"\r\n|\n|\r", text)


def number(text: str) -> int | None:
    """Returns the whole number that a cell is, else None.

    >>> number(" 7 ")
    7
    """
    stripped = text.strip()
    if not NUMBER.fullmatch(stripped):
        return None
    return int(stripped)


def _written_lines(lines: Sequence[str]) -> tuple[int, int]:
    """Where the first line lies that is not blank, and behind the last."""
    written = []
    for i, line in enumerate(lines):
        text = line.strip()
        if text.strip("\ufeff"):
            written.append(i)
    if not written:
        raise Unclear("it names no class")
    return written[0], written[-1] + 1


def _rows(lines: Sequence[str], is_csv: bool) -> list[Row]:
    tabbed = [line for line in lines if "\t" in line]
    if "\t" in lines[0] or len(tabbed) > len(lines) / 2:
        return [line.split("\t") for line in lines]
    for delimiter in ",;":
        if delimiter not in lines[-1]:
            continue
        rows = _parsed(lines, delimiter)
        if is_csv or _numbered(rows) is not None:
            return rows
    if is_csv:
        return _parsed(lines, ",")
    return [[line.partition("\t")[0]] for line in lines]


def _parsed(lines: Sequence[str], delimiter: str) -> list[Row]:
    try:
        return [row or [""] for row in csv.reader(lines, delimiter=delimiter)]
    except csv.Error as error:
        raise Unclear(f"it is not CSV ({error})") from None


def _numbered(rows: list[Row]) -> Pairs | None:
    """A table with the class ids in its first column or its second, names beside; else None."""
    written = [row for row in rows if "".join(row).strip()]
    widths = [len(row) for row in written]
    if max(widths, default=0) < 2:
        return None
    for id_column, name_column in ((0, 1), (1, 0)):
        pairs = _by_ids(written, id_column, name_column)
        if pairs:
            return pairs
    _refuse_missing_ids(written)
    return None


def _by_ids(rows: list[Row], id_column: int, name_column: int) -> Pairs:
    """Each row's class id and name, without the heading; none where a row has no number as its id."""
    heading = rows[0]
    if _is_heading(heading, id_column):
        name_column = _named_column(heading, id_column, name_column)
        rows = rows[1:]
    pairs: Pairs = []
    for row in rows:
        class_id = number(_cell(row, id_column))
        if class_id is None:
            return []
        name = _cell(row, name_column)
        pairs.append((class_id, name))
    return pairs


def _is_heading(row: Row, id_column: int) -> bool:
    """Words of a heading where the rows below have numbers."""
    return number(_cell(row, id_column)) is None and _has_heading_words(row)


def _named_column(heading: Row, id_column: int, beside: int) -> int:
    """The only column that the heading calls names; else the one beside the class ids."""
    columns = []
    for i, cell in enumerate(heading):
        if i != id_column and _word(cell) in NAME_WORDS:
            columns.append(i)
    if len(columns) == 1:
        return columns[0]
    return beside


def _refuse_missing_ids(rows: list[Row]) -> None:
    """Numbers in most lines are class ids: counting the lines instead might shift them."""
    ids = [number(_cell(row, 0)) for row in rows]
    missing = ids.count(None)
    if 0 < missing <= len(rows) / 2:
        row = rows[ids.index(None)]
        line = " ".join(row)
        raise Unclear(f"most lines begin with a class id, and {line!r} does not")


def _name_column(rows: list[Row], is_csv: bool) -> int:
    """The name's column where lines are counted: the second of tabs; of CSV the one that the heading names."""
    if len(rows[0]) == 1:
        return 0
    if not is_csv:
        return 1
    column = _named_column(rows[0], -1, -1)
    if column < 0:
        raise Unclear("its columns are not known: write class id and name, with the heading id,name")
    return column


def _counted(names: list[str], blank: int, may_have_heading: bool) -> list[Pairs]:
    """One name a line, from 0; or behind a heading; or with the blank lines before counted too."""
    bodies = [names]
    if may_have_heading and len(names) > 1:
        bodies.append(names[1:])
    starts = {0, blank}
    readings: list[Pairs] = []
    for body in bodies:
        for start in sorted(starts):
            pairs: Pairs = list(enumerate(body, start))
            readings.append(pairs)
    return readings


def _has_heading_words(row: Row) -> bool:
    """A name's word; or an id's, where there is a column for names too."""
    words = {_word(cell) for cell in row}
    known = NAME_WORDS if len(row) == 1 else ID_WORDS | NAME_WORDS
    return not words.isdisjoint(known)


def _word(cell: str) -> str:
    return cell.strip("# :\ufeff\u3000").casefold().replace(" ", "_")


def _cell(row: Row, column: int) -> str:
    if column >= len(row):
        return ""
    return row[column]
