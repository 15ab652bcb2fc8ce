"""Somebody's own photographs at the first try: which model is taken, what is said of it, the words that come out."""

import csv
import json

import pytest
from conftest import SCENES, contents, papermill

from wanwu_nb import ResidentModel, read_results, tag_folder
from wanwu_nb.demo import TRUTH
from wanwu_nb.errors import VocabularyError
from wanwu_nb.settings import ModelSettings, ProfileSettings, SpeedUpSettings, TagBatchSettings, about_model

NOTEBOOK_SETTINGS = [ProfileSettings, SpeedUpSettings, TagBatchSettings]
WARNING = "the demo detector knows 20 drawn products and nothing else: use model=everyday for photographs"


@pytest.fixture
def photographs(photograph, tmp_path):
    (tmp_path / "photos").mkdir()
    photograph.save(tmp_path / "photos/coffee.png")
    return tmp_path / "photos"


@pytest.mark.parametrize("kind", NOTEBOOK_SETTINGS)
def test_the_model_is_taken_by_the_pictures(kind, photographs, scenes):
    assert kind().model == "demo"
    assert kind(image_dir=scenes).model == "demo"
    assert kind(image_dir=photographs).model == "everyday"
    assert kind(image_dir=photographs, model="auto").part(ModelSettings)["model"] == "everyday"
    assert kind(image_dir=photographs, model="wanwu").model == "wanwu"


def test_the_notebooks_say_which_model_was_taken_and_why_and_what_knows_more():
    demo, everyday = about_model("demo", "demo"), about_model("everyday", "photos")
    assert "these pictures are the demo's own" in demo
    assert "these pictures are not the demo's" in everyday
    assert "54,092 classes" in everyday
    assert "because" not in about_model("demo", "photos")
    assert about_model("wanwu", "photos") == "model    模型: wanwu"


def test_the_demo_detector_on_other_pictures_says_so_once(model, scenes, photographs, tmp_path, capsys):
    summary = tag_folder(model, photographs, tmp_path / "out")
    assert summary.warnings == [WARNING]
    assert capsys.readouterr().out.count(WARNING) == 1
    assert json.loads((tmp_path / "out/summary.json").read_bytes())["warnings"] == [WARNING]
    assert (scenes / TRUTH).exists()
    assert tag_folder(model, scenes, tmp_path / "demo", limit=1).warnings == []


def test_a_folder_of_photographs_is_tagged_with_nothing_else_set(photographs, tmp_path):
    done = papermill(tmp_path, "-p", "image_dir", "photos", "-p", "output_dir", "tags")
    assert done.returncode == 0, done.stderr[-2000:]
    (picture,) = read_results(tmp_path / "tags")
    assert [tag.label for tag in picture.objects] == ["浓缩咖啡"]
    assert picture.objects[0].confidence > 0.9


def rows_of(output) -> list[dict[str, str]]:
    text = (output / "vocabulary.csv").read_text(encoding="utf-8-sig")
    return list(csv.DictReader(text.splitlines()))


def test_the_labels_that_occurred_are_left_as_a_table_and_taken_back(model, scenes, tmp_path):
    output = tmp_path / "out"
    summary = tag_folder(model, scenes, output, batch_size=2)
    rows = rows_of(output)
    assert {row["label 原标签"]: int(row["count 次数"]) for row in rows} == summary.labels
    counts = [int(row["count 次数"]) for row in rows]
    assert counts == sorted(counts, reverse=True)
    most = rows[0]["label 原标签"]
    text = (output / "vocabulary.csv").read_text(encoding="utf-8-sig").replace(f"{most},", f"{most},新名", 1)
    (output / "vocabulary.csv").write_text(text, encoding="gbk")
    again = tag_folder(model, scenes, output, batch_size=2, vocabulary=output / "vocabulary.csv")
    assert again.labels["新名"] == summary.labels[most]
    assert most not in again.labels
    assert (output / "vocabulary.csv").read_text(encoding="gbk") == text


def test_of_pictures_done_before_the_labels_are_counted_too(model, scenes, tmp_path):
    output = tmp_path / "out"
    tag_folder(model, scenes, output, batch_size=2, limit=4)
    summary = tag_folder(model, scenes, output, batch_size=2)
    assert summary.resumed == 4
    assert {row["label 原标签"]: int(row["count 次数"]) for row in rows_of(output)} == summary.labels


def test_a_vocabulary_that_leaves_nothing_is_a_warning_with_counts(model, scenes, tmp_path, capsys):
    objects = tag_folder(model, scenes, tmp_path / "out", batch_size=2).objects
    path = tmp_path / "words.csv"
    path.write_text("原标签,不要\n*,是\n", encoding="utf-8")
    summary = tag_folder(model, scenes, tmp_path / "out", batch_size=2, vocabulary=path)
    assert summary.objects == 0
    (warning,) = summary.warnings
    assert warning.startswith(f"the vocabulary leaves out all {objects} objects, of ")
    assert warning in capsys.readouterr().out


def test_a_vocabulary_that_cannot_be_read_stops_a_run_before_anything_is_touched(model, scenes, tmp_path):
    output = tmp_path / "out"
    tag_folder(model, scenes, output, batch_size=2, limit=2)
    before = {path.name: path.read_bytes() for path in output.iterdir() if path.is_file()}
    path = tmp_path / "words.csv"
    path.write_text("原标签,阈值\n台灯,high\n", encoding="utf-8")
    with pytest.raises(VocabularyError, match=r"row 2"):
        tag_folder(model, scenes, output, batch_size=2, limit=2, vocabulary=path)
    assert {path.name: path.read_bytes() for path in output.iterdir() if path.is_file()} == before


def test_the_same_words_written_otherwise_leave_what_is_done_alone(model, scenes, tmp_path):
    one, other = tmp_path / "one.csv", tmp_path / "other.csv"
    one.write_text("原标签,改为,阈值\n台灯,灯,0.4\n面包,,\n", encoding="utf-8")
    other.write_bytes("threshold;label;name\r\n40%;台灯;灯\r\n".encode("gbk"))
    tag_folder(model, scenes, tmp_path / "out", batch_size=2, limit=3, vocabulary=one)
    before = contents(tmp_path / "out")
    summary = tag_folder(model, scenes, tmp_path / "out", batch_size=2, limit=3, vocabulary=other)
    assert (summary.processed, summary.resumed) == (0, 3)
    assert contents(tmp_path / "out") == before


def test_a_row_that_asks_for_nothing_is_no_vocabulary(model, scenes, tmp_path):
    tag_folder(model, scenes, tmp_path / "out", batch_size=2)
    path = tmp_path / "words.csv"
    path.write_text("原标签,改为\n台灯,\n椅子,椅子\n", encoding="utf-8")
    summary = tag_folder(model, scenes, tmp_path / "out", batch_size=2, vocabulary=path)
    assert summary.resumed == SCENES


def test_an_unknown_product_is_not_named_with_a_straight_face(tmp_path, photograph):
    """Grey noise is no thing that the model knows."""
    (tmp_path / "photos").mkdir()
    photograph.resize((8, 8)).resize((300, 300)).save(tmp_path / "photos/blur.png")
    tag_folder(ResidentModel.load("everyday", precision="fp32"), tmp_path / "photos", tmp_path / "out")
    (picture,) = read_results(tmp_path / "out")
    assert [tag.unsure for tag in picture.objects] == [True]
