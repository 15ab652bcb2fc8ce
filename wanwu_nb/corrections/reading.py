"""A table of corrections as the gallery leaves it, or as a person writes it."""

import csv
import io
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..advice import suggestion
from ..detections import Box
from ..errors import CorrectionsError, MissingFile
from ..text import decoded
from ..vocabulary.columns import unshielded
from .table import COLUMNS, MISSING, PICTURE, RIGHT, WRONG, Correction, Corrections

NEEDED = ("image", "verdict")
VERDICTS = {RIGHT: RIGHT, WRONG: WRONG, MISSING: MISSING, "正确": RIGHT, "错误": WRONG, "漏标": MISSING}
WHOLE = ("", PICTURE, "整图")
BETWEEN_CORNERS = re.compile(r"[\s,;\[\]()]+")


def read_corrections(path: str | Path) -> Corrections:
    """Read a table with the columns image, box, verdict, label and was; the last three, or the box, may be missing.

    `box`: four numbers xyxy, or "picture" for the whole of it. `verdict`: right; wrong, with the label that is right,
    or none to drop the tag; missing, with the label. Returns the corrections. Raises MissingFile where there is no such
    file, CorrectionsError for one that is no table, or with the line of what cannot be meant.

    >>> read_corrections("corrections.csv").of("a.jpg")
    [Correction(image='a.jpg', box=None, verdict='wrong', label='茶杯', was='杯子')]
    """
    path = Path(path)
    try:
        text = decoded(path.read_bytes())
    except FileNotFoundError:
        raise MissingFile(f"corrections {path} does not exist") from None
    except OSError as error:
        raise CorrectionsError(f"corrections {path} cannot be read ({error.strerror})") from None
    if text is None or "\0" in text:
        raise CorrectionsError(f"corrections {path} is no text in UTF-8, UTF-16 or GBK: save it as CSV UTF-8")
    rows = _rows(text)
    _, heading = next(rows, (0, []))
    columns = {cell.split()[0].casefold(): place for place, cell in enumerate(heading) if cell.split()}
    for name in NEEDED:
        if name not in columns:
            raise CorrectionsError(f"corrections {path} has no column {name}: its first row is {','.join(COLUMNS)}")
    corrections = []
    for number, row in rows:
        if any(cell.strip() for cell in row):
            cells = {name: unshielded(row[place]) for name, place in columns.items() if place < len(row)}
            corrections.append(_correction(cells, f"corrections {path}, line {number}"))
    return Corrections(corrections)


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """With the line that each ends in. Spreadsheets of some countries write semicolons."""
    heading, _, _ = text.partition("\n")
    delimiter = max(",;\t", key=heading.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    for row in rows:
        yield rows.line_num, row


def _correction(cells: Mapping[str, str], where: str) -> Correction:
    """Raises CorrectionsError."""
    image, label, was = cells["image"], cells.get("label", "").strip(), cells.get("was", "").strip()
    word = cells.get("verdict", "").strip().casefold()
    if not image:
        raise CorrectionsError(f"{where}: no image is named")
    if word not in VERDICTS:
        raise CorrectionsError(f"{where}: unknown verdict {word!r}: {suggestion(word, (RIGHT, WRONG, MISSING))}")
    verdict = VERDICTS[word]
    if verdict == MISSING and not label:
        raise CorrectionsError(f"{where}: something is missing in {image}, and its label is not given")
    return Correction(image, _box(cells.get("box", ""), where), verdict, label, was)


def _box(cell: str, where: str) -> Box | None:
    text = cell.strip().casefold()
    if text in WHOLE:
        return None
    wrong = CorrectionsError(f"{where}: {cell!r} is no box: give x1 y1 x2 y2 in pixels, or {PICTURE}")
    parts = [part for part in BETWEEN_CORNERS.split(text) if part]
    try:
        x1, y1, x2, y2 = (float(part) for part in parts)
    except ValueError:
        raise wrong from None
    if not all(map(math.isfinite, (x1, y1, x2, y2))) or x1 >= x2 or y1 >= y2:
        raise wrong
    return x1, y1, x2, y2
