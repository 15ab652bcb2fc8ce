"""A lone file: weights with their architecture's name, or a network that comes with its own code."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn

from ..errors import MissingFile, ModelError
from ..fitting import IMAGENET_MEAN, IMAGENET_STD, InputSpec
from .architectures import build_with
from .checkpoint import Checkpoint, WeightsFile
from .contract import Contract
from .formats import PICKLE, PROGRAMS, format_of
from .labels import Labels, open_labels
from .programs import open_program
from .weights import read_weights, weights_files

ARTICLE_INPUT = InputSpec(640, 640, "stretch", IMAGENET_MEAN, IMAGENET_STD)
LABEL_FILES = ("labels_zh.json", "labels.json", "labels.txt", "labels.csv", "data.yaml")


@dataclass(frozen=True)
class Recipe:
    """How weights become a network; `options` are timm's own, for its create_model."""

    architecture: str = ""
    scoring: str = "softmax"
    weights_key: str = ""
    trust_pickle: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)


class Opened(NamedTuple):
    """A network in its contract, the input it wants, what kind of file it was, its labels, the files that were read."""

    network: Contract
    spec: InputSpec
    kind: str
    labels: dict[int, str]
    files: tuple[WeightsFile, ...]


def open_lone_file(path: Path, labels: Labels | None, architecture: str, trust_pickle: bool) -> Checkpoint:
    """Open a file of weights or of a whole network; without `labels`, a labels file beside it is read.

    Returns the checkpoint. Raises MissingFile where there are no labels, ModelError for what is not a model.

    Example: `open_lone_file(Path("resnet50.pth"), None, "timm/resnet50", trust_pickle=False)`
    """
    labels = labels or labels_beside(path)
    recipe = Recipe(architecture, trust_pickle=trust_pickle)
    opened = open_network(path, labels, recipe)
    return Checkpoint(
        path.stem, opened.kind, opened.network, opened.spec, opened.labels, path, architecture, files=opened.files
    )


def labels_beside(path: Path) -> Labels:
    """Read the labels that lie beside a file of weights.

    Returns what they may mean. Raises MissingFile where there are none, ModelError for a labels file that is none.

    Example: `labels_beside(DEMO_FOLDER / "model.safetensors").for_classes(20)[0]` is "T恤".
    """
    for name in LABEL_FILES:
        beside = path.parent / name
        if beside.is_file():
            return open_labels(beside)
    raise MissingFile(f"{path} has no labels: set labels=…, or put {LABEL_FILES[0]} beside it")


def open_network(path: Path, labels: Labels, recipe: Recipe) -> Opened:
    """Open the network in a file, whatever served format it has.

    Returns it with the input it wants (the article's, 640x640 stretched, where nothing says). Raises ModelError for
    what is not a model, or not one of the classes that the labels name.

    Example: `network = open_network(Path("resnet50.pth"), labels, Recipe("timm/resnet50")).network`
    """
    form = format_of(path)
    files = weights_files(path, form)
    if form in PROGRAMS:
        return _open_program(path, form, labels, recipe, files)
    content, entry = read_weights(path, recipe.trust_pickle, recipe.weights_key)
    note = f" ({entry})" if entry else ""
    if isinstance(content, nn.Module):
        names = labels.for_classes()
        network = Contract(content, max(names) + 1, recipe.scoring)
        return Opened(network, ARTICLE_INPUT, f"pickled module{note}", names, files)
    if not recipe.architecture:
        some = ", ".join(list(content)[:3])
        raise ModelError(f"{path} holds weights alone ({some}, …): set architecture=torchvision/… or timm/…")
    network, spec, names = _build(path, content, labels, recipe)
    weights = "state dict" if form == PICKLE else form
    return Opened(network, spec, f"{weights}{note}, {recipe.architecture}", names, files)


def _open_program(path: Path, form: str, labels: Labels, recipe: Recipe, files: tuple[WeightsFile, ...]) -> Opened:
    if recipe.architecture or recipe.weights_key:
        surplus = "architecture" if recipe.architecture else "weights_key"
        raise ModelError(f"{path} is {form} and brings its own code: leave {surplus} out")
    names = labels.for_classes()
    program = open_program(path, form)
    network = Contract(program.network, max(names) + 1, recipe.scoring, program.sizes)
    return Opened(network, program.spec or ARTICLE_INPUT, form, names, files)


def _build(
    path: Path, state: dict[str, Tensor], labels: Labels, recipe: Recipe
) -> tuple[Contract, InputSpec, dict[int, str]]:
    """The weights tell which reading of the labels is meant: only a network of that many classes fits them."""
    counts = list(dict.fromkeys(labels.counts))
    for classes in counts:
        try:
            network, spec = build_with(recipe.architecture, state, classes, path, recipe.scoring, recipe.options)
        except ModelError:
            if classes == counts[-1]:
                raise
        else:
            return network, spec, labels.for_classes(classes)
    raise ModelError(f"{path} names no class")
