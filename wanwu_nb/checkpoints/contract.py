"""Every form of output that is served, turned into the contract's `(boxes, scores, labels)`."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence

from ..detecting import RawOutput
from ..errors import ModelError

TAGS = 100  # a whole-picture tagger's best classes that are kept
SCORINGS = ("softmax", "sigmoid", "none")
PARTS = ("boxes", "scores", "labels")
FORMS = (
    "(boxes [B,K,4], scores [B,K], labels [B,K]) as tensors or as one tensor a picture, "
    "one dict of boxes, scores and labels a picture, or class scores [B,C]"
)


class Contract(nn.Module):
    """`forward(images [B,3,H,W]) -> (boxes [B,K,4] or None, scores [B,K], labels [B,K])` around any network.

    `classes`: how many the labels name, checked where the output shows it (0: unknown). `scoring`: what makes class
    scores of a tagger's output. `sizes`: the smallest and largest batch the network takes (0: any); others are cut and
    padded.

    Example: `boxes, scores, labels = Contract(torch.load("detector.pth", weights_only=False))(images)`
    """

    def __init__(
        self, network: nn.Module, classes: int = 0, scoring: str = "softmax", sizes: tuple[int, int] = (1, 0)
    ) -> None:
        super().__init__()
        if scoring not in SCORINGS:
            known = ", ".join(SCORINGS)
            raise ModelError(f"scoring {scoring!r} is not known: use {known}")
        self.network = network
        self.classes = classes
        self.scoring = scoring
        self.sizes = sizes

    def forward(self, images: Tensor) -> RawOutput:
        """Returns boxes in input pixels, scores and class ids. Raises ModelError for an output of no known form."""
        smallest, largest = self.sizes
        too_few = len(images) < smallest
        too_many = 0 < largest < len(images)
        if too_few or too_many:
            return self._forward_in_parts(images)
        output = self.network(images)
        return self._adapt(output)

    def _forward_in_parts(self, images: Tensor) -> RawOutput:
        smallest, largest = self.sizes
        parts = images.split(largest or smallest)
        outputs = [self._forward_part(part, smallest) for part in parts]
        all_boxes, all_scores, all_labels = zip(*outputs, strict=True)
        scores = _joined(all_scores)
        labels = _joined(all_labels)
        if all_boxes[0] is None:
            return None, scores, labels
        boxes = _joined(all_boxes)
        return boxes, scores, labels

    def _forward_part(self, images: Tensor, smallest: int) -> RawOutput:
        """Filled up with its last picture, whose repetitions are cut off again."""
        count = len(images)
        repetitions = [images[-1:]] * (smallest - count)
        filled = torch.cat([images, *repetitions])
        output = self.network(filled)
        boxes, scores, labels = self._adapt(output)
        if boxes is not None:
            boxes = boxes[:count]
        return boxes, scores[:count], labels[:count]

    def _adapt(self, output: object) -> RawOutput:
        if isinstance(output, Tensor) and output.ndim == 2 and output.is_floating_point():
            return self._tags(output)
        three: object = output
        if _are_dicts(output):
            three = _parts_of_dicts(output)
        if isinstance(three, list | tuple) and len(three) == 3:
            parts = [_padded(part) for part in three]
            raw = _checked(*parts)
            if raw is not None:
                return raw
        shown = _structure(output)
        raise ModelError(f"the network's output has no known form. Found: {shown}. Accepted: {FORMS}")

    def _tags(self, output: Tensor) -> RawOutput:
        """The best classes of a whole-picture tagger's class scores [B,C]."""
        classes = output.shape[1]
        if self.classes and classes != self.classes:
            raise ModelError(f"the network has {classes} classes, and the labels name {self.classes}")
        scores = output.float()
        if self.scoring == "softmax":
            scores = scores.softmax(1)
        elif self.scoring == "sigmoid":
            scores = scores.sigmoid()
        count = min(TAGS, classes)
        best, class_ids = scores.topk(count, dim=1)
        return None, best, class_ids


def _are_dicts(output: object) -> TypeGuard[Sequence[Mapping[str, object]]]:
    if not isinstance(output, list | tuple) or not output:
        return False
    return all(isinstance(picture, dict) for picture in output)


def _parts_of_dicts(pictures: Sequence[Mapping[str, object]]) -> list[list[object]]:
    """All pictures' boxes, all scores, all labels."""
    parts = []
    for name in PARTS:
        parts.append([picture.get(name) for picture in pictures])
    return parts


def _padded(part: object) -> object:
    """One tensor a picture, of any lengths, stacked with zeros behind; a tensor as it is."""
    if not isinstance(part, list | tuple) or not part:
        return part
    rows = list(part)
    if not all(isinstance(row, Tensor) for row in rows):
        return part
    return pad_sequence(rows, batch_first=True)


def _checked(boxes: object, scores: object, labels: object) -> RawOutput | None:
    """The three as they are where types and shapes are the contract's, else None."""
    if not isinstance(scores, Tensor) or not isinstance(labels, Tensor):
        return None
    if scores.ndim != 2 or not scores.is_floating_point():
        return None
    if labels.shape != scores.shape:
        return None
    if boxes is None:
        return None, scores, labels
    if not isinstance(boxes, Tensor) or boxes.shape != (*scores.shape, 4):
        return None
    return boxes, scores, labels


def _joined(parts: Sequence[Tensor]) -> Tensor:
    """Batches of [B,K,…] in one, shorter K filled with zeros."""
    lengths = [part.shape[1] for part in parts]
    longest = max(lengths)
    filled = []
    for part in parts:
        behind = [0, 0] * (part.ndim - 2)  # dimensions after K stay as they are
        missing = longest - part.shape[1]
        filled.append(pad(part, [*behind, 0, missing]))
    return torch.cat(filled)


def _structure(output: object, depth: int = 3) -> str:
    """Types and shapes of an output, for an error a person can act on."""
    if isinstance(output, Tensor):
        dtype = str(output.dtype).removeprefix("torch.")
        shape = list(output.shape)
        return f"{dtype} {shape}"
    if isinstance(output, dict) and depth:
        return _structure_of_dict(output, depth - 1)
    if isinstance(output, list | tuple) and depth:
        return _structure_of_sequence(output, depth - 1)
    return type(output).__name__


def _structure_of_dict(output: dict[Any, object], depth: int) -> str:
    entries = []
    first = list(output.items())[:8]
    for name, value in first:
        inner = _structure(value, depth)
        entries.append(f"{name!r}: {inner}")
    text = ", ".join(entries)
    return f"{{{text}}}"


def _structure_of_sequence(output: Sequence[object], depth: int) -> str:
    entries = [_structure(value, depth) for value in output[:4]]
    if len(output) > 4:
        entries.append("…")
    kind = type(output).__name__
    text = ", ".join(entries)
    return f"{kind}({text})"
