"""What results look like on disk, and the one reader of them; folder.py writes them.

images/<relative path, suffix included>.json    labels.json    ledger.jsonl    failures.csv    summary.json
"""

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ..detections import DECIMALS, Detections, Selection, texts_if_any
from ..errors import MissingFile, ResultsError
from ..paths import local_path
from ..settings import INT8
from ..tagged import Tagged
from ..versions import FileVersion
from ..vocabulary import NO_WORDS, Vocabulary
from .ledger import read_ledger

FORMAT = 1  # of the per-picture JSON; part of the key, so that another format is written anew
LEDGER = "ledger.jsonl"
NO_BOX = [math.nan] * 4  # of a tag of the whole picture among boxes


def run_key(fingerprint: str, precision: str, selection: Selection, vocabulary: Vocabulary = NO_WORDS) -> str:
    """Returns a digest of all that decides a picture's result besides the picture: same key, same JSON.

    A setting that is added later enters it only where it is not its default: old folders stay done.

    >>> run_key(model.checkpoint.fingerprint, "fp32", Selection())
    '3513a624bf4b25af'
    """
    parts: dict[str, Any] = asdict(selection)
    parts["format"] = FORMAT
    parts["model"] = fingerprint
    parts["precision"] = precision
    meaning = vocabulary.meaning()
    if meaning:
        parts["vocabulary"] = meaning
    text = json.dumps(parts, sort_keys=True)
    digest = hashlib.sha256(text.encode())
    return digest.hexdigest()[:16]


def precision_in_keys(record: Mapping[str, Any]) -> str:
    """Returns what keys call a precision, from its record in summary.json: INT8 by the network that was quantised.

    >>> precision_in_keys({"value": "int8", "measured": {"digest": "5f3d0c1b9e8a7764"}})
    'int8:5f3d0c1b9e8a7764'
    """
    precision: str = record["value"]
    if precision != INT8:
        return precision
    return f"{INT8}:{record['measured']['digest']}"


def read_results(output_dir: str | Path, images: Iterable[str] | None = None) -> Iterator[Tagged]:
    """Yields a Tagged for each picture that the ledger calls done, by name, one at a time.

    `images`: only those of these pictures; the ledger knows all that were ever tagged into the folder. What lies below
    images/ and is not in the ledger, failed since, or belongs to a picture that has gone, is passed over. Raises
    MissingFile where there is no ledger, ResultsError for a JSON that is broken.

    >>> for picture in read_results("runs/tags"):
    ...     print(picture.image, [tag.label for tag in picture.objects])
    """
    folder = Path(local_path(output_dir))
    ledger = folder / LEDGER
    if not ledger.exists():
        raise MissingFile(f"{ledger} does not exist: {output_dir} is no output folder of a run")
    entries = read_ledger(ledger).entries
    done = {image: entry for image, entry in entries.items() if entry["status"] == "done"}
    wanted = set(done)
    if images is not None:
        wanted.intersection_update(images)
    for image in sorted(wanted):
        try:
            tagged = _read(folder, image, done[image])
        except MissingFile:
            continue  # deleted by hand: the next run does it again
        yield tagged


def read_result(output_dir: str | Path, image: str) -> Tagged:
    """Returns what one picture's JSON holds. Raises MissingFile where there is none, ResultsError where it is broken.

    >>> read_result("runs/tags", "scene_00003.jpg").objects[0].label
    '棒球帽'
    """
    folder = Path(local_path(output_dir))
    return _read(folder, image, {})


def _read(output_dir: Path, image: str, entry: Mapping[str, Any]) -> Tagged:
    """A picture's JSON, with what the ledger's `entry` knows besides: the version of the file."""
    path = json_path(output_dir, image)
    try:
        record = json.loads(path.read_bytes())
        detections = detections_in(record, entry.get("invalid", 0))
        damaged = bool(record.get("damaged", False))
    except FileNotFoundError:
        raise MissingFile(f"{path} does not exist: {image} has no result") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ResultsError(f"{path} is broken ({error!r}): delete it, and run again") from None
    version = None
    if entry:
        version = FileVersion(entry["size"], entry["mtime"])
    return Tagged(image, version, detections, damaged)


def detections_in(record: Mapping[str, Any], invalid: int = 0) -> Detections:
    """Returns what a picture's JSON holds, once parsed. Raises KeyError, TypeError or ValueError for another shape.

    >>> detections_in(json.loads(path.read_bytes())).names
    ['台灯']
    """
    objects = record["objects"]
    names = [each["label"] for each in objects]
    label_ids = [each["label_id"] for each in objects]
    class_ids = np.array(label_ids, np.int64)
    confidences = [each["confidence"] for each in objects]
    scores = np.array(confidences, np.float64)
    corners = [each["bbox"] for each in objects]
    boxes = None
    if not corners or any(box is not None for box in corners):
        boxes = np.array([box or NO_BOX for box in corners], np.float64)
        boxes = boxes.reshape(-1, 4)
    width, height = record["width"], record["height"]
    unsure = any(each.get("unsure", False) for each in objects)
    categories = texts_if_any([each.get("category", "") for each in objects])
    english = texts_if_any([each.get("english", "") for each in objects])
    by = texts_if_any([each.get("by", "") for each in objects])
    return Detections(width, height, boxes, scores, class_ids, names, invalid, unsure, categories, english, by)


def result_record(tagged: Tagged, key: str = "") -> dict[str, Any]:
    """Returns what one picture's JSON holds: bbox in the photo's pixels to 1/100, or null for a whole-picture tag.

    >>> to_json(result_record(tagged, key))
    """
    objects = _objects(tagged.detections)
    record = {"image": tagged.image, "width": tagged.width, "height": tagged.height, "objects": objects}
    if tagged.damaged:
        record["damaged"] = True
    if key:
        record["key"] = key
    return record


def _objects(detections: Detections) -> list[dict[str, Any]]:
    boxes: list[Any] = [None] * len(detections)
    if detections.boxes is not None:
        boxes = [None if math.isnan(box[0]) else box for box in detections.boxes.round(DECIMALS).tolist()]
    class_ids = detections.class_ids.tolist()
    scores = detections.scores.tolist()
    objects = []
    for i, name in enumerate(detections.names):
        record: dict[str, Any] = {"label": name}
        record["label_id"] = class_ids[i]
        record["confidence"] = round(scores[i], 4)
        record["bbox"] = boxes[i]
        if detections.unsure:
            record["unsure"] = True
        if detections.categories and detections.categories[i]:
            record["category"] = detections.categories[i]
        if detections.english and detections.english[i]:
            record["english"] = detections.english[i]
        if detections.by and detections.by[i]:
            record["by"] = detections.by[i]
        objects.append(record)
    return objects


def json_path(output_dir: Path, image: str) -> Path:
    """Returns where a picture's JSON lies.

    >>> json_path(Path("tags"), "shoes/a.jpg")
    PosixPath('tags/images/shoes/a.jpg.json')
    """
    images = output_dir / "images"
    return images / f"{image}.json"
