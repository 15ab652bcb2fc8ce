"""What is kept of what a network said, and in whose words."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wanwu_nb.deciding import DEPTH, NEXT_BEST, Decision
from wanwu_nb.detecting import detect
from wanwu_nb.detections import Detections, Selection
from wanwu_nb.fitting import Placement
from wanwu_nb.results import result_record
from wanwu_nb.tagged import Tagged
from wanwu_nb.vocabulary import Vocabulary, Word

LABELS = {0: "T恤衫", 1: "短袖", 2: "水印", 3: "台灯", 4: "椅子"}
PHOTO = Placement(100, 80, (100, 80), (0, 0))


def tags(*scores_and_ids) -> Detections:
    """What a whole-picture tagger said, best first."""
    scores = np.array([score for score, _ in scores_and_ids], np.float32)
    class_ids = np.array([class_id for _, class_id in scores_and_ids], np.int64)
    return Detections(100, 80, None, scores, class_ids, [LABELS[i] for i in class_ids.tolist()])


def boxes(*rows) -> Detections:
    """What a detector said: (score, class id, x1, y1, x2, y2), best first."""
    table = np.array(rows, np.float64).reshape(-1, 6)
    class_ids = table[:, 1].astype(np.int64)
    names = [LABELS[i] for i in class_ids.tolist()]
    return Detections(100, 80, table[:, 2:], table[:, 0].astype(np.float32), class_ids, names)


def words(**by_class) -> Vocabulary:
    return Vocabulary({int(name[1:]): word for name, word in by_class.items()})


def decided(raw: Detections, vocabulary: Vocabulary | None = None, **selection) -> list[tuple]:
    decision = Decision(Selection(**selection), vocabulary or Vocabulary({}))
    return [(tag.label, tag.label_id, round(tag.confidence, 2)) for tag in decision.decide(raw).tags]


def test_a_taggers_best_below_the_threshold_is_unsure_and_says_so_in_its_result():
    unsure = Decision().decide(tags((0.2, 3), (0.1, 4)))
    assert unsure.names == ["台灯"]
    (record,) = result_record(Tagged("a.jpg", None, unsure))["objects"]
    assert record["unsure"] is True
    sure = Decision().decide(tags((0.31, 3), (0.1, 4)))
    (record,) = result_record(Tagged("a.jpg", None, sure))["objects"]
    assert "unsure" not in record


def test_a_detector_keeps_nothing_below_the_threshold():
    assert decided(boxes((0.2, 3, 0, 0, 9, 9))) == []


def test_where_the_best_tag_is_left_out_the_next_takes_its_place():
    watermark = words(c2=Word("水印", 2, drop=True))
    assert decided(tags((0.9, 2), (0.4, 3)), watermark) == [("台灯", 3, 0.4)]
    next_best = Decision(vocabulary=watermark).decide(tags((0.9, 2), (0.04, 3)))
    assert (next_best.names, next_best.unsure) == (["台灯"], True)


def test_what_a_vocabulary_leaves_nothing_of_is_empty():
    nothing = Vocabulary({class_id: Word(label, class_id, drop=True) for class_id, label in LABELS.items()})
    raw = tags((0.9, 2), (0.4, 3))
    assert decided(raw, nothing) == []
    assert not Decision(vocabulary=nothing).decide(raw).unsure


def test_a_class_may_have_a_threshold_of_its_own_above_the_runs_or_below():
    own = words(c3=Word("台灯", 3, threshold=0.6), c4=Word("椅子", 4, threshold=0.1))
    raw = boxes((0.5, 3, 0, 0, 9, 9), (0.2, 4, 0, 0, 9, 9), (0.2, 0, 0, 0, 9, 9))
    assert decided(raw, own) == [("椅子", 4, 0.2)]


def test_a_threshold_is_compared_in_the_scores_own_precision():
    """0.7 is more than the nearest float32, which a network gives for 0.7."""
    assert float(np.float32(0.7)) < 0.7
    assert decided(tags((0.7, 3)), conf_threshold=0.7) == [("台灯", 3, 0.7)]
    assert not Decision(Selection(0.7)).decide(tags((0.7, 3))).unsure


UPPER = words(c0=Word("上衣", 0, category="服装/上衣", english="top"), c1=Word("上衣", 0, category="服装/上衣"))


def test_of_boxes_that_share_a_name_and_overlap_the_surest_stays():
    raw = boxes((0.9, 1, 0, 0, 40, 40), (0.8, 0, 1, 1, 40, 40), (0.7, 0, 60, 0, 90, 40), (0.6, 3, 0, 0, 40, 40))
    assert decided(raw, UPPER) == [("上衣", 0, 0.9), ("上衣", 0, 0.7), ("台灯", 3, 0.6)]
    assert len(decided(raw)) == 4


def test_of_whole_picture_tags_that_share_a_name_the_surest_stays():
    raw = tags((0.9, 1), (0.8, 0), (0.4, 3))
    assert decided(raw, UPPER) == [("上衣", 0, 0.9), ("台灯", 3, 0.4)]


def test_category_and_english_stand_where_they_are_given():
    raw = boxes((0.9, 0, 0, 0, 40, 40), (0.6, 3, 0, 0, 40, 40))
    first, second = result_record(Tagged("a.jpg", None, Decision(vocabulary=UPPER).decide(raw)))["objects"]
    assert (first["category"], first["english"]) == ("服装/上衣", "top")
    assert set(second) == {"label", "label_id", "confidence", "bbox"}


def test_room_that_a_vocabulary_makes_is_taken_by_the_next():
    raw = boxes((0.9, 2, 0, 0, 9, 9), (0.8, 3, 0, 0, 9, 9))
    assert decided(raw, words(c2=Word("水印", 2, drop=True)), top_k=1) == [("台灯", 3, 0.8)]


def test_what_is_asked_of_the_network_holds_all_that_may_be_decided_on():
    own = words(c3=Word("台灯", 3, threshold=0.01))
    assert Decision().asked == Selection(0.05, 0.5, DEPTH)
    assert Decision(Selection(0.02), raw_floor=0.05).asked.conf_threshold == 0.02
    assert Decision(vocabulary=own).asked.conf_threshold == 0.01
    assert Decision(Selection(top_k=300)).asked.top_k == 300


# --- whatever was asked for, the same is decided ----------------------------------------------------------------------

scores = st.floats(0, 1, width=32)
corner = st.integers(0, 60)
side = st.integers(1, 40)
row = st.tuples(scores, st.integers(0, 4), corner, corner, side, side)
vocabularies = st.sampled_from(
    [Vocabulary({}), UPPER, words(c2=Word("水印", 2, drop=True), c3=Word("台灯", 3, threshold=0.6))]
)


def output(rows: list[tuple], whole: bool) -> tuple:
    table = np.array(rows, np.float32).reshape(-1, 6)
    table[:, 4:] += table[:, 2:4]
    class_ids = torch.from_numpy(table[None, :, 1].astype(np.int64))
    corners = None if whole else torch.from_numpy(table[None, :, 2:])
    return corners, torch.from_numpy(table[None, :, 0]), class_ids


@settings(max_examples=200, deadline=None)
@given(
    rows=st.lists(row, min_size=1, max_size=12, unique_by=lambda row: row[0]),
    whole=st.booleans(),
    vocabulary=vocabularies,
    threshold=st.sampled_from([0.05, 0.3, 0.7]),
    top_k=st.sampled_from([1, 2, 100]),
    floor=st.sampled_from([0.0, 0.01, 0.05]),
)
def test_a_network_that_was_asked_for_more_gives_the_same_result(rows, whole, vocabulary, threshold, top_k, floor):
    decision = Decision(Selection(threshold, 0.5, top_k), vocabulary)
    more = Decision(Selection(floor, 0.5, 200), raw_floor=floor)
    records = []
    for asked in (decision.asked, more.asked):
        (raw,) = detect(output(rows, whole), [PHOTO], LABELS, asked, NEXT_BEST)
        records.append(result_record(Tagged("a.jpg", None, decision.decide(raw))))
    assert records[0] == records[1]


@settings(max_examples=200, deadline=None)
@given(rows=st.lists(row, min_size=1, max_size=12, unique_by=lambda row: row[0]), whole=st.booleans())
def test_without_a_vocabulary_the_threshold_alone_decides(rows, whole):
    """What was kept before anything was written down is kept still."""
    (at_once,) = detect(output(rows, whole), [PHOTO], LABELS, Selection())
    (raw,) = detect(output(rows, whole), [PHOTO], LABELS, Decision().asked, NEXT_BEST)
    later = Decision().decide(raw)
    assert later.names == at_once.names
    assert later.scores.tolist() == at_once.scores.tolist()
    if not whole:
        assert np.array_equal(later.boxes, at_once.boxes)
