"""raw.jsonl: what the network said of each picture, down to a floor, in exact values; a line a picture.

{"image": …, "size": …, "mtime": …, "key": …, "floor": …, "depth": …, "width": …, "height": …, "invalid": …,
 "objects": [[class id, score, x1, y1, x2, y2], …]}     whole-picture tags without corners

A picture's line stands there before the ledger calls it done. Another threshold or vocabulary is decided from it.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..deciding import Decision
from ..detections import Detections
from ..tagged import Tagged
from ..versions import FileVersion
from .jsons import to_json
from .lines import parse_line, read_lines, read_texts

RAW = "raw.jsonl"
RAW_FORMAT = 1
NAME = b'{"image":'  # how a line begins


@dataclass(frozen=True)
class RawSource:
    """Where raw objects come from: `key` of the network and its NMS; scores down to `floor`, at most `depth` objects.

    Example: `RawSource.of(model.checkpoint.fingerprint, "fp32", Decision())`
    """

    key: str
    floor: float
    depth: int

    @classmethod
    def of(cls, fingerprint: str, precision: str, decision: Decision) -> "RawSource":
        """Returns the source of what a run with this decision asks of the network."""
        asked = decision.asked
        parts = {"model": fingerprint, "precision": precision, "nms_iou": asked.nms_iou, "format": RAW_FORMAT}
        text = json.dumps(parts, sort_keys=True)
        digest = hashlib.sha256(text.encode())
        return cls(digest.hexdigest()[:16], asked.conf_threshold, asked.top_k)

    def problem_with(self, record: Mapping[str, Any]) -> str:
        """Returns why a line cannot stand for what this source would say; "" where it can."""
        if record.get("key") != self.key:
            return "the lines are of other weights, precision or NMS"
        floor, depth = record.get("floor"), record.get("depth")
        if not isinstance(floor, float | int) or not isinstance(depth, int):
            return "the lines are broken"
        if floor > self.floor or depth < self.depth:
            return f"the lines hold scores from {floor:g} on, at most {depth} a picture"
        return ""


def raw_record(tagged: Tagged, source: RawSource) -> dict[str, Any]:
    """Returns the line of a picture that the network ran on.

    >>> raw_record(tagged, source)["objects"]
    [[3, 0.8827111721038818, 885.12, 322.55, 1237.35, 589.16]]
    """
    raw, version = tagged.raw, tagged.version
    assert raw is not None, "a picture that the network did not run on has no raw objects"
    scores = [float(str(score)) for score in raw.scores]  # float32 as short as it can be written, and read again
    columns = [raw.class_ids.tolist(), scores]
    if raw.boxes is not None:
        columns += raw.boxes.T.tolist()
    record: dict[str, Any] = {"image": tagged.image}
    record["size"] = version.size if version else None
    record["mtime"] = version.mtime_ns if version else None
    record |= {"key": source.key, "floor": source.floor, "depth": source.depth}
    record |= {"width": raw.width, "height": raw.height, "invalid": raw.invalid}
    if raw.boxes is None:
        record["whole"] = True
    if tagged.damaged:
        record["damaged"] = True
    record["objects"] = [list(row) for row in zip(*columns, strict=True)]
    return record


class RawObjects:
    """What raw.jsonl holds of the pictures `wanted` that serves a run: where each lies, read when it is asked for.

    `problems` counts the pictures whose lines do not serve, by reason.

    >>> RawObjects(folder, source, labels, names).read("a.jpg", version)
    """

    def __init__(self, folder: Path, source: RawSource, labels: Mapping[int, str], wanted: Collection[str]):
        self._path = folder / RAW
        self._labels = labels
        self._offsets: dict[str, int] = {}
        names, reasons = set(wanted), {}
        usual = _beginning_of(source)
        for offset, text in read_texts(self._path):
            image, reason = _usual_name(text, usual), ""
            if image is None:
                image, reason = _name_and_problem(text, source)
            if image not in names:
                continue
            if reason:
                reasons[image] = reason
            else:
                self._offsets[image] = offset
        self.problems = Counter(reason for image, reason in reasons.items() if image not in self._offsets)
        self._file = open(self._path, "rb") if self._offsets else None  # noqa: SIM115 (open as long as it is read)

    def read(self, image: str, version: FileVersion) -> Tagged | None:
        """Returns what the network said of this version of the picture, None where that is not there or not whole."""
        if self._file is None or image not in self._offsets:
            return None
        self._file.seek(self._offsets[image])
        record = parse_line(self._file.readline())
        if record is None or record.get("image") != image or not version.matches(record):
            return None
        return raw_of(record, self._labels)

    def in_order(self) -> Iterator[str]:
        """Yields the names of what it holds, as they lie in the file."""
        yield from sorted(self._offsets, key=self._offsets.__getitem__)

    def __enter__(self) -> "RawObjects":
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()


def _beginning_of(source: RawSource) -> bytes:
    """What stands in every line that was written with this source and these bounds."""
    fields = {"key": source.key, "floor": source.floor, "depth": source.depth}
    return to_json(fields, spaces=False).strip(b"{}\n")


def _usual_name(text: bytes, usual: bytes) -> str | None:
    """The picture of a whole line of the usual form, without reading all of it; None of any other line."""
    if usual not in text or not text.startswith(NAME) or not text.endswith(b"}\n"):
        return None
    end = text.find(b'","size":')
    try:
        name = json.loads(text[len(NAME) : end + 1])
    except ValueError:
        return None
    return name if isinstance(name, str) else None


def _name_and_problem(text: bytes, source: RawSource) -> tuple[str, str]:
    """The picture of any line, and why the line does not serve; no name where there is none."""
    record = parse_line(text)
    if record is None or not isinstance(record.get("image"), str):
        return "", ""
    return record["image"], source.problem_with(record)


def raw_of(record: Mapping[str, Any], labels: Mapping[int, str]) -> Tagged | None:
    """Returns the picture of a line, its raw objects as detections; None for a line of another shape.

    >>> raw_of(record, labels).detections.scores
    """
    try:
        version = FileVersion(record["size"], record["mtime"])
        whole = record.get("whole", False)
        table = np.array(record["objects"], np.float64)
        table = table.reshape(-1, 2 if whole else 6)
        class_ids = table[:, 0].astype(np.int64)
        names = [labels[class_id] for class_id in class_ids.tolist()]
        boxes = None if whole else table[:, 2:]
        scores = table[:, 1].astype(np.float32)  # as the network gave them
        size = record["width"], record["height"]
        detections = Detections(*size, boxes, scores, class_ids, names, record["invalid"])
        return Tagged(record["image"], version, detections, bool(record.get("damaged")))
    except (KeyError, TypeError, ValueError):
        return None


def compact_raw(folder: Path, images: Collection[str]) -> None:
    """Write raw.jsonl anew with the last line of each of the `images` alone; a kill leaves the old one.

    >>> compact_raw(folder, entries)
    """
    path = folder / RAW
    if not path.exists():
        return
    partial = path.with_name(f"{path.name}.compact")
    with open(path, "rb") as old, open(partial, "wb") as new:
        for offset in last_lines(path, images):
            old.seek(offset)
            new.write(old.readline())
        new.flush()
        os.fsync(new.fileno())
    os.replace(partial, path)


def last_lines(path: Path, images: Collection[str], key: str = "") -> list[int]:
    """Returns where the last line of each of the `images` begins, in the order of the file; `key` "" for any network.

    >>> last_lines(Path("runs/tags/raw.jsonl"), ["a.jpg"])
    [0]
    """
    offsets = {}
    for line in read_lines(path):
        if line.record is None or line.record.get("image") not in images:
            continue
        if key in ("", line.record.get("key")):
            offsets[line.record["image"]] = line.offset
    return sorted(offsets.values())
