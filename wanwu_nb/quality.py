"""May these tags be trusted? Agreement of two runs over the same pictures, with its interval."""

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import torch
from torchvision.ops import box_iou


class Share(NamedTuple):
    """`hits` of `trials`, and the 95 % interval of their share."""

    hits: int
    trials: int
    low: float
    high: float

    @property
    def value(self) -> float:
        return self.hits / self.trials


def agreement(reference: Path, other: Path) -> Share:
    """How far two folders of per-picture JSONs agree, over the pictures of `reference`.

    Raises FileNotFoundError where one is not in the other folder, ValueError where there is nothing to compare.
    """
    paths = sorted(reference.rglob("*.json"))
    return agreement_of((read_objects(path), read_objects(other / path.relative_to(reference))) for path in paths)


def agreement_of(pairs: Iterable[tuple[list[dict], list[dict]]]) -> Share:
    """The same for the `objects` of each picture, of either side.

    With boxes, every object counts: it agrees where the other side has one of the same label with IoU > 0.5, one to
    one. Of whole-picture tags the best one counts.
    """
    hits = trials = 0
    for a, b in pairs:
        if any(found["bbox"] is None for found in a + b):
            hits, trials = hits + bool(a and b and a[0]["label"] == b[0]["label"]), trials + 1
        else:
            matched = matches(a, b)
            hits, trials = hits + matched, trials + len(a) + len(b) - matched
    if not trials:
        raise ValueError("no object on either side: nothing to compare")
    return Share(hits, trials, *wilson(hits, trials))


def read_objects(path: Path) -> list[dict]:
    return json.loads(path.read_text(encoding="utf-8"))["objects"]


def matches(a: list[dict], b: list[dict]) -> int:
    """Pairs of the same label with IoU > 0.5, the best overlap first, each object in one pair at most."""
    if not a or not b:
        return 0
    overlaps = box_iou(torch.tensor([o["bbox"] for o in a]), torch.tensor([o["bbox"] for o in b]))
    same = torch.tensor([[x["label"] == y["label"] for y in b] for x in a])
    overlaps, pairs = overlaps * same, 0
    while overlaps.max() > 0.5:
        row, column = divmod(int(overlaps.argmax()), len(b))
        overlaps[row], overlaps[:, column] = 0, 0
        pairs += 1
    return pairs


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson, 1927): it behaves near 100 %, where the normal one does not."""
    z, share = 1.96, hits / trials
    centre = share + z * z / (2 * trials)
    spread = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    return (centre - spread) / (1 + z * z / trials), (centre + spread) / (1 + z * z / trials)
