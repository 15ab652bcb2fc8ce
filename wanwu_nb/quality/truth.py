"""Ground truth: read from a COCO file, and how far results agree with it."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..agreement import Share, agreement, matches, same_class
from ..detections import Tag
from ..errors import MissingFile, ResultsError, TruthError
from ..paths import local_path
from ..text import clean_label

TagsByPicture = Mapping[str, Sequence[Tag]] | Callable[[str], Sequence[Tag]]
Pair = tuple[Sequence[Tag], Sequence[Tag]]
MIN_IN_CROWD = 0.5  # a detection belongs to a crowd that more than this share of it lies in
NAMED = 3  # of pictures, in a sentence


class Truth(dict[str, list[Tag]]):
    """What is in each picture, by its name: of those that file and folder share.

    `crowds`: the same, of what COCO marks as a crowd (`iscrowd`): many of a kind in one box, neither missed nor wrong.
    `by_id`: whether its class ids are the model's. `only_here`, `not_here`: the pictures of the file that were not
    asked for, and those asked for that the file does not know.

    >>> truth = Truth({"a.jpg": [Tag("灯", 0, 1.0, (0.0, 0.0, 9.0, 9.0))]}, not_here=["b.jpg"])
    """

    def __init__(
        self,
        objects: Mapping[str, list[Tag]],
        crowds: Mapping[str, Sequence[Tag]] | None = None,
        by_id: bool = False,
        only_here: Sequence[str] = (),
        not_here: Sequence[str] = (),
    ):
        super().__init__(objects)
        self.crowds = crowds or {}
        self.by_id = by_id
        self.only_here = only_here
        self.not_here = not_here

    def unshared(self) -> str:
        """Returns how many pictures file and folder do not share, and some of their names; "" where they share all.

        >>> Truth({}, not_here=["b.jpg"]).unshared()
        'pictures without ground truth 无标注: 1 (b.jpg)'
        """
        parts = []
        if self.not_here:
            parts.append(f"pictures without ground truth 无标注: {_some(self.not_here)}")
        if self.only_here:
            parts.append(f"ground truth of other pictures 有标注无图片: {_some(self.only_here)}")
        return "; ".join(parts)


def read_truth(path: str | Path, names: Iterable[str], labels: Mapping[int, str] | Iterable[str]) -> Truth:
    """Read COCO annotations as tags by picture, for those of the pictures `names` that the file knows.

    `labels`: the model's, by class id, or the names alone. A truth numbers its classes as its makers did (COCO's 1 is
    the person): only where every category has the same id and name in `labels` are ids compared, and classes that share
    a name told apart. Returns tags with the category's id as `label_id`, confidence 1 and xyxy boxes.
    Raises MissingFile, or TruthError for a file that is not COCO's, or that shares no picture or label.

    Example: `read_truth("truth.json", find_images("photos"), model.labels)`
    """
    path = Path(local_path(path))
    if not path.is_file():
        raise MissingFile(f"ground truth {path} does not exist: check truth")
    try:
        text = path.read_text(encoding="utf-8-sig")
        content = json.loads(text)
        categories = {each["id"]: clean_label(each["name"]) for each in content["categories"]}
        objects, crowds = _tags_by_picture(content, categories)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        sentence = f"ground truth {path} is no COCO file of images, annotations, categories: {error!r}"
        raise TruthError(sentence) from None
    names = list(names)
    wanted = [name for name in names if name in objects]
    if not wanted:
        raise TruthError(f"ground truth {path} has none of the pictures: its file_name must be the path in image_dir")
    _check_labels(path, categories, labels)
    by_id = isinstance(labels, Mapping) and categories.items() <= labels.items()
    only_here = sorted(objects.keys() - set(wanted))
    not_here = [name for name in names if name not in objects]
    wanted_objects = {name: objects[name] for name in wanted}
    wanted_crowds = {name: crowds[name] for name in wanted}
    return Truth(wanted_objects, wanted_crowds, by_id, only_here, not_here)


def accuracy(truth: Mapping[str, Sequence[Tag]], tags_by_picture: TagsByPicture) -> Share | None:
    """How far results agree with ground truth (see read_truth): right by all there is to name.

    With boxes: right / (right + missed + wrong); as COCO counts, one that matches no object and lies in a crowd of its
    class by more than half counts for nothing. A whole-picture tag is right where the truth names it.
    `tags_by_picture`: a result's tags, best first, by the picture's name; or a function that looks them up.
    Returns None where there is no object on either side. Raises ResultsError for a picture that has no result.

    Example: `accuracy(truth, {tagged.image: tagged.objects for tagged in read_results("runs/tags")})`
    """
    if not isinstance(truth, Truth):
        truth = Truth({name: list(tags) for name, tags in truth.items()})
    pairs = []
    for name, true_tags in truth.items():
        tags = _look_up(tags_by_picture, name)
        crowds = truth.crowds.get(name, ())
        pair = _what_counts(true_tags, crowds, tags, truth.by_id)
        pairs.append(pair)
    return agreement(pairs, truth.by_id)


def _some(names: Sequence[str]) -> str:
    first = ", ".join(map(clean_label, names[:NAMED]))
    if len(names) > NAMED:
        first += ", …"
    return f"{len(names)} ({first})"


def _check_labels(path: Path, categories: Mapping[int, str], labels: Mapping[int, str] | Iterable[str]) -> None:
    names = labels.values() if isinstance(labels, Mapping) else labels
    if set(names).isdisjoint(categories.values()):
        some = ", ".join(list(categories.values())[:NAMED])
        raise TruthError(f"ground truth {path} and the model have no label in common: the truth has {some}, …")


def _tags_by_picture(content: dict[str, Any], categories: Mapping[int, str]) -> tuple[dict[str, list[Tag]], ...]:
    """The objects of each picture, and its crowds."""
    names = {each["id"]: str(each["file_name"]) for each in content["images"]}
    objects: dict[str, list[Tag]] = {name: [] for name in names.values()}
    crowds: dict[str, list[Tag]] = {name: [] for name in names.values()}
    for each in content["annotations"]:
        image_id = each["image_id"]
        category = each["category_id"]
        x, y, width, height = map(float, each.get("bbox") or (0, 0, 0, 0))
        box = x, y, x + width, y + height
        tag = Tag(categories[category], category, 1.0, box)
        name = names[image_id]
        tags = crowds if each.get("iscrowd") else objects
        tags[name].append(tag)
    return objects, crowds


def _look_up(tags_by_picture: TagsByPicture, name: str) -> Sequence[Tag]:
    if callable(tags_by_picture):
        return tags_by_picture(name)
    if name not in tags_by_picture:
        raise ResultsError(f"{name} has ground truth and no result: give the results of the same pictures")
    return tags_by_picture[name]


def _what_counts(true_tags: Sequence[Tag], crowds: Sequence[Tag], tags: Sequence[Tag], by_id: bool) -> Pair:
    """Both sides of one picture, without what a crowd leaves open; of whole-picture tags only the first is compared."""
    if not tags or tags[0].bbox is not None:
        return true_tags, _without_crowds(tags, true_tags, crowds, by_id)
    best = tags[0]
    same = [tag for tag in true_tags if same_class(tag, best, by_id)]
    others = [tag for tag in true_tags if not same_class(tag, best, by_id)]
    is_crowd = any(same_class(crowd, best, by_id) for crowd in crowds)
    if is_crowd and not same:
        return (), ()
    return same + others, tags


def _without_crowds(tags: Sequence[Tag], true_tags: Sequence[Tag], crowds: Sequence[Tag], by_id: bool) -> Sequence[Tag]:
    """The tags that count: those that match an object of the truth, and those that lie in no crowd of their class."""
    if not crowds:
        return tags
    right = {j for _, j in matches(true_tags, tags, by_id)}
    counted = []
    for j, tag in enumerate(tags):
        own = [crowd for crowd in crowds if same_class(crowd, tag, by_id)]
        in_crowd = any(_lies_in(tag, crowd) for crowd in own)
        if j in right or not in_crowd:
            counted.append(tag)
    return counted


def _lies_in(tag: Tag, crowd: Tag) -> bool:
    """Whether more than half of the tag's box lies in the crowd's."""
    if tag.bbox is None or crowd.bbox is None:
        return False
    x1, y1, x2, y2 = tag.bbox
    left, top, right, bottom = crowd.bbox
    width = min(x2, right) - max(x1, left)
    height = min(y2, bottom) - max(y1, top)
    inside = max(0.0, width) * max(0.0, height)
    return inside > MIN_IN_CROWD * (x2 - x1) * (y2 - y1)
