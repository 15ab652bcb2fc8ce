"""From a network's raw boxes, scores and class ids to what is kept of each picture."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .detections import DECIMALS, Detections, Selection
from .errors import ModelError
from .fitting import Placement
from .packages import import_of_torch

BOX_GRID = 256  # NMS compares boxes on a grid of 1/256 pixel: exact arithmetic, so neighbours in a batch cannot matter
SPAN = 2**24  # further than any two boxes of one input lie apart on that grid

RawOutput = tuple[Tensor | None, Tensor, Tensor]  # boxes [B,K,4] xyxy in input pixels or None, scores, class ids [B,K]


def pack(boxes: Tensor | None, scores: Tensor, class_ids: Tensor) -> Tensor:
    """Put a batch's output into one tensor, which one copy brings from the device.

    Returns float32 [B,K,2] without boxes, [B,K,6] with them; class ids are exact up to 2**24.

    >>> pack(boxes, scores, class_ids).shape
    torch.Size([8, 100, 6])
    """
    score_column = scores[..., None]
    id_column = class_ids[..., None]
    columns = [score_column, id_column]
    if boxes is not None:
        columns.append(boxes)
    as_float = [column.float() for column in columns]
    return torch.cat(as_float, dim=2)


def unpack(packed: Tensor) -> RawOutput:
    """Returns boxes, scores and class ids of a packed output, on the CPU: waits for the device.

    >>> boxes, scores, class_ids = unpack(model.launch(batch))
    """
    on_cpu = packed.cpu()
    scores = on_cpu[..., 0]
    class_ids = on_cpu[..., 1]
    class_ids = class_ids.long()
    boxes = on_cpu[..., 2:]
    if boxes.shape[2] == 0:
        return None, scores, class_ids
    return boxes, scores, class_ids


def detect(
    raw: RawOutput, placements: Sequence[Placement], labels: Mapping[int, str], selection: Selection, least: int = 1
) -> list[Detections]:
    """Turn one batch's padded output (CPU tensors, float32) into what is kept of each picture.

    Rows beyond the placements are batch padding. A whole-picture tagger (boxes None) always keeps its `least` best
    tags. Returns one Detections a placement. Raises ModelError for scores that are none, and class ids without a label:
    the run cannot go on.

    >>> detect(unpack(model.launch(batch)), placements, model.labels, Selection())
    """
    boxes, scores, class_ids = _without_padding(raw, len(placements))
    _check_range(scores)
    if boxes is None:
        kept, impossible = _select_tags(scores, selection, least)
    else:
        kept, impossible = _select_boxes(boxes, scores, class_ids, selection)
    table = _Table(boxes, scores, class_ids, kept)
    detections = []
    for i, placement in enumerate(placements):
        rows = table.best(i, selection.top_k)
        invalid = int(impossible[i])
        detections.append(_in_photo(placement, rows, labels, invalid))
    return detections


def survivors(boxes: np.ndarray, scores: np.ndarray, nms_iou: float) -> list[int]:
    """Returns which of one picture's boxes [N,4], in the photo's pixels, NMS leaves, the surest first.

    >>> survivors(np.array([[0, 0, 9, 9], [0, 0, 9, 8]]), np.array([0.8, 0.9]), 0.5)
    [1]
    """
    on_grid = (boxes * BOX_GRID).round()
    precise = scores.astype(np.float64)
    places: list[int] = _nms(torch.from_numpy(on_grid), torch.from_numpy(precise), nms_iou).tolist()
    return places


def _without_padding(raw: RawOutput, count: int) -> RawOutput:
    boxes, scores, class_ids = raw
    scores = scores[:count]
    class_ids = class_ids[:count]
    if boxes is None:
        return None, scores, class_ids
    return boxes[:count], scores, class_ids


def _check_range(scores: Tensor) -> None:
    finite = scores[scores.isfinite()]
    too_high = finite > 1.001
    if too_high.any():
        highest = finite.max()
        raise ModelError(f"scores go up to {highest:.3g}, and must lie in 0…1: is a softmax missing?")


def _select_tags(scores: Tensor, selection: Selection, least: int) -> tuple[Tensor, Tensor]:
    """Which class scores [B,K] are kept, bool [B,K]: those over the threshold and the best; and how many are none."""
    finite = scores.isfinite()
    over_threshold = scores >= selection.conf_threshold
    wanted = over_threshold | _best_of_each(scores, least)
    impossible = ~finite
    return wanted & finite, impossible.sum(1)


def _best_of_each(scores: Tensor, least: int) -> Tensor:
    """The best slots of each picture, bool [B,K]; scores that are not finite count for nothing."""
    comparable = scores.nan_to_num(-1.0, -1.0, -1.0)
    order = comparable.argsort(dim=1, descending=True, stable=True)
    is_best = torch.zeros_like(scores, dtype=torch.bool)
    is_best.scatter_(1, order[:, :least], True)
    return is_best


def _select_boxes(boxes: Tensor, scores: Tensor, class_ids: Tensor, selection: Selection) -> tuple[Tensor, Tensor]:
    """Which boxes [B,K] are kept, bool [B,K]: over the threshold, and survivors of NMS; and how many are none."""
    finite = scores.isfinite()
    possible = finite & _are_boxes(boxes)
    over_threshold = scores >= selection.conf_threshold
    wanted = over_threshold | ~finite
    impossible = wanted & ~possible
    candidates = over_threshold & possible
    kept = _survive_nms(boxes, scores, class_ids, candidates, selection.nms_iou)
    return kept, impossible.sum(1)


def _are_boxes(boxes: Tensor) -> Tensor:
    """Which of boxes [B,K,4] are finite and not inverted, bool [B,K]."""
    finite = boxes.isfinite().all(2)
    x1, y1, x2, y2 = boxes.unbind(2)
    has_area = (x2 > x1) & (y2 > y1)
    return finite & has_area


def _survive_nms(boxes: Tensor, scores: Tensor, class_ids: Tensor, candidates: Tensor, nms_iou: float) -> Tensor:
    """Per-class NMS over a whole batch in one call: each (picture, class) is moved to a place of its own."""
    picture, slot = candidates.nonzero(as_tuple=True)
    class_id = class_ids[picture, slot]
    picture_and_class = torch.stack([picture, class_id], dim=1)
    _, group = picture_and_class.unique(dim=0, return_inverse=True)
    box = boxes[picture, slot].double()
    on_grid = (box * BOX_GRID).round()
    apart = on_grid + group[:, None] * float(SPAN)
    score = scores[picture, slot].double()
    survivors = _nms(apart, score, nms_iou)
    kept = torch.zeros_like(candidates)
    kept[picture[survivors], slot[survivors]] = True
    return kept


def _nms(boxes: Tensor, scores: Tensor, iou: float) -> Tensor:
    """Which of boxes [N,4] are kept, the surest first."""
    kept: Tensor = import_of_torch("torchvision.ops").nms(boxes, scores, iou)
    return kept


class _Rows(NamedTuple):
    """Objects of one picture, best first: boxes [N,4] in input pixels or None, scores [N], class ids [N]."""

    boxes: np.ndarray | None
    scores: np.ndarray
    class_ids: np.ndarray


class _Table:
    """A batch's output and what is kept of it, as arrays: picking a picture's rows is quick then."""

    def __init__(self, boxes: Tensor | None, scores: Tensor, class_ids: Tensor, kept: Tensor):
        self.boxes = None
        if boxes is not None:
            self.boxes = boxes.numpy()
        self.scores = scores.numpy()
        self.class_ids = class_ids.numpy()
        self.kept = kept.numpy()

    def best(self, picture: int, top_k: int) -> _Rows:
        """At most `top_k` of a picture, best first; equal scores in the network's order."""
        slots = np.flatnonzero(self.kept[picture])
        descending = -self.scores[picture, slots]
        order = np.argsort(descending, kind="stable")
        slots = slots[order[:top_k]]
        scores = self.scores[picture, slots]
        class_ids = self.class_ids[picture, slots]
        if self.boxes is None:
            return _Rows(None, scores, class_ids)
        boxes = self.boxes[picture, slots]
        return _Rows(boxes.astype(np.float64), scores, class_ids)


def _in_photo(placement: Placement, rows: _Rows, labels: Mapping[int, str], invalid: int) -> Detections:
    """One picture's objects in the photo's pixels, with their names; what has no area there is dropped."""
    boxes, scores, class_ids = rows
    if boxes is not None:
        boxes = placement.to_photo(boxes)
        visible = _have_area(boxes)
        invalid += len(boxes) - int(visible.sum())
        boxes = boxes[visible]
        scores = scores[visible]
        class_ids = class_ids[visible]
    names = [_name_of(class_id, labels) for class_id in class_ids.tolist()]
    return Detections(placement.width, placement.height, boxes, scores, class_ids, names, invalid)


def _have_area(boxes: np.ndarray) -> np.ndarray:
    """Which have an area as they will be written. Clipped to the photo, one wholly in the letterbox's rim has none."""
    x1, y1, x2, y2 = boxes.round(DECIMALS).T
    shorter_sides: np.ndarray = np.minimum(x2 - x1, y2 - y1)
    return shorter_sides > 0


def _name_of(class_id: int, labels: Mapping[int, str]) -> str:
    if class_id in labels:
        return labels[class_id]
    count = len(labels)
    first, last = min(labels), max(labels)
    span = f"{count} names for classes {first} to {last}"
    raise ModelError(f"the network found class {class_id}, which the labels do not name: they have {span}")
