"""torchvision's detectors by name, with the COCO weights that torchvision publishes."""

from pathlib import Path
from urllib.error import URLError

import torch
from torchvision import models

from ..errors import MissingFile, ModelError
from .architectures import build_with
from .checkpoint import Checkpoint, WeightsFile
from .labels import Labels, open_labels
from .weights import read_state_dict

COCO_NAMES = Path(__file__).parent / "coco_zh.json"


def open_by_name(model: str, labels: Labels | None) -> Checkpoint:
    """Open a published detector, with COCO's names in Chinese or with `labels`.

    Weights come from torch's cache, and from the internet on first use. Returns the checkpoint. Raises ModelError for a
    name that torchvision does not have, MissingFile for weights that cannot be downloaded.

    Example: `open_by_name("torchvision/fasterrcnn_resnet50_fpn_v2", labels=None)`
    """
    name = model.removeprefix("torchvision/")
    known = models.list_models(module=models.detection)
    if name not in known or name.startswith("keypointrcnn"):
        listed = ", ".join(known)
        raise ModelError(f"torchvision has no detector {name!r}: {listed}")
    published = models.get_model_weights(name).DEFAULT
    path = _path_in_cache(published)
    if not path.is_file():
        _download(published, path)
    classes = len(published.meta["categories"])
    labels = labels or open_labels(COCO_NAMES)
    names = labels.for_classes(classes)
    files = (WeightsFile.of(path),)
    state = read_state_dict(path)
    network, spec = build_with(model, state, classes, path)
    kind = "torchvision detector, COCO"
    return Checkpoint(name, kind, network, spec, names, path, model, files=files)


def _path_in_cache(published: models.WeightsEnum) -> Path:
    """Where torch.hub puts what it downloads."""
    cache = torch.hub.get_dir()
    url: str = published.url
    file_name = url.rpartition("/")[2]
    return Path(cache, "checkpoints", file_name)


def _download(published: models.WeightsEnum, path: Path) -> None:
    try:
        published.get_state_dict(progress=False, check_hash=True)
    except (URLError, OSError) as error:
        raise MissingFile(
            f"the weights could not be downloaded ({error}): on a machine with internet get {published.url}, "
            f"and put it at {path}"
        ) from error
