"""yolo/: a data set as Ultralytics reads it: data.yaml, a label file a picture, the pictures themselves on request.

Five columns, since training refuses a sixth: scores are in the other exports. Label lines wait in a file of their own,
since class numbers are known only when all pictures were seen.
"""

import json
import os
import re
from pathlib import Path

import yaml

from ..tagged import Tagged
from .categories import Categories
from .placing import Places
from .writer import Job

NAME = "yolo"
READ = re.compile(r"\.(avif|bmp|dng|hei[cf]|jp2|jpe?g|jpeg2000|mpo|png|tiff?|webp)", re.IGNORECASE)
PASSED_OVER = "copied, though Ultralytics passes over what has such a suffix"
IMAGES, LABELS = "/images/", "/labels/"


class YoloWriter:
    """Writes yolo/data.yaml, yolo/labels/…txt, and yolo/images/… where pictures are copied, else yolo/train.txt.

    >>> writer = YoloWriter(job)
    >>> writer.add(tagged)
    >>> writer.finish()
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._folder = job.target.make_folder(NAME)
        self._final = job.target.folder / NAME
        (self._folder / "images").mkdir()
        (self._folder / "labels").mkdir()
        self._waiting_path = job.target.scratch(NAME) / "labels"
        self._waiting = open(self._waiting_path, "wb")  # noqa: SIM115 (open as long as the export)
        job.target.close_at_end(self._waiting.close)
        self._places = Places(job, self._folder / "images")
        self._categories = Categories()

    def add(self, tagged: Tagged) -> None:
        """Take one picture's result."""
        placed = self._places.place(tagged)
        if placed is None:
            return
        _, suffix = os.path.splitext(placed.name)
        if self._job.options.copy_pictures and not READ.fullmatch(suffix):
            self._job.note(PASSED_OVER, tagged.image)
        rows = []
        for tag, (x1, y1, x2, y2) in placed.objects:
            number = self._categories.number(tag)
            centre_x = (x1 + x2) / 2 / placed.width
            centre_y = (y1 + y2) / 2 / placed.height
            width = (x2 - x1) / placed.width
            height = (y2 - y1) / placed.height
            rows.append((number, f"{centre_x:.6f} {centre_y:.6f} {width:.6f} {height:.6f}"))
        line = json.dumps({"stem": placed.stem, "name": placed.name, "rows": rows})
        self._waiting.write(f"{line}\n".encode())

    def finish(self) -> None:
        """Write the label files, and data.yaml."""
        order = self._categories.order()
        classes = {number: place for place, number in enumerate(order)}
        self._waiting.close()
        copies = self._job.options.copy_pictures
        train_list = None if copies else open(self._folder / "train.txt", "wb")  # noqa: SIM115
        if train_list:
            self._job.target.close_at_end(train_list.close)
        with open(self._waiting_path, "rb") as waiting:
            for text in waiting:
                line = json.loads(text)
                rows = [f"{classes[number]} {numbers}\n" for number, numbers in line["rows"]]
                path = self._folder / _label_file(line["stem"])
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text("".join(rows), encoding="ascii")
                if train_list:
                    picture = f"{self._final}/images/{line['name']}\n"
                    train_list.write(picture.encode("utf-8", "surrogateescape"))
        self._write_yaml({place: self._categories.all[number].name for place, number in enumerate(order)}, copies)
        if not copies:
            self._job.notes.say(f"yolo: labels alone; put the pictures into {self._final}/images, or use copy=True")
        self._places.finish()

    def _write_yaml(self, names: dict[int, str], copies: bool) -> None:
        pictures = "images" if copies else "train.txt"
        content = {"path": str(self._final), "train": pictures, "val": pictures, "names": names}
        text = yaml.safe_dump(content, allow_unicode=True, sort_keys=False)
        head = "# train and val are the same pictures: part them before you judge a network by them\n"
        (self._folder / "data.yaml").write_text(head + text, encoding="utf-8")


def _label_file(stem: str) -> Path:
    """Where a trainer looks for it: the last /images/ of the picture's path is /labels/, in a sub-folder too."""
    picture = f"{IMAGES}{stem}"
    before, _, after = picture.rpartition(IMAGES)
    path = f"{before}{LABELS}{after}.txt"
    relative = path.removeprefix("/")
    return Path(relative)
