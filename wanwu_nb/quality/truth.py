"""Ground truth: read from a COCO file, and how far results agree with it."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..detections import Tag
from ..errors import MissingFile, ResultsError, TruthError
from ..paths import local_path
from .agreement import Share, agreement

Truth = dict[str, list[Tag]]
TagsByPicture = Mapping[str, Sequence[Tag]] | Callable[[str], Sequence[Tag]]


def read_truth(path: str | Path, names: Iterable[str], labels: Iterable[str]) -> Truth:
    """Read COCO annotations as tags by picture, for those of the pictures `names` that the file knows.

    `labels`: the model's. Returns tags with the category's id as `label_id`, confidence 1 and xyxy boxes.
    Raises MissingFile, or TruthError for a file that is not COCO's, or that shares no picture or label.

    Example: `read_truth("truth.json", find_images("photos"), model.labels.values())`
    """
    path = Path(local_path(path))
    if not path.is_file():
        raise MissingFile(f"ground truth {path} does not exist: check truth")
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text)
        categories = {each["id"]: each["name"] for each in content["categories"]}
        truth = _tags_by_picture(content, categories)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        sentence = f"ground truth {path} is no COCO file of images, annotations, categories: {error!r}"
        raise TruthError(sentence) from None
    wanted = [name for name in names if name in truth]
    if not wanted:
        raise TruthError(f"ground truth {path} has none of the pictures: its file_name must be the path in image_dir")
    if set(labels).isdisjoint(categories.values()):
        names_there = list(categories.values())
        some = ", ".join(names_there[:3])
        raise TruthError(f"ground truth {path} and the model have no label in common: the truth has {some}, …")
    return {name: truth[name] for name in wanted}


def accuracy(truth: Mapping[str, Sequence[Tag]], tags_by_picture: TagsByPicture) -> Share | None:
    """How far results agree with ground truth (see read_truth): right by all there is to name.

    With boxes: right / (right + missed + wrong). A whole-picture tag is right where the truth names it.
    `tags_by_picture`: a result's tags, best first, by the picture's name; or a function that looks them up.
    Returns None where there is no object on either side. Raises ResultsError for a picture that has no result.

    Example: `accuracy(truth, {tagged.image: tagged.objects for tagged in read_results("runs/tags")})`
    """
    pairs = []
    for name, true_tags in truth.items():
        tags = _look_up(tags_by_picture, name)
        if tags and tags[0].bbox is None:
            true_tags = _label_first(true_tags, tags[0].label)
        pairs.append((true_tags, tags))
    return agreement(pairs)


def _tags_by_picture(content: dict[str, Any], categories: dict[int, str]) -> Truth:
    names = {each["id"]: each["file_name"] for each in content["images"]}
    truth: Truth = {name: [] for name in names.values()}
    for each in content["annotations"]:
        image_id = each["image_id"]
        category = each["category_id"]
        x, y, width, height = each.get("bbox") or (0, 0, 0, 0)
        box = x, y, x + width, y + height
        tag = Tag(categories[category], category, 1.0, box)
        name = names[image_id]
        truth[name].append(tag)
    return truth


def _look_up(tags_by_picture: TagsByPicture, name: str) -> Sequence[Tag]:
    if callable(tags_by_picture):
        return tags_by_picture(name)
    if name not in tags_by_picture:
        raise ResultsError(f"{name} has ground truth and no result: give the results of the same pictures")
    return tags_by_picture[name]


def _label_first(tags: Sequence[Tag], label: str) -> list[Tag]:
    """The tags with those of `label` in front: of whole-picture tags only the first one is compared."""
    same = [tag for tag in tags if tag.label == label]
    others = [tag for tag in tags if tag.label != label]
    return same + others
