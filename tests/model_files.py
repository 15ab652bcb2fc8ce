"""Real files of every format that is served: the demo's own weights, and small networks with random ones."""

import argparse
import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import timm
import timm.utils
import torch
from safetensors.torch import save_file
from timm.models import save_for_hf
from torchvision import models

from wanwu_nb.checkpoints import DEMO_FOLDER, open_checkpoint

NAMES = ["台灯", "椅子", "T恤"]
TORCHVISION = "ssdlite320_mobilenet_v3_large"
FORMS = ["safetensors", "state dict", "legacy state dict", "pickled module", "TorchScript", "export", "fixed export"]
WITH_ARCHITECTURE = FORMS[:3]


def options(form: str) -> dict:
    """The parameters that a lone file of the demo's weights needs."""
    if form in WITH_ARCHITECTURE:
        return {"architecture": "wanwu_nb/demo_detector"}
    if form == "pickled module":
        return {"trust_pickle": True}
    return {}


def demo_network() -> torch.nn.Module:
    return open_checkpoint("demo").network.network.float().eval()


def write_labels(folder: Path, labels: dict | list) -> Path:
    path = folder / "labels_zh.json"
    path.write_text(json.dumps(labels, ensure_ascii=False), encoding="utf-8")
    return path


def save_traced(network: torch.nn.Module, path: Path) -> None:
    """TorchScript of a network that takes one picture of 640 x 640."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # making such files is deprecated, and users have them
        traced = torch.jit.trace(network, torch.rand(1, 3, 640, 640))
    traced.save(path)


def demo_as(form: str, folder: Path) -> Path:
    """The demo's weights as one file of `form`, its labels beside it."""
    network, example = demo_network(), torch.zeros(2, 3, 640, 640)
    shutil.copy(DEMO_FOLDER / "labels_zh.json", folder)
    path = folder / {"safetensors": "model.safetensors", "export": "model.pt2"}.get(form, "model.pth")
    if form == "safetensors":
        contiguous = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
        save_file(contiguous, path)
    elif form == "state dict":
        prefixed = {f"module.{name}": tensor for name, tensor in network.state_dict().items()}
        torch.save({"epoch": 3, "state_dict": prefixed}, path)
    elif form == "legacy state dict":
        torch.save(network.state_dict(), path, _use_new_zipfile_serialization=False)
    elif form == "pickled module":
        torch.save(network, path)
    elif form == "TorchScript":
        torch.jit.script(network).save(path)
    elif form == "export":
        batch = torch.export.Dim("batch")
        program = torch.export.export(network, (example,), dynamic_shapes=({0: batch},))
        torch.export.save(program, path)
    elif form == "fixed export":
        program = torch.export.export(network, (example,))
        torch.export.save(program, path)
    return path


def modelscope_folder(folder: Path, network: torch.nn.Module | None = None) -> Path:
    """As ModelScope's download leaves it, with few classes and the keys as a data-parallel training saves them."""
    torch.manual_seed(0)
    network = network or timm.create_model("resnest101e", num_classes=len(NAMES), zero_init_last=False)
    folder.mkdir()
    state = {f"module.{name}": tensor for name, tensor in network.state_dict().items()}
    torch.save({"state_dict": state}, folder / "pytorch_model.pt")
    lines = [f"{7000 + i}\t{name}\tsomething else\n" for i, name in enumerate(NAMES)]
    (folder / "meta_info.txt").write_text("".join(lines), encoding="utf-8")
    configuration = {"framework": "pytorch", "task": "general-recognition"}
    (folder / "configuration.json").write_text(json.dumps(configuration))
    return folder


def classifier(folder: Path, family: str, suffix: str = ".pth") -> Path:
    """A small classifier's weights, and its labels one a line."""
    torch.manual_seed(0)
    build = timm.create_model if family == "timm" else models.get_model
    state = build("resnet18", num_classes=len(NAMES)).state_dict()
    path = folder / f"weights{suffix}"
    if suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    (folder / "labels.txt").write_text("\n".join(NAMES), encoding="utf-8")
    return path


def torch_cache(folder: Path) -> Path:
    """A torch cache that holds a published detector's file, with random weights: set TORCH_HOME to it."""
    torch.manual_seed(0)
    url = models.get_model_weights(TORCHVISION).DEFAULT.url
    path = folder / "hub" / "checkpoints" / url.rpartition("/")[2]
    path.parent.mkdir(parents=True)
    torch.save(models.get_model(TORCHVISION, weights=None, weights_backbone=None).state_dict(), path)
    return folder


def resnet(seed: int = 0) -> torch.nn.Module:
    """timm's resnet18 with a class each of NAMES."""
    torch.manual_seed(seed)
    return timm.create_model("resnet18", num_classes=len(NAMES))


def with_prefix(prefix: str, network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {f"{prefix}{name}": tensor for name, tensor in network.state_dict().items()}


def timm_checkpoint(folder: Path) -> tuple[Path, torch.nn.Module, torch.nn.Module]:
    """What timm's own trainer saves, arguments and metric beside; with the network as trained, and its average."""
    trained, average = resnet(1), resnet(2)
    optimizer = torch.optim.SGD(trained.parameters(), lr=0.1)
    ema = timm.utils.ModelEmaV2(average)
    arguments = argparse.Namespace(model="resnet18", opt="sgd", lr=np.float64(0.1))
    saver = timm.utils.CheckpointSaver(trained, optimizer, arguments, ema, checkpoint_dir=str(folder))
    saver.save_checkpoint(0, metric=np.float64(81.5))
    write_labels(folder, NAMES)
    return folder / "last.pth.tar", trained, average


def lightning_checkpoint(folder: Path, network: torch.nn.Module) -> Path:
    """As Lightning's Trainer writes it of a module that keeps its network as `self.model`, compiled."""
    content = {
        "epoch": 3,
        "global_step": 120,
        "pytorch-lightning_version": "2.5.0",
        "state_dict": with_prefix("model._orig_mod.", network),
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 4}}}},
        "callbacks": {"ModelCheckpoint{'monitor': 'loss'}": {"best_model_score": torch.tensor(0.5), "best_k": {}}},
        "optimizer_states": [{"state": {}, "param_groups": [{"lr": 0.1}]}],
        "lr_schedulers": [],
        "hparams_name": "kwargs",
        "hyper_parameters": {"lr": 0.1, "arguments": argparse.Namespace(model="resnet18")},
    }
    path = folder / "epoch=3.ckpt"
    torch.save(content, path)
    return path


def hugging_face_folder(folder: Path, weights: str, **config) -> Path:
    """As timm pushes a network to Hugging Face; `weights` is the name of the file, or of the shards' index."""
    network = resnet()
    save_for_hf(network, folder, model_config=config, safe_serialization=weights.startswith("model.safetensors"))
    if weights.endswith(".index.json"):
        in_shards(folder / "model.safetensors", network.state_dict())
    return folder


def in_shards(path: Path, state: dict[str, torch.Tensor]) -> Path:
    """Safetensors in two files and an index, as Hugging Face's libraries split large ones; instead of `path`."""
    path.unlink(missing_ok=True)
    names = sorted(state)
    halves = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    weight_map = {}
    for shard, part in halves.items():
        save_file({name: state[name] for name in part}, path.parent / shard)
        weight_map |= dict.fromkeys(part, shard)
    index = path.parent / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map}))
    return index
