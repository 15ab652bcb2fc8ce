"""What is asked of a model's classes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Word:
    """What is asked of one class of the model.

    `name`: the user's name, or the model's own. `label_id`: the smallest class id of all that become this name.
    `threshold`: None for the run's. `category` as in 服装/上衣.

    Example: `Word("上衣", label_id=3, category="服装/上衣")`
    """

    name: str
    label_id: int
    drop: bool = False
    threshold: float | None = None
    category: str = ""
    english: str = ""


@dataclass(frozen=True)
class Vocabulary:
    """What is asked, by class id; classes that nothing is asked of are not in `words`.

    `source` is the file that it was read from: whoever writes files leaves that one alone.

    Example: `Vocabulary({3: Word("上衣", label_id=3)})`
    """

    words: Mapping[int, Word]
    source: str = field(default="", compare=False)

    def lowest(self, threshold: float) -> float:
        """Returns the lowest threshold of all classes that are not dropped; `threshold` is that of the others.

        >>> Vocabulary({3: Word("上衣", label_id=3, threshold=0.2)}).lowest(0.3)
        0.2
        """
        thresholds = [threshold]
        for word in self.words.values():
            if word.threshold is not None and not word.drop:
                thresholds.append(word.threshold)
        return min(thresholds)

    def word(self, class_id: int, name: str) -> Word:
        """Returns what is asked of a class; where nothing is, it goes by its own `name`.

        >>> NO_WORDS.word(3, "台灯").name
        '台灯'
        """
        return self.words.get(class_id) or Word(name, class_id)

    def threshold(self, class_id: int, usual: float) -> float:
        """Returns the class's own threshold, or the `usual` one where it has none.

        >>> NO_WORDS.threshold(3, 0.3)
        0.3
        """
        word = self.words.get(class_id)
        if word is None or word.threshold is None:
            return usual
        return word.threshold

    def meaning(self) -> list[dict[str, Any]]:
        """Returns what is asked, as JSON can hold it: equal for all files that ask the same, [] for nothing.

        >>> Vocabulary({3: Word("T恤", label_id=3, drop=True)}).meaning()
        [{'class': 3, 'drop': True}]
        """
        in_order = sorted(self.words.items())
        return [_meaning(class_id, word) for class_id, word in in_order]


NO_WORDS = Vocabulary({})


def _meaning(class_id: int, word: Word) -> dict[str, Any]:
    """Of a class that is dropped nothing else matters."""
    if word.drop:
        return {"class": class_id, "drop": True}
    record: dict[str, Any] = {"class": class_id, "name": word.name, "label_id": word.label_id}
    if word.threshold is not None:
        record["threshold"] = word.threshold
    if word.category:
        record["category"] = word.category
    if word.english:
        record["english"] = word.english
    return record
