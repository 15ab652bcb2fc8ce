"""Which kind of model is this? Each family turns what is on disk into one `Checkpoint`: network, input, labels."""

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from ..images import InputSpec

DEMO_FOLDER = Path(__file__).parent.parent / "demo" / "model"


@dataclass(frozen=True)
class Checkpoint:
    """A network that keeps the contract `forward(images) -> (boxes, scores, labels)`, and what it needs around it."""

    name: str
    network: nn.Module
    spec: InputSpec
    labels: dict[int, str]
    fingerprint: str  # digest of weights, labels and input spec: same fingerprint, same tags


def open_checkpoint(model: str) -> Checkpoint:
    """Open what the parameter `model` names: "demo", or a folder with a model.json.

    Raises FileNotFoundError where there is nothing, ValueError where it is not a model.
    """
    from .model_folder import open_model_folder

    folder = DEMO_FOLDER if model == "demo" else Path(model)
    path = folder.absolute()
    if not folder.exists():
        raise FileNotFoundError(f'model {model!r} does not exist (looked for {path}): use "demo" or a model folder')
    if not (folder / "model.json").is_file():
        raise ValueError(f"model {path} holds no model.json: give the folder that holds it, its weights and labels")
    return open_model_folder(folder)
