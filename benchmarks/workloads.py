"""What is measured on: models with their weights, made at first use, and drawn pictures."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from platformdirs import user_cache_path
from safetensors.torch import load_file
from torch.nn.functional import normalize

from wanwu_nb.checkpoints import DEMO_FOLDER
from wanwu_nb.demo import demo_folder
from wanwu_nb.demo.detector import DemoDetector
from wanwu_nb.images import InputSpec, decode, fit

CLASSES = 54_092
PICTURES = 320  # distinct 1920 x 1080 JPEGs
DAMPING = 0.2
IMAGENET = InputSpec(224, 224, "crop", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), shorter_side=256)


@dataclass(frozen=True)
class Workload:
    """A model folder for wanwu_nb; in it `pickled/module.pth`, the same network as everybody else takes it."""

    name: str
    make: Callable[[Path], None]

    def folder(self) -> Path:
        folder = user_cache_path("wanwu_nb") / "benchmarks" / self.name
        if not (folder / "made").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            self.make(folder)
            (folder / "made").touch()
        return folder


def pictures(count: int = PICTURES) -> list[Path]:
    return sorted(demo_folder(PICTURES).glob("*.jpg"))[:count]


def make_demo(folder: Path) -> None:
    for path in DEMO_FOLDER.iterdir():
        shutil.copy(path, folder)
    labels = json.loads((folder / "labels_zh.json").read_text(encoding="utf-8"))
    network = DemoDetector(len(labels)).eval()
    network.load_state_dict({name: t.float() for name, t in load_file(next(folder.glob("*.safetensors"))).items()})
    pickled(network, folder)


def make_resnest(folder: Path) -> None:
    """The real model's shape, 629 MB, as ModelScope's download leaves it.

    Its weights are random, with three cares, without which tags would flip by rounding alone: residual branches are
    damped, as training damps them; batch normalisation is calibrated on pictures; and a class is the normalised,
    centred feature of one of the pictures.
    """
    import timm

    torch.manual_seed(0)
    network = timm.create_model("resnest101e", num_classes=CLASSES, zero_init_last=False)
    for name, module in network.named_modules():
        if name.endswith(".bn3"):  # the last of a residual branch
            torch.nn.init.constant_(module.weight, DAMPING)
    paths = pictures()
    calibrate(network, batch_of(paths[:64]))
    features = torch.cat([pooled(network, batch_of(paths[i : i + 32])) for i in range(0, PICTURES, 32)])
    with torch.no_grad():
        centre, scale = features.mean(0), 20.0
        network.fc.weight.copy_(scale * normalize(torch.randn(network.fc.weight.shape), dim=1))
        network.fc.weight[:PICTURES] = scale * normalize(features - centre, dim=1)
        network.fc.weight /= (features - centre).norm(dim=1).mean()
        network.fc.bias.copy_(-network.fc.weight @ centre)
    pickled(network, folder)
    torch.save(network.state_dict(), folder / "pytorch_model.pt")
    lines = [f"{i}\t标签{i}\n" for i in range(CLASSES)]
    (folder / "meta_info.txt").write_text("".join(lines), encoding="utf-8")
    (folder / "labels_zh.json").write_text(json.dumps({i: f"标签{i}" for i in range(CLASSES)}, ensure_ascii=False))
    (folder / "configuration.json").write_text(json.dumps({"framework": "pytorch", "task": "general-recognition"}))


def calibrate(network: torch.nn.Module, batch: torch.Tensor) -> None:
    """Running statistics from pictures: at their defaults, the signal of random weights dies or explodes."""
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        network.train()(batch)
    network.eval()


@torch.no_grad()
def pooled(network: torch.nn.Module, batch: torch.Tensor) -> torch.Tensor:
    return network.forward_head(network.forward_features(batch), pre_logits=True)


def batch_of(paths: list[Path]) -> torch.Tensor:
    images = torch.stack([fit(decode(path), IMAGENET)[0] for path in paths]).float() / 255
    return (images - torch.tensor(IMAGENET.mean).view(3, 1, 1)) / torch.tensor(IMAGENET.std).view(3, 1, 1)


def make_retinanet(folder: Path) -> None:
    """A heavier detector, for GPUs: torchvision's RetinaNet at 640, random weights."""
    from torchvision.models.detection import retinanet_resnet50_fpn_v2

    torch.manual_seed(0)
    network = retinanet_resnet50_fpn_v2(weights=None, weights_backbone=None, num_classes=91, min_size=640, max_size=640)
    torch.save(network.state_dict(), folder / "weights.pth")
    description = {"architecture": "torchvision/retinanet_resnet50_fpn_v2"}
    (folder / "model.json").write_text(json.dumps(description))
    (folder / "labels_zh.json").write_text(json.dumps({i: f"标签{i}" for i in range(91)}, ensure_ascii=False))
    pickled(network.eval(), folder)


def pickled(network: torch.nn.Module, folder: Path) -> None:
    (folder / "pickled").mkdir()
    torch.save(network, folder / "pickled" / "module.pth")


WORKLOADS = {
    "resnest101": Workload("resnest101", make_resnest),
    "demo": Workload("demo", make_demo),
    "retinanet": Workload("retinanet", make_retinanet),
}
