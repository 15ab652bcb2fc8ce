"""How far two runs give the same tags: pairs of the tags of one picture, of either side.

The tags of a side are sorted, best first. A picture without an object has no tags: an empty sequence.

Two tags are of one class where they have the same label and, with `by_id`, the same class id: so classes that share a
name are told apart. Ids can be compared only where both sides number their classes alike: two runs of one model do, and
so does a truth that was made with the model's own label map (see `quality.read_truth`). Two models, or a model and a
truth that others made, need not, and are compared by name alone.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .detections import Tag
from .packages import import_of_torch

Tags = Sequence[Tag]
NOWHERE = (0.0, 0.0, 0.0, 0.0)
MIN_IOU = 0.5  # two boxes mean the same object where they overlap by more
Z = 1.96  # standard deviations to either side that hold 95 %


class Share(NamedTuple):
    """`hits` of `trials`, and the 95 % interval of their share, `low` to `high` in 0…1.

    >>> Share(99, 100, *wilson(99, 100)).value
    0.99
    """

    hits: int
    trials: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """The share itself, in 0…1."""
        return self.hits / self.trials


def agreement(pairs: Iterable[tuple[Tags, Tags]], by_id: bool = False) -> Share | None:
    """How far the two sides agree over all pictures.

    With boxes, every object counts: it agrees where the other side has one of the same label with IoU > 0.5, one to
    one. Of whole-picture tags the best one counts.
    Returns None where there is no object on either side: there is nothing to compare.

    >>> lamp = Tag("灯", 0, 0.9, (0.0, 0.0, 10.0, 10.0))
    >>> agreement([([lamp], [lamp]), ([lamp], [])]).value
    0.5
    """
    hits = 0
    trials = 0
    for a, b in pairs:
        matched = len(matches(a, b, by_id))
        hits += matched
        if _are_whole_picture(a, b):
            trials += 1
        else:
            trials += len(a) + len(b) - matched
    if trials == 0:
        return None
    low, high = wilson(hits, trials)
    return Share(hits, trials, low, high)


def score_drift(pairs: Iterable[tuple[Tags, Tags]], by_id: bool = False) -> list[float]:
    """Returns how far the confidence moved, for each object that both sides have.

    >>> score_drift([([Tag("灯", 0, 0.75, None)], [Tag("灯", 0, 0.5, None)])])
    [0.25]
    """
    drift = []
    for a, b in pairs:
        for i, j in matches(a, b, by_id):
            difference = a[i].confidence - b[j].confidence
            drift.append(abs(difference))
    return drift


def differences(pairs: Iterable[tuple[Tags, Tags]], by_id: bool = False) -> Iterator[tuple[list[Tag], list[Tag]]]:
    """Returns, pair by pair, the tags that only the first side has, and those that only the second has.

    Of whole-picture tags the best one counts.

    >>> lamp, chair = Tag("灯", 0, 0.9, None), Tag("椅", 1, 0.8, None)
    >>> only_first, only_second = next(differences([([lamp], [chair])]))
    >>> only_first[0].label, only_second[0].label
    ('灯', '椅')
    """
    for a, b in pairs:
        if _are_whole_picture(a, b):
            a = a[:1]
            b = b[:1]
        matched = matches(a, b, by_id)
        only_a = _without(a, [i for i, _ in matched])
        only_b = _without(b, [j for _, j in matched])
        yield only_a, only_b


def matches(a: Tags, b: Tags, by_id: bool = False) -> list[tuple[int, int]]:
    """Find which objects of one picture are the same on both sides.

    Boxes match by the same class (`by_id`: see above) and IoU > 0.5, the best overlap first, each object in one pair at
    most; a box without area matches none. Of whole-picture tags, the best one of either side, where it is the same.
    Returns pairs of positions: in `a`, in `b`.

    >>> matches([Tag("灯", 0, 0.9, None)], [Tag("灯", 0, 0.8, None)])
    [(0, 0)]
    """
    if not a or not b:
        return []
    if _are_whole_picture(a, b):
        same = same_class(a[0], b[0], by_id)
        return [(0, 0)] if same else []
    overlaps = _overlaps_of_same_class(a, b, by_id)
    pairs = []
    while overlaps.max() > MIN_IOU:
        best = int(overlaps.argmax())
        i, j = divmod(best, len(b))
        overlaps[i] = 0
        overlaps[:, j] = 0
        pairs.append((i, j))
    return pairs


def same_class(tag: Tag, other: Tag, by_id: bool = False) -> bool:
    """Returns whether two tags are of one class: by name and, where ids can be compared, by id.

    >>> same_class(Tag("杯", 3, 0.9, None), Tag("杯", 8, 0.9, None), by_id=True)
    False
    """
    if by_id and tag.label_id != other.label_id:
        return False
    return tag.label == other.label


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson, 1927): it behaves near 100 %, where the normal one does not.

    Returns its ends, in 0…1.

    >>> wilson(50, 50)[1]
    1.0
    """
    share = hits / trials
    z_squared = Z * Z
    centre = share + z_squared / (2 * trials)
    variance = share * (1 - share) / trials
    correction = z_squared / (4 * trials * trials)
    spread = Z * math.sqrt(variance + correction)
    scale = 1 + z_squared / trials
    low = (centre - spread) / scale
    high = (centre + spread) / scale
    low = min(low, share)  # at 0 and 100 % rounding would pass the ends
    high = max(high, share)
    return max(0.0, low), min(1.0, high)


def _are_whole_picture(a: Tags, b: Tags) -> bool:
    boxes = [tag.bbox for tag in (*a, *b)]
    return None in boxes


def _without(tags: Tags, positions: list[int]) -> list[Tag]:
    """The tags at all other positions."""
    numbered = enumerate(tags)
    return [tag for i, tag in numbered if i not in positions]


def _overlaps_of_same_class(a: Tags, b: Tags, by_id: bool) -> Tensor:
    """IoU [len(a), len(b)], 0 where the classes differ or a box has no area."""
    overlaps: Tensor = import_of_torch("torchvision.ops").box_iou(_boxes(a), _boxes(b))
    overlaps = overlaps.nan_to_num(0.0)  # 0 / 0, of two boxes without area
    for i, tag in enumerate(a):
        for j, other in enumerate(b):
            if not same_class(tag, other, by_id):
                overlaps[i, j] = 0
    return overlaps


def _boxes(tags: Tags) -> Tensor:
    """[N,4] xyxy; those without area all zeros, which overlap nothing."""
    boxes = [_solid(tag.bbox) for tag in tags]
    return torch.tensor(boxes)


def _solid(bbox: tuple[float, float, float, float] | None) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = bbox or NOWHERE
    if x2 > x1 and y2 > y1:
        return x1, y1, x2, y2
    return NOWHERE
