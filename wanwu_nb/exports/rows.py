"""The rows of the tables, the same in csv and xlsx. Headings begin with the English word, as in the vocabulary."""

from collections.abc import Sequence
from typing import NamedTuple

from ..detections import Tag
from ..tagged import Tagged
from .review import main_label, reasons
from .source import Failure

Cell = str | int | float | None
Row = Sequence[Cell]

PICTURES = (
    "image 图片",
    "label 标签",
    "confidence 置信度",
    "category 类目",
    "english 英文",
    "chosen 选取",
    "others 其他标签",
    "objects 物体数",
    "width 宽",
    "height 高",
    "review 复核",
)
OBJECTS = (
    "image 图片",
    "label 标签",
    "confidence 置信度",
    "category 类目",
    "english 英文",
    "label_id 编号",
    "x1 左",
    "y1 上",
    "x2 右",
    "y2 下",
    "unsure 不确定",
    "by 判定者",
)
LABELS = ("label 标签", "objects 物体数", "pictures 图片数", "category 类目", "english 英文", "label_id 编号")
FAILURES = ("image 图片", "stage 阶段", "reason 原因")
BETWEEN_LABELS, BETWEEN_REASONS = " | ", "; "
YES = "yes 是"
BY_PERSON = "person 人工"


def picture_row(tagged: Tagged) -> Row:
    """Returns one picture as a row below PICTURES.

    >>> picture_row(tagged)[:2]
    ('a.jpg', '台灯')
    """
    tags = tagged.objects
    main = main_label(tags)
    others = ""
    chosen: Row = (None, None, None, None, None)
    if main is not None:
        tag = main.tag
        chosen = tag.label, round(tag.confidence, 4), tag.category, tag.english, main.rule
        others = BETWEEN_LABELS.join(_other_labels(tags, tag.label))
    review = BETWEEN_REASONS.join(reasons(tagged))
    return (tagged.image, *chosen, others, len(tags), tagged.width, tagged.height, review)


def object_rows(tagged: Tagged) -> list[Row]:
    """Returns the objects of a picture as rows below OBJECTS.

    >>> len(object_rows(tagged))
    3
    """
    rows: list[Row] = []
    for tag in tagged.objects:
        corners: Row = (None, None, None, None)
        if tag.bbox is not None:
            corners = tag.bbox
        confidence = round(tag.confidence, 4)
        unsure = YES if tag.unsure else ""
        by = BY_PERSON if tag.by else ""
        row = (tagged.image, tag.label, confidence, tag.category, tag.english, tag.label_id, *corners, unsure, by)
        rows.append(row)
    return rows


def failure_row(failure: Failure) -> Row:
    """Returns a picture that failed as a row below FAILURES.

    >>> failure_row(Failure("a.jpg", "decode", "file is empty (0 bytes)"))
    ('a.jpg', 'decode', 'file is empty (0 bytes)')
    """
    return tuple(failure)


class _Count(NamedTuple):
    objects: int
    pictures: int
    tag: Tag


class LabelCounts:
    """Counts labels, picture by picture.

    >>> counts = LabelCounts()
    >>> counts.add(tagged)
    >>> counts.rows()[0][:3]
    ('台灯', 12, 9)
    """

    def __init__(self) -> None:
        self._counts: dict[str, _Count] = {}

    def add(self, tagged: Tagged) -> None:
        """Count one picture's labels.

        >>> LabelCounts().add(tagged)
        """
        here = set()
        for tag in tagged.objects:
            before = self._counts.get(tag.label, _Count(0, 0, tag))
            first_here = tag.label not in here
            here.add(tag.label)
            self._counts[tag.label] = _Count(before.objects + 1, before.pictures + first_here, before.tag)

    def rows(self) -> list[Row]:
        """Returns rows below LABELS, the most frequent first.

        >>> LabelCounts().rows()
        []
        """
        in_order = sorted(self._counts.items(), key=lambda item: (-item[1].objects, item[0]))
        rows: list[Row] = []
        for label, count in in_order:
            tag = count.tag
            rows.append((label, count.objects, count.pictures, tag.category, tag.english, tag.label_id))
        return rows


def _other_labels(tags: Sequence[Tag], main: str) -> list[str]:
    """Each once, the surest first."""
    labels = dict.fromkeys(tag.label for tag in tags)
    labels.pop(main, None)
    return list(labels)
