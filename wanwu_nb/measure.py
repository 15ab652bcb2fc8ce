"""Where does the time go? A stage clock, a monitor of the hardware, and what the two say together."""

import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import psutil
import torch

from . import gpus
from .hardware import core_numbers

SECONDS_BETWEEN_SAMPLES = 0.08
BUSY = 0.9  # of a device's time: above, it is what limits
LOADING = 0.1  # of all time: above, it comes before anything else, since it is wasted
MB = 2**20

STAGE_NAMES_ZH = {
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
    """Seconds by stage, in `seconds`. Stages may nest, and each second counts for the innermost.

    The device is synchronised where a stage begins and ends, so that GPU work counts for the stage that started it.
    `on=False` costs next to nothing; `now` tells the time.

    >>> clock = StageClock("cuda")
    >>> with clock.stage("forward"):
    ...     network(batch)
    >>> clock.seconds
    {'forward': 0.012}
    """

    def __init__(self, device: str = "cpu", on: bool = True, now: Callable[[], float] = time.perf_counter):
        self.seconds: dict[str, float] = {}
        self._device = device
        self._on = on
        self._now = now
        self._since = 0.0
        self._running: list[str] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count what happens in the `with` block for the stage `name`."""
        if not self._on:
            yield
            return
        self._note()
        self._running.append(name)
        try:
            yield
        finally:
            self._note()
            self._running.pop()

    def _note(self) -> None:
        """Give the time since the last change of stages to the innermost one."""
        if self._device.startswith("cuda"):
            torch.cuda.synchronize(self._device)
        now = self._now()
        if self._running:
            innermost = self._running[-1]
            before = self.seconds.get(innermost, 0.0)
            self.seconds[innermost] = before + now - self._since
        self._since = now


class Monitor:
    """A thread that samples CPU, memory and NVIDIA GPUs while the `with` block runs; `table` is a row a sample.

    Columns: `seconds`; `cpu` and `cpu 0`, `cpu 1`, … in percent, of the cores this process may use; `memory MB`, its
    own; for each GPU `gpu 0` (percent busy), `gpu 0 MB`, `gpu 0 W`. Without GPUs, driver or NVML these are not there.

    >>> with Monitor() as monitor:
    ...     tag_folder(model, "photos", "tags")
    >>> busy(monitor.table, "cpu")
    0.93
    """

    def __init__(self, every: float = SECONDS_BETWEEN_SAMPLES):
        self.table = pd.DataFrame()
        self.samples: list[dict[str, float]] = []
        self._every = every
        self._stopping = threading.Event()
        self._gpus = gpus.find_gpus()
        self._cores = _cores()

    def __enter__(self) -> "Monitor":
        self._started = time.perf_counter()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        self.table = pd.DataFrame(self.samples)

    def _watch(self) -> None:
        process = psutil.Process()
        psutil.cpu_percent(percpu=True)  # the first call of a thread only starts its count
        while not self._stopping.wait(self._every):
            sample = {"seconds": time.perf_counter() - self._started}
            sample |= _cpu_sample(self._cores)
            sample["memory MB"] = process.memory_info().rss / MB
            sample |= gpus.gpu_sample(self._gpus)
            self.samples.append(sample)


class Spread(NamedTuple):
    """What repeated measurements say: never one without the others."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Returns the spread of at least one value.

        >>> Spread.of([3.0, 1.0, 2.0])
        Spread(median=2.0, low=1.0, high=3.0)
        """
        median = statistics.median(values)
        return cls(median, min(values), max(values))


def peak_memory() -> float:
    """Returns the MB that this process had resident at most, such as 301.4."""
    if sys.platform == "linux":  # getrusage would count what its parent had when it forked
        status = Path("/proc/self/status").read_text()
        return _kilobytes(status, "VmHWM:") / 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MB


def stage_table(seconds: Mapping[str, float], pictures: int) -> pd.DataFrame:
    """Returns a row a stage: seconds a picture, share of the whole, and how many times as fast all would be without it.

    The last is Amdahl's law (1967) at its limit: no change to a stage can gain more.

    >>> stage_table({"load": 6.0, "forward": 2.0}, pictures=4).loc["load"].tolist()
    [1.5, 0.75, 4.0]
    """
    table = pd.DataFrame({"s / picture": pd.Series(dict(seconds)) / pictures})
    whole = table["s / picture"].sum()
    table["share"] = table["s / picture"] / whole
    table["without it"] = 1 / (1 - table["share"])
    return table


def busy(table: pd.DataFrame, device: str) -> float | None:
    """Returns the share of the time that `device`, as torch names it, was busy, in 0…1; None if the table has none.

    `table`: a Monitor's.

    >>> busy(monitor.table, "cuda:1")
    0.92
    """
    column = gpus.gpu_column(device) if device.startswith("cuda") else "cpu"
    if column not in table:
        return None
    return float(table[column].mean()) / 100


def diagnose(seconds: Mapping[str, float], share_busy: float | None, device: str = "cpu") -> str:
    """Names the bottleneck, from a clock's seconds by stage and how busy `device` was (see `busy`).

    In the order of the article's moral: is the hardware busy at all, then repeated loading, and the model last. Returns
    one sentence in English and in Chinese, a line each.

    >>> print(diagnose({"load": 3.0, "forward": 7.0}, 0.5))
    load is 30% of the time; the CPU is busy 50%: load the model once, and keep it
    加载占总耗时 30%，CPU 占用 50%：只加载一次，让模型常驻内存
    """
    whole = sum(seconds.values())
    shares = {stage: spent / whole for stage, spent in seconds.items()}
    slowest = max(shares, key=lambda stage: shares[stage])
    if shares.get("load", 0) > LOADING:
        slowest = "load"
    english, chinese = ADVICE[_advice_for(slowest, share_busy, device)]
    unit = "GPU" if device.startswith("cuda") else "CPU"
    busy_is = occupied = ""
    if share_busy is not None:
        busy_is = f"; the {unit} is busy {share_busy:.0%}"
        occupied = f"，{unit} 占用 {share_busy:.0%}"
    share = f"{shares[slowest]:.0%}"
    name_zh = STAGE_NAMES_ZH.get(slowest, slowest)
    first = f"{slowest} is {share} of the time{busy_is}: {english}"
    second = f"{name_zh}占总耗时 {share}{occupied}：{chinese}"
    return f"{first}\n{second}"


def _advice_for(slowest: str, share_busy: float | None, device: str) -> str:
    """Which of ADVICE fits."""
    if slowest == "load":
        return "load"
    if share_busy is not None and share_busy > BUSY:
        return "used"
    if slowest == "forward" and device.startswith("cuda"):
        return "forward on a GPU"
    if slowest in ADVICE:
        return slowest
    return "other"


def _cores() -> list[int]:
    """The cores this process may use, of those that psutil counts."""
    count = psutil.cpu_count() or 1
    usable = [core for core in core_numbers() if core < count]
    return usable or list(range(count))


def _cpu_sample(cores: Sequence[int]) -> dict[str, float]:
    """How busy each core was since the last sample, in percent, and their mean."""
    percent = psutil.cpu_percent(percpu=True)
    each = {f"cpu {core}": percent[core] for core in cores}
    mean = statistics.fmean(each.values())
    return {"cpu": mean, **each}


def _kilobytes(status: str, name: str) -> int:
    """A figure of /proc/self/status, which has lines as in "VmHWM:    12345 kB"."""
    _, _, rest = status.partition(name)
    figure, *_ = rest.split()
    return int(figure)
