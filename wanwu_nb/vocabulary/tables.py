"""A table file as rows of text: .csv in the encodings of spreadsheets, .xlsx."""

import csv
import io
import warnings
from collections.abc import Iterable
from pathlib import Path

from ..errors import first_line
from ..text import clean_label, decoded
from .columns import column_of
from .unclear import Unclear

Cells = list[str]

LARGEST_FILE = 64_000_000  # bytes
ZIP = b"PK\x03\x04"  # .xlsx is one
OLD_OFFICE = b"\xd0\xcf\x11\xe0"  # .xls, and .xlsx with a password


def read_table(path: Path) -> list[tuple[int, Cells]]:
    """Read a table, told by its content, never by its suffix.

    Returns (number, cells) of the rows that are not blank, numbered as spreadsheets do. Raises Unclear.

    Example: `read_table(Path("vocabulary.csv"))`
    """
    content = _content(path)
    read = _rows_of_workbook if content.startswith(ZIP) else _rows_of_text
    rows = read(content)
    table = []
    for number, row in enumerate(rows, start=1):
        cells = [clean_label(cell) for cell in row]
        if any(cells):
            table.append((number, cells))
    if not table:
        raise Unclear("it is empty: its first row is the heading, a label stands in each row below")
    return table


def _content(path: Path) -> bytes:
    if not path.is_file():
        raise Unclear("it is no file: give a table, .csv or .xlsx")
    size = path.stat().st_size
    if size > LARGEST_FILE:
        raise Unclear(f"it has {size:,} bytes, and a table of words has at most {LARGEST_FILE:,}")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Unclear(f"it cannot be read: {error.strerror}") from None
    if content.startswith(OLD_OFFICE):
        raise Unclear("it is a workbook of an old Excel, or has a password: save it as .xlsx or .csv without one")
    return content


def _rows_of_workbook(content: bytes) -> list[Cells]:
    """The first sheet; of formulas, the values that Excel noted."""
    try:
        import openpyxl
    except ImportError:
        raise Unclear(
            "a workbook needs one package more: run `pip install 'wanwu_nb[tables]'`, or save it as .csv"
        ) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of whatever it would not write back
            workbook = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
            sheet = workbook.worksheets[0]
            sheet.reset_dimensions()  # what a file says of its own size may be wrong
            return [[_cell_text(value) for value in row] for row in sheet.iter_rows(values_only=True)]
    except Exception as error:
        raise Unclear(f"it is no workbook that can be read ({first_line(error)}): save it as .xlsx or .csv") from None


def _cell_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _rows_of_text(content: bytes) -> list[Cells]:
    text = decoded(content)
    if text is None or "\0" in text:
        raise Unclear("it is no text in UTF-8, UTF-16 or GBK: save it as CSV UTF-8")
    lines = [line for line in text.splitlines() if line.strip()]
    heading = lines[0] if lines else ""
    file = io.StringIO(text, newline="")
    rows: list[Cells] = []
    try:
        rows.extend(csv.reader(file, delimiter=_delimiter(heading), strict=True))
    except csv.Error as error:
        raise Unclear(f"row {len(rows) + 1} is no CSV ({error}): save the table anew") from None
    return rows


def _delimiter(heading: str) -> str:
    """The one that parts the heading into the most columns that are known."""
    best, most = ",", 0
    for delimiter in ",;\t":
        known = _known_columns(heading.split(delimiter))
        if known > most:
            best, most = delimiter, known
    return best


def _known_columns(cells: Iterable[str]) -> int:
    columns = [column_of(cell.strip('"\ufeff ')) for cell in cells]
    return len(columns) - columns.count(None)
