"""A lone file: weights with their architecture's name, or a network that comes with its own code."""

from pathlib import Path

from torch import nn

from ..errors import MissingFile, ModelError
from ..fitting import IMAGENET_MEAN, IMAGENET_STD, InputSpec
from .architectures import build_with
from .checkpoint import Checkpoint
from .contract import Contract
from .formats import PROGRAMS, SAFETENSORS, format_of, read_weights
from .labels import read_labels
from .programs import open_program

ARTICLE_INPUT = InputSpec(640, 640, "stretch", IMAGENET_MEAN, IMAGENET_STD)
LABEL_FILES = ("labels_zh.json", "labels.json", "labels.txt")


def open_lone_file(path: Path, labels: dict[int, str] | None, architecture: str, trust_pickle: bool) -> Checkpoint:
    """Open a file of weights or of a whole network; without `labels`, a labels file beside it is read.

    Returns the checkpoint. Raises MissingFile where there are no labels, ModelError for what is not a model.

    Example: `open_lone_file(Path("resnet50.pth"), {0: "台灯", 1: "椅子"}, "timm/resnet50", trust_pickle=False)`
    """
    labels = labels or labels_beside(path)
    classes = max(labels) + 1
    network, spec, kind = open_network(path, architecture, classes, trust_pickle)
    return Checkpoint(path.stem, kind, network, spec, labels, path, architecture)


def labels_beside(path: Path) -> dict[int, str]:
    """Read the labels that lie beside a file of weights.

    Returns class id → name. Raises MissingFile where there are none, ModelError for a labels file that is none.

    Example: `labels_beside(DEMO_FOLDER / "model.safetensors")[0]` is "T恤".
    """
    for name in LABEL_FILES:
        beside = path.parent / name
        if beside.is_file():
            return read_labels(beside)
    raise MissingFile(f"{path} has no labels: set labels=…, or put {LABEL_FILES[0]} beside it")


def open_network(
    path: Path, architecture: str, classes: int, trust_pickle: bool, scoring: str = "softmax"
) -> tuple[Contract, InputSpec, str]:
    """Open the network in a file, whatever served format it has.

    Returns the network, the input it wants (the article's, 640x640 stretched, where nothing says), and what kind of
    file it was. Raises ModelError for what is not a model, or not one of `classes` classes.

    Example: `network, spec, kind = open_network(Path("resnet50.pth"), "timm/resnet50", 1000, trust_pickle=False)`
    """
    form = format_of(path)
    if form in PROGRAMS:
        if architecture:
            raise ModelError(f"{path} is {form} and brings its own code: leave architecture out")
        program = open_program(path, form)
        network = Contract(program.network, classes, scoring, program.sizes)
        return network, program.spec or ARTICLE_INPUT, form
    content = read_weights(path, trust_pickle)
    if isinstance(content, nn.Module):
        network = Contract(content, classes, scoring)
        return network, ARTICLE_INPUT, "pickled module"
    if not architecture:
        names = list(content)
        some = ", ".join(names[:3])
        raise ModelError(f"{path} holds weights alone ({some}, …): set architecture=torchvision/… or timm/…")
    network, spec = build_with(architecture, content, classes, path, scoring)
    weights = "safetensors" if form == SAFETENSORS else "state dict"
    return network, spec, f"{weights}, {architecture}"
