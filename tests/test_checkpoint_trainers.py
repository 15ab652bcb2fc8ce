"""Checkpoints as trainers leave them: the weights in them are found, and whatever lies beside runs no code."""

import argparse
import json
import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from model_files import (
    NAMES,
    hugging_face_folder,
    in_shards,
    lightning_checkpoint,
    resnet,
    timm_checkpoint,
    with_prefix,
    write_labels,
)
from torch import nn
from torch.optim.swa_utils import AveragedModel

from wanwu_nb import ResidentModel
from wanwu_nb.checkpoints import Checkpoint, open_checkpoint
from wanwu_nb.checkpoints.pickles import load_pickle
from wanwu_nb.checkpoints.prefixes import without_wrappers
from wanwu_nb.errors import MissingFile, ModelError

RESNET = "timm/resnet18"


def assert_holds(checkpoint: Checkpoint, network: nn.Module) -> None:
    wanted = network.state_dict()
    torch.testing.assert_close(checkpoint.network.network.state_dict(), wanted, rtol=0, atol=0)


def saved(folder: Path, content: object, name: str = "weights.pth", **options) -> str:
    path = folder / name
    torch.save(content, path, **options)
    write_labels(folder, NAMES)
    return str(path)


def model_folder(folder: Path, **description) -> str:
    (folder / "model.json").write_text(json.dumps({"architecture": RESNET, **description}))
    return str(folder)


# --- prefixes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "prefix",
    [
        "module.",
        "_orig_mod.",
        "model.",
        "net.",
        "module._orig_mod.",
        "_orig_mod.module.",
        "model.net._orig_mod.module.",
        "module.module.",
    ],
)
def test_what_trainers_put_before_all_names_is_stripped(tmp_path, prefix):
    network = resnet()
    path = saved(tmp_path, {"state_dict": with_prefix(prefix, network)})
    assert_holds(open_checkpoint(path, architecture=RESNET), network)


@pytest.mark.parametrize("own", ["model.", "module.", "model.net."])
@pytest.mark.parametrize("before", ["", "module.", "model."])
def test_a_networks_own_names_may_begin_like_a_prefix(own, before):
    wanted = [f"{own}{name}" for name in ("conv.weight", "conv.bias")]
    state = {f"{before}{name}": torch.zeros(1) for name in wanted}
    assert list(without_wrappers(state, wanted)) == wanted


def test_a_prefix_of_some_names_is_none(tmp_path):
    network = resnet()
    state = network.state_dict() | {"model.extra": torch.zeros(1)}
    with pytest.raises(ModelError, match=r"model\.extra is unknown to the network"):
        open_checkpoint(saved(tmp_path, state), architecture=RESNET)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ([torch.zeros(2)], r"holds a list, not a state dict \(names and tensors\)$"),
        (torch.zeros(2), r"holds a Tensor, not a state dict \(names and tensors\)$"),
        (None, r"holds a NoneType, not a state dict"),
        ({0: torch.zeros(2)}, r"holds a dict of 0, not a state dict"),
        ({"state": {}, "param_groups": []}, r"holds a dict of state, param_groups, not a state dict .*: where one of"),
        ({}, r"conv1\.weight is missing in the file"),
    ],
    ids=["list", "tensor", "nothing", "numbered", "optimizer", "empty"],
)
def test_what_holds_no_weights_is_refused_with_what_it_holds(tmp_path, content, says):
    with pytest.raises(ModelError, match=says):
        open_checkpoint(saved(tmp_path, content), architecture=RESNET)


def test_a_file_without_tensors_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"conv1\.weight is missing in the file"):
        open_checkpoint(saved(tmp_path, {"state_dict": {}}), architecture=RESNET)


# --- which of the weights in a file -----------------------------------------------------------------------------------


def test_of_timms_own_checkpoint_the_weights_as_trained_are_taken(tmp_path):
    path, trained, _ = timm_checkpoint(tmp_path)
    checkpoint = open_checkpoint(str(path), architecture=RESNET)
    assert_holds(checkpoint, trained)
    assert checkpoint.kind == "state dict (state_dict, not state_dict_ema), timm/resnet18"


def test_the_average_is_taken_where_model_json_names_it(tmp_path):
    path, _, average = timm_checkpoint(tmp_path)
    for other in tmp_path.glob("*.tar"):
        if other != path:
            other.unlink()
    plain = open_checkpoint(model_folder(tmp_path))
    chosen = open_checkpoint(model_folder(tmp_path, weights_key="state_dict_ema"))
    assert_holds(chosen, average)
    assert chosen.kind == "model folder, state dict (state_dict_ema), timm/resnet18"
    assert chosen.fingerprint != plain.fingerprint


@pytest.mark.parametrize("name", ["state_dict_ema", "model_ema", "ema_state_dict", "ema"])
def test_an_average_alone_is_taken(tmp_path, name):
    network = resnet()
    path = saved(tmp_path, {name: network.state_dict(), "epoch": 3})
    checkpoint = open_checkpoint(path, architecture=RESNET)
    assert_holds(checkpoint, network)
    assert checkpoint.kind == f"state dict ({name}), timm/resnet18"


def test_torchs_averaged_model_beside_the_model(tmp_path):
    """As torchvision's reference scripts save it, with the number of averages among the weights."""
    trained, average = resnet(1), AveragedModel(resnet(2), use_buffers=True)
    arguments = argparse.Namespace(model="resnet18", lr=0.1)
    saved(tmp_path, {"model": trained.state_dict(), "model_ema": average.state_dict(), "args": arguments})
    checkpoint = open_checkpoint(model_folder(tmp_path, weights_key="model_ema"))
    assert_holds(checkpoint, average.module)


def test_a_weights_key_that_is_not_there_shows_what_is(tmp_path):
    timm_checkpoint(tmp_path)
    (tmp_path / "checkpoint-0.pth.tar").unlink()
    (tmp_path / "model_best.pth.tar").unlink()
    with pytest.raises(
        ModelError, match=r"no weights as 'ema', which weights_key asks for: a dict of .*state_dict_ema"
    ):
        open_checkpoint(model_folder(tmp_path, weights_key="ema"))


def test_weights_under_an_unknown_name_are_asked_for_by_weights_key(tmp_path):
    network = resnet()
    path = saved(tmp_path, {"student": network.state_dict(), "epoch": 1})
    with pytest.raises(ModelError, match=r"holds a dict of student, epoch, not a state dict .*: .* weights_key in a"):
        open_checkpoint(path, architecture=RESNET)
    assert_holds(open_checkpoint(model_folder(tmp_path, weights_key="student")), network)


def test_lightnings_checkpoint_opens_as_a_file_and_in_a_folder(tmp_path):
    network = resnet()
    path = lightning_checkpoint(tmp_path, network)
    write_labels(tmp_path, NAMES)
    assert_holds(open_checkpoint(str(path), architecture=RESNET), network)
    assert_holds(open_checkpoint(model_folder(tmp_path)), network)


@pytest.mark.parametrize("entry", ["model", "ema"])
def test_a_module_in_a_dict_opens_once_it_is_trusted(tmp_path, entry):
    content = {"model": None, "ema": None, "epoch": 3} | {entry: resnet().eval()}
    path = saved(tmp_path, content)
    with pytest.raises(ModelError, match=r"holds more than tensors \([\w.]+\): .* set trust_pickle=True"):
        open_checkpoint(path)
    resident = ResidentModel.load(path, trust_pickle=True, device="cpu", precision="fp32")
    assert resident.checkpoint.kind.startswith("pickled module")
    assert_holds(resident.checkpoint, content[entry])


# --- what lies beside the weights -------------------------------------------------------------------------------------


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(
    "beside",
    [
        np.float64(0.5),
        np.int32(3),
        np.bool_(True),
        np.str_("resnet18"),
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.array([], dtype=np.int64),
        Path("/data/train"),
        argparse.Namespace(lr=np.float64(0.1), betas=(0.9, 0.999), inner=argparse.Namespace(a=1)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_numbers_and_arguments_beside_the_weights_are_opened(tmp_path, beside, legacy):
    network = resnet()
    content = {"state_dict": network.state_dict(), "beside": beside}
    path = saved(tmp_path, content, _use_new_zipfile_serialization=not legacy)
    assert_holds(open_checkpoint(path, architecture=RESNET), network)


def test_numpy_does_not_read_what_lies_beside_the_weights(tmp_path):
    """numpy's dtypes take their flags from a pickle, and those of objects make pointers of its bytes."""
    path = saved(tmp_path, {"state_dict": {"a": torch.zeros(1)}, "beside": np.arange(3)})
    beside = load_pickle(Path(path), trust_pickle=False)["beside"]
    assert not isinstance(beside, np.ndarray)


def test_what_is_allowed_for_one_file_is_allowed_for_that_alone(tmp_path):
    allowed = set(torch.serialization.get_safe_globals())
    open_checkpoint(saved(tmp_path, {"state_dict": resnet().state_dict()}), architecture=RESNET)
    assert set(torch.serialization.get_safe_globals()) == allowed


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(
    ("beside", "culprit"),
    [
        (Fraction(1, 2), "fractions.Fraction"),
        (np.array([Fraction(1, 2)]), "fractions.Fraction"),
        (print, "print"),
    ],
)
def test_another_class_beside_the_weights_is_named(tmp_path, beside, culprit, legacy):
    content = {"state_dict": resnet().state_dict(), "beside": beside}
    path = saved(tmp_path, content, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(ModelError, match=rf"holds more than tensors \([\w.]*{culprit}\): opening it runs the code"):
        open_checkpoint(path, architecture=RESNET)


# --- Hugging Face's folders -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", ["model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"])
def test_a_hugging_face_folder_of_a_timm_network(tmp_path, weights):
    preprocessing = {"input_size": (3, 160, 160), "crop_pct": 0.8, "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
    folder = hugging_face_folder(tmp_path / "model", weights, label_names=NAMES, pretrained_cfg=preprocessing)
    resident = ResidentModel.load(str(folder), device="cpu", precision="fp32")
    checkpoint = resident.checkpoint
    assert_holds(checkpoint, resnet())
    assert checkpoint.labels == dict(enumerate(NAMES))
    assert checkpoint.kind.startswith("Hugging Face folder, ")


def test_a_hugging_face_folder_gives_the_input_it_was_trained_with(tmp_path):
    folder = hugging_face_folder(tmp_path / "model", "model.safetensors", label_names=NAMES)
    config = json.loads((folder / "config.json").read_text())
    config["pretrained_cfg"] |= {"input_size": [3, 160, 160], "crop_pct": 0.8, "mean": [0.5] * 3, "std": [0.25] * 3}
    (folder / "config.json").write_text(json.dumps(config))
    spec = open_checkpoint(str(folder)).spec
    assert (spec.width, spec.height, spec.fit, spec.shorter_side) == (160, 160, "crop", 200)
    assert (spec.mean, spec.std) == ((0.5,) * 3, (0.25,) * 3)


@pytest.mark.parametrize(
    "names",
    [
        {"label_names": ["n1", "n2", "n3"], "label_descriptions": dict(zip(["n1", "n2", "n3"], NAMES, strict=True))},
        {"label_names": {"0": NAMES[0], "1": NAMES[1], "2": NAMES[2]}},
        {"id2label": {"0": NAMES[0], "1": NAMES[1], "2": NAMES[2]}},
    ],
)
def test_the_label_names_of_a_hugging_face_folder(tmp_path, names):
    folder = hugging_face_folder(tmp_path / "model", "model.safetensors", **names)
    assert open_checkpoint(str(folder)).labels == dict(enumerate(NAMES))


def test_a_labels_file_goes_before_the_names_in_config_json(tmp_path):
    folder = hugging_face_folder(tmp_path / "model", "model.safetensors", label_names=["lamp", "chair", "shirt"])
    write_labels(folder, NAMES)
    assert open_checkpoint(str(folder)).labels == dict(enumerate(NAMES))


@pytest.mark.parametrize("names", [{}, {"id2label": {"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"}}])
def test_a_hugging_face_folder_without_names_asks_for_them(tmp_path, names):
    folder = hugging_face_folder(tmp_path / "model", "model.safetensors", **names)
    with pytest.raises(MissingFile, match="has no labels: set labels=…"):
        open_checkpoint(str(folder))


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (
            {"architectures": ["DetrForObjectDetection"]},
            "a Hugging Face model of DetrForObjectDetection, and only timm",
        ),
        ({"model_type": "clip"}, "a Hugging Face model of clip, and only timm's are served .*: export it with torch"),
        ([], "is not a JSON object"),
        ({"architecture": "resnett18"}, "timm knows no architecture 'resnett18'"),
        ({"architecture": "resnet18", "model_args": {"nonsense": 1}}, "timm cannot build resnet18 as its config.json"),
        (
            {"architecture": "resnet18", "model_args": {"checkpoint_path": "x"}},
            "model_args with checkpoint_path is not",
        ),
        ({"architecture": "resnet18", "pretrained_cfg": {"input_size": [1, 28, 28]}}, "takes 1 channels here"),
        ({"architecture": "resnet18", "model_args": ["nonsense"]}, r"config\.json cannot be used \(.*\): download it"),
        ({"architecture": "resnet18", "pretrained_cfg": {"std": [0, 0, 0]}}, "cannot be used .std divides the pixels"),
        ({"architecture": "resnet50"}, "do not fit timm/resnet50 with 3 classes"),
    ],
)
def test_other_hugging_face_folders_say_what_to_do(tmp_path, config, says):
    folder = hugging_face_folder(tmp_path / "model", "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    write_labels(folder, NAMES)
    with pytest.raises(ModelError, match=says):
        open_checkpoint(str(folder))


def test_a_hugging_face_folder_without_weights_says_how_to_get_them(tmp_path):
    folder = hugging_face_folder(tmp_path / "model", "model.safetensors", label_names=NAMES)
    (folder / "model.safetensors").unlink()
    with pytest.raises(MissingFile, match="download all of it, hf download OWNER/NAME --local-dir FOLDER"):
        open_checkpoint(str(folder))


# --- shards -----------------------------------------------------------------------------------------------------------


def test_shards_open_as_a_file_and_in_a_model_folder(tmp_path):
    network = resnet()
    index = in_shards(tmp_path / "model.safetensors", network.state_dict())
    write_labels(tmp_path, NAMES)
    alone = open_checkpoint(str(index), architecture=RESNET)
    assert_holds(alone, network)
    assert alone.kind == "sharded weights, timm/resnet18"
    assert_holds(open_checkpoint(model_folder(tmp_path)), network)


def test_the_fingerprint_of_shards_follows_each_of_them(tmp_path):
    index = in_shards(tmp_path / "model.safetensors", resnet(0).state_dict())
    other = tmp_path / "other"
    other.mkdir()
    in_shards(other / "model.safetensors", resnet(1).state_dict())
    write_labels(tmp_path, NAMES)
    before = open_checkpoint(str(index), architecture=RESNET).fingerprint
    shutil.copy(other / "model-00002-of-00002.safetensors", tmp_path)
    assert open_checkpoint(str(index), architecture=RESNET).fingerprint != before


def test_a_shard_that_is_missing_is_named(tmp_path):
    index = in_shards(tmp_path / "model.safetensors", resnet().state_dict())
    write_labels(tmp_path, NAMES)
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(MissingFile, match=r"names model-00002-of-00002\.safetensors, which is not there: download all"):
        open_checkpoint(str(index), architecture=RESNET)


def test_a_shard_outside_the_folder_is_refused(tmp_path):
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"fc.weight": "../other.safetensors"}}))
    write_labels(tmp_path, NAMES)
    with pytest.raises(ModelError, match="does not lie beside it: put all shards into one folder"):
        open_checkpoint(str(index), architecture=RESNET)
