"""Where does the time go? A stage clock, a monitor of the hardware, and what the two say together."""

import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pandas as pd
import psutil
import torch

SECONDS_BETWEEN_SAMPLES = 0.08
BUSY = 0.9  # of a device's time: above, it is what limits


class StageClock:
    """Seconds by stage. `with clock.stage("forward"): …`; stages may nest, and each second counts for the innermost.

    The device is synchronised where a stage begins and ends, so that GPU work counts for the stage that started it.
    `StageClock(on=False)` costs next to nothing.
    """

    def __init__(self, device: str = "cpu", on: bool = True):
        self.seconds: dict[str, float] = {}
        self.on, self.gpu, self.open, self.since = on, device.startswith("cuda"), [], 0.0

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
        if self.gpu:
            torch.cuda.synchronize()
        now = time.perf_counter()
        if self.open:
            self.seconds[self.open[-1]] = self.seconds.get(self.open[-1], 0.0) + now - self.since
        self.since = now


class Monitor:
    """A thread that samples CPU, memory and NVIDIA GPUs while the `with` block runs; `table` is a row a sample.

    Columns: `seconds`; `cpu` and `cpu 0`, `cpu 1`, … in percent; `memory MB`, this process's; for each GPU `gpu 0`
    (percent busy), `gpu 0 MB`, `gpu 0 W`. Without GPUs, driver or NVML the GPU columns are not there.
    """

    def __init__(self, every: float = SECONDS_BETWEEN_SAMPLES):
        self.every, self.rows, self.stopping = every, [], threading.Event()
        self.gpus = find_gpus()

    def __enter__(self) -> "Monitor":
        psutil.cpu_percent(percpu=True)  # the first call only starts the count
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
        while not self.stopping.wait(self.every):
            cores = psutil.cpu_percent(percpu=True)
            row = {"seconds": time.perf_counter() - self.started, "cpu": statistics.fmean(cores)}
            row |= {f"cpu {i}": percent for i, percent in enumerate(cores)}
            row["memory MB"] = process.memory_info().rss / 2**20
            self.rows.append(row | gpu_sample(self.gpus))


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


def diagnose(seconds: dict[str, float], table: pd.DataFrame) -> str:
    """The bottleneck in one sentence, from a clock's seconds by stage and a monitor's table.

    In the order of the article's moral: is the hardware busy at all, then repeated loading, and the model last.
    """
    total = sum(seconds.values())
    slowest = max(seconds, key=seconds.get)
    share = seconds[slowest] / total
    device = "gpu 0" if "gpu 0" in table else "cpu"
    name = "GPU" if device == "gpu 0" else "CPU"
    busy = table[device].mean() / 100 if len(table) else float("nan")
    said = f"{slowest} is {share:.0%} of the time; the {name} is busy {busy:.0%}"
    if slowest == "load":
        return f"{said}: load the model once, and keep it"
    if busy > BUSY:
        return f"{said}: the hardware is used, and what is left is a faster network or less precision"
    if slowest == "forward":
        return f"{said}: give the network more pictures at a time"
    return f"{said}: do it while the network runs, or in several threads"
