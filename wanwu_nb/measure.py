"""Where does the time go? A stage clock, a monitor of the hardware, and what the two say together."""

import re
import statistics
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import psutil
import torch

from .tuning import core_numbers

SECONDS_BETWEEN_SAMPLES = 0.08
BUSY = 0.9  # of a device's time: above, it is what limits
LOADING = 0.1  # of all time: above, it comes before anything else, since it is wasted

CHINESE = {
    "load": "加载",
    "preprocess": "预处理",
    "forward": "推理",
    "postprocess": "后处理",
    "write": "写出",
    "decode": "解码",
}
ADVICE = {
    "load": ("load the model once, and keep it", "只加载一次，让模型常驻内存"),
    "used": ("the hardware is used, and only less work helps", "硬件已用满，只有减少计算量才能更快"),
    "forward": ("a leaner network, or compiled code", "换更小的网络，或编译"),
    "forward on a GPU": ("give the network more pictures at a time", "每次给网络更多图片"),
    "decode": ("more cores, or a GPU that decodes", "增加核数，或由 GPU 解码"),
    "other": ("do it while the network runs, or in several threads", "与推理同时进行，或用多线程"),
}


class StageClock:
    """Seconds by stage. `with clock.stage("forward"): …`; stages may nest, and each second counts for the innermost.

    The device is synchronised where a stage begins and ends, so that GPU work counts for the stage that started it.
    `StageClock(on=False)` costs next to nothing.
    """

    def __init__(self, device: str = "cpu", on: bool = True):
        self.seconds: dict[str, float] = {}
        self.on, self.device, self.open, self.since = on, device, [], 0.0

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        if not self.on:
            yield
            return
        self.note()
        self.open.append(name)
        try:
            yield
        finally:
            self.note()
            self.open.pop()

    def note(self) -> None:
        """Give the time since the last change of stages to the innermost one."""
        if self.device.startswith("cuda"):
            torch.cuda.synchronize(self.device)
        now = time.perf_counter()
        if self.open:
            self.seconds[self.open[-1]] = self.seconds.get(self.open[-1], 0.0) + now - self.since
        self.since = now


class Monitor:
    """A thread that samples CPU, memory and NVIDIA GPUs while the `with` block runs; `table` is a row a sample.

    Columns: `seconds`; `cpu` and `cpu 0`, `cpu 1`, … in percent, of the cores this process may use; `memory MB`, its
    own; for each GPU `gpu 0` (percent busy), `gpu 0 MB`, `gpu 0 W`. Without GPUs, driver or NVML these are not there.
    """

    def __init__(self, every: float = SECONDS_BETWEEN_SAMPLES):
        self.every, self.rows, self.stopping = every, [], threading.Event()
        self.gpus, count = find_gpus(), psutil.cpu_count() or 1
        self.cores = [i for i in core_numbers() if i < count] or list(range(count))

    def __enter__(self) -> "Monitor":
        self.started = time.perf_counter()
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.stopping.set()
        self.thread.join()
        self.table = pd.DataFrame(self.rows)

    def watch(self) -> None:
        process = psutil.Process()
        psutil.cpu_percent(percpu=True)  # the first call of a thread only starts its count
        while not self.stopping.wait(self.every):
            percent = psutil.cpu_percent(percpu=True)
            cores = {f"cpu {i}": percent[i] for i in self.cores}
            row = {"seconds": time.perf_counter() - self.started, "cpu": statistics.fmean(cores.values()), **cores}
            row["memory MB"] = process.memory_info().rss / 2**20
            self.rows.append(row | gpu_sample(self.gpus))


class Spread(NamedTuple):
    """What repeated measurements say: never one without the others."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(statistics.median(values), min(values), max(values))


def peak_memory() -> float:
    """MB this process had resident at most."""
    if sys.platform == "linux":  # getrusage would count what its parent had when it forked
        return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def find_gpus() -> list:
    """NVML's handles of all GPUs; none where NVML or a driver is missing."""
    try:
        import pynvml

        pynvml.nvmlInit()
        return [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
    except Exception:  # pynvml missing, or an NVMLError of any kind
        return []


def gpu_sample(gpus: list) -> dict[str, float]:
    """Utilisation, memory and power of each GPU; what a card does not tell is left out."""
    if not gpus:
        return {}
    import pynvml

    row = {}
    for i, gpu in enumerate(gpus):
        readings = {
            f"gpu {i}": lambda gpu=gpu: float(pynvml.nvmlDeviceGetUtilizationRates(gpu).gpu),
            f"gpu {i} MB": lambda gpu=gpu: pynvml.nvmlDeviceGetMemoryInfo(gpu).used / 2**20,
            f"gpu {i} W": lambda gpu=gpu: pynvml.nvmlDeviceGetPowerUsage(gpu) / 1000,
        }
        for name, read in readings.items():
            with suppress(pynvml.NVMLError):
                row[name] = read()
    return row


def stage_table(seconds: dict[str, float], pictures: int) -> pd.DataFrame:
    """A row a stage: seconds a picture, share of the whole, and how many times as fast all would be without it.

    The last is Amdahl's law (1967) at its limit: no change to a stage can gain more.
    """
    rows = pd.DataFrame({"s / picture": pd.Series(seconds) / pictures})
    rows["share"] = rows["s / picture"] / rows["s / picture"].sum()
    rows["without it"] = 1 / (1 - rows["share"])
    return rows


def busy(table: pd.DataFrame, device: str) -> float | None:
    """Share of the time that `device`, as torch names it, was busy: from a Monitor's table; None if it does not say."""
    column = gpu_column(device) if device.startswith("cuda") else "cpu"
    return table[column].mean() / 100 if column in table else None


def gpu_column(device: str) -> str:
    """Where NVML counts the card: torch counts only those that CUDA_VISIBLE_DEVICES shows it, in its own order."""
    index = torch.device(device).index or 0
    with suppress(Exception):  # pynvml missing, or a torch or driver so old that it knows no such number
        import pynvml

        uuid = str(torch.cuda.get_device_properties(index).uuid)
        ids = [pynvml.nvmlDeviceGetUUID(gpu) for gpu in find_gpus()]
        index = next(i for i, known in enumerate(ids) if uuid in known)
    return f"gpu {index}"


def diagnose(seconds: dict[str, float], share_busy: float | None, device: str = "cpu") -> str:
    """The bottleneck in one sentence, in English and in Chinese, a line each.

    From a clock's seconds by stage and how busy `device` was (see `busy`), in the order of the article's moral: is the
    hardware busy at all, then repeated loading, and the model last.
    """
    shares = {stage: spent / sum(seconds.values()) for stage, spent in seconds.items()}
    slowest = "load" if shares.get("load", 0) > LOADING else max(shares, key=shares.get)
    on_gpu = device.startswith("cuda")
    if slowest == "load":
        advice = "load"
    elif (share_busy or 0) > BUSY:
        advice = "used"
    else:
        advice = f"{slowest} on a GPU" if on_gpu and slowest == "forward" else slowest
    english, chinese = ADVICE.get(advice, ADVICE["other"])
    unit = "GPU" if on_gpu else "CPU"
    busy_is = "" if share_busy is None else f"; the {unit} is busy {share_busy:.0%}"
    occupied = "" if share_busy is None else f"，{unit} 占用 {share_busy:.0%}"
    return (
        f"{slowest} is {shares[slowest]:.0%} of the time{busy_is}: {english}\n"
        f"{CHINESE.get(slowest, slowest)}占总耗时 {shares[slowest]:.0%}{occupied}：{chinese}"
    )
