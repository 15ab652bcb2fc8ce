"""One category a user's name, with a number: of the names that occur, whatever became of the model's classes."""

from collections.abc import Mapping
from typing import NamedTuple

from ..detections import Tag


class Category(NamedTuple):
    """A name, the smallest class id of all that became it, and its English and category where they are known."""

    name: str
    label_id: int
    category: str
    english: str


class Categories:
    """Numbers names in the order in which they come; the final ids are known once all pictures were seen.

    >>> categories = Categories()
    >>> categories.number(Tag("台灯", 10, 0.9, None))
    0
    >>> categories.ids({10: "台灯"})
    ([10], [])
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self.all: list[Category] = []

    def number(self, tag: Tag) -> int:
        """Returns the place of the tag's name in `all`.

        >>> Categories().number(Tag("台灯", 10, 0.9, None))
        0
        """
        number = self._numbers.setdefault(tag.label, len(self.all))
        if number == len(self.all):
            self.all.append(Category(tag.label, tag.label_id, tag.category, tag.english))
        elif 0 <= tag.label_id < self.all[number].label_id:
            self.all[number] = self.all[number]._replace(label_id=tag.label_id)
        return number

    def order(self) -> list[int]:
        """Returns the places in `all` in the order of the model's class ids; names without one come last.

        >>> Categories().order()
        []
        """

        def position(number: int) -> tuple[bool, int, str]:
            category = self.all[number]
            return category.label_id < 0, category.label_id, category.name

        return sorted(range(len(self.all)), key=position)

    def ids(self, labels: Mapping[int, str]) -> tuple[list[int], list[str]]:
        """Returns an id for each of `all`, and the names that took the next free one, as a person's new label does.

        An id is the smallest class id of the name; all are one more where the model counts from 0, since in COCO's
        files ids begin at 1. `labels`: the model's, by class id.

        >>> Categories().ids({0: "T恤"})
        ([], [])
        """
        known = [category.label_id for category in self.all if category.label_id >= 0]
        shift = 1 if 0 in labels or 0 in known else 0
        free = max([0, *labels, *known]) + shift + 1
        ids = [0] * len(self.all)
        taken: set[int] = set()
        new: list[str] = []
        for number in self.order():
            category = self.all[number]
            own = category.label_id + shift
            if category.label_id < 0 or own in taken:
                own = free
                free += 1
                new.append(category.name)
            taken.add(own)
            ids[number] = own
        return ids, new
