"""Real files of every format that is served: the demo's own weights, and small networks with random ones."""

import json
import shutil
import warnings
from pathlib import Path

import timm
import torch
from safetensors.torch import save_file
from torchvision import models

from wanwu_nb.checkpoints import DEMO_FOLDER, open_checkpoint

NAMES = ["台灯", "椅子", "T恤"]
TORCHVISION = "ssdlite320_mobilenet_v3_large"


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
