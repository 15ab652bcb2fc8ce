"""A JSON that a person edited is a person's word: told from what runs wrote by the digests that the ledger holds."""

import hashlib
import json
import os
from collections import Counter
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Any

from .file_systems import one_sentence
from .ledger import Contents, Entry
from .records import detections_in, json_path

EDITED = "edited"  # the folder where a person's JSON goes whose picture has changed since
DIGITS = 16


class Whose(Enum):
    """Who wrote the JSON of a picture last."""

    NOBODY = "it is not there"
    RUN = "as the ledger's last line has it"
    PERSON = "it was edited"
    OTHER = "it is torn, or of an earlier line"


def digest_of(content: bytes) -> str:
    """Returns what is the same only for the same content.

    >>> digest_of(b"{}")
    '44136fa355b3678a'
    """
    return hashlib.sha256(content).hexdigest()[:DIGITS]


class Edits:
    """Tells whose the JSONs of an output folder are. `touched`: pictures whose ledger line is to be written anew.

    >>> Edits(Path("runs/tags"), read_ledger(path)).whose("a.jpg", entry)
    <Whose.RUN: 'as the ledger's last line has it'>
    """

    def __init__(self, folder: Path, known: Contents) -> None:
        self._folder = folder
        self._known = known
        self.touched: set[str] = set()
        self._last: tuple[str, Whose] | None = None  # a picture is asked for twice in a row

    def whose(self, image: str, entry: Entry) -> Whose:
        """Returns whose a picture's JSON is. Its size and time only decide whether to look into it.

        The `entry` then has it as it is. Lines of version 0.1 have no digest: a size that differs is torn.
        """
        if self._last is None or self._last[0] != image:
            self._last = (image, self._look(image, entry))
        return self._last[1]

    def _look(self, image: str, entry: Entry) -> Whose:
        path = json_path(self._folder, image)
        try:
            status = os.stat(path)
        except OSError:
            return Whose.NOBODY
        if "json" not in entry:
            return Whose.RUN if status.st_size == entry["bytes"] else Whose.OTHER
        last = Whose.PERSON if entry.get("edited") else Whose.RUN
        if (status.st_size, status.st_mtime_ns) == (entry["bytes"], entry["written"]):
            return last
        with one_sentence(self._folder):
            content = path.read_bytes()
        digest = digest_of(content)
        if digest != entry["json"]:
            objects = None if digest in self._known.earlier.get(image, ()) else _objects_in(content)
            if objects is None:
                return Whose.OTHER
            entry.update(json=digest, bytes=len(content), objects=objects, edited=True)
            last = Whose.PERSON
        entry["written"] = status.st_mtime_ns
        self.touched.add(image)
        return last

    def move_aside(self, image: str) -> None:
        """Put a person's JSON into edited/: its picture is another one by now."""
        place = self._folder / EDITED / f"{image}.json"
        place.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            os.replace(json_path(self._folder, image), place)


def _objects_in(content: bytes) -> Counter[str] | None:
    """How often each label occurs; None where it is no whole JSON of the right shape."""
    try:
        record: dict[str, Any] = json.loads(content)
        names = detections_in(record).names
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return Counter(names) if all(isinstance(name, str) for name in names) else None
