"""label_studio.json: tasks with predictions for Label Studio, and label_studio.xml, the labelling configuration.

Boxes are percent of the picture. Beyond 200 labels the configuration has a tree to search instead of a button a label;
beyond 100,000 tasks, about what a project bears, another file goes on.
"""

from collections.abc import Iterable
from pathlib import PurePath
from typing import IO, Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from ..detections import Tag
from ..results import to_json
from ..tagged import Tagged
from ..text import clean_label
from .writer import Job

NAME, CONFIGURATION = "label_studio", "label_studio.xml"
MAX_TASKS = 100_000
MAX_BUTTONS = 200
ADDRESS = "/data/local-files/?d="


class LabelStudioWriter:
    """Writes label_studio.json and label_studio.xml.

    >>> writer = LabelStudioWriter(job)
    >>> writer.add(tagged)
    >>> writer.finish()
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._many = len(job.source.names) > MAX_BUTTONS
        self._box_labels: dict[str, None] = {}  # in the order in which they came, each once
        self._picture_labels: dict[str, None] = {}
        self._version = _version(job)
        self._tasks = self._files = self._results = 0
        self._file = self._begin_file()

    def add(self, tagged: Tagged) -> None:
        """Take one picture's result."""
        if self._tasks and self._tasks % MAX_TASKS == 0:
            self._file.write(b"\n]\n")
            self._file = self._begin_file()
        separator = b"[\n" if self._tasks % MAX_TASKS == 0 else b",\n"
        self._tasks += 1
        results = []
        for tag in tagged.objects:
            results += self._boxed(tag, tag.bbox, tagged) if tag.bbox else self._chosen(tag, tagged)
        task: dict[str, Any] = {"data": self._data(tagged), "predictions": []}
        if results:
            least = min(tag.confidence for tag in tagged.objects)
            prediction = {"model_version": self._version, "score": round(least, 4), "result": results}
            task["predictions"] = [prediction]
        self._file.write(separator + to_json(task).rstrip(b"\n"))

    def finish(self) -> None:
        """Write the configuration with the labels that occur."""
        self._file.write(b"\n]\n" if self._tasks else b"[]\n")
        with self._job.target.open(CONFIGURATION) as file:
            text = configuration(self._box_labels, self._picture_labels, self._many)
            file.write(text.encode())
        number = self._files + 1
        while (self._job.target.folder / _name(number)).exists():  # of an earlier export, of more pictures
            self._job.target.remove_at_end(_name(number))
            number += 1

    def _begin_file(self) -> IO[bytes]:
        self._files += 1
        return self._job.target.open(_name(self._files))

    def _data(self, tagged: Tagged) -> dict[str, str]:
        """Where Label Studio finds the picture: its document root is the folder that the folder of pictures lies in."""
        place = self._job.source.places.get(tagged.image, self._job.source.image_dir)
        path = f"{PurePath(place).name}/{tagged.image}".removeprefix("/")
        address = quote(path, errors="surrogateescape")
        return {"image": f"{ADDRESS}{address}", "path": tagged.image}

    def _boxed(self, tag: Tag, box: tuple[float, float, float, float], tagged: Tagged) -> list[dict[str, Any]]:
        x1, y1, x2, y2 = box
        label = clean_label(tag.label)
        self._box_labels[label] = None
        percent = {
            "x": round(100 * x1 / tagged.width, 4),
            "y": round(100 * y1 / tagged.height, 4),
            "width": round(100 * (x2 - x1) / tagged.width, 4),
            "height": round(100 * (y2 - y1) / tagged.height, 4),
            "rotation": 0,
        }
        common = self._common(tag, tagged)
        if not self._many:
            value = {**percent, "rectanglelabels": [label]}
            return [{**common, "type": "rectanglelabels", "from_name": "label", "value": value}]
        tree = {**percent, "taxonomy": [[label]]}
        return [
            {**common, "type": "rectangle", "from_name": "box", "value": percent},
            {**common, "type": "taxonomy", "from_name": "label", "value": tree},
        ]

    def _chosen(self, tag: Tag, tagged: Tagged) -> list[dict[str, Any]]:
        label = clean_label(tag.label)
        self._picture_labels[label] = None
        common = self._common(tag, tagged)
        if self._many:
            return [{**common, "type": "taxonomy", "from_name": "choice", "value": {"taxonomy": [[label]]}}]
        return [{**common, "type": "choices", "from_name": "choice", "value": {"choices": [label]}}]

    def _common(self, tag: Tag, tagged: Tagged) -> dict[str, Any]:
        self._results += 1
        return {
            "id": f"r{self._results}",
            "to_name": "image",
            "original_width": tagged.width,
            "original_height": tagged.height,
            "image_rotation": 0,
            "score": round(tag.confidence, 4),
        }


def configuration(box_labels: Iterable[str], picture_labels: Iterable[str], many: bool = False) -> str:
    """Returns the labelling configuration for these labels of boxes and of whole pictures.

    >>> configuration(["台灯"], []).splitlines()[3]
    '    <Label value="台灯"/>'
    """
    boxes, whole = list(box_labels), list(picture_labels)
    lines = ["<View>", '  <Image name="image" value="$image"/>']
    if boxes and many:
        lines.append('  <Rectangle name="box" toName="image"/>')
        lines += _element('Taxonomy name="label" toName="image" perRegion="true"', "Choice", boxes)
    elif boxes:
        lines += _element('RectangleLabels name="label" toName="image"', "Label", boxes)
    if whole and many:
        lines += _element('Taxonomy name="choice" toName="image"', "Choice", whole)
    elif whole:
        lines += _element('Choices name="choice" toName="image" choice="multiple"', "Choice", whole)
    lines.append("</View>")
    return "\n".join([*lines, ""])


def _element(opening: str, item: str, labels: list[str]) -> list[str]:
    name, _, _ = opening.partition(" ")
    items = [f"    <{item} value={quoteattr(label)}/>" for label in labels]
    return [f"  <{opening}>", *items, f"  </{name}>"]


def _name(number: int) -> str:
    if number == 1:
        return f"{NAME}.json"
    return f"{NAME}_{number}.json"


def _version(job: Job) -> str:
    model = job.source.model
    name = str(model.get("name", "wanwu_nb"))
    fingerprint = str(model.get("fingerprint", ""))
    return f"{name} {fingerprint[:8]}".strip()
