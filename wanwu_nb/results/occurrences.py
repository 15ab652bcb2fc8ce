"""Which of the model's labels occur in a folder, how often and how surely: counted from what the network said."""

from array import array
from collections.abc import Collection, Mapping
from pathlib import Path
from statistics import median
from typing import TypeAlias

from ..deciding import Decision
from ..detections import Detections
from .lines import read_lines
from .raw import RAW, RawSource, raw_of
from .vocabulary_file import Seen

Values: TypeAlias = "array[float]"  # class ids and scores in turn


class Occurrences:
    """What the network said of each picture, as short as it goes; a picture that comes again counts once.

    >>> occurrences = Occurrences()
    >>> occurrences.add("a.jpg", raw)
    >>> occurrences.count(Decision())[3].count
    1
    """

    def __init__(self) -> None:
        self._by_picture: dict[str, tuple[Values, bool]] = {}

    def __contains__(self, image: str) -> bool:
        return image in self._by_picture

    def add(self, image: str, raw: Detections) -> None:
        """Take note of a picture's raw objects."""
        values: Values = array("d")
        for class_id, score in zip(raw.class_ids.tolist(), raw.scores.tolist(), strict=True):
            values.append(class_id)
            values.append(score)
        self._by_picture[image] = values, raw.boxes is None

    def count(self, decision: Decision) -> dict[int, Seen]:
        """Returns how often each class occurs, with the median of its confidences, by class id.

        Counted over the threshold, before any word is applied: what the vocabulary drops is among them.
        """
        scores: dict[int, Values] = {}
        for values, whole in self._by_picture.values():
            over = _over_threshold(values, decision)
            if whole and not over and values:
                over = values[:2]  # a whole picture's best
            for i in range(0, len(over), 2):
                class_id = int(over[i])
                scores.setdefault(class_id, array("d")).append(over[i + 1])
        return {class_id: Seen(len(values), median(values)) for class_id, values in scores.items()}


def add_resumed(
    occurrences: Occurrences, folder: Path, source: RawSource, labels: Mapping[int, str], images: Collection[str]
) -> None:
    """Add what raw.jsonl holds of those of the `images` that this run did not do itself.

    >>> add_resumed(output.occurrences, output.folder, source, model.labels, listing.names)
    """
    wanted = {image for image in images if image not in occurrences}
    if not wanted:
        return
    for line in read_lines(folder / RAW):
        record = line.record
        if record is None or record.get("image") not in wanted or source.problem_with(record):
            continue
        tagged = raw_of(record, labels)
        if tagged is not None:
            occurrences.add(tagged.image, tagged.detections)


def _over_threshold(values: Values, decision: Decision) -> Values:
    over: Values = array("d")
    usual = decision.selection.conf_threshold
    for i in range(0, len(values), 2):
        threshold = decision.vocabulary.threshold(int(values[i]), usual)
        if values[i + 1] >= threshold:
            over.extend(values[i : i + 2])
    return over
