"""The machine: device, precision, cores, versions. It knows no model.

Every choice comes with its reason and, where it was measured, with the figures. Nothing falls back silently.
"""

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Generic, TypeVar

import torch

from .errors import SettingsError, first_line
from .settings import INT8

T = TypeVar("T")

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
BF16_INSTRUCTIONS = ("amx_bf16", "avx512_bf16")
INT8_INSTRUCTIONS = ("amx_int8", "avx512_vnni", "avx_vnni")  # four products and their sum at once; without, two
INSTRUCTIONS = ("avx2", "avx512_f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")  # what decides the speed
PACKAGES = ("torch", "torchvision", "torchcodec", "pillow", "wanwu_nb")


@dataclass(frozen=True)
class Choice(Generic[T]):
    """A setting's value, why it is what it is, and what was measured to decide it, if anything was.

    >>> Choice(8, "as asked").record()
    {'value': 8, 'reason': 'as asked'}
    """

    value: T
    reason: str
    measured: Mapping[str, Any] | None = None

    def record(self) -> dict[str, Any]:
        """Returns the choice as it stands in summary.json."""
        record: dict[str, Any] = {}
        record["value"] = self.value
        record["reason"] = self.reason
        if self.measured is not None:
            record["measured"] = dict(self.measured)
        return record


def choose_device(asked: str = "auto") -> Choice[str]:
    """Returns the first CUDA GPU where there is one, for "auto". Raises SettingsError for a device that is not there.

    >>> choose_device("cpu")
    Choice(value='cpu', reason='as asked', measured=None)
    """
    if asked != "auto":
        _try_device(asked)
        return Choice(asked, "as asked")
    if not torch.cuda.is_available():
        return Choice("cpu", "no CUDA GPU is visible to torch")
    name = torch.cuda.get_device_name()
    return Choice("cuda", f"a GPU is there: {name}")


def _try_device(asked: str) -> None:
    try:
        device = torch.device(asked)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = first_line(error)
        raise SettingsError(f'device {asked!r} cannot be used ({reason}): use "auto", "cpu" or "cuda"') from None


def choose_precision(asked: str, device: str) -> Choice[str]:
    """Returns for "auto" fp16 on a GPU, bf16 on a CPU with instructions for it, else fp32; for "int8" fp32, from which
    each output folder's own is made.

    Raises SettingsError for a precision that is none, or not for this device.

    >>> choose_precision("auto", "cuda").value
    'fp16'
    """
    if asked == "auto":
        return _precision_for(device)
    if asked == INT8:
        return _before_int8(device)
    if asked not in DTYPES:
        known = ", ".join(map(repr, (*DTYPES, INT8)))
        raise SettingsError(f'precision {asked!r} is not known: use "auto", {known}')
    return Choice(asked, "as asked")


def _before_int8(device: str) -> Choice[str]:
    if device != "cpu":
        raise SettingsError(f'precision "int8" is for CPUs: use "auto" on {device}')
    return Choice("fp32", "INT8 is made for each output folder, from its own pictures")


def _precision_for(device: str) -> Choice[str]:
    if device.startswith("cuda"):
        return Choice("fp16", "GPUs run half precision at least twice as fast")
    if device != "cpu":
        return Choice("fp32", f"half precision is not tried on {device}")
    capabilities = torch.cpu.get_capabilities()
    for name in BF16_INSTRUCTIONS:
        if capabilities.get(name):
            return Choice("bf16", f"the CPU has {name.upper()}")
    return Choice("fp32", "the CPU has no bfloat16 instructions (AMX, AVX512-BF16): half would be slower")


def times_fp32(precision: str, device: str) -> int:
    """Returns how many times as many products as in FP32 a device's instructions do at once in a precision.

    1 for half precision on a CPU without instructions for it: it is emulated, and slower.

    >>> times_fp32("fp16", "cuda"), times_fp32("fp32", "cpu")
    (2, 1)
    """
    if precision == INT8:
        capabilities = torch.cpu.get_capabilities()
        at_once = any(capabilities.get(name) for name in INT8_INSTRUCTIONS)
        return 4 if at_once else 2
    has_half = choose_precision("auto", device).value != "fp32"
    return 2 if has_half and precision != "fp32" else 1


def int8_outruns_half() -> bool:
    """Returns whether the CPU does more in INT8 at once than in half precision. With AMX both go through its tiles.

    >>> int8_outruns_half()
    False
    """
    capabilities = torch.cpu.get_capabilities()
    has_amx = bool(capabilities.get("amx_bf16"))
    return not has_amx and times_fp32(INT8, "cpu") > times_fp32("bf16", "cpu")


def environment(device: str = "cpu") -> dict[str, str | int]:
    """Returns the machine and the versions a result was made with; of several GPUs, that of `device`, or the first.

    >>> environment()["cores"]
    2
    """
    machine: dict[str, str | int] = {"python": platform.python_version()}
    for name in PACKAGES:
        machine[name] = version(name)
    machine["platform"] = platform.platform(terse=True)
    machine["cpu"] = cpu_name()
    machine["instructions"] = instruction_sets()
    machine["cores"] = usable_cores()
    machine["gpu"] = _gpu_name(device)
    return machine


def cpu_name() -> str:
    """Returns what the processor is called, or its kind where it has no name.

    >>> cpu_name()
    'x86_64'
    """
    capabilities = torch.cpu.get_capabilities()
    name: str = capabilities.get("cpu_name", platform.machine())
    return name


def instruction_sets() -> str:
    """Returns those of `INSTRUCTIONS` that the CPU has.

    >>> instruction_sets()
    'AVX2, AVX512_F, AVX512_BF16'
    """
    capabilities = torch.cpu.get_capabilities()
    names = []
    for name in INSTRUCTIONS:
        if capabilities.get(name):
            names.append(name.upper())
    return ", ".join(names)


def _gpu_name(device: str) -> str:
    if not torch.cuda.is_available():
        return ""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return torch.cuda.get_device_name()


def usable_cores() -> int:
    """Returns how many cores this process may run on.

    >>> usable_cores()
    2
    """
    return len(core_numbers())


def core_numbers() -> list[int]:
    """Returns which cores this process may run on: in a container, or under taskset, not all there are.

    >>> core_numbers()
    [0, 1]
    """
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    count = os.cpu_count() or 1
    return list(range(count))
