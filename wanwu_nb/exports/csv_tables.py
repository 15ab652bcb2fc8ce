"""tags.csv, a row a picture, and tags_objects.csv, a row an object: for spreadsheets, and for pandas."""

import csv
import io
from collections.abc import Iterable

from ..tagged import Tagged
from ..vocabulary.columns import shielded
from .rows import OBJECTS, PICTURES, Cell, Row, object_rows, picture_row
from .writer import Job

PICTURES_NAME, OBJECTS_NAME = "tags.csv", "tags_objects.csv"


class CsvWriter:
    """Writes both tables: UTF-8 with its mark, commas, CRLF; what a spreadsheet would compute has a ' in front.

    >>> writer = CsvWriter(job)
    >>> writer.add(tagged)
    >>> writer.finish()
    """

    def __init__(self, job: Job) -> None:
        self._pictures = _Table(job, PICTURES_NAME, PICTURES)
        self._objects = _Table(job, OBJECTS_NAME, OBJECTS)

    def add(self, tagged: Tagged) -> None:
        """Take one picture's result."""
        self._pictures.write([picture_row(tagged)])
        self._objects.write(object_rows(tagged))

    def finish(self) -> None:
        """Nothing is left to write."""


class _Table:
    def __init__(self, job: Job, name: str, headings: Row) -> None:
        text = io.TextIOWrapper(job.target.open(name), "utf-8-sig", errors="backslashreplace", newline="")
        job.target.close_at_end(text.close)
        self._rows = csv.writer(text)
        self.write([headings])

    def write(self, rows: Iterable[Row]) -> None:
        for row in rows:
            self._rows.writerow([_safe(cell) for cell in row])


def _safe(cell: Cell) -> Cell:
    """A text that a spreadsheet would compute or convert is shielded; so is one that begins with a gap before it."""
    if not isinstance(cell, str):
        return cell
    shielded_text = shielded(cell)
    if shielded_text == cell and cell[:1].isspace():
        return f"'{cell}"
    return shielded_text
