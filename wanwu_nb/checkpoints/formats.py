"""What is in this file? Told by its content, not by its suffix; and weights read without running code."""

import pickle
import zipfile
from pathlib import Path
from typing import Any, TypeGuard

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ..errors import ModelError, first_line

SAFETENSORS, PICKLE, TORCHSCRIPT, EXPORT = "safetensors", "pickle", "TorchScript", "torch.export"
PROGRAMS = (TORCHSCRIPT, EXPORT)  # bring their own code
STATE_DICT_KEYS = ("state_dict", "model_state_dict", "model")  # what training scripts wrap one in
WEB_PAGE = (b"<!doctype", b"<html", b"<?xml")
EXPORT_ADVICE = "export it from PyTorch instead: torch.export.save(torch.export.export(model, (batch,)), 'model.pt2')"


def format_of(path: Path) -> str:
    """Returns which of the four formats that are served a file has.

    Raises ModelError, with what to do instead, for any other file.

    >>> format_of(DEMO_FOLDER / "model.safetensors")
    'safetensors'
    """
    with open(path, "rb") as file:
        head = file.read(1024)
    if head.startswith(b"PK"):
        return _format_of_zip(path)
    if _is_safetensors(path, head):
        return SAFETENSORS
    if head.startswith(b"\x80"):
        return PICKLE  # torch.save's format before 1.6
    other = _guess(path, head)
    raise ModelError(f"{path} is {other}")


def read_weights(path: Path, trust_pickle: bool = False) -> dict[str, Tensor] | nn.Module:
    """Read a file of weights, mapped into memory rather than copied.

    Returns a state dict (name → tensor) or, where trusted, a pickled module. Raises ModelError for a file that is
    damaged, of another kind, or code where only tensors were expected.

    Example: `network = read_weights(Path("module.pth"), trust_pickle=True)`
    """
    content = _load(path, trust_pickle)
    if isinstance(content, nn.Module):
        return content
    return _state_dict_of(content, path)


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read a file of tensors alone, mapped into memory rather than copied.

    Returns name → tensor. Raises ModelError for a file that is damaged, or of another kind.

    >>> state = read_state_dict(DEMO_FOLDER / "model.safetensors")
    >>> state["class_logits.bias"].shape
    torch.Size([20])
    """
    content = _load(path, trust_pickle=False)
    return _state_dict_of(content, path)


def _is_safetensors(path: Path, head: bytes) -> bool:
    """Eight bytes with the header's size, then the header, in JSON."""
    header_size = int.from_bytes(head[:8], "little")
    file_size = path.stat().st_size
    return head[8:].startswith(b"{") and header_size < file_size


def _format_of_zip(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.namelist()
    except zipfile.BadZipFile as error:
        raise ModelError(f"{path} is damaged: the file is cut short; download or copy it again") from error
    names = [entry.partition("/")[2] for entry in entries]  # without the archive's own name
    if "archive_format" in names or _any_starts_with(names, "serialized_exported_program"):
        return EXPORT
    if "constants.pkl" in names and _any_starts_with(names, "code/"):
        return TORCHSCRIPT
    if "data.pkl" in names:
        return PICKLE
    raise ModelError(f"{path} is a zip file that PyTorch did not write: unpack it, and give the weights inside")


def _any_starts_with(names: list[str], prefix: str) -> bool:
    matching = [name for name in names if name.startswith(prefix)]
    return bool(matching)


def _guess(path: Path, head: bytes) -> str:
    """What else the file may be, and what to do about it."""
    start = head.lstrip().lower()
    producer = head[:64]  # ONNX names near its beginning what wrote it
    if not head:
        return "empty (0 bytes): download or copy it again"
    if start.startswith(WEB_PAGE):
        return "a web page, not weights: the download gave an error page or wants a log-in; download it again"
    if start.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not the weights: run `git lfs pull` in its repository"
    if path.suffix.lower() == ".onnx" or b"pytorch" in producer or b"onnx" in producer:
        return f"an ONNX file, which is not served: {EXPORT_ADVICE}"
    if head.startswith(b"\x89HDF"):
        return f"an HDF5 file (Keras), which is not served: rebuild the network in PyTorch, then {EXPORT_ADVICE}"
    served = "safetensors, a state dict, TorchScript or torch.export"
    return f"no model in a format that is served ({served}): {EXPORT_ADVICE}"


def _load(path: Path, trust_pickle: bool) -> object:
    try:
        if format_of(path) == SAFETENSORS:
            return load_file(path)
        return _load_pickle(path, trust_pickle)
    except (SafetensorError, RuntimeError, EOFError) as error:
        reason = first_line(error)
        raise ModelError(f"the weights in {path} are damaged ({reason}): copy them again") from error


def _load_pickle(path: Path, trust_pickle: bool) -> Any:
    mapped = zipfile.is_zipfile(path)  # the format before 1.6 cannot be
    try:
        return torch.load(path, map_location="cpu", weights_only=not trust_pickle, mmap=mapped)
    except pickle.UnpicklingError as error:
        reason = first_line(error)
        raise ModelError(
            f"{path} holds more than tensors ({reason}): opening it runs the code inside, whatever that is. "
            "If you trust where it came from, set trust_pickle=True; safer is a state dict with architecture=…, "
            "TorchScript or torch.export"
        ) from None
    except (ImportError, AttributeError) as error:
        reason = first_line(error)
        raise ModelError(f"{path} was pickled with code that is not here ({reason}): install it") from error


def _state_dict_of(content: object, path: Path) -> dict[str, Tensor]:
    """Without the prefix that data-parallel training gives every name."""
    state = _unwrapped(content)
    if not _is_state_dict(state):
        kind = type(state).__name__
        raise ModelError(f"{path} holds a {kind}, not a state dict (names and tensors)")
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}


def _unwrapped(content: object) -> object:
    """The state dict in what a training script saved."""
    for key in STATE_DICT_KEYS:
        if not isinstance(content, dict):
            break
        inner = content.get(key)
        if isinstance(inner, dict):
            content = inner
    return content


def _is_state_dict(content: object) -> TypeGuard[dict[str, Tensor]]:
    if not isinstance(content, dict):
        return False
    return all(isinstance(value, Tensor) for value in content.values())
