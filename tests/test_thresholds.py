"""Another threshold or other words, tried before they are applied: equal to what a run then keeps."""

import itertools
import json
import warnings
from collections import Counter
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from conftest import SCENES, papermill
from matplotlib.text import Text

from wanwu_nb import read_results, tag_folder
from wanwu_nb.deciding import Decision
from wanwu_nb.detections import Detections, Selection
from wanwu_nb.errors import MissingFile, ResultsError
from wanwu_nb.results import read_raw
from wanwu_nb.tagged import Tagged
from wanwu_nb.versions import FileVersion
from wanwu_nb.views.changes import COLUMNS, vocabulary_changes, vocabulary_table
from wanwu_nb.views.headings import HEADINGS
from wanwu_nb.views.thresholds import threshold_chart
from wanwu_nb.vocabulary import NO_WORDS, Vocabulary, Word, read_vocabulary

WORDS = """label,name,drop,threshold,category
面包,食品,,,
甜甜圈,食品,,,
苹果,,x,,
台灯,,,0.9,家居
椅子,,,0.06,
连衣裙,裙子,,,
"""
LABELS = {0: "台灯", 1: "椅子", 2: "苹果", 3: "面包"}


@pytest.fixture(scope="module")
def output(model, scenes, tmp_path_factory):
    """Ten scenes tagged with the defaults; read only."""
    folder = tmp_path_factory.mktemp("thresholds")
    tag_folder(model, scenes, folder / "out", batch_size=2)
    return folder / "out"


@pytest.fixture
def copy(output, tmp_path):
    """Those files of it that are read, to be damaged."""
    for name in ("raw.jsonl", "ledger.jsonl", "labels.json", "summary.json"):
        (tmp_path / name).write_bytes((output / name).read_bytes())
    return tmp_path


@pytest.fixture
def words(model, tmp_path):
    path = tmp_path / "words.csv"
    path.write_text(WORDS, encoding="utf-8")
    return read_vocabulary(path, model.labels)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def tags(image: str, *scores_by_class: tuple[int, float]) -> Tagged:
    """What a whole-picture tagger says, best first."""
    return boxes(image, *scores_by_class, whole=True)


def boxes(image: str, *scores_by_class: tuple[int, float], whole: bool = False) -> Tagged:
    """What a detector says of one place, best first."""
    class_ids = np.array([class_id for class_id, _ in scores_by_class], np.int64)
    scores = np.array([score for _, score in scores_by_class], np.float32)
    corners = None if whole else np.tile([10.0, 10.0, 50.0, 50.0], (len(scores), 1))
    names = [LABELS[class_id] for class_id in class_ids.tolist()]
    return Tagged(image, FileVersion(1, 1), Detections(100, 100, corners, scores, class_ids, names))


TAGGED = [
    tags("a.jpg", (0, 0.95), (1, 0.4), (2, 0.2)),
    tags("b.jpg", (2, 0.5), (0, 0.3), (1, 0.04)),
    tags("c.jpg", (3, 0.2), (2, 0.1)),
    tags("d.jpg", (1, 0.03), (2, 0.02)),
    tags("e.jpg"),
]


# --- the reader -------------------------------------------------------------------------------------------------------


def test_raw_objects_are_those_that_the_results_were_decided_from(output):
    results = {picture.image: picture for picture in read_results(output)}
    raw = list(read_raw(output))
    assert sorted(picture.image for picture in raw) == sorted(results)
    for picture in raw:
        decided = Decision().decide(picture.detections)
        result = results[picture.image].detections
        assert decided.names == result.names
        assert decided.scores.round(4) == pytest.approx(result.scores)
    assert sum(len(picture.detections) for picture in raw) > sum(len(result.objects) for result in results.values())


def test_they_are_read_one_at_a_time_and_only_those_that_are_asked_for(output):
    first = next(read_raw(output)).image
    assert [picture.image for picture in read_raw(output, [first, "nowhere.jpg"])] == [first]


def test_the_newest_line_of_a_picture_counts_and_broken_ones_are_passed_over(copy):
    lines = (copy / "raw.jsonl").read_bytes().splitlines(keepends=True)
    newer = json.loads(lines[0])
    newer["objects"] = newer["objects"][:1]
    shapeless = json.loads(lines[1]) | {"objects": [["x"]]}
    added = [newer, shapeless, {"image": 7}, []]
    text = b"".join(lines) + "\n".join(map(json.dumps, added)).encode() + b'\n{"image": "' + lines[2][:50]
    (copy / "raw.jsonl").write_bytes(text)
    pictures = {picture.image: picture for picture in read_raw(copy)}
    assert len(pictures) == SCENES - 1
    assert len(pictures[newer["image"]].detections) == 1
    assert shapeless["image"] not in pictures


def test_what_the_ledger_does_not_call_done_is_passed_over(copy):
    first = next(read_raw(copy)).image
    failed = {"image": first, "key": "k", "status": "failed", "stage": "read", "reason": "gone"}
    with open(copy / "ledger.jsonl", "a", encoding="utf-8") as ledger:
        ledger.write(json.dumps(failed) + "\n")
    assert first not in {picture.image for picture in read_raw(copy)}
    (copy / "ledger.jsonl").unlink()
    assert list(read_raw(copy)) == []


def test_lines_of_another_network_than_the_last_runs_are_passed_over(copy):
    """Class ids of another network would get this one's names."""
    text = (copy / "raw.jsonl").read_text(encoding="utf-8")
    first, *others = text.splitlines(keepends=True)
    (copy / "raw.jsonl").write_text(first.replace('"key":"', '"key":"0') + "".join(others), encoding="utf-8")
    assert len(list(read_raw(copy))) == SCENES - 1
    (copy / "summary.json").unlink()
    assert len(list(read_raw(copy))) == SCENES


@pytest.mark.parametrize("name", ["raw.jsonl", "labels.json"])
def test_a_file_that_is_missing_is_one_sentence(copy, name):
    (copy / name).unlink()
    with pytest.raises(MissingFile, match=f"{name} does not exist: run again"):
        next(read_raw(copy))


@pytest.mark.parametrize("content", ["{", "[]", '{"x": "台灯"}'])
def test_broken_labels_are_one_sentence(copy, content):
    (copy / "labels.json").write_text(content, encoding="utf-8")
    with pytest.raises(ResultsError, match=r"labels\.json is broken \(.*run again"):
        next(read_raw(copy))


# --- the chart --------------------------------------------------------------------------------------------------------


def curve(figure, panel: int = 0, line: int = 0) -> dict[float, int]:
    x, y = figure.axes[panel].lines[line].get_data()
    return {round(float(threshold), 3): int(count) for threshold, count in zip(x, y, strict=True)}


def texts(figure, panel: int = 0) -> list[str]:
    return [text.get_text() for text in figure.axes[panel].texts]


def test_the_curve_is_what_a_run_keeps_at_each_threshold(model, scenes, output, copy):
    thresholds = curve(threshold_chart(read_raw(output), Decision()))
    for threshold in (0.05, 0.1, 0.3, 0.6, 0.9):
        summary = tag_folder(model, scenes, copy, batch_size=2, conf_threshold=threshold)
        assert summary.redecided == SCENES
        assert thresholds[threshold] == summary.objects


def test_the_curve_goes_by_the_users_words(output, words):
    """Left out ones are not counted, merged ones once, those with a threshold of their own at all others."""
    pictures = list(read_raw(output))
    thresholds = curve(threshold_chart(pictures, Decision(vocabulary=words)))
    for threshold in (0.05, 0.3, 0.7, 0.95):
        decision = Decision(Selection(threshold), words)
        assert thresholds[threshold] == sum(len(decision.decide(picture.detections)) for picture in pictures)
    assert thresholds != curve(threshold_chart(pictures, Decision()))


@pytest.mark.parametrize(
    "asked", [NO_WORDS, Vocabulary({0: Word("台灯", 0, threshold=0.97), 2: Word("苹果", 2, True)})]
)
def test_sure_and_unsure_tags_together_are_what_a_run_keeps(asked):
    for threshold in (0.05, 0.25, 0.3, 0.45, 0.96, 1.0):
        decision = Decision(Selection(threshold), asked)
        decided = [decision.decide(picture.detections) for picture in TAGGED]
        unsure = sum(each.unsure for each in decided)
        sure = sum(map(len, decided)) - unsure
        figure = threshold_chart(TAGGED, decision)
        assert curve(figure)[threshold] == sure
        assert texts(figure)[0] == f"{sure} at {threshold:g}\n+ {unsure} unsure 没把握"


def test_the_count_stands_at_the_runs_threshold(output):
    figure = threshold_chart(read_raw(output), Decision(Selection(0.3)))
    total = sum(len(picture.objects) for picture in read_results(output))
    assert texts(figure) == [f"{total} at 0.3"]
    dashed = [line.get_xdata()[0] for panel in figure.axes for line in panel.lines if line.get_linestyle() == "--"]
    assert dashed == [0.3, 0.3]


def test_the_most_frequent_labels_have_their_names_and_counts_beside_their_lines(output):
    figure = threshold_chart(read_raw(output), Decision())
    counts = Counter(tag.label for picture in read_results(output) for tag in picture.objects)
    written = dict(text.split("  ") for text in texts(figure, 1))
    assert len(written) == 6
    assert {name: counts[name] for name in written} == {name: int(count) for name, count in written.items()}
    assert sorted(map(int, written.values())) == sorted(count for _, count in counts.most_common(6))
    assert "(6 of " in figure.axes[1].get_title(loc="left")


def test_the_names_of_labels_that_are_as_frequent_do_not_lie_over_each_other():
    figure = threshold_chart([boxes("a.jpg", (0, 0.9), (1, 0.8), (2, 0.8), (3, 0.7))], Decision())
    figure.canvas.draw()
    extents = [Text.get_window_extent(text) for text in figure.axes[1].texts]  # without the line that leads to it
    extents.sort(key=lambda extent: extent.y0)
    assert all(low.y1 <= high.y0 for low, high in itertools.pairwise(extents))


@pytest.mark.parametrize("threshold", [0.0, 0.02, 0.3, 1.0])
@pytest.mark.parametrize("pictures", [[], [tags("a.jpg")], [boxes("a.jpg", (0, 0.4))], TAGGED, TAGGED[3:4]])
def test_few_objects_or_none_are_drawn_without_a_warning(pictures, threshold):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        threshold_chart(iter(pictures), Decision(Selection(threshold))).canvas.draw()


def test_hostile_labels_are_drawn():
    raw = boxes("a.jpg", (0, 0.9), (1, 0.8)).detections
    hostile = Tagged("a.jpg", None, replace(raw, names=["$\\frac{\n", "长" * 1000]))
    figure = threshold_chart([hostile], Decision())
    figure.canvas.draw()
    assert sorted(texts(figure, 1)) == ["$\\frac{  1", "长" * 13 + "…  1"]


# --- what words would change ------------------------------------------------------------------------------------------


def rows(table: pd.DataFrame) -> list[tuple]:
    return list(table.itertuples(index=False, name=None))


def changes(pictures: list[Tagged], before: Vocabulary, after: Vocabulary, threshold: float = 0.3) -> list[tuple]:
    return rows(vocabulary_changes(iter(pictures), Selection(threshold), before, after))


def test_the_counts_are_those_of_runs_with_the_one_vocabulary_and_the_other(output, words):
    pictures = list(read_raw(output))
    table = vocabulary_changes(iter(pictures), Selection(), NO_WORDS, words)
    for vocabulary, name, column in ((NO_WORDS, "before", "objects_before"), (words, "after", "objects_after")):
        decision = Decision(vocabulary=vocabulary)
        counts = Counter(label for picture in pictures for label in decision.decide(picture.detections).names)
        sums = table.groupby(name)[column].sum().to_dict()
        assert sums.pop("—", 0) == 0
        assert sums == {label: counts[label] for label in sums}
    assert {"食品", "裙子", "—"} <= set(table["after"])


DETECTED = [boxes("a.jpg", (0, 0.9), (3, 0.7)), boxes("b.jpg", (1, 0.5)), boxes("c.jpg", (2, 0.4), (3, 0.35))]
MERGED = Vocabulary({0: Word("家", 0), 3: Word("家", 0)})
RENAMED = Vocabulary({1: Word("凳子", 1, threshold=0.6)})
DROPPED = Vocabulary({2: Word("苹果", 2, True)})
IN_CATEGORIES = Vocabulary({0: Word("台灯", 0, category="家居"), 1: Word("椅子", 1, english="chair")})


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        (NO_WORDS, MERGED, [("面包", "家", "merged 合并", 2, 1), ("台灯", "家", "merged 合并", 1, 1)]),
        (NO_WORDS, RENAMED, [("椅子", "凳子", "renamed 改名, threshold 阈值", 1, 0)]),
        (NO_WORDS, DROPPED, [("苹果", "—", "left out 不要", 1, 0)]),
        (DROPPED, NO_WORDS, [("—", "苹果", "back 恢复", 0, 1)]),
        (
            NO_WORDS,
            IN_CATEGORIES,
            [
                ("台灯", "台灯", "category, English 类目、英文", 1, 1),
                ("椅子", "椅子", "category, English 类目、英文", 1, 1),
            ],
        ),
    ],
    ids=["merged", "renamed, with a threshold", "left out", "back", "categories"],
)
def test_each_kind_of_change_has_its_row(before, after, changed):
    assert changes(DETECTED, before, after) == changed


def test_what_takes_the_place_of_a_left_out_tag_has_its_row_at_the_end():
    pictures = [tags("a.jpg", (0, 0.2), (1, 0.1)), tags("b.jpg", (1, 0.9), (2, 0.5)), tags("c.jpg", (1, 0.9))]
    dropped = Vocabulary({0: Word("台灯", 0, True)})
    assert changes(pictures, NO_WORDS, dropped) == [
        ("台灯", "—", "left out 不要", 1, 0),
        ("椅子", "椅子", "through others 受其他标签影响", 2, 3),
    ]


def test_two_classes_of_one_label_are_told_apart():
    cranes = [Tagged("a.jpg", None, replace(tags("a.jpg", (0, 0.9), (1, 0.8)).detections, names=["鹤", "鹤"]))]
    dropped = Vocabulary({1: Word("鹤", 1, True)})
    assert changes(cranes, NO_WORDS, dropped) == [("鹤", "—", "left out 不要", 1, 0)]


def test_labels_without_objects_are_passed_over():
    dropped = Vocabulary({2: Word("苹果", 2, True), 3: Word("包", 3)})
    assert changes([boxes("a.jpg", (0, 0.9), (2, 0.2))], NO_WORDS, dropped) == []
    assert list(vocabulary_changes([], Selection(), NO_WORDS, dropped)) == COLUMNS


def test_the_same_words_change_nothing_and_no_picture_is_read(words):
    def never():
        raise AssertionError("a picture was read")
        yield

    table = vocabulary_changes(never(), Selection(), words, replace(words, source="elsewhere"))
    assert rows(table) == []


def test_every_column_has_a_heading_in_two_languages():
    assert set(COLUMNS) <= set(HEADINGS)


def test_the_table_that_a_run_leaves_is_shown_as_it_is_with_the_rows_of_the_spreadsheet(output):
    table = vocabulary_table(output / "vocabulary.csv")
    assert table.columns[0] == "label 原标签"
    assert table.index[0] == 2
    assert set(table["drop 不要"]) == {""}
    assert int(table["count 次数"].iloc[0]) >= int(table["count 次数"].iloc[-1])


def test_a_table_whose_rows_are_of_other_lengths_is_shown(tmp_path):
    path = tmp_path / "words.csv"
    path.write_bytes("原标签,改为\n台灯\n\n椅子,凳子,\n".encode("gbk"))
    table = vocabulary_table(path)
    assert rows(table) == [("台灯", ""), ("椅子", "凳子")]
    assert table.index.tolist() == [2, 4]


# --- the notebook -----------------------------------------------------------------------------------------------------


def test_a_table_that_is_half_edited_does_not_fail_tonights_run(scenes, tmp_path):
    """What cannot be tried is said in one line; the run goes by its own parameters."""
    table = tmp_path / "runs/tags/vocabulary.csv"
    table.parent.mkdir(parents=True)
    table.write_text("原标签,不要\n台灯,maybe\n", encoding="utf-8")
    run = papermill(tmp_path, "-p", "image_dir", scenes, "-p", "limit", 2)
    assert run.returncode == 0, run.stderr[-3000:]
    cells = json.loads((tmp_path / "out.ipynb").read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    printed = "".join("".join(output.get("text", "")) for output in outputs)
    assert printed.count("not drawn 未绘制: ") == 1
    assert "drop 不要 is 'maybe'" in printed
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 2
