"""Agreement, accuracy and drift, counted by hand."""

import json

import pytest

from wanwu_nb.quality import Share, accuracy, agreement_of, read_truth, score_drift, wilson


def found(label: str, *bbox: float, confidence: float = 0.9) -> dict:
    return {"label": label, "bbox": list(bbox) or None, "confidence": confidence}


def results(folder, **pictures) -> None:
    folder.mkdir()
    for name, objects in pictures.items():
        (folder / f"{name}.jpg.json").write_text(json.dumps({"objects": objects}), encoding="utf-8")


@pytest.mark.parametrize(
    ("a", "b", "hits", "trials"),
    [
        ([found("灯", 0, 0, 10, 10)], [found("灯", 0, 0, 10, 9)], 1, 1),
        ([found("灯", 0, 0, 10, 10)], [found("椅", 0, 0, 10, 10)], 0, 2),
        ([found("灯", 0, 0, 10, 10)], [found("灯", 6, 0, 16, 10)], 0, 2),
        ([found("灯", 0, 0, 10, 10)], [], 0, 1),
        ([found("灯", 0, 0, 10, 10)], [found("灯", 0, 0, 10, 10), found("灯", 0, 0, 10, 9)], 1, 2),
        ([found("灯"), found("椅")], [found("灯"), found("桌")], 1, 1),
        ([found("灯")], [found("椅"), found("灯")], 0, 1),
        ([found("灯")], [], 0, 1),
    ],
    ids=["near", "label", "apart", "missing", "one to one", "best tag", "other best tag", "no tag"],
)
def test_agreement_counts_what_both_sides_found(a, b, hits, trials):
    for pair in ((a, b), (b, a)):
        assert agreement_of([pair])[:2] == (hits, trials)


def test_agreement_on_nothing_says_so_and_has_an_interval():
    with pytest.raises(ValueError, match="nothing to compare"):
        agreement_of([([], [])])
    low, high = wilson(99, 100)
    assert low == pytest.approx(0.9455, abs=1e-3) and high == pytest.approx(0.9982, abs=1e-3)
    assert Share(99, 100, low, high).value == 0.99
    assert all(wilson(n, n)[1] == 1 and wilson(0, n)[0] == 0 for n in range(1, 200))


def test_scores_drift_where_both_sides_have_the_object(tmp_path):
    results(tmp_path / "a", x=[found("灯", 0, 0, 10, 10, confidence=0.8), found("椅", 0, 0, 10, 10)], y=[found("杯")])
    results(tmp_path / "b", x=[found("灯", 0, 0, 10, 9, confidence=0.7)], y=[found("杯", confidence=0.85)])
    assert score_drift(tmp_path / "a", tmp_path / "b") == pytest.approx([0.1, 0.05])


COCO = {
    "images": [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}, {"id": 3, "file_name": "gone.jpg"}],
    "annotations": [
        {"image_id": 1, "category_id": 7, "bbox": [10, 10, 20, 20]},
        {"image_id": 1, "category_id": 8, "bbox": [0, 0, 5, 5]},
        {"image_id": 3, "category_id": 8, "bbox": [0, 0, 5, 5]},
    ],
    "categories": [{"id": 7, "name": "灯"}, {"id": 8, "name": "椅"}],
}


@pytest.fixture
def truth_file(tmp_path):
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(COCO), encoding="utf-8")
    return path


def test_accuracy_counts_right_missed_and_wrong(truth_file, tmp_path):
    truth = read_truth(truth_file, ["a.jpg", "b.jpg", "c.jpg"], ["灯"])
    assert truth["a.jpg"][0] == {"label": "灯", "bbox": [10, 10, 30, 30]} and truth["b.jpg"] == [] and len(truth) == 2
    results(tmp_path / "boxes", a=[found("灯", 10, 10, 30, 29)], b=[found("灯", 0, 0, 9, 9)])
    assert accuracy(truth, tmp_path / "boxes")[:2] == (1, 3)  # one right, one missed, one wrong
    results(tmp_path / "tags", a=[found("椅"), found("灯")], b=[found("灯")])
    assert accuracy(truth, tmp_path / "tags")[:2] == (1, 2)


@pytest.mark.parametrize(
    ("content", "names", "labels", "says"),
    [
        (None, ["a.jpg"], ["灯"], "does not exist: check truth"),
        ("{", ["a.jpg"], ["灯"], "is no COCO file"),
        ("[]", ["a.jpg"], ["灯"], "is no COCO file"),
        (json.dumps(COCO), ["z.jpg"], ["灯"], "has none of the pictures"),
        (json.dumps(COCO), ["a.jpg"], ["猫"], "have no label in common: the truth has 灯, 椅"),
    ],
)
def test_ground_truth_that_does_not_fit_says_why(tmp_path, content, names, labels, says):
    path = tmp_path / "truth.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises((ValueError, FileNotFoundError), match=says):
        read_truth(path, names, labels)
