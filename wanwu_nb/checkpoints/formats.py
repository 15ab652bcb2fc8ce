"""What is in this file? Told by its content, not by its suffix."""

import json
import zipfile
from pathlib import Path

from ..errors import ModelError

SAFETENSORS, PICKLE, TORCHSCRIPT, EXPORT = "safetensors", "pickle", "TorchScript", "torch.export"
PROGRAMS = (TORCHSCRIPT, EXPORT)  # bring their own code
SHARDED = "sharded weights"  # an index in JSON, which says in which file each tensor lies
LARGEST_INDEX = 64_000_000  # bytes
WEB_PAGE = (b"<!doctype", b"<html", b"<?xml")
EXPORT_ADVICE = "export it from PyTorch instead: torch.export.save(torch.export.export(model, (batch,)), 'model.pt2')"


def format_of(path: Path) -> str:
    """Returns which of the formats that are served a file has.

    Raises ModelError, with what to do instead, for any other file.

    >>> format_of(DEMO_FOLDER / "model.safetensors")
    'safetensors'
    """
    try:
        with open(path, "rb") as file:
            head = file.read(1024)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from None
    if head.startswith(b"PK"):
        return _format_of_zip(path)
    if _is_safetensors(path, head):
        return SAFETENSORS
    if head.startswith(b"\x80"):
        return PICKLE  # torch.save's format before 1.6
    if head.lstrip().startswith(b"{") and path.stat().st_size < LARGEST_INDEX and _is_index(path):
        return SHARDED
    other = _guess(path, head)
    raise ModelError(f"{path} is {other}")


def _is_safetensors(path: Path, head: bytes) -> bool:
    """Eight bytes with the header's size, then the header, in JSON."""
    header_size = int.from_bytes(head[:8], "little")
    file_size = path.stat().st_size
    return head[8:].startswith(b"{") and header_size < file_size


def _is_index(path: Path) -> bool:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return False
    weight_map = content.get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        return False
    return all(isinstance(shard, str) for shard in weight_map.values())


def _format_of_zip(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.namelist()
    except Exception as error:  # zipfile raises several kinds, by which byte is wrong
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
