"""What is measured on: models with their weights, made at first use, and drawn pictures."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from platformdirs import user_cache_path
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import normalize

from wanwu_nb.checkpoints import DEMO_FOLDER, Contract, open_checkpoint
from wanwu_nb.checkpoints.demo_detector import DemoDetector
from wanwu_nb.decoding import decode
from wanwu_nb.demo import demo_folder
from wanwu_nb.fitting import IMAGENET_MEAN, IMAGENET_STD, InputSpec, fit

EDITION = 2  # of the model folders: raise it when a class that is pickled there moves, so that none is opened after
CLASSES = 54_092
PICTURES = 320  # distinct 1920 x 1080 JPEGs
DAMPING = 0.2
SCALE = 20.0  # of a class's weights: how sure the best class is
IMAGENET = InputSpec(224, 224, "crop", IMAGENET_MEAN, IMAGENET_STD, shorter_side=256)
COCO_CLASSES = 91


@dataclass(frozen=True)
class Workload:
    """A model folder for wanwu_nb; in it `pickled/module.pth`, the same network as everybody else takes it."""

    name: str
    make: Callable[[Path], None]

    def folder(self) -> Path:
        """Where it lies in the user's cache; made at first use."""
        folder = user_cache_path("wanwu_nb") / f"benchmarks-{EDITION}" / self.name
        if not (folder / "made").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            self.make(folder)
            (folder / "made").touch()
        return folder


def pictures(count: int = PICTURES) -> list[Path]:
    """The first `count` of the drawn pictures, all in one folder; of more than there are, another, of links to them."""
    drawn = sorted(demo_folder(PICTURES).glob("*.jpg"))
    if count <= len(drawn):
        return drawn[:count]
    folder = user_cache_path("wanwu_nb") / f"benchmarks-{EDITION}" / f"links-{PICTURES}"
    folder.mkdir(parents=True, exist_ok=True)
    links = []
    for i in range(count):
        link = folder / f"{i:06d}.jpg"
        if not link.exists():
            os.link(drawn[i % len(drawn)], link)
        links.append(link)
    return links


def make_demo(folder: Path) -> None:
    """The demo model as it comes, and its network in FP32 as scripts have it."""
    for path in DEMO_FOLDER.iterdir():
        shutil.copy(path, folder)
    labels = json.loads((folder / "labels_zh.json").read_text(encoding="utf-8"))
    weights = load_file(folder / "model.safetensors")
    network = DemoDetector(len(labels)).eval()
    network.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    pickle_network(network, folder)


def make_everyday(folder: Path) -> None:
    """The everyday tagger, EfficientNet-Lite0 in FP32, as a model folder."""
    checkpoint = open_checkpoint("everyday")
    assert isinstance(checkpoint.network, Contract)
    network = checkpoint.network.network.float().eval()
    weights = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    save_file(weights, folder / "model.safetensors")
    description = {"architecture": checkpoint.architecture, "input": asdict(checkpoint.spec)}
    (folder / "model.json").write_text(json.dumps(description))
    write_labels(folder, checkpoint.labels)
    pickle_network(network, folder)


def make_resnest(folder: Path) -> None:
    """The real model's shape, 629 MB, as ModelScope's download leaves it.

    Its weights are random, with three cares, without which tags would flip by rounding alone: residual branches are
    damped, as training damps them; batch normalisation is calibrated on pictures; and a class is the normalised,
    centred feature of one of the pictures.
    """
    import timm

    torch.manual_seed(0)
    network = timm.create_model("resnest101e", num_classes=CLASSES, zero_init_last=False)
    damp(network)
    paths = pictures()
    calibrate(network, batch_of(paths[:64]))
    name_pictures(network, features_of(network, paths))
    pickle_network(network, folder)
    torch.save(network.state_dict(), folder / "pytorch_model.pt")
    labels = number_labels(folder, CLASSES)
    lines = [f"{class_id}\t{label}\n" for class_id, label in labels.items()]
    (folder / "meta_info.txt").write_text("".join(lines), encoding="utf-8")
    (folder / "configuration.json").write_text(json.dumps({"framework": "pytorch", "task": "general-recognition"}))


def damp(network: nn.Module) -> None:
    for name, module in network.named_modules():
        if name.endswith(".bn3"):  # the last of a residual branch
            nn.init.constant_(module.weight, DAMPING)


def calibrate(network: nn.Module, batch: Tensor) -> None:
    """Running statistics from pictures: at their defaults, the signal of random weights dies or explodes."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        network.train()(batch)
    network.eval()


@torch.no_grad()
def features_of(network: Any, paths: list[Path]) -> Tensor:
    """What the last layer gets, [N,features]: 32 pictures at a time."""
    parts = []
    for start in range(0, len(paths), 32):
        features = network.forward_features(batch_of(paths[start : start + 32]))
        parts.append(network.forward_head(features, pre_logits=True))
    return torch.cat(parts)


@torch.no_grad()
def name_pictures(network: Any, features: Tensor) -> None:
    """Make each picture's feature [N,features] the weights of a class of its own; the other classes are random."""
    last, centre = network.fc, features.mean(0)
    centred = features - centre
    last.weight.copy_(SCALE * normalize(torch.randn(last.weight.shape), dim=1))
    last.weight[: len(features)] = SCALE * normalize(centred, dim=1)
    last.weight /= centred.norm(dim=1).mean()
    last.bias.copy_(-last.weight @ centre)


def batch_of(paths: list[Path]) -> Tensor:
    """The network's input, float32 [B,3,H,W], normalised."""
    images = [fit(decode(path), IMAGENET)[0] for path in paths]
    mean = torch.tensor(IMAGENET.mean).view(3, 1, 1)
    std = torch.tensor(IMAGENET.std).view(3, 1, 1)
    return (torch.stack(images).float() / 255 - mean) / std


def make_retinanet(folder: Path) -> None:
    """A heavier detector, for GPUs: torchvision's RetinaNet at 640, random weights."""
    from torchvision.models.detection import retinanet_resnet50_fpn_v2

    torch.manual_seed(0)
    network = retinanet_resnet50_fpn_v2(
        weights=None, weights_backbone=None, num_classes=COCO_CLASSES, min_size=640, max_size=640
    )
    torch.save(network.state_dict(), folder / "weights.pth")
    description = {"architecture": "torchvision/retinanet_resnet50_fpn_v2"}
    (folder / "model.json").write_text(json.dumps(description))
    number_labels(folder, COCO_CLASSES)
    pickle_network(network.eval(), folder)


def number_labels(folder: Path, count: int) -> dict[int, str]:
    """Labels that are numbers, as the folder's labels file."""
    labels = {class_id: f"标签{class_id}" for class_id in range(count)}
    write_labels(folder, labels)
    return labels


def write_labels(folder: Path, labels: dict[int, str]) -> None:
    text = json.dumps(labels, ensure_ascii=False)
    (folder / "labels_zh.json").write_text(text, encoding="utf-8")


def pickle_network(network: nn.Module, folder: Path) -> None:
    (folder / "pickled").mkdir()
    torch.save(network, folder / "pickled" / "module.pth")


WORKLOADS = {
    "resnest101": Workload("resnest101", make_resnest),
    "demo": Workload("demo", make_demo),
    "everyday": Workload("everyday", make_everyday),
    "retinanet": Workload("retinanet", make_retinanet),
}
USUAL = ("resnest101", "demo", "everyday")  # what is measured where nothing else is asked for
