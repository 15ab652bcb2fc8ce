"""What whoever exports should know of single pictures: a sentence for many, and a table of them all."""

import codecs
import csv
import io

from ..text import printable
from ..vocabulary.columns import shielded

TABLE = "export_notes.csv"
NAMED = 3  # pictures in a sentence


class Notes:
    """What happened to pictures on their way out, by export.

    >>> notes = Notes()
    >>> notes.add("yolo", "left out: turned by EXIF", "a.jpg")
    >>> notes.sentences()
    ['yolo: 1 picture left out: turned by EXIF (a.jpg)']
    """

    def __init__(self) -> None:
        self._pictures: dict[tuple[str, str], dict[str, str]] = {}  # (export, what) → picture → detail
        self._sentences: list[str] = []

    def add(self, export: str, what: str, image: str, detail: str = "") -> None:
        """Note one picture; the same twice counts once.

        >>> Notes().add("voc", "renamed", "a.png", "a_png.png")
        """
        pictures = self._pictures.setdefault((export, what), {})
        pictures[image] = detail

    def say(self, sentence: str) -> None:
        """Note what concerns no single picture.

        >>> Notes().say("coco: 12 whole-picture tags have no place in it")
        """
        self._sentences.append(sentence)

    def sentences(self) -> list[str]:
        """Returns a sentence for each kind of note, with how many pictures and some of their names.

        >>> Notes().sentences()
        []
        """
        sentences = []
        for (export, what), pictures in self._pictures.items():
            count = len(pictures)
            noun = "picture" if count == 1 else "pictures"
            sentences.append(f"{export}: {count:,} {noun} {what} ({_some(pictures)})")
        return [*sentences, *self._sentences]

    def table(self) -> bytes:
        """Returns the table of all pictures noted, as CSV for spreadsheets; b"" where there are none.

        >>> Notes().table()
        b''
        """
        if not self._pictures:
            return b""
        text = io.StringIO(newline="")
        rows = csv.writer(text)
        rows.writerow(("export", "image", "what", "detail"))
        for (export, what), pictures in self._pictures.items():
            for image, detail in pictures.items():
                rows.writerow((export, shielded(image), what, shielded(detail)))
        return codecs.BOM_UTF8 + text.getvalue().encode("utf-8", "backslashreplace")


def _some(pictures: dict[str, str]) -> str:
    names = []
    for image, detail in list(pictures.items())[:NAMED]:
        name = f"{image} {detail}" if detail else image
        names.append(printable(name))
    if len(pictures) > NAMED:
        names.append("…")
    return ", ".join(names)
