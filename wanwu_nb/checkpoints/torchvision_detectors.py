"""torchvision's detectors by name, with the COCO weights that torchvision publishes."""

from pathlib import Path
from urllib.error import URLError

import torch
from torchvision import models

from . import Checkpoint
from .architectures import build_with
from .formats import read_weights
from .labels import read_labels

COCO_NAMES = Path(__file__).parent / "coco_zh.json"


def open_by_name(model: str, labels: dict[int, str] | None) -> Checkpoint:
    """Weights come from torch's cache, and from the internet on first use."""
    name = model.removeprefix("torchvision/")
    known = models.list_models(module=models.detection)
    if name not in known or name.startswith("keypointrcnn"):
        raise ValueError(f"torchvision has no detector {name!r}: {', '.join(known)}")
    weights = models.get_model_weights(name).DEFAULT
    path = Path(torch.hub.get_dir()) / "checkpoints" / weights.url.rpartition("/")[2]
    if not path.is_file():
        download(weights, path)
    classes = len(weights.meta["categories"])
    network, spec = build_with(model, read_weights(path), classes, path)
    return Checkpoint(name, "torchvision detector, COCO", network, spec, labels or read_labels(COCO_NAMES), path, model)


def download(weights: models.WeightsEnum, path: Path) -> None:
    try:
        weights.get_state_dict(progress=False, check_hash=True)
    except (URLError, OSError) as error:
        raise FileNotFoundError(
            f"the weights could not be downloaded ({error}): on a machine with internet get {weights.url}, "
            f"and put it at {path}"
        ) from None
