"""A model folder: `model.json`, one file of weights in any served format, labels. The demo model is one."""

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from ..images import InputSpec
from . import Checkpoint
from .lone_file import ARTICLE_INPUT, labels_beside, open_network

WEIGHTS = (".safetensors", ".pth", ".pt", ".pt2", ".bin")


class Description(BaseModel):
    """model.json: `input` as images.InputSpec; `scoring`, what makes a whole-picture tagger's scores."""

    model_config = ConfigDict(extra="forbid")

    name: str = ""
    architecture: str = ""
    input: InputSpec | None = None
    scoring: Literal["softmax", "sigmoid", "none"] = "softmax"


def open_model_folder(folder: Path, labels: dict[int, str] | None = None, trust_pickle: bool = False) -> Checkpoint:
    """The network that model.json names or the weights file brings, with the folder's labels."""
    described = read_description(folder / "model.json")
    weights = sorted(path for path in folder.iterdir() if path.suffix in WEIGHTS)
    if len(weights) != 1:
        found = ", ".join(path.name for path in weights) or "none"
        raise ValueError(f"model folder {folder} must hold one file of weights ({' '.join(WEIGHTS)}): found {found}")
    labels = labels or labels_beside(weights[0])
    classes = max(labels) + 1
    network, spec, kind = open_network(weights[0], described.architecture, classes, trust_pickle, described.scoring)
    name = described.name or folder.name
    spec = described.input or spec or ARTICLE_INPUT
    kind = f"model folder, {kind}"
    return Checkpoint(name, kind, network, spec, labels, weights[0], described.architecture, described.scoring)


def read_description(path: Path) -> Description:
    try:
        return Description(**json.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        raise ValueError(f"{path}: {where}: {problem['msg']} (see docs/models.md)") from None
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is not a JSON object: {error}") from None
