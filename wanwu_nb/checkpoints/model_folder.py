"""A model folder: `model.json`, one file of weights in any served format, labels. The demo model is one."""

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from ..errors import ModelError
from ..fitting import InputSpec
from .checkpoint import Checkpoint
from .labels import Labels
from .lone_file import Recipe, labels_beside, open_network

DESCRIPTION = "model.json"
WEIGHTS = (".safetensors", ".pth", ".pt", ".pt2", ".bin")
SHARDS = "*.index.json"  # says which of several files holds which tensor
TRAINERS = (".ckpt", ".tar")  # Lightning's suffix, and .pth.tar: looked for where none of the others is there


class Description(BaseModel):
    """model.json: `input` as fitting.InputSpec; `scoring`, what makes a whole-picture tagger's scores.

    `weights_key`: which entry of a training script's file holds the weights, e.g. state_dict_ema.
    """

    model_config = ConfigDict(extra="forbid")

    name: str = ""
    architecture: str = ""
    input: InputSpec | None = None
    scoring: Literal["softmax", "sigmoid", "none"] = "softmax"
    weights_key: str = ""


def is_model_folder(folder: Path) -> bool:
    """Returns whether a folder describes itself in a model.json.

    >>> is_model_folder(DEMO_FOLDER)
    True
    """
    return (folder / DESCRIPTION).is_file()


def open_model_folder(folder: Path, labels: Labels | None = None, trust_pickle: bool = False) -> Checkpoint:
    """Open the network that model.json names or the weights file brings; without `labels`, with the folder's.

    Returns the checkpoint. Raises MissingFile where there are no labels, ModelError for what is not a model.

    >>> open_model_folder(DEMO_FOLDER).name
    'demo detector'
    """
    description = _read_description(folder / DESCRIPTION)
    weights = _only_weights(folder)
    labels = labels or labels_beside(weights)
    architecture, scoring, weights_key = description.architecture, description.scoring, description.weights_key
    recipe = Recipe(architecture, scoring, weights_key, trust_pickle)
    opened = open_network(weights, labels, recipe)
    name = description.name or folder.name
    spec = description.input or opened.spec
    kind = f"model folder, {opened.kind}"
    return Checkpoint(
        name,
        kind,
        opened.network,
        spec,
        opened.labels,
        weights,
        architecture,
        scoring,
        files=opened.files,
        weights_key=weights_key,
    )


def _only_weights(folder: Path) -> Path:
    candidates = [path for path in folder.iterdir() if path.suffix in WEIGHTS]
    if len(candidates) == 1:
        return candidates[0]
    indices = list(folder.glob(SHARDS))
    if len(indices) == 1:
        return indices[0]
    checkpoints = [path for path in folder.iterdir() if path.suffix in TRAINERS]
    if not candidates and len(checkpoints) == 1:
        return checkpoints[0]
    suffixes = " ".join(WEIGHTS)
    names = sorted(path.name for path in candidates + checkpoints)
    listed = ", ".join(names) or "none"
    raise ModelError(f"model folder {folder} must hold one file of weights ({suffixes}): found {listed}")


def _read_description(path: Path) -> Description:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        return Description(**content)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        what = problem["msg"].removeprefix("Value error, ")
        raise ModelError(f"{path}: {where}: {what} (see docs/models.md)") from None
    except (ValueError, TypeError) as error:
        raise ModelError(f"{path} is not a JSON object: {error}") from None
