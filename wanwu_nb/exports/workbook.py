"""tags.xlsx: the sheets pictures, objects, labels and failures; small pictures in the first column on request."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import WanwuError
from ..tagged import Tagged
from ..text import printable
from .packages import package
from .rows import FAILURES, LABELS, OBJECTS, PICTURES, Cell, LabelCounts, Row, failure_row, object_rows, picture_row
from .writer import Job

NAME = "tags.xlsx"
MAX_ROWS = 1_048_576  # of a sheet; then another goes on
MAX_TEXT = 32_767  # characters of a cell
WIDTHS = {"image": 34, "others": 30, "review": 34, "reason": 60, "label": 18, "category": 18, "confidence": 18}
WIDTH = 15  # of the other columns, in characters
THUMBNAIL = 96  # pixels of its longer side
THUMBNAIL_HEADING = "picture 缩略图"
ROW_POINTS = 76  # of a row that holds one


class WorkbookWriter:
    """Writes tags.xlsx row by row: text stays text, the heading stays in sight, columns can be filtered.

    >>> writer = WorkbookWriter(job)
    >>> writer.add(tagged)
    >>> writer.finish()
    """

    def __init__(self, job: Job) -> None:
        xlsxwriter = package("xlsxwriter")
        self._job = job
        self._scratch = job.target.scratch("xlsx")
        options = {"constant_memory": True, "tmpdir": str(self._scratch)}
        self._book = xlsxwriter.Workbook(str(job.target.path(NAME)), options)
        self._book.use_zip64()
        job.target.close_at_end(self._book.close, self._give_up)
        self._thumbnails = job.options.thumbnails
        headings = (THUMBNAIL_HEADING, *PICTURES) if self._thumbnails else PICTURES
        self._pictures = _Sheet(self._book, "pictures", headings)
        self._objects = _Sheet(self._book, "objects", OBJECTS)
        self._counts = LabelCounts()

    def add(self, tagged: Tagged) -> None:
        """Take one picture's result."""
        row = picture_row(tagged)
        if self._thumbnails:
            self._pictures.write_with_picture(row, self._thumbnail(tagged))
        else:
            self._pictures.write(row)
        for object_row in object_rows(tagged):
            self._objects.write(object_row)
        self._counts.add(tagged)

    def finish(self) -> None:
        """Write the sheets of labels and failures."""
        labels = _Sheet(self._book, "labels", LABELS)
        for row in self._counts.rows():
            labels.write(row)
        failures = _Sheet(self._book, "failures", FAILURES)
        for failure in self._job.source.failures:
            failures.write(failure_row(failure))
        for sheet in (self._pictures, self._objects, labels, failures):
            sheet.finish()

    def _give_up(self) -> None:
        """Close its files without putting the whole workbook together."""
        for sheet in self._book.worksheets():
            sheet.row_data_fh.close()
        self._book.fileclosed = True  # else it puts it together when it is forgotten

    def _thumbnail(self, tagged: Tagged) -> Path | None:
        original = self._job.originals.read(tagged)
        if original is None:
            return None
        try:
            picture = original.picture()
        except WanwuError as error:
            self._job.note("without a small picture", tagged.image, f"({error})")
            return None
        picture.thumbnail((THUMBNAIL, THUMBNAIL))
        path = self._scratch / f"{self._pictures.rows}.jpg"
        picture.save(path, quality=80)
        return path


class _Sheet:
    """One table, on as many sheets as its rows need."""

    def __init__(self, book: Any, name: str, headings: Sequence[str]) -> None:
        self._book = book
        self._name = name
        self._headings = headings
        self._bold = book.add_format({"bold": True})
        self._middle = book.add_format({"valign": "vcenter"})  # beside a small picture
        self._sheets = 0
        self.rows = 0  # of all its sheets
        self._begin()

    def write(self, row: Row, first_column: int = 0) -> int:
        """Returns the row's number on its sheet."""
        if self._next == MAX_ROWS:
            self.finish()
            self._begin()
        number = self._next
        for column, cell in enumerate(row, first_column):
            self._write_cell(number, column, cell)
        self._next += 1
        self.rows += 1
        return number

    def write_with_picture(self, row: Row, picture: Path | None) -> None:
        number = self.write(row, first_column=1)
        self._sheet.set_row(number, ROW_POINTS)
        if picture is not None:
            self._sheet.insert_image(number, 0, str(picture), {"object_position": 1, "x_offset": 2, "y_offset": 2})

    def finish(self) -> None:
        last_row = self._next - 1
        last_column = len(self._headings) - 1
        self._sheet.autofilter(0, 0, last_row, last_column)

    def _begin(self) -> None:
        self._sheets += 1
        name = self._name if self._sheets == 1 else f"{self._name} {self._sheets}"
        self._sheet = self._book.add_worksheet(name)
        self._sheet.freeze_panes(1, 0)
        self._sheet.set_landscape()  # printed: as wide as a page, the heading on each
        self._sheet.fit_to_pages(1, 0)
        self._sheet.repeat_rows(0)
        for column, heading in enumerate(self._headings):
            word, _, _ = heading.partition(" ")
            self._sheet.set_column(column, column, WIDTHS.get(word, WIDTH))
            self._sheet.write_string(0, column, heading, self._bold)
        self._next = 1

    def _write_cell(self, row: int, column: int, cell: Cell) -> None:
        if cell is None or cell == "":
            return
        if isinstance(cell, str):
            self._sheet.write_string(row, column, _text(cell), self._middle)
        else:
            self._sheet.write_number(row, column, cell, self._middle)


def _text(text: str) -> str:
    """As a cell can hold it; write_string makes no formula and no link of it."""
    return printable(text)[:MAX_TEXT]
