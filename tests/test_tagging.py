"""The whole way: a folder of pictures in, results out, whatever happens in between."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from conftest import SCENES, contents
from model_files import demo_as

from wanwu_nb import ResidentModel, read_results, tag_folder, tuning
from wanwu_nb.errors import ResultsError, SettingsError
from wanwu_nb.hardware import Choice
from wanwu_nb.reading import PictureReader
from wanwu_nb.summary import Summary, TooManyFailed


@pytest.fixture(scope="module")
def tagged(model, scenes, tmp_path_factory) -> Path:
    """The scenes, tagged once without a stop; read only."""
    output = tmp_path_factory.mktemp("tagged")
    tag_folder(model, scenes, output)
    return output


def test_every_picture_has_its_json_and_the_summary_adds_up(tagged, scenes):
    summary = json.loads((tagged / "summary.json").read_text(encoding="utf-8"))
    assert summary["total_images"] == summary["processed"] == SCENES
    assert summary["resumed"] == summary["failed"] == 0
    results = [json.loads(content) for content in contents(tagged).values()]
    assert sorted(r["image"] for r in results) == sorted(path.name for path in scenes.glob("*.jpg"))
    assert sum(len(r["objects"]) for r in results) == summary["objects"] == sum(summary["labels"].values()) > SCENES
    for name in ("batch_size", "precision", "device", "workers", "compiled", "decoder", "round_size", "rounds_ahead"):
        assert summary[name]["value"] is not None, name
        assert summary[name]["reason"], name
        assert "measured" not in summary[name], name  # nothing was, for so few pictures
    assert json.loads((tagged / "labels.json").read_text(encoding="utf-8"))["3"] == "运动鞋"


def test_numbers_are_numbers_in_the_summary(tagged):
    model = json.loads((tagged / "summary.json").read_text(encoding="utf-8"))["model"]
    assert model["classes"] == 20
    assert model["parameters"] == 2_617_640
    assert model["bytes"] == 4 * 2_617_640
    assert model["load_seconds"] > 0
    assert model["input"] == {"width": 640, "height": 640, "fit": "letterbox"}
    assert set(model) == {"name", "kind", "classes", "input", "parameters", "bytes", "load_seconds", "fingerprint"}


def test_the_summarys_settings_are_what_was_given(scenes, tmp_path):
    """Of the model too: that a pickled module was trusted, say."""
    path, labels = demo_as("pickled module", tmp_path), tmp_path / "labels_zh.json"
    opened = {"model": str(path), "labels": str(labels), "architecture": "", "trust_pickle": True}
    opened |= {"device": "auto", "precision": "fp32"}
    options = {"batch_size": 2, "conf_threshold": 0.4, "nms_iou": 0.5, "top_k": 7, "compile": "auto", "workers": 0}
    options |= {"resume": False, "limit": 3, "orphans": "move", "picture_timeout": 60.0}
    options |= {"vocabulary": "", "verify": True, "raw_floor": 0.1, "max_pixels": 10**9, "max_bytes": 10**8}
    options |= {"int8_agreement": 0.9, "corrections": ""}
    summary = tag_folder(ResidentModel.load(**opened), scenes, tmp_path / "out", **options)
    folders = {"image_dir": str(scenes), "output_dir": str(tmp_path / "out")}
    assert summary.settings == folders | opened | options
    assert Summary.read(tmp_path / "out").settings == summary.settings


def test_boxes_are_inside_the_photo_best_first_and_above_the_threshold(tagged):
    for content in contents(tagged).values():
        result = json.loads(content)
        scores = [o["confidence"] for o in result["objects"]]
        assert scores == sorted(scores, reverse=True)
        assert all(0.3 <= score <= 1 for score in scores)
        for x1, y1, x2, y2 in (o["bbox"] for o in result["objects"]):
            assert 0 <= x1 < x2 <= result["width"]
            assert 0 <= y1 < y2 <= result["height"]


def test_a_second_run_resumes_all_and_runs_no_forward(model, scenes, tagged, tmp_path, monkeypatch):
    output = shutil.copytree(tagged, tmp_path / "out")
    monkeypatch.setattr(model, "launch", lambda batch: pytest.fail("a forward was run"))
    summary = tag_folder(model, scenes, output)
    assert (summary.resumed, summary.processed, summary.failed) == (SCENES, 0, 0)
    first = json.loads((tagged / "summary.json").read_text(encoding="utf-8"))
    assert (summary.objects, summary.labels) == (first["objects"], first["labels"])


@pytest.mark.parametrize("batch_size", [1, 3, 8, 16])
def test_batch_invariance(model, scenes, tagged, tmp_path, batch_size):
    tag_folder(model, scenes, tmp_path / "all", batch_size=batch_size)
    alone = tmp_path / "alone"
    alone.mkdir()
    for path in sorted(scenes.glob("*.jpg"))[3:6]:  # other neighbours, other places in the batch
        shutil.copy2(path, alone)
    tag_folder(model, alone, tmp_path / "few", batch_size=batch_size)
    everything = contents(tmp_path / "all")
    assert contents(tmp_path / "few").items() <= everything.items()
    for name, content in contents(tagged).items():
        for a, b in zip(json.loads(content)["objects"], json.loads(everything[name])["objects"], strict=True):
            assert a["label"] == b["label"]
            assert a["bbox"] == pytest.approx(b["bbox"], abs=0.1)
            assert a["confidence"] == pytest.approx(b["confidence"], abs=1e-3)


def test_predict_agrees_with_tag_folder(model, scenes, tagged):
    paths = sorted(scenes.glob("*.jpg"))
    for path, detections in zip(paths, model.predict(paths, batch_size=4), strict=True):
        result = json.loads((tagged / "images" / f"{path.name}.json").read_text(encoding="utf-8"))
        assert [o["label"] for o in result["objects"]] == detections.names
        assert [o["bbox"] for o in result["objects"]] == detections.boxes.round(2).tolist()


@pytest.mark.parametrize(("pictures", "sizes"), [(0, []), (1, [1]), (3, [3]), (9, [8, 8])])
def test_predict_runs_no_more_pictures_than_it_is_given(model, scenes, monkeypatch, pictures, sizes):
    """But for the last of several batches, which is filled up."""
    launched = []
    real = model.launch
    monkeypatch.setattr(model, "launch", lambda batch: launched.append(len(batch)) or real(batch))
    paths = sorted(scenes.glob("*.jpg"))[:pictures]
    assert len(model.predict(paths)) == pictures
    assert launched == sizes


def spoil(folder: Path, good: Path) -> dict[str, str]:
    """Put broken files among the pictures; return what is to be said about each."""
    content = good.read_bytes()
    (folder / "sub").mkdir()
    (folder / "a_empty.jpg").touch()
    (folder / "scene_700002b_half.jpg").write_bytes(content[: len(content) // 2])
    (folder / "sub/text.jpg").write_text("no picture")
    (folder / "z_link.jpg").symlink_to(folder / "gone.jpg")
    return {
        "a_empty.jpg": "file is empty",
        "scene_700002b_half.jpg": "truncated",
        "sub/text.jpg": "not a picture",
        "z_link.jpg": "No such file",
    }


def test_broken_files_are_recorded_and_cost_their_neighbours_nothing(model, scenes, tagged, tmp_path):
    folder = shutil.copytree(scenes, tmp_path / "pictures")
    broken = spoil(folder, next(scenes.glob("*.jpg")))
    summary = tag_folder(model, folder, tmp_path / "out", batch_size=4)
    assert (summary.total_images, summary.processed, summary.failed) == (SCENES + len(broken), SCENES, len(broken))
    reasons = (tmp_path / "out/failures.csv").read_text(encoding="utf-8-sig").splitlines()[1:]
    for row, (name, reason) in zip(reasons, sorted(broken.items()), strict=True):
        assert row.startswith(f"{name},")
        assert reason in row
    assert sorted(contents(tmp_path / "out")) == sorted(contents(tagged))
    summary.check(max_failed=0.5)
    with pytest.raises(TooManyFailed, match=f"{len(broken)} of {SCENES + len(broken)} pictures failed"):
        summary.check(max_failed=0.1)


def test_a_run_of_broken_files_only_fails_them_all(model, tmp_path):
    for i in range(40):
        (tmp_path / f"{i}.jpg").touch()
    summary = tag_folder(model, tmp_path, tmp_path / "out", batch_size=4)
    assert (summary.failed, summary.processed) == (40, 0)


def test_changed_pictures_are_done_again_and_others_left(model, scenes, tagged, tmp_path):
    folder, output = shutil.copytree(scenes, tmp_path / "in"), shutil.copytree(tagged, tmp_path / "out")
    first, second = sorted(folder.glob("*.jpg"))[:2]
    shutil.copy(second, first)
    summary = tag_folder(model, folder, output)
    assert (summary.processed, summary.resumed) == (1, SCENES - 1)
    results = [json.loads((output / "images" / f"{path.name}.json").read_text()) for path in (first, second)]
    assert results[0]["objects"] == results[1]["objects"]


def test_another_threshold_does_all_again_and_resume_false_only_this_runs(model, scenes, tagged, tmp_path):
    output = shutil.copytree(tagged, tmp_path / "out")
    assert tag_folder(model, scenes, output, conf_threshold=0.5).resumed == 0
    summary = tag_folder(model, scenes, output, conf_threshold=0.5, resume=False, limit=2)
    assert (summary.total_images, summary.processed) == (2, 2)
    assert tag_folder(model, scenes, output, conf_threshold=0.5).resumed == SCENES


@pytest.mark.parametrize("wrong", [{"conf_threshold": 2}, {"batch_size": -1}, {"orphans": "burn"}])
def test_wrong_arguments_write_nothing_over(model, scenes, tagged, tmp_path, wrong):
    output = shutil.copytree(tagged, tmp_path / "out")
    with pytest.raises(SettingsError):
        tag_folder(model, **{"image_dir": scenes, "output_dir": output, **wrong})
    assert (output / "summary.json").read_bytes() == (tagged / "summary.json").read_bytes()


def test_models_that_are_none_say_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        ResidentModel.load(str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match=r"holds neither a model\.json"):
        ResidentModel.load(str(tmp_path))


@pytest.mark.parametrize("choice", [{"device": "cuda:99"}, {"device": "toaster"}, {"precision": "fp8"}])
def test_devices_and_precisions_that_are_none_say_so(choice):
    with pytest.raises(ValueError, match=r'use "auto"'):
        ResidentModel.load("demo", **choice)


def test_bfloat16_finds_the_same_products(model, scenes):
    paths = sorted(scenes.glob("*.jpg"))[:4]
    half = ResidentModel.load("demo", device="cpu", precision="bf16").predict(paths, conf_threshold=0.5)
    for found, close in zip(model.predict(paths, conf_threshold=0.5), half, strict=True):
        assert sorted(found.names) == sorted(close.names)


RUN = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs inherit it ignored
from wanwu_nb import ResidentModel, tag_folder
model = ResidentModel.load("demo", device="cpu", precision="fp32")
launch, launched = model.launch, []

def launch_three(batch):
    launched.append(batch)
    if len(launched) > 3:
        time.sleep(300)  # in the middle of a batch is where it is stopped
    return launch(batch)

model.launch = launch_three
tag_folder(model, sys.argv[1], sys.argv[2], batch_size=2)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_stopped_in_the_middle_the_next_run_ends_as_if_never_stopped(model, scenes, tmp_path, how):
    output = tmp_path / "stopped"
    process = subprocess.Popen([sys.executable, "-c", RUN, scenes, output], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while len(list((output / "images").glob("*.json"))) < 2 and process.poll() is None:
        assert time.monotonic() < deadline, "no result within two minutes"
        time.sleep(0.005)
    process.send_signal(how)
    errors = process.communicate(timeout=60)[1]
    assert process.returncode == -how, errors
    assert not (output / "summary.json").exists()
    finished = len(contents(output))
    summary = tag_folder(model, scenes, output, batch_size=2)
    assert finished - 1 <= summary.resumed <= finished < SCENES  # a JSON may lie there before its line in the ledger
    assert summary.processed == SCENES - summary.resumed
    tag_folder(model, scenes, tmp_path / "never stopped", batch_size=2)
    assert contents(output) == contents(tmp_path / "never stopped")


@pytest.mark.parametrize("ahead", [0, 2])
def test_the_loop_holds_few_pictures_in_memory(model, scenes, tmp_path, monkeypatch, ahead):
    """Back-pressure: decoding is so many rounds ahead of a slow network, and no more, whatever the folder's size."""
    many = tmp_path / "many"
    many.mkdir()
    picture = next(scenes.glob("*.jpg"))
    for i in range(60):
        os.link(picture, many / f"{i:03d}.jpg")
    started, in_memory = [], []
    real = PictureReader.read
    monkeypatch.setattr(PictureReader, "read", lambda self, names: started.extend(names) or real(self, names))

    def launch(batch):
        in_memory.append(len(started) - 4 * len(in_memory))
        return torch.zeros(4, 1, 6)

    monkeypatch.setattr(model, "launch", launch)
    rounds = Choice(8, ""), Choice(ahead, "")
    monkeypatch.setattr(tuning, "choose_rounds", lambda *_: rounds)
    tag_folder(model, many, tmp_path / "out", batch_size=4, workers=2)
    assert len(in_memory) == 15
    assert max(in_memory) <= 8 * (1 + ahead)


# --- folders of version 0.1 -------------------------------------------------------------------------------------------


@pytest.fixture
def of_version_0_1(tmp_path) -> Path:
    """Three pictures and what version 0.1 made of them, complete; the time stamps as they were then."""
    folder = shutil.copytree(Path(__file__).parent / "data" / "version_0_1", tmp_path / "old")
    for path in (folder / "pictures").rglob("*.jpg"):
        os.utime(path, ns=(1_700_000_000_000_000_000,) * 2)
    return folder


def test_a_folder_of_version_0_1_is_resumed(model, of_version_0_1, monkeypatch):
    before = contents(of_version_0_1 / "output")
    monkeypatch.setattr(model, "launch", lambda batch: pytest.fail("a forward was run"))
    summary = tag_folder(model, of_version_0_1 / "pictures", of_version_0_1 / "output")
    assert (summary.resumed, summary.processed, summary.objects) == (3, 0, 8)
    assert contents(of_version_0_1 / "output") == before
    assert Summary.read(of_version_0_1 / "output") == summary


def test_a_run_that_version_0_1_began_goes_on_and_gives_what_it_would_have_given(model, of_version_0_1):
    output = of_version_0_1 / "output"
    before = contents(output)
    (output / "summary.json").unlink()
    (output / "images" / "scene_1.jpg.json").unlink()
    summary = tag_folder(model, of_version_0_1 / "pictures", output)
    assert (summary.resumed, summary.processed) == (2, 1)
    assert "as the run that was stopped" in summary.batch_size.reason
    assert sorted(contents(output)) == sorted(before)
    for name, content in contents(output).items():  # another CPU may round the last digit otherwise
        assert json.loads(content)["key"] == "3513a624bf4b25af"
        assert [o["label"] for o in json.loads(content)["objects"]] == [
            o["label"] for o in json.loads(before[name])["objects"]
        ]


def test_results_of_version_0_1_are_read_and_its_summary_says_what_to_do(of_version_0_1):
    pictures = list(read_results(of_version_0_1 / "output"))
    assert [picture.image for picture in pictures] == ["scene_0.jpg", "scene_1.jpg", "shoes/scene_2.jpg"]
    assert sum(len(picture.objects) for picture in pictures) == 8
    with pytest.raises(ResultsError, match=r"is no summary of this version .*: run it again"):
        Summary.read(of_version_0_1 / "output")
