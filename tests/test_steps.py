"""The steps do the same job, and agree; so does the package's own loop."""

import shutil
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import SCENES
from model_files import demo_as
from PIL import Image

from wanwu_nb import steps
from wanwu_nb.measure import StageClock
from wanwu_nb.quality import agreement
from wanwu_nb.settings import ProfileSettings, check_settings

SERIAL = [name for name in steps.STEPS if name not in steps.PACKAGE]


def job_on(image_dir, output, **parameters) -> steps.Job:
    output.mkdir(exist_ok=True)
    settings = check_settings(ProfileSettings, image_dir=str(image_dir), device="cpu", **parameters)
    return steps.job_of(settings, output, batch_size=4)


@pytest.fixture(scope="module")
def climbed(model, scenes, tmp_path_factory):
    """Every step's output on the same pictures, and its clock; but for compilation, which test_ladder has."""
    outputs, clocks = {}, {}
    job = replace(job_on(scenes, tmp_path_factory.mktemp("job")), open_resident=lambda: model)  # in FP32
    for name in [*SERIAL, "overlapped"]:
        outputs[name], clocks[name] = job.output / name / "images", StageClock()
        steps.STEPS[name](replace(job, output=job.output / name, clock=clocks[name]))
    return outputs, clocks


@pytest.mark.parametrize("name", SERIAL)
def test_every_step_tags_every_picture_and_agrees_with_the_default(climbed, name):
    outputs, clocks = climbed
    assert len(list(outputs[name].glob("*.json"))) == SCENES
    assert set(clocks[name].seconds) == {"load", "preprocess", "forward", "postprocess", "write"}
    assert agreement(outputs["default"], outputs[name]).value >= (0.9 if name == "half precision" else 1.0)


def test_the_resident_step_changes_nothing_but_the_loading(climbed):
    outputs, clocks = climbed
    for path in outputs["default"].glob("*.json"):
        assert path.read_bytes() == (outputs["resident"] / path.name).read_bytes()
    assert clocks["default"].seconds["load"] > 3 * clocks["resident"].seconds["load"]


def test_the_packages_own_loop_agrees_with_the_default(climbed):
    outputs, _ = climbed
    assert len(list(outputs["overlapped"].glob("*.json"))) == SCENES
    assert agreement(outputs["default"], outputs["overlapped"]).value == 1.0


def test_half_precision_is_half(scenes, tmp_path):
    seen = []

    class Watched(torch.nn.Module):
        def __init__(self, network):
            super().__init__()
            self.network = network

        def forward(self, images):
            seen.append(images.dtype)
            return self.network(images)

    job = job_on(scenes, tmp_path, limit=2)
    network = Watched(job.open())
    steps.half_precision(replace(job, open=lambda: network))
    assert seen == [torch.bfloat16]


@pytest.mark.parametrize("form", ["TorchScript", "export"])
def test_a_network_that_cannot_be_pickled_is_opened_from_its_own_file(scenes, tmp_path, form):
    (tmp_path / "model").mkdir()
    job = job_on(scenes, tmp_path / "job", model=str(demo_as(form, tmp_path / "model")), limit=2)
    assert job.open.func is steps.open_again
    steps.default(job)
    assert len(list((job.output / "images").glob("*.json"))) == 2


def test_pictures_in_sub_folders_with_one_name_are_two_and_unreadable_ones_are_named(scenes, tmp_path):
    pictures = tmp_path / "pictures"
    for folder, path in zip(("a", "b"), sorted(scenes.glob("*.jpg")), strict=False):
        (pictures / folder).mkdir(parents=True)
        shutil.copy(path, pictures / folder / "one.jpg")
    (pictures / "broken.jpg").write_bytes(b"no picture")
    whole = (pictures / "a" / "one.jpg").read_bytes()
    (pictures / "torn.jpg").write_bytes(whole[: len(whole) // 2])
    job = job_on(pictures, tmp_path / "job")
    assert list(job.names) == ["a/one.jpg", "b/one.jpg"] and set(job.left_out) == {"broken.jpg", "torn.jpg"}
    assert "2 pictures" in str(job) and "broken.jpg: cannot identify image file" in str(job)
    for name in ("default", "overlapped"):
        steps.STEPS[name](replace(job, output=job.output / name))
        found = {str(p.relative_to(job.output / name / "images")) for p in job.output.glob(f"{name}/images/*/*.json")}
        assert found == {"a/one.jpg.json", "b/one.jpg.json"}


def test_odd_pictures_are_the_same_for_every_step(scenes, tmp_path, model):
    """A cut-out on white, grey, palette, 16 bits: the package's way of reading is no change of tags."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    with Image.open(next(scenes.glob("*.jpg"))) as scene:
        cut_out = scene.convert("RGBA")
        cut_out.putalpha(Image.linear_gradient("L").resize(scene.size))
        cut_out.save(pictures / "cut-out.png")
        cut_out.save(pictures / "cut-out.webp", lossless=True)
        scene.convert("L").save(pictures / "grey.jpg")
        scene.convert("P").save(pictures / "palette.png")
        Image.fromarray(np.asarray(scene.convert("L")).astype(np.uint16) * 257).save(pictures / "deep.png")
    (pictures / f"{'长' * 83}.jpg").write_bytes(next(scenes.glob("*.jpg")).read_bytes())  # and .json is too long
    job = replace(job_on(pictures, tmp_path / "job"), open_resident=lambda: model)
    assert len(job.names) == 5 and "File name too long" in job.left_out[f"{'长' * 83}.jpg"]
    for name in ("default", "overlapped"):
        steps.STEPS[name](replace(job, output=job.output / name))
    agreed = agreement(job.output / "default" / "images", job.output / "overlapped" / "images")
    assert agreed.trials >= 5 and agreed.value == 1


def test_the_default_step_holds_one_network_at_a_time(scenes, tmp_path):
    job, opened, held = job_on(scenes, tmp_path, limit=3), [], []

    def open_and_count():
        network = job.open()
        held.append(sum(ref() is not None for ref in opened))
        opened.append(weakref.ref(network))
        return network

    steps.default(replace(job, open=open_and_count))
    assert held == [0, 0, 0]


def test_where_no_picture_can_be_read_it_says_so(tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "broken.jpg").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"none of the 1 pictures in .* can be read \(broken.jpg: cannot identify"):
        job_on(tmp_path / "pictures", tmp_path / "job")


def test_the_code_shown_is_the_code_that_runs_and_marks_what_is_new():
    assert "def default(job: Job) -> None:" in steps.code_of("default")
    shown = steps.code_of("resident", "default").replace("\x1b[0m", "").splitlines()
    assert "\x1b[31m-        network = load(job)" in shown and "\x1b[32m+    network = load(job)" in shown
    assert "     for name in job.names:" in shown
