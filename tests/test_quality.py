"""Agreement, accuracy and drift, counted by hand."""

import json

import pytest

from wanwu_nb.detections import Tag
from wanwu_nb.errors import MissingFile, ResultsError, TruthError
from wanwu_nb.quality import Share, accuracy, agreement, differences, matches, read_truth, score_drift, wilson

NUMBERS = {"灯": 7, "椅": 8, "桌": 9, "杯": 10}


def tag(label: str, *bbox: float, confidence: float = 0.9) -> Tag:
    return Tag(label, NUMBERS[label], confidence, bbox or None)


@pytest.mark.parametrize(
    ("a", "b", "hits", "trials"),
    [
        ([tag("灯", 0, 0, 10, 10)], [tag("灯", 0, 0, 10, 9)], 1, 1),
        ([tag("灯", 0, 0, 10, 10)], [tag("椅", 0, 0, 10, 10)], 0, 2),
        ([tag("灯", 0, 0, 10, 10)], [tag("灯", 6, 0, 16, 10)], 0, 2),
        ([tag("灯", 0, 0, 10, 10)], [tag("灯", 0, 0, 10, 5)], 0, 2),
        ([tag("灯", 0, 0, 10, 10)], [], 0, 1),
        ([tag("灯", 0, 0, 10, 10)], [tag("灯", 0, 0, 10, 10), tag("灯", 0, 0, 10, 9)], 1, 2),
        ([tag("灯"), tag("椅")], [tag("灯"), tag("桌")], 1, 1),
        ([tag("灯")], [tag("椅"), tag("灯")], 0, 1),
        ([tag("灯")], [], 0, 1),
    ],
    ids=["near", "label", "apart", "exactly half", "missing", "one to one", "best tag", "other best tag", "no tag"],
)
def test_agreement_counts_what_both_sides_have(a, b, hits, trials):
    for pair in ((a, b), (b, a)):
        assert agreement([pair])[:2] == (hits, trials)


def test_agreement_adds_up_over_pictures():
    lamp, chair = tag("灯", 0, 0, 10, 10), tag("椅", 0, 0, 10, 10)
    share = agreement(iter([([lamp], [lamp]), ([], []), ([lamp, chair], [chair])]))
    assert share == Share(2, 3, *wilson(2, 3))


@pytest.mark.parametrize("pairs", [[], [([], [])], [([], []), ([], [])]], ids=["no picture", "one", "two"])
def test_without_an_object_on_either_side_there_is_nothing_to_compare(pairs):
    assert agreement(pairs) is None


def test_the_best_overlap_is_matched_first():
    a = [tag("灯", 0, 0, 10, 10), tag("灯", 0, 0, 10, 8)]
    b = [tag("灯", 0, 0, 10, 8), tag("椅", 0, 0, 10, 10)]
    assert matches(a, b) == [(1, 0)]


def test_a_share_has_an_interval():
    low, high = wilson(99, 100)
    assert low == pytest.approx(0.9455, abs=1e-3)
    assert high == pytest.approx(0.9982, abs=1e-3)
    assert Share(99, 100, low, high).value == 0.99


@pytest.mark.parametrize("trials", [1, 2, 3, 10, 49, 199])
def test_the_interval_ends_at_nothing_and_at_everything(trials):
    assert wilson(trials, trials)[1] == 1
    assert wilson(0, trials)[0] == 0


def test_scores_drift_where_both_sides_have_the_object():
    boxes = [tag("灯", 0, 0, 10, 10, confidence=0.8), tag("椅", 0, 0, 10, 10)], [tag("灯", 0, 0, 10, 9, confidence=0.7)]
    whole = [tag("杯")], [tag("杯", confidence=0.85)]
    assert score_drift([boxes, whole]) == pytest.approx([0.1, 0.05])


def test_differences_are_what_only_one_side_has():
    lamp, chair, table = tag("灯", 0, 0, 10, 10), tag("椅", 20, 0, 30, 10), tag("桌", 40, 0, 50, 10)
    assert list(differences([([lamp, chair], [lamp, table]), ([lamp], [lamp])])) == [([chair], [table]), ([], [])]


def test_of_whole_picture_tags_the_best_one_differs_or_not():
    same = [tag("灯"), tag("椅")], [tag("灯"), tag("桌")]
    other = [tag("灯"), tag("椅")], [tag("桌"), tag("灯")]
    assert list(differences([same, other])) == [([], []), ([tag("灯")], [tag("桌")])]


COCO = {
    "images": [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}, {"id": 3, "file_name": "gone.jpg"}],
    "annotations": [
        {"image_id": 1, "category_id": 7, "bbox": [10, 10, 20, 20]},
        {"image_id": 1, "category_id": 8, "bbox": [0, 0, 5, 5]},
        {"image_id": 3, "category_id": 8, "bbox": [0, 0, 5, 5]},
    ],
    "categories": [{"id": 7, "name": "灯"}, {"id": 8, "name": "椅"}],
}
LAMP_AND_CHAIR = [Tag("灯", 7, 1.0, (10, 10, 30, 30)), Tag("椅", 8, 1.0, (0, 0, 5, 5))]
TRUTH = {"a.jpg": LAMP_AND_CHAIR, "b.jpg": []}


@pytest.fixture
def truth_file(tmp_path):
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(COCO), encoding="utf-8")
    return path


def test_truth_is_tags_of_the_pictures_that_the_file_knows(truth_file):
    names = iter(["a.jpg", "b.jpg", "c.jpg"])
    assert read_truth(truth_file, names, ["灯"]) == TRUTH


def test_accuracy_of_boxes_counts_right_missed_and_wrong():
    tags = {"a.jpg": [tag("灯", 10, 10, 30, 29)], "b.jpg": [tag("灯", 0, 0, 9, 9)]}
    assert accuracy(TRUTH, tags)[:2] == (1, 3)  # one right, one missed, one wrong


def test_a_whole_picture_tag_is_right_where_the_truth_names_it():
    tags = {"a.jpg": [tag("椅"), tag("灯")], "b.jpg": [tag("灯")]}
    assert accuracy(TRUTH, tags)[:2] == (1, 2)


def test_accuracy_can_look_results_up():
    tags = {"a.jpg": LAMP_AND_CHAIR, "b.jpg": []}
    assert accuracy(TRUTH, lambda name: tags[name])[:2] == (2, 2)


def test_accuracy_of_nothing_is_none():
    assert accuracy({"b.jpg": []}, {"b.jpg": []}) is None


def test_a_picture_without_a_result_is_named():
    with pytest.raises(ResultsError, match=r"^b\.jpg has ground truth and no result"):
        accuracy(TRUTH, {"a.jpg": []})


@pytest.mark.parametrize(
    ("content", "names", "labels", "sentence"),
    [
        ("{", ["a.jpg"], ["灯"], "is no COCO file"),
        ("[]", ["a.jpg"], ["灯"], "is no COCO file"),
        (json.dumps(COCO), ["z.jpg"], ["灯"], "has none of the pictures"),
        (json.dumps(COCO), ["a.jpg"], ["猫"], "have no label in common: the truth has 灯, 椅"),
    ],
)
def test_ground_truth_that_does_not_fit_says_why(tmp_path, content, names, labels, sentence):
    path = tmp_path / "truth.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(TruthError, match=sentence):
        read_truth(path, names, labels)


def test_ground_truth_that_is_not_there_says_so(tmp_path):
    with pytest.raises(MissingFile, match="does not exist: check truth"):
        read_truth(tmp_path / "truth.json", ["a.jpg"], ["灯"])
