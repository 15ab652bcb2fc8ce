"""A model folder: `model.json`, weights as safetensors, `labels_zh.json`. The demo model is one."""

import hashlib
import json
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from ..images import InputSpec
from . import Checkpoint

FILES = ("model.json", "model.safetensors", "labels_zh.json")


def open_model_folder(folder: Path) -> Checkpoint:
    """Build the network that model.json names, with the folder's weights and labels."""
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise FileNotFoundError(f"model folder {folder.absolute()} lacks {', '.join(missing)}")
    description = read_json(folder / "model.json")
    labels = {int(i): name for i, name in read_json(folder / "labels_zh.json").items()}
    try:
        spec = InputSpec(**description["input"])
        network = build(description["architecture"], len(labels))
        network.load_state_dict(load_file(folder / "model.safetensors"))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{folder / 'model.json'} is not a model description: {error}") from None
    except (SafetensorError, RuntimeError) as error:
        raise ValueError(f"the weights in {folder.absolute()} do not fit: {str(error).splitlines()[0]}") from None
    name = description.get("name", folder.name)
    return Checkpoint(name, network, spec, labels, fingerprint(folder))


def build(architecture: str, classes: int) -> nn.Module:
    if architecture != "wanwu_nb/demo_detector":
        raise ValueError(f'architecture {architecture!r} is not known: "wanwu_nb/demo_detector" is')
    from ..demo.detector import DemoDetector

    return DemoDetector(classes)


def fingerprint(folder: Path) -> str:
    digest = hashlib.sha256()
    for name in FILES:
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()[:16]


def read_json(path: Path) -> dict:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds {type(content).__name__}, not an object: see the demo model's")
    return content
