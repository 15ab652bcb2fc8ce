"""Choices by the hardware: device, precision, threads. Each comes with its reason, and nothing falls back silently."""

import os
import platform
from importlib.metadata import version
from typing import NamedTuple

import torch

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


class Choice(NamedTuple):
    """A setting's value and why it is what it is."""

    value: object
    reason: str


def choose_device(asked: str = "auto") -> Choice:
    """The first CUDA GPU where there is one, for "auto". Raises ValueError for a device that is not there."""
    if asked == "auto":
        if torch.cuda.is_available():
            return Choice("cuda", f"a GPU is there: {torch.cuda.get_device_name()}")
        return Choice("cpu", "no CUDA GPU is visible to torch")
    try:
        device = torch.device(asked)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f'device {asked!r} cannot be used ({reason}): use "auto", "cpu" or "cuda"') from None
    return Choice(asked, "as asked")


def choose_precision(asked: str, device: str) -> Choice:
    """For "auto": fp16 on a GPU, bf16 on a CPU with instructions for it, else fp32."""
    if asked != "auto":
        if asked not in DTYPES:
            raise ValueError(f'precision {asked!r} is not known: use "auto", {", ".join(map(repr, DTYPES))}')
        return Choice(asked, "as asked")
    if device.startswith("cuda"):
        return Choice("fp16", "GPUs run half precision at least twice as fast")
    if device == "cpu":
        able = [name for name in ("amx_bf16", "avx512_bf16") if torch.cpu.get_capabilities().get(name)]
        if able:
            return Choice("bf16", f"the CPU has {able[0].upper()}")
        return Choice("fp32", "the CPU has no bfloat16 instructions (AMX, AVX512-BF16): half would be slower")
    return Choice("fp32", f"half precision is not tried on {device}")


def choose_workers(asked: int) -> Choice:
    """Threads that decode: as asked, or one a core, eight at most."""
    if asked:
        return Choice(asked, "as asked")
    cores = usable_cores()
    return Choice(min(8, cores), f"{cores} cores; more than 8 decoding threads outrun any network here")


def environment() -> dict[str, str | int]:
    """The machine and the versions a result was made with."""
    packages = ("torch", "torchvision", "torchcodec", "pillow", "wanwu_nb")
    cpu = torch.cpu.get_capabilities()
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
        "platform": platform.platform(terse=True),
        "cpu": cpu.get("cpu_name", platform.machine()),
        "cores": usable_cores(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "",
    }


def usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
