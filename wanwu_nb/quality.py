"""May these tags be trusted? Agreement of two runs, accuracy against ground truth, each with its interval."""

import json
import math
from collections.abc import Iterable, Iterator
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
    return agreement_of(read_pairs(reference, other))


def accuracy(truth: dict[str, list[dict]], results: Path) -> Share:
    """The same between ground truth (see read_truth) and a folder of per-picture JSONs: right by all it has to name.

    With boxes: right / (right + missed + wrong). A whole-picture tag is right where the truth names it.
    """
    pairs = []
    for image, objects in truth.items():
        found = read_objects(results / f"{image}.json")
        if found and found[0]["bbox"] is None:
            objects = sorted(objects, key=lambda each: each["label"] != found[0]["label"])
        pairs.append((objects, found))
    return agreement_of(pairs)


def agreement_of(pairs: Iterable[tuple[list[dict], list[dict]]]) -> Share:
    """The same for the `objects` of each picture, of either side.

    With boxes, every object counts: it agrees where the other side has one of the same label with IoU > 0.5, one to
    one. Of whole-picture tags the best one counts.
    """
    hits = trials = 0
    for a, b in pairs:
        if whole_picture(a, b):
            hits, trials = hits + len(matches(a, b)), trials + 1
        else:
            matched = len(matches(a, b))
            hits, trials = hits + matched, trials + len(a) + len(b) - matched
    if not trials:
        raise ValueError("no object on either side: nothing to compare")
    return Share(hits, trials, *wilson(hits, trials))


def score_drift(reference: Path, other: Path) -> list[float]:
    """How far the confidence of each object moved that both folders of per-picture JSONs have."""
    return [
        abs(a[i]["confidence"] - b[j]["confidence"]) for a, b in read_pairs(reference, other) for i, j in matches(a, b)
    ]


def differences(reference: Path, other: Path) -> Iterator[dict]:
    """Each object that has no counterpart on the other side: where it is, which side has it, its label."""
    for path in sorted(reference.rglob("*.json")):
        name = path.relative_to(reference)
        a, b = read_objects(path), read_objects(other / name)
        if whole_picture(a, b):
            a, b = a[:1], b[:1]  # the best tag counts
        pairs = matches(a, b)
        for objects, side, matched in ((a, "default", {i for i, _ in pairs}), (b, "step", {j for _, j in pairs})):
            for found in (found for i, found in enumerate(objects) if i not in matched):
                kept = {key: found[key] for key in ("label", "confidence")}
                yield {"image": str(name).removesuffix(".json"), "only in": side, **kept}


def read_pairs(reference: Path, other: Path) -> Iterator[tuple[list[dict], list[dict]]]:
    for path in sorted(reference.rglob("*.json")):
        yield read_objects(path), read_objects(other / path.relative_to(reference))


def read_objects(path: Path) -> list[dict]:
    return json.loads(path.read_text(encoding="utf-8"))["objects"]


def read_truth(path: Path, names: Iterable[str], labels: Iterable[str]) -> dict[str, list[dict]]:
    """COCO annotations as `objects` by picture, for those of the pictures `names` that the file knows.

    Raises FileNotFoundError, or ValueError for a file that is not COCO's, or that shares no picture or label.
    """
    if not path.is_file():
        raise FileNotFoundError(f"ground truth {path} does not exist: check truth")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        categories = {each["id"]: each["name"] for each in content["categories"]}
        images = {each["id"]: each["file_name"] for each in content["images"]}
        found = {name: [] for name in images.values()}
        for each in content["annotations"]:
            x, y, width, height = each.get("bbox") or (0, 0, 0, 0)
            box = [x, y, x + width, y + height]
            found[images[each["image_id"]]].append({"label": categories[each["category_id"]], "bbox": box})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"ground truth {path} is no COCO file of images, annotations, categories: {error!r}") from None
    if not found.keys() & set(names):
        raise ValueError(f"ground truth {path} has none of the pictures: its file_name must be the path in image_dir")
    if not set(categories.values()) & set(labels):
        some = ", ".join(list(categories.values())[:3])
        raise ValueError(f"ground truth {path} and the model have no label in common: the truth has {some}, …")
    return {name: found[name] for name in names if name in found}


def whole_picture(a: list[dict], b: list[dict]) -> bool:
    return any(found["bbox"] is None for found in a + b)


def matches(a: list[dict], b: list[dict]) -> list[tuple[int, int]]:
    """Pairs of the same label with IoU > 0.5, the best overlap first, each object in one pair at most.

    Of whole-picture tags, the best one of either side, where it is the same.
    """
    if not a or not b:
        return []
    if whole_picture(a, b):
        return [(0, 0)] if a[0]["label"] == b[0]["label"] else []
    overlaps = box_iou(torch.tensor([o["bbox"] for o in a]), torch.tensor([o["bbox"] for o in b]))
    same = torch.tensor([[x["label"] == y["label"] for y in b] for x in a])
    overlaps, pairs = overlaps * same, []
    while overlaps.max() > 0.5:
        row, column = divmod(int(overlaps.argmax()), len(b))
        overlaps[row], overlaps[:, column] = 0, 0
        pairs.append((row, column))
    return pairs


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson, 1927): it behaves near 100 %, where the normal one does not."""
    z, share = 1.96, hits / trials
    centre = share + z * z / (2 * trials)
    spread = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    low, high = (centre - spread) / (1 + z * z / trials), (centre + spread) / (1 + z * z / trials)
    return max(0.0, min(low, share)), min(1.0, max(high, share))  # at 0 and 100 % rounding would pass the ends
