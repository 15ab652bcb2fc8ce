"""Files of weights: known by what was opened, and refused with what to do where they are damaged, hostile or none."""

import hashlib
import os
import pickle
import shutil
import zipfile
from pathlib import Path

import pytest
import torch
from model_files import (
    NAMES,
    TORCHVISION,
    classifier,
    options,
    write_labels,
)
from torch import nn

from wanwu_nb import ResidentModel, tag_folder
from wanwu_nb.checkpoints import DEMO_FOLDER, open_checkpoint
from wanwu_nb.checkpoints.checkpoint import WeightsFile
from wanwu_nb.errors import MissingFile, ModelError
from wanwu_nb.hardware import Choice

# --- known by what was opened -----------------------------------------------------------------------------------------


@pytest.fixture
def copy(tmp_path) -> Path:
    """A copy of the demo's folder; its weights may be replaced."""
    return Path(shutil.copytree(DEMO_FOLDER, tmp_path / "copy"))


def replace_by(path: Path, content: bytes) -> None:
    """As a careful program replaces a file: written beside, then moved into place."""
    beside = path.with_suffix(".new")
    beside.write_bytes(content)
    beside.replace(path)


@pytest.mark.parametrize("change", ["another file", "the same bytes in another file", "written over", "touched"])
def test_weights_replaced_before_they_were_fingerprinted_are_an_error(copy, change):
    weights = copy / "model.safetensors"
    content = weights.read_bytes()
    checkpoint = open_checkpoint(str(copy))
    if change == "another file":
        replace_by(weights, content[:-4] + b"\0\0\0\0")
    elif change == "the same bytes in another file":
        replace_by(weights, content)
    elif change == "written over":
        weights.write_bytes(content[:-4] + b"\0\0\0\0")
    else:
        os.utime(weights, ns=(0, 0))
    with pytest.raises(ModelError, match=r"model\.safetensors were replaced or changed .*: load the model again"):
        _ = checkpoint.fingerprint


def test_weights_that_are_gone_before_they_were_fingerprinted(copy):
    checkpoint = open_checkpoint(str(copy))
    (copy / "model.safetensors").unlink()
    with pytest.raises(MissingFile, match=r"are gone since they were opened: put them back, and load the model again"):
        _ = checkpoint.fingerprint


def test_a_run_with_replaced_weights_ends_before_the_first_picture(copy, scenes, tmp_path):
    resident = ResidentModel(open_checkpoint(str(copy)), Choice("cpu", ""), Choice("fp32", ""))
    replace_by(copy / "model.safetensors", (copy / "model.safetensors").read_bytes())
    with pytest.raises(ModelError, match="load the model again"):
        tag_folder(resident, scenes, tmp_path / "out", limit=1)
    assert not list((tmp_path / "out").rglob("*.jpg.json"))


def test_weights_replaced_after_they_were_fingerprinted_change_nothing(copy):
    checkpoint = open_checkpoint(str(copy))
    before = checkpoint.fingerprint
    replace_by(copy / "model.safetensors", b"another file")
    assert checkpoint.fingerprint == before


def test_weights_that_change_while_they_are_read_are_an_error(copy):
    class Writing:
        """A digest at whose beginning somebody writes to the file."""

        def copy(self):
            (copy / "model.safetensors").write_bytes(b"another file")
            return hashlib.sha256()

    file = WeightsFile.of(copy / "model.safetensors")
    with pytest.raises(ModelError, match="replaced or changed since they were opened"):
        file.add_to(Writing())


@pytest.mark.parametrize("form", ["state dict", "pickled module", "TorchScript", "export"])
def test_every_kind_of_file_is_known_by_what_was_opened(files, tmp_path, form):
    shutil.copytree(files(form).parent, tmp_path / "copy")
    path = tmp_path / "copy" / files(form).name
    checkpoint = open_checkpoint(str(path), **options(form))
    replace_by(path, path.read_bytes())
    with pytest.raises(ModelError, match="load the model again"):
        _ = checkpoint.fingerprint


# --- exports ----------------------------------------------------------------------------------------------------------


class TwoInputs(nn.Module):
    def forward(self, images, scale):
        return images.mean((2, 3)) * scale


class OneChannel(nn.Module):
    def forward(self, images):
        return images.mean((2, 3))


@pytest.mark.parametrize(
    ("network", "examples", "says"),
    [
        (TwoInputs(), (torch.zeros(2, 3, 8, 8), torch.ones(1)), "with 2 inputs: export it for the batch of pictures"),
        (OneChannel(), (torch.zeros(2, 1, 8, 8),), "for 1 channels: export it for the batch of pictures"),
        (nn.Linear(3, 3), (torch.zeros(2, 3),), r"that takes \[2, 3\]: export it for the batch of pictures"),
    ],
)
def test_an_export_of_anything_but_a_batch_of_pictures_is_one_sentence(tmp_path, network, examples, says):
    torch.export.save(torch.export.export(network, examples), tmp_path / "model.pt2")
    write_labels(tmp_path, NAMES)
    with pytest.raises(ModelError, match=says):
        open_checkpoint(str(tmp_path / "model.pt2"))


# --- bad input --------------------------------------------------------------------------------------------------------


class Payload:
    """Pickled, it writes a file wherever it is opened."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_payload_in_a_pickle_does_not_run(tmp_path, legacy):
    torch.save(
        {"state_dict": {"weight": torch.zeros(1)}, "payload": Payload(tmp_path / "ran")},
        tmp_path / "model.pth",
        _use_new_zipfile_serialization=not legacy,
    )
    write_labels(tmp_path, NAMES)
    with pytest.raises(ModelError, match=r"runs the code inside.*trust_pickle=True"):
        open_checkpoint(str(tmp_path / "model.pth"), architecture="timm/resnet18")
    assert not (tmp_path / "ran").exists()
    with pytest.raises(ModelError, match="do not fit"):
        open_checkpoint(str(tmp_path / "model.pth"), architecture="timm/resnet18", trust_pickle=True)
    assert (tmp_path / "ran").exists(), "the payload was none"


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")  # torch's, of all but 2
@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("place", ["sample_inputs/model.pt", "constants/opaque_obj_0"])
def test_a_payload_in_an_export_does_not_run(files, tmp_path, protocol, place):
    write_labels(tmp_path, NAMES)
    with zipfile.ZipFile(files("export")) as source, zipfile.ZipFile(tmp_path / "model.pt2", "w") as target:
        for name in source.namelist():
            if not name.endswith(place):
                target.writestr(name, source.read(name))
        target.writestr(f"model/data/{place}", pickle.dumps(Payload(tmp_path / "ran"), protocol=protocol))
    with pytest.raises(ModelError, match="holds pickled code"):
        open_checkpoint(str(tmp_path / "model.pt2"))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("form", "damage"),  # overwritten numbers are still numbers: such weights load, and their tags are nonsense
    [(form, "cut short") for form in ("safetensors", "state dict", "TorchScript", "export")]
    + [(form, "middle overwritten") for form in ("TorchScript", "export")],
)
def test_damaged_weights_are_one_sentence(files, tmp_path, form, damage):
    content = bytearray(files(form).read_bytes())
    quarter = len(content) // 4
    if damage == "cut short":
        content = content[: 2 * quarter]
    else:
        content[quarter : 3 * quarter] = bytes(2 * quarter)
    path = tmp_path / files(form).name
    path.write_bytes(content)
    write_labels(tmp_path, NAMES)
    with pytest.raises(ModelError, match=r"damaged|cannot open|do not fit") as caught:
        open_checkpoint(str(path), **options(form))
    if "do not fit" not in str(caught.value):
        assert caught.value.__cause__ is not None, "whoever repairs the file needs what torch says"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", r"is empty \(0 bytes\)"),
        (b"\n<!DOCTYPE html><html>404</html>", "is a web page, not weights"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "is a Git LFS pointer"),
        (b"\x08\x08\x12\x07pytorch\x1a\x052.1.0", "is an ONNX file, which is not served: export it from PyTorch"),
        (b"\x89HDF\r\n\x1a\n", "is an HDF5 file"),
        (b"nonsense", "is no model in a format that is served"),
    ],
)
def test_other_files_are_refused_with_what_to_do(tmp_path, content, says):
    (tmp_path / "model.pth").write_bytes(content)
    write_labels(tmp_path, NAMES)
    with pytest.raises(ModelError, match=says):
        open_checkpoint(str(tmp_path / "model.pth"))


def test_the_wrong_architecture_names_the_first_five_keys_of_both_sides(tmp_path):
    path = classifier(tmp_path, "timm")
    with pytest.raises(ModelError, match=r"is missing in the file(.*;){4}.* and \d+ more"):
        open_checkpoint(str(path), architecture="timm/efficientnet_b0")
    with pytest.raises(ModelError, match=r"layer1\.0\.conv3\.weight is missing in the file"):
        open_checkpoint(str(path), architecture="timm/resnet50")


@pytest.mark.parametrize(
    ("architecture", "says"),
    [
        ("", r"holds weights alone \(conv1\.weight, .*set architecture="),
        ("resnet18", "architecture 'resnet18' is not known: use timm/"),
        ("timm/resnett18", "timm knows no architecture 'resnett18'"),
        ("torchvision/resnet19", "torchvision knows no architecture 'resnet19'"),
    ],
)
def test_an_architecture_that_is_missing_or_unknown(tmp_path, architecture, says):
    with pytest.raises(ModelError, match=says):
        open_checkpoint(str(classifier(tmp_path, "timm")), architecture=architecture)


def test_a_model_that_is_not_there_says_what_there_is():
    known = r'use "demo", "everyday", a model folder'
    with pytest.raises(MissingFile, match=rf"model 'no such model' does not exist .*: {known}"):
        open_checkpoint("no such model")


def test_an_architecture_is_for_a_lone_file(files):
    with pytest.raises(ModelError, match=r"is for a lone weights file, and .* is a folder"):
        open_checkpoint("demo", architecture="timm/resnet18")
    with pytest.raises(ModelError, match="is TorchScript and brings its own code: leave architecture out"):
        open_checkpoint(str(files("TorchScript")), architecture="timm/resnet18")


def test_a_published_detector_that_cannot_be_downloaded_says_which_file_to_put_where(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with pytest.raises(MissingFile, match=r"get https://.*\.pth, and put it at .*hub/checkpoints/ssdlite"):
        open_checkpoint(f"torchvision/{TORCHVISION}")


def test_an_unknown_torchvision_name_lists_the_detectors():
    with pytest.raises(ModelError, match=r"no detector .fasterrcnn.: .*fcos_resnet50_fpn"):
        open_checkpoint("torchvision/fasterrcnn")


@pytest.mark.parametrize(
    ("files_there", "says"),
    [
        ([], "holds neither a model.json nor ModelScope's"),
        (["meta_info.txt"], "lacks pytorch_model.pt: modelscope download"),
        (["model.json"], "must hold one file of weights"),
    ],
)
def test_folders_that_are_no_model(tmp_path, files_there, says):
    for name in files_there:
        (tmp_path / name).write_text("{}")
    with pytest.raises((ModelError, MissingFile), match=says):
        open_checkpoint(str(tmp_path))


@pytest.mark.parametrize(
    ("description", "says"),
    [
        ("[]", "is not a JSON object"),
        ('{"input": {"width": 640}}', r"input\.height: Field required"),
        ('{"inputs": {}}', "inputs: Extra inputs are not permitted"),
    ],
)
def test_a_wrong_model_json_says_where(tmp_path, description, says):
    (tmp_path / "model.json").write_text(description)
    with pytest.raises(ModelError, match=says):
        open_checkpoint(str(tmp_path))
