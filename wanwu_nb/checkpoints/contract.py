"""Every form of output that is served, turned into the contract's `(boxes, scores, labels)`."""

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence

TAGS = 100  # a whole-picture tagger's best classes that are kept
SCORINGS = ("softmax", "sigmoid", "none")
FORMS = (
    "(boxes [B,K,4], scores [B,K], labels [B,K]) as tensors or as one tensor a picture, "
    "one dict of boxes, scores and labels a picture, or class scores [B,C]"
)


class Contract(nn.Module):
    """`forward(images [B,3,H,W]) -> (boxes [B,K,4] or None, scores [B,K], labels [B,K])` around any network.

    `classes`: how many the labels name, checked where the output shows it (0: unknown). `scoring`: what makes class
    scores of a tagger's output. `sizes`: the smallest and largest batch the network takes; others are cut and padded.
    """

    def __init__(self, network: nn.Module, classes: int = 0, scoring: str = "softmax", sizes: tuple[int, int] = (1, 0)):
        super().__init__()
        if scoring not in SCORINGS:
            raise ValueError(f"scoring {scoring!r} is not known: use {', '.join(SCORINGS)}")
        self.network, self.classes, self.scoring, self.sizes = network, classes, scoring, sizes

    def forward(self, images: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        smallest, largest = self.sizes
        if len(images) >= smallest and not 0 < largest < len(images):
            return self.adapt(self.network(images))
        parts = [self.forward_part(part, smallest) for part in images.split(largest or smallest)]
        boxes, scores, labels = zip(*parts, strict=True)
        return None if boxes[0] is None else joined(boxes), joined(scores), joined(labels)

    def forward_part(self, images: Tensor, smallest: int) -> tuple[Tensor | None, Tensor, Tensor]:
        filled = torch.cat([images, *[images[-1:]] * (smallest - len(images))])
        return tuple(t if t is None else t[: len(images)] for t in self.adapt(self.network(filled)))

    def adapt(self, output) -> tuple[Tensor | None, Tensor, Tensor]:
        if isinstance(output, Tensor) and output.ndim == 2 and output.is_floating_point():
            return self.tags(output)
        if isinstance(output, list | tuple) and output and all(isinstance(found, dict) for found in output):
            output = [[found.get(part) for found in output] for part in ("boxes", "scores", "labels")]
        if isinstance(output, list | tuple) and len(output) == 3:
            boxes, scores, labels = (padded(part) for part in output)
            if fits(boxes, scores, labels):
                return boxes, scores, labels
        raise ValueError(f"the network's output has no known form. Found: {structure(output)}. Accepted: {FORMS}")

    def tags(self, output: Tensor) -> tuple[None, Tensor, Tensor]:
        if self.classes and output.shape[1] != self.classes:
            raise ValueError(f"the network has {output.shape[1]} classes, and the labels name {self.classes}")
        scores = output.float()
        if self.scoring != "none":
            scores = scores.softmax(1) if self.scoring == "softmax" else scores.sigmoid()
        return None, *scores.topk(min(TAGS, output.shape[1]), dim=1)


def padded(part) -> Tensor | None:
    """One tensor a picture, of any lengths, stacked with zeros behind; a tensor as it is."""
    if isinstance(part, list | tuple) and part and all(isinstance(row, Tensor) for row in part):
        return pad_sequence(list(part), batch_first=True)
    return part


def fits(boxes, scores, labels) -> bool:
    if not (isinstance(scores, Tensor) and isinstance(labels, Tensor) and scores.ndim == 2):
        return False
    flat = labels.shape == scores.shape and scores.is_floating_point()
    return flat and (boxes is None or (isinstance(boxes, Tensor) and boxes.shape == (*scores.shape, 4)))


def joined(parts: tuple[Tensor, ...]) -> Tensor:
    """Batches of [B,K,…] in one, shorter K filled with zeros."""
    longest = max(part.shape[1] for part in parts)
    return torch.cat([pad(part, [0, 0] * (part.ndim - 2) + [0, longest - part.shape[1]]) for part in parts])


def structure(output, depth: int = 3) -> str:
    """Types and shapes of an output, for an error a person can act on."""
    if isinstance(output, Tensor):
        return f"{str(output.dtype).removeprefix('torch.')} {list(output.shape)}"
    if isinstance(output, dict) and depth:
        return "{" + ", ".join(f"{name!r}: {structure(v, depth - 1)}" for name, v in list(output.items())[:8]) + "}"
    if isinstance(output, list | tuple) and depth:
        more = ", …" if len(output) > 4 else ""
        return f"{type(output).__name__}({', '.join(structure(v, depth - 1) for v in output[:4])}{more})"
    return type(output).__name__
