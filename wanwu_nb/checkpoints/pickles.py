"""Pickles opened without running code: torch's weights-only loader, without what trainers put beside the weights."""

import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import torch

from ..errors import ModelError, first_line

# How numbers and arrays of numpy, argparse's namespaces and paths stand in a pickle, of old versions and new.
BESIDE = [
    "argparse.Namespace",
    "numpy.dtype",
    "numpy.ndarray",
    "numpy.core.multiarray.scalar",
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray.scalar",
    "numpy._core.multiarray._reconstruct",
    "pathlib.PosixPath",
    "pathlib.WindowsPath",
    "pathlib._local.PosixPath",
    "pathlib._local.WindowsPath",
    "_codecs.encode",  # bytes
    "builtins.bytes",  # none
]
CULPRITS = (r"GLOBAL ([\w.]+)", r"got <class '([\w.]+)'>", r"WeightsUnpickler error: ([^\n]+)")


def load_pickle(path: Path, trust_pickle: bool) -> Any:
    """Open what torch.save wrote, mapped into memory where the format allows it.

    Tensors and plain containers are opened. Numbers and arrays of numpy, argparse's namespaces and paths may lie beside
    them, and are left out: even numpy's own way to read them lets a pickle set a type's flags. A file with anything
    else is opened only where it is trusted, since that runs the code inside.

    Returns the content. Raises ModelError, with the culprit.

    Example: `load_pickle(Path("checkpoint.pth"), trust_pickle=False)["epoch"]`
    """
    allowed: list[Any] = [(_LeftOut, name) for name in BESIDE]
    mapped = zipfile.is_zipfile(path)  # the format before 1.6 cannot be
    try:
        with torch.serialization.safe_globals(allowed):
            return torch.load(path, map_location="cpu", weights_only=not trust_pickle, mmap=mapped)
    except pickle.UnpicklingError as error:
        culprit = _culprit(error)
        raise ModelError(
            f"{path} holds more than tensors ({culprit}): opening it runs the code inside, whatever that is. "
            "If you trust where it came from, set trust_pickle=True; safer is a state dict with architecture=…, "
            "TorchScript or torch.export"
        ) from None
    except (ImportError, AttributeError) as error:
        reason = first_line(error)
        raise ModelError(f"{path} was pickled with code that is not here ({reason}): install it") from error
    except Exception as error:  # whatever damaged bytes make of a pickle
        reason = first_line(error)
        raise ModelError(f"the weights in {path} are damaged ({reason}): copy them again") from error


class _LeftOut:
    """Stands for what lies beside the weights, whatever it is made of."""

    def __new__(cls, *_: object) -> "_LeftOut":
        return super().__new__(cls)

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, _: object) -> None:
        pass


def _culprit(error: pickle.UnpicklingError) -> str:
    """The class or function that the weights-only loader refused."""
    text = str(error)
    for pattern in CULPRITS:
        match = re.search(pattern, text)
        if match:
            return match[1].rstrip(".")
    return first_line(error)
