"""Pickles opened without running code: torch's weights-only loader, and the plain data that trainers put beside."""

import argparse
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..errors import ModelError, first_line

NUMBERS = "?bhilqpBHILQPefdgFDGSU"  # numpy's codes of plain data: neither objects nor records
CULPRITS = (r"GLOBAL ([\w.]+)", r"got <class '([\w.]+)'>", r"WeightsUnpickler error: ([^\n]+)")


def load_pickle(path: Path, trust_pickle: bool) -> Any:
    """Open what torch.save wrote, mapped into memory where the format allows it.

    Tensors, plain containers, numpy's numbers and argparse's namespaces are opened; a file with anything else only
    where it is trusted, since that runs the code inside. Returns the content. Raises ModelError, with the culprit.

    Example: `load_pickle(Path("checkpoint.pth"), trust_pickle=False)["epoch"]`
    """
    mapped = zipfile.is_zipfile(path)  # the format before 1.6 cannot be
    try:
        with torch.serialization.safe_globals(_plain_data()):
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


def _plain_data() -> list[Any]:
    """What may be opened beside tensors, each under the names by which old and new files call it."""
    scalar = np.float64(0).__reduce__()[0]
    array: Any = np.zeros(0).__reduce__()[0]
    allowed: list[Any] = [argparse.Namespace, np.dtype, np.ndarray, (_bytes_of, "_codecs.encode"), bytes]
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
        allowed.append((scalar, f"{module}.scalar"))
        allowed.append((array, f"{module}._reconstruct"))
    kinds = {type(np.dtype(code)) for code in NUMBERS}
    return allowed + list(kinds)


def _bytes_of(text: str, encoding: str) -> bytes:
    """How pickle writes bytes down; no other codec is asked for."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"WeightsUnpickler error: bytes written as {encoding}")
    return text.encode("latin1")


def _culprit(error: pickle.UnpicklingError) -> str:
    """The class or function that the weights-only loader refused."""
    text = str(error)
    for pattern in CULPRITS:
        match = re.search(pattern, text)
        if match:
            return match[1].rstrip(".")
    return first_line(error)
