"""Networks that bring their own code: TorchScript and torch.export."""

import pickle
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from ..errors import ModelError, first_line
from ..fitting import IMAGENET_MEAN, IMAGENET_STD, InputSpec
from ..process import variable
from .formats import EXPORT, TORCHSCRIPT

FORCE_WEIGHTS_ONLY = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"  # torch.load obeys it over its own arguments
ANY_SIZE = (1, 0)
PICTURES = "the batch of pictures [B,3,H,W] alone"


class Program(NamedTuple):
    """A network, its smallest and largest batch (0: any), and its input where the file states it."""

    network: nn.Module
    sizes: tuple[int, int]
    spec: InputSpec | None


def open_program(path: Path, kind: str) -> Program:
    """Open a file of the format `kind`, TorchScript or torch.export.

    Returns the network, its batch sizes and its input. Raises ModelError where this torch cannot open it, and for an
    export with pickled code inside.

    Example: `program = open_program(Path("model.pt2"), EXPORT)`
    """
    if kind == TORCHSCRIPT:
        return _open_torchscript(path)
    return _open_export(path)


def _open_torchscript(path: Path) -> Program:
    with _in_one_sentence(path, TORCHSCRIPT), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # advice for whoever makes such files, and this one is made
        network = torch.jit.load(path, map_location="cpu")
        network.eval()
    return Program(_Frozen(network), ANY_SIZE, None)


def _open_export(path: Path) -> Program:
    with _in_one_sentence(path, EXPORT):
        program = _load_export(path)
        batch, height, width = _input_shape(program, path)
        network = _Frozen(program.module())
        sizes = _batch_sizes(batch, program)
        spec = None
        if isinstance(height, int) and isinstance(width, int):
            spec = InputSpec(width, height, "stretch", IMAGENET_MEAN, IMAGENET_STD)
    return Program(network, sizes, spec)


@contextmanager
def _in_one_sentence(path: Path, kind: str) -> Iterator[None]:
    """For a file that is damaged, or of another version of torch."""
    try:
        yield
    except ModelError:
        raise
    except Exception as error:  # torch raises a dozen kinds, by what is wrong
        reason = first_line(error)
        raise ModelError(f"{path} is {kind} that this torch cannot open: {reason}") from error


def _load_export(path: Path) -> ExportedProgram:
    """torch.export.load without its ways to run code: falling back to an unrestricted torch.load, opaque constants."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if any("opaque_obj" in name for name in names):
        raise ModelError(f"{path} holds pickled code (opaque constants): export it without custom objects")
    with variable(FORCE_WEIGHTS_ONLY, "1"):
        try:
            return torch.export.load(path)
        except pickle.UnpicklingError:
            raise ModelError(f"{path} holds pickled code, which a torch.export file need not") from None


def _input_shape(program: ExportedProgram, path: Path) -> tuple[Any, Any, Any]:
    """Batch, height and width of the export's only user input: numbers where they are fixed, else symbols."""
    names = program.graph_signature.user_inputs
    if len(names) != 1:
        raise ModelError(f"{path} is torch.export of a network with {len(names)} inputs: export it for {PICTURES}")
    nodes = {node.name: node for node in program.graph.nodes}
    node = nodes.get(str(names[0]))
    example = node.meta["val"] if node else None
    if not isinstance(example, Tensor) or example.ndim != 4:
        kind = list(example.shape) if isinstance(example, Tensor) else type(example).__name__
        raise ModelError(f"{path} is torch.export of a network that takes {kind}: export it for {PICTURES}")
    batch, channels, height, width = example.shape
    if isinstance(channels, int) and channels != 3:
        raise ModelError(f"{path} is torch.export of a network for {channels} channels: export it for {PICTURES}")
    return batch, height, width


def _batch_sizes(batch: Any, program: ExportedProgram) -> tuple[int, int]:
    """Smallest and largest batch (0: any)."""
    if isinstance(batch, int):
        return batch, batch
    limits = program.range_constraints[batch.node.expr]
    smallest = max(1, int(limits.lower))
    if limits.upper < 2**31:
        return smallest, int(limits.upper)
    return smallest, 0


class _Frozen(nn.Module):
    """A network whose mode was fixed when it was saved: exported ones refuse train() and eval()."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> object:
        return self.network(images)

    def train(self, mode: bool = True) -> Self:
        return self
