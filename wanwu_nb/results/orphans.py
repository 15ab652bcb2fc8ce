"""Results of pictures that have left their folder: noted as gone, kept or moved aside, and seen by no reader."""

import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from .ledger import FINISHED, Contents
from .lines import LineFile
from .records import json_path

ORPHANS = "orphans"


def note_orphans(
    folder: Path, contents: Contents, ledger: LineFile, names: Collection[str], image_dir: str, move: bool
) -> int:
    """Note the results of pictures that are no longer among `names`, all there are in `image_dir`, as gone.

    They stay in place, or are moved to orphans/; those of another image_dir are left alone. Returns how many there are.

    >>> note_orphans(folder, contents, ledger, listing.names, "/data/photos", move=False)
    2
    """
    count = 0
    for image in _gone(contents, set(names), image_dir):
        count += 1
        entry = contents.entries[image]
        if entry["status"] == "done":
            if move:  # before it is noted: what a killed run left between the two, the next one finishes
                _move(folder, image)
            entry["status"] = "gone"
            ledger.note(entry)
    return count


def _gone(contents: Contents, names: set[str], image_dir: str) -> Iterator[str]:
    for image, entry in contents.entries.items():
        if image in names or entry["status"] not in FINISHED:
            continue
        if contents.places[image] in ("", image_dir):
            yield image


def _move(folder: Path, image: str) -> None:
    target = folder / ORPHANS / f"{image}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        os.replace(json_path(folder, image), target)
