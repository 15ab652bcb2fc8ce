"""The output folder that is exported: what its ledger, labels.json and summary.json say beside the results."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import MissingFile, OutputBusy
from ..paths import local_path
from ..results import LABELS, LEDGER
from ..results.ledger import Contents, read_ledger
from ..results.locking import FolderLock

SUMMARY = "summary.json"


class Failure(NamedTuple):
    """A picture that could not be tagged."""

    image: str
    stage: str
    reason: str


@dataclass(frozen=True)
class Source:
    """What is known of a finished folder, beside the results themselves.

    `images`: of the pictures that the ledger calls done, by name. `image_dir`: where they lie, as the last run had it,
    or as asked for; `places`: of those that lie elsewhere. `names`: the labels that occur. `labels`: the model's names
    by class id, as far as they are known. `model` and `settings`: as summary.json has them, {} where there is none.

    Example: `Source.read(Path("runs/tags"))`
    """

    folder: Path
    images: Sequence[str]
    image_dir: str
    places: Mapping[str, str]
    names: frozenset[str]
    labels: Mapping[int, str]
    failures: Sequence[Failure]
    model: Mapping[str, Any]
    settings: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path, image_dir: str = "") -> "Source":
        """Returns what is known of `folder`; `image_dir`: where the pictures lie now, "" for where they were tagged.

        >>> Source.read(Path("runs/tags")).image_dir
        '/home/me/photos'
        """
        contents = read_ledger(folder / LEDGER)
        summary = _read_json(folder / SUMMARY)
        settings = _mapping(summary, "settings")
        place = image_dir or contents.image_dir or _absolute(settings.get("image_dir", ""))
        done = []
        names: set[str] = set()
        for image, entry in contents.entries.items():
            if entry["status"] == "done":
                done.append(image)
                names.update(entry["objects"])
        places = {} if image_dir else _places(contents, done, place)
        labels = {int(number): str(name) for number, name in _read_json(folder / LABELS).items() if number.isdecimal()}
        return cls(
            folder=folder,
            images=sorted(done),
            image_dir=place,
            places=places,
            names=frozenset(names),
            labels=labels,
            failures=_failures(contents),
            model=_mapping(summary, "model"),
            settings=settings,
        )

    def path_of(self, image: str) -> Path | None:
        """Returns where a picture lies; None where no run noted that.

        >>> source.path_of("shoes/a.jpg")
        PosixPath('/home/me/photos/shoes/a.jpg')
        """
        place = self.places.get(image, self.image_dir)
        if not place:
            return None
        return Path(place) / image


@contextmanager
def undisturbed(output_dir: str | os.PathLike[str]) -> Iterator[Path]:
    """Keep runs out of a finished output folder meanwhile. Yields its path.

    Raises MissingFile where it is none, OutputBusy where a run is writing to it.

    >>> with undisturbed("runs/tags") as folder:
    ...     source = Source.read(folder)
    """
    folder = Path(local_path(output_dir)).absolute()
    if not (folder / LEDGER).is_file():
        raise MissingFile(f"{folder / LEDGER} does not exist: {output_dir} is no output folder of a run")
    lock = FolderLock(folder)
    try:
        lock.acquire()
    except OutputBusy:
        raise OutputBusy(f"a run is writing to {folder}: export when it is done") from None
    except OSError:  # a folder that may only be read: no run can write there either
        yield folder
        return
    try:
        yield folder
    finally:
        lock.release()


def _places(contents: Contents, done: Sequence[str], image_dir: str) -> dict[str, str]:
    """Of the pictures that an earlier run tagged in another folder."""
    places = {}
    for image in done:
        place = contents.places[image]
        if place not in ("", image_dir):
            places[image] = place
    return places


def _failures(contents: Contents) -> list[Failure]:
    failures = []
    for image, entry in contents.entries.items():
        if entry["status"] == "failed":
            failures.append(Failure(image, str(entry.get("stage", "")), str(entry.get("reason", ""))))
    return sorted(failures)


def _read_json(path: Path) -> dict[str, Any]:
    """{} where there is none: results can be exported without."""
    with suppress(OSError, ValueError, RecursionError):
        content = json.loads(path.read_bytes())
        if isinstance(content, dict):
            return content
    return {}


def _mapping(record: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = record.get(name)
    return value if isinstance(value, dict) else {}


def _absolute(image_dir: object) -> str:
    """A relative path meant the working folder of that run, which nobody noted."""
    if isinstance(image_dir, str) and os.path.isabs(image_dir):
        return image_dir
    return ""
