"""What a decision keeps of a picture, object by object, by the model's own classes: whatever they are called after."""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ..deciding import Decision
from ..detections import Detections
from ..vocabulary import Vocabulary, Word


class Kept(NamedTuple):
    """What is kept of a picture, best first: the class ids and scores; `unsure` as in Detections."""

    class_ids: list[int]
    scores: np.ndarray
    unsure: bool


class Tracer:
    """Decides as `Decision.decide` does, with class ids for names: so each object is known by its class.

    Example: `Tracer(Decision()).keep(picture.detections).class_ids`
    """

    def __init__(self, decision: Decision):
        words = {}
        for class_id, word in decision.vocabulary.words.items():
            words[class_id] = replace(word, name=str(class_id))  # classes are merged by label_id, not by name
        self._decision = replace(decision, vocabulary=Vocabulary(words))

    def keep(self, raw: Detections) -> Kept:
        """Returns what is kept of `raw`, one picture of `read_raw`."""
        by_class = replace(raw, names=[str(class_id) for class_id in raw.class_ids.tolist()])
        decided = self._decision.decide(by_class)
        class_ids = [int(name) for name in decided.names]
        return Kept(class_ids, decided.scores, decided.unsure)


def names_of(raw: Detections) -> Mapping[int, str]:
    """Returns the model's names of the classes in a picture, by class id.

    >>> names_of(picture.detections)
    {3: '台灯'}
    """
    return dict(zip(raw.class_ids.tolist(), raw.names, strict=True))


def word_of(class_id: int, name: str, vocabulary: Vocabulary) -> Word:
    """Returns what is asked of a class; where nothing is, it goes by its own name.

    >>> word_of(3, "台灯", NO_WORDS).name
    '台灯'
    """
    return vocabulary.words.get(class_id) or Word(name, class_id)
