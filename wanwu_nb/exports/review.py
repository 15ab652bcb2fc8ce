"""What a shop asks of a picture: which label is the main one, and does somebody have to look at it?

The main label of whole-picture tags is the surest; of boxes it is that of the largest of the sure ones (a confidence of
at least 0.5), or the surest where none is.

A picture needs review where a tag is unsure; where two labels lie within 0.1: the two surest of a whole picture, or of
two boxes on one place; where its file is damaged; where a box reaches its rim.
"""

from collections.abc import Sequence
from typing import NamedTuple

from ..detections import Box, Tag, shared_area
from ..tagged import Tagged

SURE = 0.5
WITHIN = 0.1
ONE_PLACE = 0.5  # IoU from which on two boxes are on one place
RIM = 1.0  # pixels
ROUNDING = 1e-9
SUREST, LARGEST = "surest 最确定", "largest 最大"
UNSURE, DAMAGED, AT_RIM, TWO_LABELS = "unsure 不确定", "damaged 文件残缺", "at the rim 贴边", "two labels 两可"


class Main(NamedTuple):
    """The main label of a picture, and the rule that chose it."""

    tag: Tag
    rule: str


def main_label(tags: Sequence[Tag]) -> Main | None:
    """Returns a picture's main label, None where it has none; `tags` best first.

    >>> main_label([Tag("灯", 0, 0.9, None), Tag("桌", 1, 0.8, None)]).tag.label
    '灯'
    """
    if not tags:
        return None
    sure = [tag for tag in tags if tag.bbox is not None and tag.confidence >= SURE]
    if not sure:
        return Main(tags[0], SUREST)
    return Main(max(sure, key=_area), LARGEST)


def reasons(tagged: Tagged) -> list[str]:
    """Returns why a picture needs review, [] where it does not.

    >>> reasons(tagged)
    ['two labels 两可: 杯子 0.52 / 马克杯 0.48']
    """
    tags = tagged.objects
    why = []
    if any(tag.unsure for tag in tags):
        why.append(UNSURE)
    pair = _two_labels(tags)
    if pair:
        first, second = pair
        both = f"{first.label} {first.confidence:.2f} / {second.label} {second.confidence:.2f}"
        why.append(f"{TWO_LABELS}: {both}")
    if tagged.damaged:
        why.append(DAMAGED)
    if any(_at_rim(tag.bbox, tagged) for tag in tags if tag.bbox is not None):
        why.append(AT_RIM)
    return why


def _two_labels(tags: Sequence[Tag]) -> tuple[Tag, Tag] | None:
    """The first pair of different labels that could be each other."""
    whole = [tag for tag in tags if tag.bbox is None]
    for second in whole[1:]:
        if second.label != whole[0].label:
            return (whole[0], second) if _close(whole[0], second) else None
    for i, first in enumerate(tags):
        for second in tags[i + 1 :]:
            if not _close(first, second):
                break  # best first: the others are further away
            if first.label != second.label and _on_one_place(first.bbox, second.bbox):
                return first, second
    return None


def _close(first: Tag, second: Tag) -> bool:
    apart = abs(first.confidence - second.confidence)
    return apart <= WITHIN + ROUNDING


def _on_one_place(one: Box | None, other: Box | None) -> bool:
    if one is None or other is None:
        return False
    shared = shared_area(one, other)
    if shared == 0:
        return False
    return shared >= ONE_PLACE * (_size(one) + _size(other) - shared)


def _at_rim(box: Box, tagged: Tagged) -> bool:
    x1, y1, x2, y2 = box
    from_right = tagged.width - x2
    from_bottom = tagged.height - y2
    return min(x1, y1, from_right, from_bottom) < RIM


def _area(tag: Tag) -> float:
    if tag.bbox is None:
        return 0.0
    return _size(tag.bbox)


def _size(box: Box) -> float:
    x1, y1, x2, y2 = box
    return (x2 - x1) * (y2 - y1)
