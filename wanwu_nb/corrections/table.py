"""Corrections by picture: one verdict on one object, the last word on it counts."""

import csv
import hashlib
import io
import json
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ..detections import Box
from ..vocabulary.columns import shielded

RIGHT, WRONG, MISSING = "right", "wrong", "missing"
PICTURE = "picture"  # in the place of a box: the whole of it
KEPT = "corrections.csv"  # in the output folder: all that persons said so far
COLUMNS = ("image", "box", "verdict", "label", "was")
DIGITS = 8


class Correction(NamedTuple):
    """What a person said of one object: the `verdict`, and the `label` that it should have.

    `box`: xyxy in the upright photo's pixels, None for the whole picture. `was`: the label that was judged, "" where
    that was not written down.

    >>> Correction("a.jpg", None, "wrong", "茶杯", "杯子").place
    'picture'
    """

    image: str
    box: Box | None
    verdict: str
    label: str = ""
    was: str = ""

    @property
    def place(self) -> str:
        """Returns the box as it stands in tables."""
        return PICTURE if self.box is None else " ".join(f"{corner:g}" for corner in self.box)

    @property
    def about(self) -> tuple[str, str, str]:
        """Returns what it is about, within its picture: a later verdict on the same takes its place."""
        return self.place, self.was, self.label if self.verdict == MISSING else ""


class Corrections:
    """All that persons said, by picture.

    >>> Corrections([Correction("a.jpg", None, "right", was="杯子")]).of("a.jpg")[0].verdict
    'right'
    """

    def __init__(self, rows: Iterable[Correction] = ()) -> None:
        self._by_image: dict[str, dict[tuple[str, str, str], Correction]] = {}
        for row in rows:
            self._by_image.setdefault(row.image, {})[row.about] = row

    def __iter__(self) -> Iterator[Correction]:
        for image in sorted(self._by_image):
            yield from self._by_image[image].values()

    @property
    def images(self) -> list[str]:
        """Returns the pictures that something is said of."""
        return sorted(self._by_image)

    def of(self, image: str) -> list[Correction]:
        """Returns what is said of a picture, in the order in which it was said.

        >>> Corrections().of("a.jpg")
        []
        """
        return list(self._by_image.get(image, {}).values())

    def digest(self, image: str) -> str:
        """Returns what is the same only where the same is said of a picture; "" where nothing is.

        >>> Corrections().digest("a.jpg")
        ''
        """
        rows = self.of(image)
        if not rows:
            return ""
        text = json.dumps([[row.place, *row[2:]] for row in rows])
        return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:DIGITS]

    def table(self) -> bytes:
        """Returns them as CSV for spreadsheets, and for `read_corrections`.

        >>> Corrections().table().decode("utf-8-sig").strip()
        'image,box,verdict,label,was'
        """
        file = io.StringIO(newline="")
        rows = csv.writer(file)
        rows.writerow(COLUMNS)
        for row in self:
            cells = (row.image, row.place, row.verdict, row.label, row.was)
            rows.writerow([shielded(cell) for cell in cells])
        return BOM_UTF8 + file.getvalue().encode("utf-8", "surrogateescape")


def together(*several: Corrections) -> Corrections:
    """Returns all of them as one, the later ones last.

    >>> together(Corrections(), Corrections()).images
    []
    """
    return Corrections([row for corrections in several for row in corrections])
