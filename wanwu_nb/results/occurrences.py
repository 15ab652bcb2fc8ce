"""Which of the model's labels occur in a folder, how often and how surely: counted from what the network said."""

from array import array
from collections.abc import Collection, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from ..deciding import Decision
from .lines import read_lines
from .raw import RAW, RawSource
from .vocabulary_file import Seen


def count_labels(folder: Path, source: RawSource, decision: Decision, images: Collection[str]) -> dict[int, Seen]:
    """Returns how often each class occurs in the pictures `images`, with the median of its confidences, by class id.

    Counted over the threshold, before any word is applied: what the vocabulary drops is among them.

    >>> count_labels(Path("runs/tags"), source, Decision(), ["a.jpg"])[3].count
    1
    """
    wanted = set(images)
    occurred: dict[str, array[float]] = {}  # class ids and scores in turn: a line that comes later counts
    for line in read_lines(folder / RAW):
        record = line.record
        if record is None or record.get("image") not in wanted or source.problem_with(record):
            continue
        occurred[record["image"]] = _over_threshold(record, decision)
    scores: dict[int, array[float]] = {}
    for values in occurred.values():
        for i in range(0, len(values), 2):
            class_id = int(values[i])
            scores.setdefault(class_id, array("d")).append(values[i + 1])
    return {class_id: Seen(len(values), median(values)) for class_id, values in scores.items()}


def _over_threshold(record: Mapping[str, Any], decision: Decision) -> "array[float]":
    """Class ids and scores in turn; nothing of a line of another shape."""
    values = array("d")
    try:
        for class_id, score, *_ in record["objects"]:
            if score >= _threshold(class_id, decision):
                values.extend((class_id, score))
        if not values and record.get("whole") and record["objects"]:
            values.extend(record["objects"][0])
    except (KeyError, TypeError, ValueError):
        return array("d")
    return values


def _threshold(class_id: int, decision: Decision) -> float:
    word = decision.vocabulary.words.get(class_id)
    if word is None or word.threshold is None:
        return decision.selection.conf_threshold
    return word.threshold
