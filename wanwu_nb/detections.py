"""What was found in a picture, and what is kept of what a network says. Without torch: whoever reads results, too."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .settings import CONF_THRESHOLD, NMS_IOU, TOP_K

Box = tuple[float, float, float, float]

PERSON = "person"  # who said what an object is, where it was not the network
DECIMALS = 2  # of a corner, where it is written: 1/100 pixel of the photo


def shared_area(one: Box, other: Box) -> float:
    """Returns the area that two boxes share, xyxy; 0 where they are apart.

    >>> shared_area((0, 0, 10, 10), (5, 0, 15, 10))
    50
    """
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height


class Tag(NamedTuple):
    """One object of a picture: `bbox` xyxy in the upright photo's pixels, or None for a whole-picture tag.

    `unsure`: below the threshold, and there because a whole-picture tagger's best always is. `category` and `english`
    where a vocabulary gives them. `by`: "person" where a person said so.
    """

    label: str
    label_id: int
    confidence: float
    bbox: tuple[float, float, float, float] | None
    unsure: bool = False
    category: str = ""
    english: str = ""
    by: str = ""


@dataclass(frozen=True, eq=False)
class Detections:
    """What was found in one picture, best first.

    `boxes` [N,4] xyxy in the upright photo's pixels, or None for a whole-picture tagger, not numbers for a tag of the
    whole picture among boxes; `scores` [N] in 0…1;
    `class_ids` [N]; `names`, their labels. `invalid` counts what the network gave that cannot be: scores or boxes that
    are not finite, boxes inverted, wholly outside the photo, or without area in hundredths of its pixels. They are
    dropped. `unsure`: the one whole-picture tag lies below the threshold. `categories` and `english` [N], or nothing
    where no vocabulary gives them. `by` [N]: "person" where a person said so, or nothing where none did.
    """

    width: int
    height: int
    boxes: np.ndarray | None
    scores: np.ndarray
    class_ids: np.ndarray
    names: list[str]
    invalid: int = 0
    unsure: bool = False
    categories: Sequence[str] = ()
    english: Sequence[str] = ()
    by: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def tags(self) -> list[Tag]:
        """Returns the same as rows, one an object, best first.

        >>> model.predict(["photo.jpg"])[0].tags[0].label
        '台灯'
        """
        scores = self.scores.tolist()
        class_ids = self.class_ids.tolist()
        tags = []
        for i, label in enumerate(self.names):
            category = self.categories[i] if self.categories else ""
            english = self.english[i] if self.english else ""
            by = self.by[i] if self.by else ""
            tag = Tag(label, class_ids[i], scores[i], self._corners(i), self.unsure, category, english, by)
            tags.append(tag)
        return tags

    def _corners(self, i: int) -> tuple[float, float, float, float] | None:
        if self.boxes is None:
            return None
        x1, y1, x2, y2 = self.boxes[i].tolist()
        return None if math.isnan(x1) else (x1, y1, x2, y2)


def texts_if_any(texts: Sequence[str]) -> Sequence[str]:
    """Returns the `categories` or `english` of objects as Detections has them: nothing where none of them has any.

    >>> texts_if_any(["", ""])
    ()
    """
    return texts if any(texts) else ()


@dataclass(frozen=True)
class Selection:
    """What is kept of a network's output: scores of at least `conf_threshold`, NMS at `nms_iou`, at most `top_k`."""

    conf_threshold: float = CONF_THRESHOLD
    nms_iou: float = NMS_IOU
    top_k: int = TOP_K
