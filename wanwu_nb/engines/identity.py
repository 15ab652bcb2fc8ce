"""What an engine's work is known by: weights, input, precision, and the machine and packages that it was made with."""

import hashlib
import json
import os
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from ..hardware import instruction_sets

FORMAT = 1
PACKAGES = ("wanwu_nb", "torch", "torchvision", "timm", "openvino")  # what builds a network, or runs it
HELD_BACK = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY")  # environment: fewer instructions
DIGITS = 32


def identity(engine: str, fingerprint: str, spec: Mapping[str, Any], precision: str) -> str:
    """Returns the name of what is built from these weights for this input, on this machine with these packages.

    >>> len(identity("OpenVINO", "93b0…", spec.to_dict(), "fp32"))
    32
    """
    parts = {
        "format": FORMAT,
        "engine": engine,
        "fingerprint": fingerprint,
        "spec": sorted(spec.items()),
        "precision": precision,
        "cpu": torch.cpu.get_capabilities().get("cpu_name", ""),
        "instructions": instruction_sets(),
        "held back": [os.environ.get(name, "") for name in HELD_BACK],
        "packages": [_version_of(name) for name in PACKAGES],
    }
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
