"""From what a network said of a picture to what is kept of it, in the user's own words: without the network.

A run asks the network for more than it keeps, and writes that down: so another threshold or vocabulary can be decided
on later. Whatever the run asked for, the same selection and vocabulary decide the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from .detections import Detections, Selection, texts_if_any
from .settings import RAW_FLOOR, TagSettings
from .vocabulary import NO_WORDS, Vocabulary, read_vocabulary

DEPTH = 100  # objects of a picture that the network is asked for at least: dropped ones make room for the next
NEXT_BEST = 5  # of a whole-picture tagger's tags, however unsure: where the best is dropped, the next takes its place
NEVER = 2.0  # a threshold above all scores


@dataclass(frozen=True)
class Decision:
    """What a run keeps of what the network says: `selection`, in the words of `vocabulary`.

    `raw_floor`: the score down to which the network's objects are written down.

    >>> Decision(Selection(conf_threshold=0.4)).decide(raw).names
    ['台灯']
    """

    selection: Selection = field(default_factory=Selection)
    vocabulary: Vocabulary = NO_WORDS
    raw_floor: float = RAW_FLOOR

    @classmethod
    def of(cls, settings: TagSettings, labels: Mapping[int, str]) -> "Decision":
        """Returns what the settings of a run ask for, with their vocabulary read for the model's `labels`.

        Raises MissingFile or VocabularyError.

        >>> Decision.of(TagSettings(conf_threshold=0.4), model.labels).selection.conf_threshold
        0.4
        """
        selection = Selection(settings.conf_threshold, settings.nms_iou, settings.top_k)
        vocabulary = NO_WORDS
        if settings.vocabulary:
            vocabulary = read_vocabulary(settings.vocabulary, labels)
        return cls(selection, vocabulary, settings.raw_floor)

    @property
    def asked(self) -> Selection:
        """Returns what the network is asked for, at least all that may be kept.

        >>> Decision().asked
        Selection(conf_threshold=0.05, nms_iou=0.5, top_k=100)
        """
        lowest = self.vocabulary.lowest(self.selection.conf_threshold)
        floor = min(self.raw_floor, lowest)
        return replace(self.selection, conf_threshold=floor, top_k=self._depth)

    @property
    def _depth(self) -> int:
        return max(self.selection.top_k, DEPTH)

    def decide(self, raw: Detections) -> Detections:
        """Returns what is kept of `raw`, which `detect` gave for `asked`, or for one that asked for more.

        A whole-picture tagger's best is kept in any case, and marked unsure below its threshold. Classes that share a
        name are one: of boxes that overlap, and of whole-picture tags, the surest stays.

        >>> Decision().decide(raw).unsure
        False
        """
        scores = raw.scores[: self._depth]
        class_ids = raw.class_ids[: len(scores)].tolist()
        wanted = scores >= self._thresholds(class_ids)
        indices = np.flatnonzero(wanted)
        unsure = False
        if raw.boxes is None and len(indices) == 0:
            indices = self._best(class_ids)
            unsure = len(indices) > 0
        if self.vocabulary.words:
            indices = self._one_a_name(raw, class_ids, indices)
        return self._in_words(raw, indices[: self.selection.top_k], unsure)

    def _thresholds(self, class_ids: Sequence[int]) -> np.ndarray | np.float32:
        """A threshold for each object, or one for all, in the scores' own precision."""
        usual = self.selection.conf_threshold
        if not self.vocabulary.words:
            return np.float32(usual)
        thresholds = np.empty(len(class_ids), np.float32)
        for i, class_id in enumerate(class_ids):
            thresholds[i] = NEVER if self._is_dropped(class_id) else self.vocabulary.threshold(class_id, usual)
        return thresholds

    def _is_dropped(self, class_id: int) -> bool:
        word = self.vocabulary.words.get(class_id)
        return word is not None and word.drop

    def _best(self, class_ids: Sequence[int]) -> np.ndarray:
        """The place of the best tag that is not dropped, among those that are always there."""
        for i, class_id in enumerate(class_ids[:NEXT_BEST]):
            if not self._is_dropped(class_id):
                return np.array([i])
        return np.array([], np.int64)

    def _one_a_name(self, raw: Detections, class_ids: Sequence[int], indices: np.ndarray) -> np.ndarray:
        """Without what a surer object of another class, but of the same name, stands for."""
        groups: dict[int, list[int]] = {}
        for i in indices.tolist():
            label_id = self.vocabulary.word(class_ids[i], raw.names[i]).label_id
            groups.setdefault(label_id, []).append(i)
        left = []
        for members in groups.values():
            classes = {class_ids[i] for i in members}
            if len(classes) == 1:  # told apart by the network's own NMS
                left += members
            elif raw.boxes is None:
                left.append(members[0])
            else:
                left += self._without_overlaps(raw, members)
        return np.array(sorted(left), np.int64)

    def _without_overlaps(self, raw: Detections, members: list[int]) -> list[int]:
        assert raw.boxes is not None, "whole-picture tags do not overlap"
        from .detecting import survivors  # here: whoever reads results decides nothing, and needs no torch

        places = survivors(raw.boxes[members], raw.scores[members], self.selection.nms_iou)
        return [members[i] for i in places]

    def _in_words(self, raw: Detections, indices: np.ndarray, unsure: bool) -> Detections:
        boxes = None if raw.boxes is None else raw.boxes[indices]
        class_ids = raw.class_ids[indices]
        names = [raw.names[i] for i in indices.tolist()]
        decided = Detections(raw.width, raw.height, boxes, raw.scores[indices], class_ids, names, raw.invalid, unsure)
        if not self.vocabulary.words:
            return decided
        words = [self.vocabulary.word(class_ids[i], name) for i, name in enumerate(names)]
        return replace(
            decided,
            class_ids=np.array([word.label_id for word in words], np.int64),
            names=[word.name for word in words],
            categories=texts_if_any([word.category for word in words]),
            english=texts_if_any([word.english for word in words]),
        )
