"""What YOLO and VOC share: a picture's place in a data set, its copy, and boxes in the pixels that trainers see."""

import os
from dataclasses import dataclass
from pathlib import Path

from ..detections import Tag
from ..errors import WanwuError
from ..tagged import Tagged
from .originals import Box, Original
from .stems import Stems
from .writer import Job

TURNED = (
    'left out: EXIF turns them, and trainers do not; copy=True writes them upright, orientation="file" gives boxes in '
    "the file's own pixels"
)
RIVAL = "left out, since another has the same label file: rename one, or copy=True does"
RENAMED = "renamed, since another has the same label file"
LINE_END = "left out, since a list of pictures cannot hold a name with a line end"


@dataclass(frozen=True)
class Placed:
    """A picture in a data set: its `stem` and `name` there, its size, and what is in it, in the pixels of its file.

    Example: `Placed("shoes/a", "shoes/a.jpg", 1920, 1080, [(tag, (0.0, 0.0, 9.0, 9.0))])`
    """

    stem: str
    name: str
    width: int
    height: int
    objects: list[tuple[Tag, Box]]


class Places:
    """Finds each picture its place, and copies it there where copies are wanted.

    >>> Places(job, folder / "images").place(tagged).name
    'a.jpg'
    """

    def __init__(self, job: Job, images: Path) -> None:
        self._job = job
        self._images = images
        self._copies = job.options.copy_pictures
        self._in_file = job.options.orientation == "file"
        self._stems = Stems(job.source.images)
        self._without_box = 0

    def place(self, tagged: Tagged) -> Placed | None:
        """Returns where a picture goes, and its boxes; None for one that is left out, which is noted.

        >>> places.place(tagged).objects
        [(Tag(label='台灯', …), (10.0, 20.0, 110.0, 220.0))]
        """
        objects = tagged.objects
        if objects and all(tag.bbox is None for tag in objects):
            self._without_box += len(objects)
            return None  # an empty label file would say that nothing is in it
        original = self._job.originals.read(tagged)
        if original is None or not self._can_be_placed(tagged, original):
            return None
        stem = self._stems.of(tagged.image)
        _, suffix = os.path.splitext(tagged.image)
        name = f"{stem}{suffix}"
        if self._copies and not self._copy(tagged, original, name):
            return None
        width, height = original.size(tagged) if self._in_file else (tagged.width, tagged.height)
        return Placed(stem, name, width, height, self._objects(tagged, original))

    def finish(self) -> None:
        """Say what these data sets have no place for.

        >>> places.finish()
        """
        say_without_box(self._job, self._without_box, ", and pictures that have no others are left out")

    def _can_be_placed(self, tagged: Tagged, original: Original) -> bool:
        if self._copies:
            return True
        if original.turn is not None and not self._in_file:
            self._job.note(TURNED, tagged.image)
            return False
        rival = self._stems.rival(tagged.image)
        if rival:
            self._job.note(RIVAL, tagged.image, f"beside {rival}")
            return False
        if len(tagged.image.splitlines()) > 1:
            self._job.note(LINE_END, tagged.image)
            return False
        return True

    def _copy(self, tagged: Tagged, original: Original, name: str) -> bool:
        try:
            content = original.content if self._in_file else original.upright()
        except WanwuError as error:
            self._job.note("left out: cannot be turned", tagged.image, f"({error})")
            return False
        path = self._images / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        rival = self._stems.rival(tagged.image)
        if rival:
            self._job.note(RENAMED, tagged.image, f"is {name}, beside {rival}")
        return True

    def _objects(self, tagged: Tagged, original: Original) -> list[tuple[Tag, Box]]:
        objects = []
        for tag in tagged.objects:
            if tag.bbox is None:
                self._without_box += 1
                continue
            box = original.box(tagged, tag.bbox) if self._in_file else tag.bbox
            objects.append((tag, box))
        return objects


def say_without_box(job: Job, count: int, consequence: str = "") -> None:
    """Say how many whole-picture tags a format has no place for, if any, and what comes of it.

    >>> say_without_box(job, 12)
    """
    if count:
        noun = "whole-picture tag has" if count == 1 else "whole-picture tags have"
        others = "csv, xlsx, parquet, jsonl and labelstudio have one"
        job.notes.say(f"{job.kind}: {count:,} {noun} no place in it{consequence}: {others}")
