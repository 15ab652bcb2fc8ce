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

from wanwu_nb import ResidentModel, tag_folder
from wanwu_nb.results import TooManyFailed


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
    for choice in ("batch_size", "precision", "device", "workers", "compiled", "decoding"):
        assert summary[choice]["value"] is not None and summary[choice]["reason"]


def test_boxes_are_inside_the_photo_best_first_and_above_the_threshold(tagged):
    for content in contents(tagged).values():
        result = json.loads(content)
        scores = [o["confidence"] for o in result["objects"]]
        assert scores == sorted(scores, reverse=True) and all(0.3 <= s <= 1 for s in scores)
        for x1, y1, x2, y2 in (o["bbox"] for o in result["objects"]):
            assert 0 <= x1 < x2 <= result["width"] and 0 <= y1 < y2 <= result["height"]


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
    for path, found in zip(paths, model.predict(paths), strict=True):
        result = json.loads((tagged / "images" / f"{path.name}.json").read_text(encoding="utf-8"))
        assert [o["label"] for o in result["objects"]] == found.names
        assert [o["bbox"] for o in result["objects"]] == found.boxes.round(2).tolist()


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
        assert row.startswith(f"{name},") and reason in row
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


@pytest.mark.parametrize("wrong", [{"conf_threshold": 2}, {"batch_size": -1}, {"image_dir": "nowhere"}])
def test_wrong_arguments_write_nothing_over(model, scenes, tagged, tmp_path, wrong):
    output = shutil.copytree(tagged, tmp_path / "out")
    with pytest.raises((ValueError, FileNotFoundError)):
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
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs inherit it ignored
from wanwu_nb import ResidentModel, tag_folder
tag_folder(ResidentModel.load("demo", device="cpu", precision="fp32"), sys.argv[1], sys.argv[2], batch_size=2)
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
    assert 2 <= summary.resumed <= finished < SCENES and summary.processed == SCENES - summary.resumed
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
    import wanwu_nb.tagging as tagging
    from wanwu_nb.tuning import Choice

    read, held = [], []
    real = tagging.read
    monkeypatch.setattr(tagging, "read", lambda *given: read.append(given) or real(*given))
    monkeypatch.setattr(tagging, "choose_ahead", lambda *_: Choice(8, "", {"ahead": ahead}))

    def slow(batch):
        time.sleep(0.1)
        held.append(len(read) - 4 * len(held))
        return torch.zeros(4, 1, 6)

    monkeypatch.setattr(model, "launch", slow)
    tag_folder(model, many, tmp_path / "out", batch_size=4, workers=2)
    assert max(held) == 8 * (1 + ahead)
