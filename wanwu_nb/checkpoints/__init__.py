"""Which kind of model is this? Each family turns what a user has into one `Checkpoint`: network, input, labels.

"demo", model.json folder    model_folder.py        a lone weights file     lone_file.py
ModelScope's folder          modelscope.py          "torchvision/…"         torchvision_detectors.py
"""

import hashlib
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from torch import nn

from ..images import InputSpec

DEMO_FOLDER = Path(__file__).parent.parent / "demo" / "model"


@dataclass(frozen=True)
class Checkpoint:
    """A network that keeps the contract `forward(images) -> (boxes, scores, labels)`, and what it needs around it."""

    name: str
    kind: str
    network: nn.Module
    spec: InputSpec
    labels: dict[int, str]
    weights: Path
    architecture: str = ""
    scoring: str = "softmax"

    @cached_property
    def fingerprint(self) -> str:
        """Digest of weights, architecture, labels, input spec and scoring: same fingerprint, same tags.

        Read when first asked for, not at loading: the weights are mapped into memory and need no other pass.
        """
        with open(self.weights, "rb") as file:
            digest = hashlib.file_digest(file, "sha256")
        rest = (self.architecture, sorted(self.labels.items()), sorted(asdict(self.spec).items()), self.scoring)
        digest.update(repr(rest).encode())
        return digest.hexdigest()[:16]


def open_checkpoint(model: str, labels: str = "", architecture: str = "", trust_pickle: bool = False) -> Checkpoint:
    """Open what the parameters of that name stand for; docs/models.md lists all that `model` may be.

    `labels`: a labels file, for models that come without or with others; `architecture`: for a file of weights alone;
    `trust_pickle`: run the code inside a pickled module. Raises FileNotFoundError for what is not there,
    ValueError for what is not a model.
    """
    from . import lone_file, model_folder, modelscope, torchvision_detectors
    from .labels import read_labels

    path = DEMO_FOLDER if model == "demo" else Path(model).absolute()
    named = read_labels(Path(labels).absolute()) if labels else None
    if model.startswith("torchvision/") and not path.exists():
        return torchvision_detectors.open_by_name(model, named)
    if not path.exists():
        raise FileNotFoundError(
            f'model {model!r} does not exist (looked for {path}): use "demo", a model folder, a weights file, or a '
            "torchvision detector such as torchvision/fasterrcnn_resnet50_fpn_v2"
        )
    if path.is_file():
        return lone_file.open_lone_file(path, named, architecture, trust_pickle)
    if architecture:
        raise ValueError(f"architecture={architecture!r} is for a lone weights file, and {path} is a folder")
    if (path / "model.json").is_file():
        return model_folder.open_model_folder(path, named, trust_pickle)
    if modelscope.is_one(path):
        return modelscope.open_modelscope(path, named)
    raise ValueError(
        f"folder {path} holds neither a model.json nor ModelScope's pytorch_model.pt and meta_info.txt: "
        "give the weights file itself, or add a model.json (see docs/models.md)"
    )
