"""Another threshold, top_k or vocabulary: decided anew from what the network said, equal to a run of the network."""

import json
import os
import shutil

import pytest
from conftest import SCENES, contents

from wanwu_nb import tag_folder
from wanwu_nb.checkpoints import DEMO_FOLDER
from wanwu_nb.errors import ModelError
from wanwu_nb.remembering import load_or_recall
from wanwu_nb.resident import ResidentModel

MERGED = "label 原标签,name 改为\n面包,食品\n甜甜圈,食品\n苹果,食品\n"


@pytest.fixture
def tagged(model, scenes, tmp_path):
    """A folder tagged with the defaults, and raw.jsonl in it."""
    tag_folder(model, scenes, tmp_path / "out", batch_size=2)
    return tmp_path / "out"


@pytest.fixture
def without_network(monkeypatch):
    """Neither a picture is decoded nor the network run."""

    def fail(*_, **__):
        raise AssertionError("the network or the decoder was asked")

    def forbid() -> None:
        monkeypatch.setattr(ResidentModel, "launch", fail)
        monkeypatch.setattr("wanwu_nb.images.read_file", fail)
        monkeypatch.setattr("wanwu_nb.nvjpeg.read_file", fail)

    return forbid


def table(tmp_path, text: str) -> str:
    path = tmp_path / "words.csv"
    path.write_text(text, encoding="utf-8")
    return str(path)


CHANGES = {
    "a higher threshold": {"conf_threshold": 0.6},
    "a lower one, above the floor": {"conf_threshold": 0.1},
    "fewer objects": {"top_k": 1},
    "renamed and merged": {"vocabulary": MERGED},
    "left out": {"vocabulary": "原标签,不要\n面包,是\n*子,x\n"},
    "a threshold a class": {"vocabulary": "label,threshold,category,english\n台灯,0.9,家居/灯具,lamp\n面包,10%,,\n"},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_decided_anew_is_equal_byte_for_byte_to_a_run_of_the_network(
    model, scenes, tmp_path, tagged, without_network, change
):
    options = dict(change)
    if "vocabulary" in options:
        options["vocabulary"] = table(tmp_path, options["vocabulary"])
    fresh = tag_folder(model, scenes, tmp_path / "fresh", batch_size=2, **options)
    before = contents(tagged)
    without_network()
    summary = tag_folder(model, scenes, tagged, batch_size=2, **options)
    assert (summary.processed, summary.redecided, summary.resumed) == (SCENES, SCENES, 0)
    assert contents(tagged) == contents(tmp_path / "fresh")
    assert contents(tagged) != before
    assert summary.labels == fresh.labels
    assert fresh.redecided == 0
    again = tag_folder(model, scenes, tagged, batch_size=2, **options)
    assert (again.processed, again.resumed) == (0, SCENES)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"conf_threshold": 0.02}, "the lines hold scores from 0.05 on, at most 100 a picture"),
        ({"nms_iou": 0.3}, "the lines are of other weights, precision or NMS"),
        ({"top_k": 200}, "the lines hold scores from 0.05 on, at most 100 a picture"),
    ],
)
def test_what_raw_does_not_hold_goes_through_the_network_and_it_is_said_why(
    model, scenes, tagged, capsys, change, reason
):
    summary = tag_folder(model, scenes, tagged, batch_size=2, **change)
    assert summary.redecided == 0
    line = f"the network runs on {SCENES} pictures that were tagged before: in raw.jsonl {reason}\n"
    assert line in capsys.readouterr().out


def damage(path, how: str) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    match how:
        case "missing":
            path.unlink()
        case "torn":
            path.write_bytes(b"".join(lines)[: -len(lines[-1]) // 2])
        case "of another format":
            path.write_text("".join(line.decode().replace('"key":"', '"key":"0') for line in lines), "utf-8")
        case "of another shape":
            path.write_bytes(b'[]\n{"image": 7}\nnull\n' + lines[0].replace(b'"objects":[[', b'"objects":[["x",['))


@pytest.mark.parametrize(
    ("how", "lost"), [("missing", SCENES), ("torn", 1), ("of another format", SCENES), ("of another shape", SCENES)]
)
def test_a_damaged_raw_file_costs_forwards_and_nothing_else(model, scenes, tmp_path, tagged, capsys, how, lost):
    damage(tagged / "raw.jsonl", how)
    capsys.readouterr()
    summary = tag_folder(model, scenes, tagged, batch_size=2, conf_threshold=0.5)
    assert summary.processed == SCENES
    assert SCENES - summary.redecided == lost
    assert capsys.readouterr().out.count("the network runs on") == 1
    tag_folder(model, scenes, tmp_path / "fresh", batch_size=2, conf_threshold=0.5)
    assert contents(tagged) == contents(tmp_path / "fresh")


def test_a_picture_that_changed_goes_through_the_network(model, scenes, tmp_path):
    folder = tmp_path / "pictures"
    shutil.copytree(scenes, folder)
    tag_folder(model, folder, tmp_path / "out", batch_size=2)
    first, second = sorted(folder.glob("*.jpg"))[:2]
    shutil.copyfile(second, first)
    summary = tag_folder(model, folder, tmp_path / "out", batch_size=2, conf_threshold=0.5)
    assert (summary.processed, summary.redecided) == (SCENES, SCENES - 1)


def test_with_nothing_to_do_what_the_network_said_is_not_read(model, scenes, tagged, monkeypatch):
    """Of 100,000 pictures it is 70 MB."""

    def fail(*_):
        raise AssertionError("raw.jsonl was read")

    monkeypatch.setattr("wanwu_nb.redeciding.RawObjects", fail)
    assert tag_folder(model, scenes, tagged, batch_size=2).resumed == SCENES


def test_resume_false_runs_the_network(model, scenes, tagged):
    summary = tag_folder(model, scenes, tagged, batch_size=2, conf_threshold=0.5, resume=False)
    assert (summary.processed, summary.redecided) == (SCENES, 0)


def test_raw_objects_are_small_exact_and_stand_before_the_ledger(tagged):
    lines = (tagged / "raw.jsonl").read_bytes().splitlines()
    assert len(lines) == SCENES
    record = json.loads(lines[0])
    result = json.loads((tagged / "images" / f"{record['image']}.json").read_bytes())
    scores = [row[1] for row in record["objects"]]
    assert scores == sorted(scores, reverse=True)
    assert min(scores) >= 0.05
    assert round(scores[0], 4) == result["objects"][0]["confidence"]
    assert scores[0] != result["objects"][0]["confidence"]
    assert sorted(map(len, lines))[SCENES // 2] < 1000


def test_verify_tells_a_changed_picture_by_its_content_alone(model, scenes, tmp_path):
    """One that was touched is done; one that changed under the same size and time is not."""
    folder, output = tmp_path / "pictures", tmp_path / "out"
    shutil.copytree(scenes, folder)
    tag_folder(model, folder, output, batch_size=2, verify=True)
    touched, changed, *_ = sorted(folder.glob("*.jpg"))
    os.utime(touched)
    content, stat = changed.read_bytes(), changed.stat()
    changed.write_bytes(content[:-3] + b"x" + content[-2:])
    os.utime(changed, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    summary = tag_folder(model, folder, output, batch_size=2)  # by size and time: the other way round
    assert (summary.processed, summary.resumed) == (1, SCENES - 1)
    os.utime(touched)
    summary = tag_folder(model, folder, output, batch_size=2, verify=True)
    assert (summary.processed, summary.resumed) == (2, SCENES - 2)
    summary = tag_folder(model, folder, output, batch_size=2, verify=True)
    assert (summary.processed, summary.resumed) == (0, SCENES)


def test_a_picture_that_was_only_touched_is_noted_with_its_new_time(model, scenes, tmp_path):
    folder, output = tmp_path / "pictures", tmp_path / "out"
    shutil.copytree(scenes, folder)
    tag_folder(model, folder, output, batch_size=2, verify=True)
    for path in folder.glob("*.jpg"):
        os.utime(path)
    summary = tag_folder(model, folder, output, batch_size=2, verify=True)
    assert (summary.processed, summary.resumed) == (0, SCENES)
    summary = tag_folder(model, folder, output, batch_size=2)
    assert (summary.processed, summary.resumed) == (0, SCENES)


@pytest.mark.parametrize("which", ["", "labels", "weights", "another precision", "another folder"])
def test_a_model_is_recalled_only_where_nothing_changed(tmp_path, scenes, which):
    folder, output = tmp_path / "model", tmp_path / "out"
    shutil.copytree(DEMO_FOLDER, folder)
    parameters = {"model": str(folder), "precision": "fp32"}
    tag_folder(load_or_recall(output, **parameters), scenes, output, batch_size=2, limit=2)
    match which:
        case "labels":
            (folder / "labels_zh.json").write_bytes((folder / "labels_zh.json").read_bytes() + b" ")
        case "weights":
            os.utime(folder / "model.safetensors")
        case "another precision":
            parameters["precision"] = "bf16"
        case "another folder":
            (output / "labels.json").write_text("{}")
    recalled = load_or_recall(output, **parameters)
    assert ("network" in vars(recalled)) == bool(which)


def test_a_recalled_model_is_loaded_at_its_first_forward_and_is_then_like_any_other(scenes, tmp_path, photograph):
    output = tmp_path / "out"
    parameters = {"model": "demo", "precision": "fp32"}
    loaded = load_or_recall(output, **parameters)
    tag_folder(loaded, scenes, output, batch_size=2, limit=2)
    recalled = load_or_recall(output, **parameters)
    assert recalled.record() == loaded.record() | {"load_seconds": 0.0}
    summary = tag_folder(recalled, scenes, output, batch_size=2, limit=2, conf_threshold=0.5)
    assert summary.redecided == 2
    assert "network" not in vars(recalled)
    summary = tag_folder(recalled, scenes, output, batch_size=2, limit=4, conf_threshold=0.5)
    assert (summary.processed, summary.resumed) == (2, 2)
    assert "network" in vars(recalled)
    assert recalled.predict([photograph])[0].tags == loaded.predict([photograph])[0].tags


def test_weights_that_changed_after_the_model_was_recalled_are_an_error(scenes, tmp_path):
    folder, output = tmp_path / "model", tmp_path / "out"
    shutil.copytree(DEMO_FOLDER, folder)
    tag_folder(load_or_recall(output, model=folder, precision="fp32"), scenes, output, batch_size=2, limit=2)
    recalled = load_or_recall(output, model=folder, precision="fp32")
    names = json.loads((folder / "labels_zh.json").read_text("utf-8"))
    names["0"] = "汗衫"
    (folder / "labels_zh.json").write_text(json.dumps(names), "utf-8")
    with pytest.raises(ModelError, match="has changed since the run before: run again"):
        tag_folder(recalled, scenes, output, batch_size=2, limit=4)
