"""Paths as people give them: `~` is home everywhere, a path of another system is refused everywhere."""

import os
import shutil
from pathlib import Path

import pytest

from wanwu_nb import ResidentModel, read_results, tag_folder
from wanwu_nb.checkpoints import DEMO_FOLDER
from wanwu_nb.errors import SettingsError
from wanwu_nb.finding import find_images
from wanwu_nb.paths import local_path
from wanwu_nb.quality.truth import read_truth
from wanwu_nb.results import OutputFolder, read_result
from wanwu_nb.settings import SpeedUpSettings, TagBatchSettings, check_settings
from wanwu_nb.summary import Summary
from wanwu_nb.views.pictures import contact_sheet

FOREIGN = [
    ("D:\\photos", "is a path of Windows, and this is"),
    ("d:/photos", "is a path of Windows, and this is"),
    ("D:", "is a path of Windows, and this is"),
    ("\\\\server\\share", "is a path of Windows, and this is"),
    ("..\\photos", "is written with \\, as on Windows"),
    ("~\\photos", "is written with \\, as on Windows"),
    ("photos\\2024", "is written with \\, as on Windows"),
    ("s3://bucket/photos", "is an address, not a path"),
    ("file:///photos", "is an address, not a path"),
    ("~nobody_of_this_name/photos", "lies in a home folder that is not known here"),
    ("photos\0", "holds a zero byte"),
]


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    return home


@pytest.mark.parametrize(
    "path", ["photos", "/mnt/照片/", "", ".", "demo", "torchvision/x", "a~b", "./~", "12:30", "a:b/c"]
)
def test_a_path_stays_as_it_was_given(path):
    assert local_path(path) == path


def test_a_tilde_means_home(home):
    assert local_path("~") == str(home)
    assert local_path("~/photos") == f"{home}/photos"
    assert local_path(Path("~/photos")) == f"{home}/photos"


@pytest.mark.parametrize(("path", "says"), FOREIGN)
def test_what_is_no_path_here_is_refused_in_one_sentence(tmp_path, monkeypatch, path, says):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError) as error:
        local_path(path)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["~of old", "photos\\2024"])
def test_a_name_that_lies_here_is_a_name(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir()
    assert local_path(name) == name


@pytest.mark.parametrize("name", ["image_dir", "output_dir", "model", "labels", "truth"])
def test_every_parameter_that_is_a_path_knows_both(home, name):
    kind = SpeedUpSettings if name == "truth" else TagBatchSettings
    for path in ("~/x", Path("~/x")):
        settings = check_settings(kind, **{name: path})
        assert getattr(settings, name) == f"{home}/x"
    with pytest.raises(SettingsError) as error:
        check_settings(kind, **{name: "D:\\x"})
    assert str(error.value).startswith(f"{name}: D:\\x is a path of Windows")


def test_everything_from_home_to_home(home, scenes):
    """Model, labels, pictures and results; and what reads the results."""
    shutil.copytree(DEMO_FOLDER, home / "model")
    shutil.copytree(scenes, home / "photos")
    model = ResidentModel.load(Path("~/model"), labels="~/model/labels_zh.json", device="cpu", precision="fp32")
    summary = tag_folder(model, "~/photos", "~/tags", limit=2)
    assert summary.processed == 2
    assert summary.settings["output_dir"] == f"{home}/tags"
    pictures = list(read_results("~/tags"))
    assert [picture.image for picture in pictures] == find_images("~/photos", 2)
    name = pictures[0].image
    assert read_result("~/tags", name).objects == pictures[0].objects
    assert Summary.read("~/tags").total_images == 2
    assert len(model.predict([f"~/photos/{name}"])) == 1
    assert contact_sheet("~/photos", pictures).size == contact_sheet(home / "photos", pictures).size
    truth = next(path.name for path in scenes.glob("*.json"))
    assert read_truth(f"~/photos/{truth}", [name], model.labels.values())
    assert not Path("~").exists()


def test_no_folder_of_a_foreign_name_is_made(tmp_path, monkeypatch, model, scenes):
    monkeypatch.chdir(tmp_path)
    for refused in ("D:\\tags", "s3://bucket/tags"):
        with pytest.raises(SettingsError):
            tag_folder(model, scenes, refused)
        with pytest.raises(SettingsError):
            OutputFolder(refused, "key")
    assert os.listdir(tmp_path) == []
