"""A model folder: `model.json`, one file of weights in any served format, labels. The demo model is one."""

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from ..errors import ModelError
from ..fitting import InputSpec
from .checkpoint import Checkpoint
from .lone_file import labels_beside, open_network

DESCRIPTION = "model.json"
WEIGHTS = (".safetensors", ".pth", ".pt", ".pt2", ".bin")


class Description(BaseModel):
    """model.json: `input` as fitting.InputSpec; `scoring`, what makes a whole-picture tagger's scores."""

    model_config = ConfigDict(extra="forbid")

    name: str = ""
    architecture: str = ""
    input: InputSpec | None = None
    scoring: Literal["softmax", "sigmoid", "none"] = "softmax"


def is_model_folder(folder: Path) -> bool:
    """Returns whether a folder describes itself in a model.json.

    >>> is_model_folder(DEMO_FOLDER)
    True
    """
    return (folder / DESCRIPTION).is_file()


def open_model_folder(folder: Path, labels: dict[int, str] | None = None, trust_pickle: bool = False) -> Checkpoint:
    """Open the network that model.json names or the weights file brings; without `labels`, with the folder's.

    Returns the checkpoint. Raises MissingFile where there are no labels, ModelError for what is not a model.

    >>> open_model_folder(DEMO_FOLDER).name
    'demo detector'
    """
    description = _read_description(folder / DESCRIPTION)
    weights = _only_weights(folder)
    labels = labels or labels_beside(weights)
    classes = max(labels) + 1
    architecture, scoring = description.architecture, description.scoring
    network, spec, kind = open_network(weights, architecture, classes, trust_pickle, scoring)
    name = description.name or folder.name
    spec = description.input or spec
    kind = f"model folder, {kind}"
    return Checkpoint(name, kind, network, spec, labels, weights, architecture, scoring)


def _only_weights(folder: Path) -> Path:
    candidates = [path for path in folder.iterdir() if path.suffix in WEIGHTS]
    if len(candidates) == 1:
        return candidates[0]
    suffixes = " ".join(WEIGHTS)
    names = sorted(path.name for path in candidates)
    listed = ", ".join(names) or "none"
    raise ModelError(f"model folder {folder} must hold one file of weights ({suffixes}): found {listed}")


def _read_description(path: Path) -> Description:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Description(**content)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        what = problem["msg"]
        raise ModelError(f"{path}: {where}: {what} (see docs/models.md)") from None
    except (ValueError, TypeError) as error:
        raise ModelError(f"{path} is not a JSON object: {error}") from None
