"""What is in this file? Told by its content, not by its suffix; and weights read without running code."""

import os
import pickle
import zipfile
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ..tuning import first_line

SAFETENSORS, PICKLE, TORCHSCRIPT, EXPORT = "safetensors", "pickle", "TorchScript", "torch.export"
STATE_DICT_KEYS = ("state_dict", "model_state_dict", "model")  # what training scripts wrap one in
FORCE_WEIGHTS_ONLY = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"  # torch.load obeys it over its own arguments
EXPORT_ADVICE = "export it from PyTorch instead: torch.export.save(torch.export.export(model, (batch,)), 'model.pt2')"


def format_of(path: Path) -> str:
    """One of the four formats that are served. Raises ValueError, with what to do instead, for any other file."""
    with open(path, "rb") as file:
        head = file.read(1024)
    if head.startswith(b"PK"):
        return format_of_zip(path)
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size:
        return SAFETENSORS
    if head[:1] == b"\x80":
        return PICKLE  # torch.save's format before 1.6
    raise ValueError(f"{path} is {guess(path, head)}")


def format_of_zip(path: Path) -> str:
    try:
        names = [name.partition("/")[2] for name in zipfile.ZipFile(path).namelist()]
    except zipfile.BadZipFile:
        raise ValueError(f"{path} is damaged: the file is cut short; download or copy it again") from None
    if "archive_format" in names or any(name.startswith("serialized_exported_program") for name in names):
        return EXPORT
    if "constants.pkl" in names and any(name.startswith("code/") for name in names):
        return TORCHSCRIPT
    if "data.pkl" in names:
        return PICKLE
    raise ValueError(f"{path} is a zip file that PyTorch did not write: unpack it, and give the weights inside")


def guess(path: Path, head: bytes) -> str:
    start = head.lstrip().lower()
    if not head:
        return "empty (0 bytes): download or copy it again"
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "a web page, not weights: the download gave an error page or wants a log-in; download it again"
    if start.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not the weights: run `git lfs pull` in its repository"
    if path.suffix.lower() == ".onnx" or b"pytorch" in head[:64] or b"onnx" in head[:64]:
        return f"an ONNX file, which is not served: {EXPORT_ADVICE}"
    if head.startswith(b"\x89HDF"):
        return f"an HDF5 file (Keras), which is not served: rebuild the network in PyTorch, then {EXPORT_ADVICE}"
    served = "safetensors, a state dict, TorchScript or torch.export"
    return f"no model in a format that is served ({served}): {EXPORT_ADVICE}"


def read_weights(path: Path, trust_pickle: bool = False) -> dict[str, Tensor] | nn.Module:
    """A state dict (name → tensor, mapped from the file rather than read) or, where trusted, a pickled module.

    Raises ValueError: damaged, of another kind, or code where only tensors were expected.
    """
    try:
        content = load_file(path) if format_of(path) == SAFETENSORS else load_pickle(path, trust_pickle)
    except (SafetensorError, RuntimeError, EOFError) as error:
        raise ValueError(f"the weights in {path} are damaged ({first_line(error)}): copy them again") from None
    if isinstance(content, nn.Module):
        return content
    for wrapped in STATE_DICT_KEYS:
        if isinstance(content, dict) and isinstance(content.get(wrapped), dict):
            content = content[wrapped]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise ValueError(f"{path} holds a {type(content).__name__}, not a state dict (names and tensors)")
    return {name.removeprefix("module."): value for name, value in content.items()}


def load_pickle(path: Path, trust_pickle: bool):
    try:
        return torch.load(path, map_location="cpu", weights_only=not trust_pickle, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path} holds more than tensors ({first_line(error)}): opening it runs the code inside, whatever that is. "
            "If you trust where it came from, set trust_pickle=True; safer is a state dict with architecture=…, "
            "TorchScript or torch.export"
        ) from None
    except (ImportError, AttributeError) as error:
        raise ValueError(f"{path} was pickled with code that is not here ({first_line(error)}): install it") from None


def load_export(path: Path) -> torch.export.ExportedProgram:
    """torch.export.load without its ways to run code: falling back to an unrestricted torch.load, opaque constants.

    Raises ValueError for an export with pickled code inside.
    """
    with zipfile.ZipFile(path) as archive:
        if any("opaque_obj" in name for name in archive.namelist()):
            raise ValueError(f"{path} holds pickled code (opaque constants): export it without custom objects")
    before = os.environ.get(FORCE_WEIGHTS_ONLY)
    os.environ[FORCE_WEIGHTS_ONLY] = "1"
    try:
        return torch.export.load(path)
    except pickle.UnpicklingError:
        raise ValueError(f"{path} holds pickled code, which a torch.export file need not") from None
    finally:
        del os.environ[FORCE_WEIGHTS_ONLY]
        if before is not None:
            os.environ[FORCE_WEIGHTS_ONLY] = before
