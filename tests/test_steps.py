"""The steps do the same job, and agree; so does the package's own loop."""

import shutil
import weakref
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import SCENES
from model_files import demo_as
from PIL import Image

from wanwu_nb.errors import PicturesError
from wanwu_nb.measure import StageClock
from wanwu_nb.method.job import Job, job_of
from wanwu_nb.method.steps import STEPS, code_of
from wanwu_nb.quality import Share, agreement
from wanwu_nb.results import read_result
from wanwu_nb.settings import ProfileSettings, check_settings

SCRIPTS = [name for name, step in STEPS.items() if not step.ours]
LONG = f"{'长' * 83}.jpg"  # as long as a name may be: with .json behind it, it is too long


@dataclass
class Climbed:
    """What every step made of the same pictures, and its clock."""

    names: list[str]
    outputs: dict[str, Path]
    clocks: dict[str, StageClock]


def job_on(image_dir: Path, output: Path, **parameters) -> Job:
    output.mkdir(exist_ok=True)
    parameters = {"model": "demo"} | parameters
    settings = check_settings(ProfileSettings, image_dir=str(image_dir), device="cpu", **parameters)
    return job_of(settings, output, batch_size=4)


def run(name: str, job: Job) -> Path:
    """The output folder of a step."""
    output = job.output / name
    STEPS[name].tag(replace(job, output=output))
    return output


def agreement_between(names: list[str], first: Path, second: Path) -> Share:
    pairs = []
    for name in names:
        pairs.append((read_result(first, name).objects, read_result(second, name).objects))
    share = agreement(pairs)
    assert share is not None
    return share


def results_in(output: Path) -> set[str]:
    images = output / "images"
    return {path.relative_to(images).as_posix() for path in images.rglob("*.json")}


@pytest.fixture(scope="module")
def climbed(model, scenes, tmp_path_factory) -> Climbed:
    """But for compilation, which test_ladder has."""
    job = replace(job_on(scenes, tmp_path_factory.mktemp("job")), open_resident=lambda: model)  # in FP32
    climbed = Climbed(list(job.names), {}, {})
    for name in [*SCRIPTS, "overlapped"]:
        clock = StageClock()
        climbed.clocks[name] = clock
        climbed.outputs[name] = run(name, replace(job, clock=clock))
    return climbed


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_step_tags_every_picture_and_agrees_with_the_default(climbed, name):
    least = 0.9 if STEPS[name].lower else 1.0
    share = agreement_between(climbed.names, climbed.outputs["default"], climbed.outputs[name])
    assert len(results_in(climbed.outputs[name])) == SCENES
    assert share.value >= least


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_is_clocked_stage_by_stage(climbed, name):
    assert set(climbed.clocks[name].seconds) == {"load", "preprocess", "forward", "postprocess", "write"}


def test_the_resident_step_changes_no_byte(climbed):
    for name in climbed.names:
        default = climbed.outputs["default"] / "images" / f"{name}.json"
        resident = climbed.outputs["resident"] / "images" / f"{name}.json"
        assert default.read_bytes() == resident.read_bytes()


def test_the_default_step_loads_for_every_picture_and_the_resident_once(scenes, tmp_path):
    job = job_on(scenes, tmp_path, limit=3)
    opened = []

    def open_and_count():
        opened.append(1)
        return job.open_network()

    counting = replace(job, open_network=open_and_count)
    STEPS["default"].tag(counting)
    assert len(opened) == 3
    STEPS["resident"].tag(counting)
    assert len(opened) == 3 + 1


def test_the_packages_own_loop_agrees_with_the_default(climbed):
    share = agreement_between(climbed.names, climbed.outputs["default"], climbed.outputs["overlapped"])
    assert len(results_in(climbed.outputs["overlapped"])) == SCENES
    assert share.value == 1.0


def test_half_precision_is_half(scenes, tmp_path):
    dtypes = []

    class Watched(torch.nn.Module):
        def __init__(self, network):
            super().__init__()
            self.network = network

        def forward(self, images):
            dtypes.append(images.dtype)
            return self.network(images)

    job = job_on(scenes, tmp_path, limit=2)
    network = Watched(job.open_network())
    STEPS["lower precision"].tag(replace(job, open_network=lambda: network, lower="bf16"))
    assert dtypes == [torch.bfloat16]


@pytest.mark.parametrize("form", ["TorchScript", "export"])
def test_a_network_that_cannot_be_pickled_is_opened_from_its_own_file(scenes, tmp_path, form):
    (tmp_path / "model").mkdir()
    path = demo_as(form, tmp_path / "model")
    job = job_on(scenes, tmp_path / "job", model=str(path), limit=2)
    (tmp_path / "job" / "module.pth").unlink(missing_ok=True)  # what there is of it cannot be opened
    STEPS["default"].tag(job)
    assert len(results_in(job.output)) == 2


def test_a_network_is_opened_as_scripts_do_it_from_a_pickle(scenes, tmp_path):
    job = job_on(scenes, tmp_path, limit=2)
    (tmp_path / "module.pth").unlink()
    with pytest.raises(FileNotFoundError, match=r"module\.pth"):
        job.open_network()


@pytest.fixture
def two_folders(scenes, tmp_path) -> Path:
    """Pictures of one name in two folders, and two that cannot be read."""
    pictures = tmp_path / "pictures"
    for folder, path in zip(("a", "b"), sorted(scenes.glob("*.jpg")), strict=False):
        (pictures / folder).mkdir(parents=True)
        shutil.copy(path, pictures / folder / "one.jpg")
    (pictures / "broken.jpg").write_bytes(b"no picture")
    whole = (pictures / "a" / "one.jpg").read_bytes()
    (pictures / "torn.jpg").write_bytes(whole[: len(whole) // 2])
    return pictures


def test_pictures_that_cannot_be_read_are_named(two_folders, tmp_path):
    job = job_on(two_folders, tmp_path / "job")
    assert list(job.names) == ["a/one.jpg", "b/one.jpg"]
    assert set(job.left_out) == {"broken.jpg", "torn.jpg"}
    assert "2 pictures" in str(job)
    assert "broken.jpg: cannot identify image file" in str(job)


@pytest.mark.parametrize("name", ["default", "overlapped"])
def test_pictures_in_sub_folders_with_one_name_are_two(two_folders, tmp_path, name):
    output = run(name, job_on(two_folders, tmp_path / "job"))
    assert results_in(output) == {"a/one.jpg.json", "b/one.jpg.json"}


def test_odd_pictures_are_the_same_for_every_step(scenes, tmp_path, model):
    """A cut-out on white, grey, palette, 16 bits: the package's way of reading is no change of tags."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    with Image.open(next(scenes.glob("*.jpg"))) as scene:
        cut_out = scene.convert("RGBA")
        cut_out.putalpha(Image.linear_gradient("L").resize(scene.size))
        cut_out.save(pictures / "cut-out.png")
        cut_out.save(pictures / "cut-out.webp", lossless=True)
        grey = scene.convert("L")
        grey.save(pictures / "grey.jpg")
        scene.convert("P").save(pictures / "palette.png")
        Image.fromarray(np.asarray(grey).astype(np.uint16) * 257).save(pictures / "deep.png")
    job = replace(job_on(pictures, tmp_path / "job"), open_resident=lambda: model)
    assert len(job.names) == 5
    share = agreement_between(list(job.names), run("default", job), run("overlapped", job))
    assert share.trials >= 5
    assert share.value == 1


@pytest.mark.parametrize("folder", ["", "shoes"])
def test_a_picture_whose_result_cannot_be_named_is_left_out(scenes, tmp_path, folder):
    pictures = tmp_path / "pictures"
    (pictures / folder).mkdir(parents=True)
    scene = next(scenes.glob("*.jpg"))
    shutil.copy(scene, pictures / "a.jpg")
    shutil.copy(scene, pictures / folder / LONG)
    job = job_on(pictures, tmp_path / "job")
    assert list(job.names) == ["a.jpg"]
    (reason,) = job.left_out.values()
    assert "File name too long" in reason


def test_the_default_step_holds_one_network_at_a_time(scenes, tmp_path):
    job = job_on(scenes, tmp_path, limit=3)
    opened = []
    alive = []

    def open_and_count():
        network = job.open_network()
        alive.append(sum(ref() is not None for ref in opened))
        opened.append(weakref.ref(network))
        return network

    STEPS["default"].tag(replace(job, open_network=open_and_count))
    assert alive == [0, 0, 0]


def test_where_no_picture_can_be_read_it_says_so(tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "broken.jpg").write_bytes(b"no picture")
    with pytest.raises(PicturesError, match=r"none of the 1 pictures in .* can be read \(broken.jpg: cannot identify"):
        job_on(tmp_path / "pictures", tmp_path / "job")


def test_the_code_shown_is_the_code_that_runs():
    assert "def default(job: Job) -> None:" in code_of("default")


def test_the_code_shown_against_the_step_before_marks_what_is_new():
    lines = code_of("resident", "default").replace("\x1b[0m", "").splitlines()
    assert "\x1b[31m-        network = load(job)" in lines
    assert "\x1b[32m+    network = load(job)" in lines
    assert "     for name in job.names:" in lines


@pytest.mark.parametrize("name", list(STEPS)[1:])
def test_names_and_docstrings_are_no_difference(name):
    before = list(STEPS)[list(STEPS).index(name) - 1]
    shown = code_of(name, before)
    assert "def " not in shown
    assert '"""' not in shown
    assert "\x1b[32m+" in shown
