"""NVIDIA's cards, as NVML and torch tell of them: how busy, how full, how hungry. Without a driver there are none."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import torch

MB = 2**20


def find_gpus() -> list[Any]:
    """Returns NVML's handles of all GPUs; none where NVML or a driver is missing.

    >>> len(find_gpus())
    0
    """
    try:
        import pynvml

        pynvml.nvmlInit()
        return [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
    except Exception:  # pynvml missing, or an NVMLError of any kind
        return []


def gpu_sample(gpus: Sequence[Any]) -> dict[str, float]:
    """Returns utilisation in percent, memory in MB and power in W of each GPU; what a card does not tell is left out.

    >>> gpu_sample(find_gpus())
    {'gpu 0': 97.0, 'gpu 0 MB': 10343.0, 'gpu 0 W': 312.5}
    """
    sample: dict[str, float] = {}
    for i, gpu in enumerate(gpus):
        readings = {f"gpu {i}": _gpu_percent, f"gpu {i} MB": _gpu_megabytes, f"gpu {i} W": _gpu_watts}
        for name, read in readings.items():
            figure = _unless_refused(read, gpu)
            if figure is not None:
                sample[name] = figure
    return sample


def gpu_column(device: str) -> str:
    """Returns where NVML counts a card of torch's, which counts only those that CUDA_VISIBLE_DEVICES shows it.

    >>> gpu_column("cuda:1")
    'gpu 1'
    """
    index = torch.device(device).index or 0
    with suppress(Exception):  # pynvml missing, or a torch or driver so old that it knows no such number
        import pynvml

        uuid = str(torch.cuda.get_device_properties(index).uuid)
        for i, gpu in enumerate(find_gpus()):
            if uuid in pynvml.nvmlDeviceGetUUID(gpu):
                return f"gpu {i}"
    return f"gpu {index}"


def peak_gpu_memory(device: str) -> float | None:
    """Returns the MB that torch reserved on a GPU at most, None for another device.

    >>> peak_gpu_memory("cpu") is None
    True
    """
    if not device.startswith("cuda"):
        return None
    return torch.cuda.max_memory_reserved(device) / MB


def _unless_refused(read: Callable[[Any], float], gpu: Any) -> float | None:
    import pynvml

    try:
        return read(gpu)
    except pynvml.NVMLError:
        return None


def _gpu_percent(gpu: Any) -> float:
    import pynvml

    return float(pynvml.nvmlDeviceGetUtilizationRates(gpu).gpu)


def _gpu_megabytes(gpu: Any) -> float:
    import pynvml

    return float(pynvml.nvmlDeviceGetMemoryInfo(gpu).used) / MB


def _gpu_watts(gpu: Any) -> float:
    import pynvml

    return float(pynvml.nvmlDeviceGetPowerUsage(gpu)) / 1000
