"""Corrections merged into what was found in a picture: what a person said stands, whatever the threshold."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ..detections import PERSON, Box, Detections, Tag, shared_area, texts_if_any
from ..vocabulary import Vocabulary
from .table import MISSING, RIGHT, Correction, Corrections

ONE_PLACE = 0.5  # IoU from which on a box is the one that was judged
SURE = 1.0  # the confidence of a person's word
NO_CLASS = -1  # the class id of a label that is neither the model's nor the vocabulary's


class Known(NamedTuple):
    """What a label stands for."""

    label_id: int
    category: str = ""
    english: str = ""


class KnownLabels:
    """What the labels that persons gave stand for: the model's own, or the user's words for them.

    >>> KnownLabels.of(corrections, {3: "台灯"}, NO_WORDS).of_label("台灯").label_id
    3
    """

    def __init__(self, known: Mapping[str, Known]) -> None:
        self._known = known

    @classmethod
    def of(cls, corrections: Corrections, labels: Mapping[int, str], vocabulary: Vocabulary) -> "KnownLabels":
        """Returns what is known of the labels that occur in `corrections`."""
        wanted = {name for row in corrections for name in (row.label, row.was) if name}
        known: dict[str, Known] = {}
        if wanted:
            for class_id, label in labels.items():
                word = vocabulary.word(class_id, label)
                if word.name in wanted and word.name not in known:
                    known[word.name] = Known(word.label_id, word.category, word.english)
        return cls(known)

    def of_label(self, label: str) -> Known:
        """Returns what a label stands for; one that is new has no class id."""
        return self._known.get(label, Known(NO_CLASS))


def corrected(detections: Detections, rows: Sequence[Correction], names: KnownLabels) -> Detections:
    """Returns what was found with what a person said of it; each object that was judged says `by` whom.

    An object that was judged, and is not found any more, is there by the person's word.

    >>> corrected(detections, [Correction("a.jpg", None, "wrong", "茶杯", "杯子")], names).names
    ['茶杯']
    """
    tags = list(detections.tags)
    for row in rows:
        place = _place_of(row, tags)
        if row.verdict not in (RIGHT, MISSING) and not row.label:
            if place is not None:
                del tags[place]
            continue
        label = row.label or row.was or (tags[place].label if place is not None else "")
        if not label:
            continue  # right, of something that is not there and has no name
        if place is None:
            tags.append(_by_person(label, row.box, names))
        else:
            tags[place] = _by_person(label, tags[place].bbox, names)
    tags.sort(key=lambda tag: -tag.confidence)
    return _detections(tags, detections)


def _place_of(row: Correction, tags: Sequence[Tag]) -> int | None:
    """The object that is meant: of those on its place the one of its label, then the nearest."""
    label = row.label if row.verdict == MISSING else row.was
    best: tuple[bool, float, int] | None = None
    for place, tag in enumerate(tags):
        overlap = _overlap(row.box, tag.bbox)
        is_it = not label or tag.label == label
        if overlap < ONE_PLACE or ((row.verdict == MISSING or row.box is None) and not is_it):
            continue
        found = (is_it, overlap, -place)
        best = max(best, found) if best else found
    return None if best is None else -best[2]


def _overlap(one: Box | None, other: Box | None) -> float:
    """IoU; of two whole pictures 1."""
    if one is None or other is None:
        return float(one is other)
    shared = shared_area(one, other)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return shared / (sum(areas) - shared)


def _by_person(label: str, box: Box | None, names: KnownLabels) -> Tag:
    known = names.of_label(label)
    return Tag(label, known.label_id, SURE, box, category=known.category, english=known.english, by=PERSON)


def _detections(tags: Sequence[Tag], before: Detections) -> Detections:
    """As arrays again; among boxes, a tag without one has none of its corners. Whoever looked is sure."""
    boxes = None
    if before.boxes is not None or any(tag.bbox is not None for tag in tags):
        corners = [tag.bbox or (np.nan,) * 4 for tag in tags]
        boxes = np.array(corners, np.float64).reshape(-1, 4)
    return Detections(
        before.width,
        before.height,
        boxes,
        np.array([tag.confidence for tag in tags], np.float64),
        np.array([tag.label_id for tag in tags], np.int64),
        [tag.label for tag in tags],
        before.invalid,
        before.unsure and not any(tag.by for tag in tags) and bool(tags),
        texts_if_any([tag.category for tag in tags]),
        texts_if_any([tag.english for tag in tags]),
        texts_if_any([tag.by for tag in tags]),
    )
