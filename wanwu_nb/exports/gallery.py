"""gallery.html: all pictures in one page that opens from disk, to search, to look at, and to correct.

One file: its style, its script and what it shows are in it, and nothing is fetched but the pictures. Small ones lie
in thumbs/ beside it.
"""

import base64
import hashlib
import html
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..detections import Tag
from ..tagged import Tagged
from ..text import printable
from .review import main_label, reasons
from .rows import BETWEEN_REASONS
from .thumbnails import FOLDER, make_thumbnails
from .writer import Job

NAME = "gallery.html"
PAGE = Path(__file__).with_name("page")
SCRIPTS = ("data.js", "verdicts.js", "drawing.js", "filters.js", "grid.js", "viewer.js", "start.js")
PART = re.compile(r"\{\{(\w+)\}\}")
GONE = "without a small picture in the gallery"
# As it would end the page's data, begin a comment or break a line in it.
ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})


class GalleryWriter:
    """Writes gallery.html, and the small pictures that are not there yet.

    >>> writer = GalleryWriter(job)
    >>> writer.add(tagged)
    >>> writer.finish()
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._images: list[str] = []
        self._rows: list[str] = []  # as JSON already: as lists they would take ten times the memory
        self._labels: dict[tuple[str, str, str], int] = {}
        self._roots: dict[str, int] = {}

    def add(self, tagged: Tagged) -> None:
        """Take one picture's result."""
        review = BETWEEN_REASONS.join(reasons(tagged))
        objects = [self._object(tag) for tag in _main_first(tagged)]
        name = _address_of_name(tagged.image), printable(tagged.image)
        row = [*name, tagged.width, tagged.height, printable(review), objects, self._root(tagged.image)]
        self._images.append(tagged.image)
        self._rows.append(_as_json(row))

    def finish(self) -> None:
        """Write the page, once the small pictures are made."""
        target = self._job.target
        problems = make_thumbnails(target.folder / FOLDER, self._places())
        for image, problem in problems.items():
            self._job.note(GONE, image, f"({problem})")
        with target.open(NAME) as file:
            file.write(_page(self._title(), self._data()).encode())

    def _object(self, tag: Tag) -> list[Any]:
        """The label's number, the confidence, 1 where it is unsure and 2 where a person said so, and the box it has."""
        label = tag.label, tag.category, tag.english
        number = self._labels.setdefault(label, len(self._labels))
        return [number, round(tag.confidence, 4), (1 if tag.unsure else 2 if tag.by else 0), *(tag.bbox or ())]

    def _root(self, image: str) -> int:
        """The number of the folder that a picture lies in, as an address from where the page is."""
        source = self._job.source
        place = source.places.get(image, source.image_dir)
        return self._roots.setdefault(_address(place, self._job.target.folder), len(self._roots))

    def _places(self) -> Iterator[tuple[str, Path]]:
        for image in self._images:
            path = self._job.source.path_of(image)
            if path is None:
                self._job.note(GONE, image, "(no run noted its folder: give image_dir)")
            else:
                yield image, path

    def _title(self) -> str:
        return printable(Path(self._job.source.image_dir).name or self._job.source.folder.name)

    def _data(self) -> str:
        names = [[printable(part) for part in label] for label in self._labels]
        about = {"title": self._title(), "thumbs": FOLDER, "roots": list(self._roots), "labels": names}
        pictures = ",".join(self._rows)
        return f'{_as_json(about)[:-1]},"pictures":[{pictures}]}}'


def _main_first(tagged: Tagged) -> list[Tag]:
    """The main label stands first, the others as they were: the surest first."""
    tags = list(tagged.objects)
    main = main_label(tags)
    if main is not None:
        tags.remove(main.tag)
        tags.insert(0, main.tag)
    return tags


def _address(place: str, folder: Path) -> str:
    """Of a folder, from another; "" where none is known."""
    if not place:
        return ""
    try:
        relative = os.path.relpath(place, folder)
    except ValueError:  # another drive
        return Path(place).as_uri()
    return quote(relative.replace(os.sep, "/"), errors="surrogateescape")


def _address_of_name(image: str) -> str:
    """As a part of an address; "" where that is the name itself."""
    address = quote(image, errors="surrogateescape")
    return "" if address == image else address


def _as_json(content: object) -> str:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).translate(ESCAPES)


def _page(title: str, data: str) -> str:
    """No script but this one runs there, whatever labels and file names hold."""
    script = "\n".join((PAGE / name).read_text(encoding="utf-8") for name in SCRIPTS)
    script = f'"use strict";\n(() => {{\n{script}\n}})();'
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    parts = {
        "title": html.escape(title),
        "digest": digest,
        "style": (PAGE / "page.css").read_text(encoding="utf-8"),
        "data": data,
        "script": script,
    }
    page = (PAGE / "page.html").read_text(encoding="utf-8")
    return PART.sub(lambda mark: parts[mark[1]], page)
