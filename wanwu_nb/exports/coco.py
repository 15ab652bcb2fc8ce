"""coco.json: one COCO data set. Pictures without objects stay in it; scores stand beside the boxes.

Annotations wait in a file of their own, since ids of categories are known only when all pictures were seen.
"""

from collections.abc import Sequence
from typing import Any

from ..results import to_json
from ..tagged import Tagged
from .categories import Categories
from .placing import say_without_box
from .writer import Job

NAME = "coco.json"


class CocoWriter:
    """Writes coco.json; file names are relative to the folder of pictures.

    >>> writer = CocoWriter(job)
    >>> writer.add(tagged)
    >>> writer.finish()
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._file = job.target.open(NAME)
        self._waiting_path = job.target.scratch("coco") / "annotations"
        self._waiting = open(self._waiting_path, "wb")  # noqa: SIM115 (open as long as the export)
        job.target.close_at_end(self._waiting.close)
        self._categories = Categories()
        self._images = self._annotations = self._without_box = 0
        self._file.write(b'{"images": [')

    def add(self, tagged: Tagged) -> None:
        """Take one picture's result."""
        original = None
        width, height = tagged.width, tagged.height
        if self._job.options.orientation == "file":
            original = self._job.originals.read(tagged)
            if original is None:
                return
            width, height = original.size(tagged)
        self._images += 1
        record = {"id": self._images, "file_name": tagged.image, "width": width, "height": height}
        self._write_item(record, self._images)
        for tag in tagged.objects:
            if tag.bbox is None:
                self._without_box += 1
                continue
            box = original.box(tagged, tag.bbox) if original else tag.bbox
            number = self._categories.number(tag)
            self._wait(number, box, tag.confidence)

    def finish(self) -> None:
        """Write the annotations and the categories."""
        ids, new = self._categories.ids(self._job.source.labels)
        self._file.write(b'],\n"annotations": [')
        self._waiting.close()
        self._write_annotations(ids)
        self._file.write(b'],\n"categories": [')
        self._write_categories(ids)
        self._file.write(b"]}\n")
        for name in new:
            self._job.notes.say(f"coco: {name} has no class id of its own and takes the next free one")
        say_without_box(self._job, self._without_box)

    def _write_annotations(self, ids: Sequence[int]) -> None:
        with open(self._waiting_path, "rb") as waiting:
            for place, line in enumerate(waiting, 1):
                number, record = line.rstrip(b"\n").split(b" ", 1)
                category = f', "category_id": {ids[int(number)]}}}'
                separator = b"\n" if place == 1 else b",\n"
                self._file.write(separator + record[:-1] + category.encode())

    def _write_categories(self, ids: Sequence[int]) -> None:
        for place, number in enumerate(self._categories.order(), 1):
            category = self._categories.all[number]
            record: dict[str, Any] = {"id": ids[number], "name": category.name, "supercategory": category.category}
            record["label_id"] = category.label_id
            self._write_item(record, place)

    def _wait(self, number: int, box: tuple[float, float, float, float], confidence: float) -> None:
        x1, y1, x2, y2 = box
        width, height = x2 - x1, y2 - y1
        self._annotations += 1
        record = {
            "id": self._annotations,
            "image_id": self._images,
            "bbox": [round(x1, 2), round(y1, 2), round(width, 2), round(height, 2)],
            "area": round(width * height, 2),
            "iscrowd": 0,
            "segmentation": [],
            "score": round(confidence, 4),
        }
        self._waiting.write(f"{number} ".encode() + to_json(record))

    def _write_item(self, record: dict[str, Any], place: int) -> None:
        """One line an item; `place` counts from 1."""
        separator = b"\n" if place == 1 else b",\n"
        self._file.write(separator + to_json(record).rstrip(b"\n"))
