"""A lone file: weights with their architecture's name, or a network that comes with its own code."""

import zlib
from pathlib import Path
from zipfile import BadZipFile

import torch
from torch import nn

from ..images import InputSpec
from ..tuning import first_line
from . import Checkpoint
from .architectures import IMAGENET, build_with
from .contract import Contract
from .formats import (
    EXPORT,
    SAFETENSORS,
    TORCHSCRIPT,
    format_of,
    load_export,
    read_weights,
)
from .labels import read_labels

ARTICLE_INPUT = InputSpec(640, 640, "stretch", **IMAGENET)
LABEL_FILES = ("labels_zh.json", "labels.json", "labels.txt")


def open_lone_file(path: Path, labels: dict[int, str] | None, architecture: str, trust_pickle: bool) -> Checkpoint:
    """Labels as given or beside the file; one that names no input gets the article's input, 640x640 stretched."""
    labels = labels or labels_beside(path)
    network, spec, kind = open_network(path, architecture, max(labels) + 1, trust_pickle)
    return Checkpoint(path.stem, kind, network, spec or ARTICLE_INPUT, labels, path, architecture)


def labels_beside(path: Path) -> dict[int, str]:
    for name in LABEL_FILES:
        if (path.parent / name).is_file():
            return read_labels(path.parent / name)
    raise FileNotFoundError(f"{path} has no labels: set labels=…, or put {LABEL_FILES[0]} beside it")


def open_network(
    path: Path, architecture: str, classes: int, trust_pickle: bool, scoring: str = "softmax"
) -> tuple[Contract, InputSpec | None, str]:
    """The network in a file, the input it is known to want, and what kind of file it was."""
    kind = format_of(path)
    if kind in (TORCHSCRIPT, EXPORT):
        if architecture:
            raise ValueError(f"{path} is {kind} and brings its own code: leave architecture out")
        network, sizes, spec = open_program(path, kind)
        return Contract(network, classes, scoring, sizes), spec, kind
    content = read_weights(path, trust_pickle)
    if isinstance(content, nn.Module):
        return Contract(content, classes, scoring), None, "pickled module"
    if not architecture:
        some = ", ".join(list(content)[:3])
        raise ValueError(f"{path} holds weights alone ({some}, …): set architecture=torchvision/… or timm/…")
    network, spec = build_with(architecture, content, classes, path)
    network.scoring = scoring
    return network, spec, f"{'safetensors' if kind == SAFETENSORS else 'state dict'}, {architecture}"


def open_program(path: Path, kind: str) -> tuple[nn.Module, tuple[int, int], InputSpec | None]:
    """TorchScript or torch.export: the network, its batch sizes, and its input where the file states it."""
    try:
        if kind == TORCHSCRIPT:
            return Frozen(torch.jit.load(path, map_location="cpu").eval()), (1, 0), None
        program = load_export(path)
    except (RuntimeError, OSError, KeyError, BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} is {kind} that this torch cannot open: {first_line(error)}") from None
    sizes, spec = export_input(program)
    return Frozen(program.module()), sizes, spec


class Frozen(nn.Module):
    """A network whose mode was fixed when it was saved: exported ones refuse train() and eval()."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, images):
        return self.network(images)

    def train(self, mode: bool = True):
        return self


def export_input(program: torch.export.ExportedProgram) -> tuple[tuple[int, int], InputSpec | None]:
    """Smallest and largest batch (0: any), and the size of the pictures, from the export's only user input."""
    (name,) = program.graph_signature.user_inputs
    shape = next(node.meta["val"].shape for node in program.graph.nodes if node.name == name)
    batch, _, height, width = shape
    spec = None
    if isinstance(height, int) and isinstance(width, int):
        spec = InputSpec(width, height, "stretch", **IMAGENET)
    if isinstance(batch, int):
        return (batch, batch), spec
    limits = program.range_constraints[batch.node.expr]
    largest = int(limits.upper) if limits.upper < 2**31 else 0
    return (max(1, int(limits.lower)), largest), spec
