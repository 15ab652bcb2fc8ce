"""From a network's raw boxes, scores and class ids to what is kept of each picture."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import nms

from .images import Placement

BOX_GRID = 256  # NMS compares boxes on a grid of 1/256 pixel: exact arithmetic, so neighbours in a batch cannot matter
SPAN = 2**24  # further than any two boxes of one input lie apart on that grid


@dataclass(frozen=True)
class Detections:
    """What was found in one picture, best first.

    `boxes` [N,4] xyxy in the upright photo's pixels, or None for a whole-picture tagger; `scores` [N] in 0…1;
    `class_ids` [N]; `names`, their labels. `invalid` counts what the network gave that cannot be: scores or boxes that
    are not finite, boxes inverted or wholly outside the photo. They are dropped.
    """

    width: int
    height: int
    boxes: np.ndarray | None
    scores: np.ndarray
    class_ids: np.ndarray
    names: list[str]
    invalid: int = 0

    def __len__(self) -> int:
        return len(self.scores)


@dataclass(frozen=True)
class Selection:
    """What is kept of a network's output: scores of at least `conf_threshold`, NMS at `nms_iou`, at most `top_k`."""

    conf_threshold: float = 0.3
    nms_iou: float = 0.5
    top_k: int = 100


def detect(
    raw: tuple[Tensor | None, Tensor, Tensor], placements: list[Placement], labels: dict[int, str], selection: Selection
) -> list[Detections]:
    """Turn one batch's padded output (CPU tensors, float32) into Detections, one per placement.

    Rows beyond the placements are batch padding. A whole-picture tagger (boxes None) always keeps its best tag.
    Raises ValueError for scores that are none, and class ids without a label: the run cannot go on.
    """
    boxes, scores, class_ids = (t if t is None else t[: len(placements)] for t in raw)
    possible = scores.isfinite()
    if (scores[possible] > 1.001).any():
        raise ValueError(f"scores go up to {scores[possible].max():.3g}, and must lie in 0…1: is a softmax missing?")
    kept = scores >= selection.conf_threshold
    if boxes is not None:
        possible &= boxes.isfinite().all(2) & (boxes[..., 2:] > boxes[..., :2]).all(2)
    invalid = ((kept | ~scores.isfinite()) & ~possible).sum(1).tolist()
    kept &= possible
    if boxes is None:
        best = scores.nan_to_num(-1.0, -1.0, -1.0).argmax(1, keepdim=True)
        kept |= torch.zeros_like(kept).scatter_(1, best, True) & possible
        picture, slot = kept.nonzero(as_tuple=True)
    else:
        picture, slot = suppress(boxes, scores, class_ids, kept, selection.nms_iou)
    score, class_id = scores[picture, slot].numpy(), class_ids[picture, slot].numpy()
    box = None if boxes is None else boxes[picture, slot].double().numpy()
    order = np.lexsort((slot.numpy(), -score, picture.numpy()))
    starts = np.searchsorted(picture.numpy()[order], np.arange(len(placements) + 1))
    rows = [order[a:b][: selection.top_k] for a, b in pairwise(starts)]
    return [
        in_photo(placement, None if box is None else box[row], score[row], class_id[row], labels, impossible)
        for placement, row, impossible in zip(placements, rows, invalid, strict=True)
    ]


def suppress(boxes: Tensor, scores: Tensor, class_ids: Tensor, kept: Tensor, nms_iou: float) -> tuple[Tensor, Tensor]:
    """Per-class NMS over a whole batch in one call: each (picture, class) is moved to a place of its own."""
    picture, slot = kept.nonzero(as_tuple=True)
    group = torch.stack([picture, class_ids[picture, slot]], dim=1).unique(dim=0, return_inverse=True)[1]
    on_grid = (boxes[picture, slot].double() * BOX_GRID).round() + group[:, None] * float(SPAN)
    survivors = nms(on_grid, scores[picture, slot].double(), nms_iou)
    return picture[survivors], slot[survivors]


def in_photo(placement: Placement, boxes, scores, class_ids, labels: dict[int, str], invalid: int) -> Detections:
    if boxes is not None:
        boxes = placement.to_photo(boxes)
        inside = (boxes[:, 2:] > boxes[:, :2]).all(1)  # a box wholly in the letterbox's rim has nothing in the photo
        boxes, scores, class_ids = boxes[inside], scores[inside], class_ids[inside]
        invalid += int((~inside).sum())
    unnamed = next((int(i) for i in class_ids if int(i) not in labels), None)
    if unnamed is not None:
        raise ValueError(f"the network found class {unnamed}, which the labels do not name: they have {span(labels)}")
    names = [labels[int(i)] for i in class_ids]
    return Detections(placement.width, placement.height, boxes, scores, class_ids, names, invalid)


def span(labels: dict[int, str]) -> str:
    return f"{len(labels)} names for classes {min(labels)} to {max(labels)}"
