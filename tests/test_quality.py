"""Agreement, accuracy and drift, counted by hand."""

import contextlib
import io
import json
import math

import numpy as np
import pytest
from pycocotools.coco import COCO as CocoFile
from pycocotools.cocoeval import COCOeval

from wanwu_nb.detections import Tag
from wanwu_nb.errors import MissingFile, ResultsError, TruthError
from wanwu_nb.quality import Share, Truth, accuracy, agreement, differences, matches, read_truth, score_drift, wilson

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


NOTHING = [(5, 5, 5, 5), (0, 0, 10, 0), (10, 10, 0, 0), (math.nan, 0, 10, 10), (0, 0, math.inf, 10)]


@pytest.mark.parametrize("corners", NOTHING, ids=["point", "line", "inverted", "no number", "endless"])
def test_a_box_without_area_matches_none_and_hides_no_other_match(corners):
    """Its IoU is 0: NaN would be the largest of all, and end the search."""
    nothing, lamp = tag("灯", *corners), tag("灯", 20, 20, 40, 40)
    assert matches([nothing], [nothing]) == []
    assert matches([nothing, lamp], [nothing, lamp]) == [(1, 1)]
    assert agreement([([nothing, lamp], [nothing, lamp])])[:2] == (1, 3)
    assert accuracy({"a.jpg": [nothing, lamp]}, {"a.jpg": [lamp, nothing]})[:2] == (1, 3)


def test_classes_that_share_a_name_are_told_apart_by_id_where_ids_can_be_compared():
    cup, other_cup = Tag("杯", 3, 0.9, (0, 0, 10, 10)), Tag("杯", 8, 0.7, (0, 0, 10, 10))
    boxes = [([cup], [other_cup])]
    whole = [([cup._replace(bbox=None)], [other_cup._replace(bbox=None)])]
    for pairs, apart in ((boxes, (0, 2)), (whole, (0, 1))):
        assert agreement(pairs)[:2] == (1, 1)
        assert agreement(pairs, by_id=True)[:2] == apart
        assert score_drift(pairs) == pytest.approx([0.2])
        assert score_drift(pairs, by_id=True) == []
        assert list(differences(pairs)) == [([], [])]
        assert list(differences(pairs, by_id=True)) == pairs


def test_the_same_name_with_another_id_is_the_same_class_for_two_models():
    lamp = tag("灯", 0, 0, 10, 10)
    assert matches([lamp], [lamp._replace(label_id=99)]) == [(0, 0)]


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


def test_pictures_that_file_and_folder_do_not_share_are_counted_and_named(truth_file):
    truth = read_truth(truth_file, ["a.jpg", *(f"new_{i}.jpg" for i in range(5))], ["灯"])
    assert truth.only_here == ["b.jpg", "gone.jpg"]
    assert truth.not_here == [f"new_{i}.jpg" for i in range(5)]
    without = "pictures without ground truth 无标注: 5 (new_0.jpg, new_1.jpg, new_2.jpg, …)"
    assert truth.unshared() == f"{without}; ground truth of other pictures 有标注无图片: 2 (b.jpg, gone.jpg)"
    assert read_truth(truth_file, ["a.jpg", "b.jpg", "gone.jpg"], ["灯"]).unshared() == ""


@pytest.mark.parametrize(
    ("labels", "by_id"),
    [
        ({7: "灯", 8: "椅", 9: "桌"}, True),
        ({0: "灯", 1: "椅"}, False),
        ({7: "椅", 8: "灯"}, False),
        ({7: "灯"}, False),
        (["灯", "椅"], False),
    ],
    ids=["the model's own", "other numbers", "exchanged", "fewer classes", "names alone"],
)
def test_ids_of_a_truth_are_compared_only_where_they_are_the_models(truth_file, labels, by_id):
    truth = read_truth(truth_file, ["a.jpg"], labels)
    assert truth.by_id == by_id
    numbered_otherwise = [each._replace(label_id=each.label_id + 50) for each in LAMP_AND_CHAIR]
    assert accuracy(truth, {"a.jpg": numbered_otherwise})[:2] == ((0, 4) if by_id else (2, 2))


def test_names_of_categories_are_cleaned_like_labels(tmp_path):
    path = tmp_path / "truth.json"
    categories = [{"id": 7, "name": " 灯\u200e\n"}, {"id": 8, "name": "椅"}]
    path.write_text("\ufeff" + json.dumps(COCO | {"categories": categories}), encoding="utf-8")
    assert read_truth(path, ["a.jpg", "b.jpg"], ["灯"]) == TRUTH


# --- crowds -----------------------------------------------------------------------------------------------------------

APPLE, PEAR = 1, 2
CROWD = (100, 0, 200, 100)


def annotation(category: int, corners: tuple[float, ...], crowd: int = 0) -> dict:
    x1, y1, x2, y2 = corners
    box = [x1, y1, x2 - x1, y2 - y1]
    area = box[2] * box[3]
    return {"image_id": 1, "category_id": category, "bbox": box, "area": area, "iscrowd": crowd}


def crowd_file(annotations: list[dict]) -> dict:
    """A COCO file of one picture."""
    numbered = [each | {"id": i} for i, each in enumerate(annotations, start=1)]
    categories = [{"id": APPLE, "name": "苹果"}, {"id": PEAR, "name": "梨"}]
    return {"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": numbered, "categories": categories}


def crowd_truth(tmp_path, annotations: list[dict]) -> Truth:
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(crowd_file(annotations)), encoding="utf-8")
    return read_truth(path, ["a.jpg"], {APPLE: "苹果", PEAR: "梨"})


@pytest.mark.parametrize(
    ("category", "corners", "counted"),
    [
        (APPLE, (110, 10, 120, 20), 0),
        (APPLE, (60, 0, 160, 100), 0),
        (APPLE, (50, 0, 150, 100), 1),
        (APPLE, (210, 0, 300, 100), 1),
        (PEAR, (110, 10, 120, 20), 1),
        (APPLE, (110, 10, 110, 20), 1),
    ],
    ids=["inside", "60 % inside", "exactly half", "outside", "another class", "without area"],
)
def test_a_crowd_is_not_missed_and_what_lies_in_it_is_not_wrong(tmp_path, category, corners, counted):
    truth = crowd_truth(tmp_path, [annotation(APPLE, CROWD, crowd=1), annotation(PEAR, (0, 0, 50, 50))])
    pear = Tag("梨", PEAR, 0.9, (0, 0, 50, 50))
    label = "苹果" if category == APPLE else "梨"
    tags = [pear, *[Tag(label, category, 0.5, corners)] * 3]
    assert truth["a.jpg"] == [pear._replace(confidence=1.0)]
    assert accuracy(truth, {"a.jpg": [pear]})[:2] == (1, 1)
    assert accuracy(truth, {"a.jpg": tags})[:2] == (1, 1 + 3 * counted)


def test_what_matches_an_object_is_right_though_it_lies_in_a_crowd(tmp_path):
    apple = (110, 10, 120, 20)
    truth = crowd_truth(tmp_path, [annotation(APPLE, CROWD, crowd=1), annotation(APPLE, apple)])
    assert accuracy(truth, {"a.jpg": [Tag("苹果", APPLE, 0.9, apple)]})[:2] == (1, 1)


def test_a_whole_picture_tag_that_only_a_crowd_names_is_neither_right_nor_wrong(tmp_path):
    truth = crowd_truth(tmp_path, [annotation(APPLE, CROWD, crowd=1), annotation(PEAR, (0, 0, 50, 50))])
    apple, pear = Tag("苹果", APPLE, 0.9, None), Tag("梨", PEAR, 0.8, None)
    assert accuracy(truth, {"a.jpg": [apple, pear]}) is None
    assert accuracy(truth, {"a.jpg": [pear, apple]})[:2] == (1, 1)
    assert accuracy(truth, {"a.jpg": [apple._replace(label="桃", label_id=3)]})[:2] == (0, 1)


@pytest.mark.parametrize("seed", range(20))
def test_crowds_count_as_cocos_own_tool_counts_them(tmp_path, seed):
    random = np.random.default_rng(seed)

    def corners(shortest: int, longest: int) -> tuple[float, ...]:
        x, y = random.integers(0, 200, 2)
        width, height = random.integers(shortest, longest, 2)
        return tuple(map(float, (x, y, x + width, y + height)))

    def category() -> int:
        return int(random.integers(APPLE, PEAR + 1))

    crowds = [annotation(category(), corners(60, 150), crowd=1) for _ in range(2)]
    apart = [(400.0 + 60 * i, 0.0, 440.0 + 60 * i, 40.0) for i in range(6)]  # objects that only one detection matches
    objects = [annotation(APPLE, each) for each in apart]
    found = [annotation(APPLE, each) for each in apart[:3]] + [
        annotation(category(), corners(20, 90)) for _ in range(9)
    ]
    rows = [each | {"score": 0.9 - i / 100} for i, each in enumerate(found)]
    names = {APPLE: "苹果", PEAR: "梨"}
    tags = []
    for row in rows:
        x, y, width, height = row["bbox"]
        tags.append(Tag(names[row["category_id"]], row["category_id"], row["score"], (x, y, x + width, y + height)))
    right, wrong, missed = cocos_counts(crowd_file([*objects, *crowds]), rows)
    truth = crowd_truth(tmp_path, [*objects, *crowds])
    assert accuracy(truth, {"a.jpg": tags})[:2] == (right, right + wrong + missed)


def cocos_counts(truth: dict, rows: list[dict]) -> tuple[int, int, int]:
    """Right, wrong and missed at IoU 0.5, objects of any size."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco = CocoFile()
        coco.dataset = truth
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(rows), "bbox")
        evaluation.params.iouThrs = np.array([0.5])
        evaluation.evaluate()
    right = wrong = missed = 0
    every_size = evaluation.params.areaRng[0]
    for each in evaluation.evalImgs:
        if each is None or each["aRng"] != every_size:
            continue
        matched, ignored = each["dtMatches"][0] > 0, each["dtIgnore"][0].astype(bool)
        right += int((matched & ~ignored).sum())
        wrong += int((~matched & ~ignored).sum())
        missed += int(((each["gtMatches"][0] == 0) & (each["gtIgnore"] == 0)).sum())
    return right, wrong, missed


# --- what does not fit ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "names", "labels", "sentence"),
    [
        ("[" * 100_000, ["a.jpg"], ["灯"], "is no COCO file"),
        (json.dumps(COCO | {"categories": [{"id": 7, "name": None}]}), ["a.jpg"], ["灯"], "is no COCO file"),
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
