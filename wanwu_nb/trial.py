"""One step on trial: run in a process of its own, timed, then watched. The result is a Row."""

import io
import math
import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from time import perf_counter

import pandas as pd
import torch

from .gpu_decoding import choose_decoder
from .measure import Monitor, Spread, StageClock, busy, diagnose, peak_memory
from .quality import Share
from .resident import ResidentModel, full_batch
from .steps import PACKAGE, STEPS, Job
from .tagging import reader, threads
from .tuning import DTYPES, LARGEST, choose_workers, first_line, forward_seconds

STEP_SECONDS = 30  # no further repeat of a step that has taken this long
PATIENCE = 100  # seconds that one run of any step may take; one that takes longer must beat the default
PROFILE_SECONDS = 1.5  # enough for the monitor to say something


@dataclass(frozen=True)
class Row:
    """What was measured of one step. Every figure that is shown of it comes from here.

    `seconds`: a picture's, one a repeat, loading apart but for the default; `ready`: until the first batch was done;
    `stages`: seconds a picture by stage, from a run of its own; for the package's loop, decoding alone and the network
    alone. `output`: where its JSONs are. `reason`: why there is no measurement. Against the fastest step before it
    (`base`), `predicted` and `gain` say how many times as fast it was to be, and is.
    """

    step: str
    reason: str = ""
    output: Path | None = None
    seconds: tuple[float, ...] = ()
    ready: float = 0.0
    stages: dict[str, float] = field(default_factory=dict)
    cpu_busy: float | None = None
    gpu_busy: float | None = None
    peak_mb: float | None = None
    peak_gpu_mb: float | None = None
    precision: str = ""
    bottleneck: str = ""
    base: str = ""
    predicted: float | None = None
    gain: float | None = None
    agreement: Share | None = None
    accuracy: Share | None = None

    @property
    def spread(self) -> Spread:
        return Spread.of(self.seconds)

    def __str__(self) -> str:
        if self.reason:
            return f"not run 未运行: {self.reason}"
        lines = [self.bottleneck, f"precision 精度: {self.precision}"]
        if self.base:
            lines.insert(0, f"measured 实测: × {self.gain:.2f} of {self.base}; predicted 预测: × {self.predicted:.2f}")
        if self.base and self.gain < 1:
            lines.insert(1, f"slower: the next steps stay compared with {self.base} 变慢：后续仍与 {self.base} 比较")
        return "\n".join(lines)


def attempt(step: str, job: Job, repeats: int, patience: float = math.inf) -> Row:
    """The row of a step, or one with the reason why it cannot run; a run over `patience` seconds is not waited for."""
    try:
        return in_own_process(run, step, job, repeats, patience)
    except BrokenProcessPool:
        return Row(step, "its process was killed, as the system does where memory runs out")
    except Exception as error:  # whatever a model, a driver or a compiler may say
        return Row(step, first_line(error))


def in_own_process(work: Callable, *arguments):
    """So that neither memory nor settings of one measurement reach the next; torch is imported once for all."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with ProcessPoolExecutor(1, context) as pool:
        return pool.submit(quietly, work, *arguments).result()


def quietly(work: Callable, *arguments):
    threading.Thread(target=leave_with_parent, daemon=True).start()
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        return work(*arguments)


def leave_with_parent() -> None:
    """A kernel that is killed must not leave its measurement running."""
    multiprocessing.parent_process().join()
    os._exit(1)


def run(step: str, job: Job, repeats: int, patience: float) -> Row:
    """Warm up; then timed runs, without clock or monitor; then a run under both."""
    if step != "default":  # loaded once for all runs
        job = replace(job, open=cache(job.open), open_resident=cache(job.open_resident))
    tag, few, seconds = STEPS[step], job.names[: 1 if step == "default" else job.batch_size], []
    ready = timed(tag, replace(job, names=few))
    if step in PACKAGE:
        tag(job)  # on a GPU, ways to decode are compared on the first pictures, once
    elif ready * len(job.names) / len(few) > patience:  # starting up, or slow?
        warm = timed(tag, replace(job, names=few))
        if warm * len(job.names) / len(few) > patience:
            said = f"{len(few)} pictures took {warm:.0f} s: all {len(job.names)} would take too long"
            raise ValueError(f"{said}, give a smaller limit")
    while len(seconds) < repeats and sum(seconds) * len(job.names) < STEP_SECONDS:
        seconds.append(timed(tag, job) / len(job.names))
    memory = {"peak_mb": peak_memory()}
    if job.device.startswith("cuda"):
        memory["peak_gpu_mb"] = torch.cuda.max_memory_reserved(job.device) / 2**20
    found = profile(step, job, Spread.of(seconds).median)
    return Row(step, "", job.output, tuple(seconds), ready, **memory, **found, precision=precision_of(step, job))


def timed(tag: Callable[[Job], None], job: Job) -> float:
    started = perf_counter()
    tag(job)
    return perf_counter() - started


def profile(step: str, job: Job, seconds: float) -> dict:
    """Stages, how busy the hardware is, and what that says: from whole batches, for a second or two."""
    count = max(1, round(PROFILE_SECONDS / seconds / job.batch_size)) * job.batch_size
    job = replace(job, names=job.names[:count], clock=StageClock(job.device))
    done, started = 0, perf_counter()
    with Monitor() as monitor:
        while perf_counter() - started < PROFILE_SECONDS:
            STEPS[step](job)
            done += len(job.names)
    stages = {stage: spent / done for stage, spent in job.clock.seconds.items()}
    if step in PACKAGE:
        stages = bound(job.open_resident(), job.image_dir, job.names, job.batch_size)
    cpu, device = busy(monitor.table, "cpu"), busy(monitor.table, job.device)
    said = {"stages": stages, "bottleneck": diagnose(stages, device, job.device), "cpu_busy": cpu}
    return said | {"gpu_busy": device if job.device.startswith("cuda") else None}


def bound(
    model: ResidentModel, image_dir: Path, names: Sequence[str], batch_size: int, workers: int = 0
) -> dict[str, float]:
    """Seconds a picture for decoding alone, on all cores, and for the network alone: nobody gets below.

    A CPU does both with the same cores: their sum is its limit. A GPU leaves decoding to the CPU: the larger is.
    """
    workers, device = choose_workers(workers).value, model.device.value
    decoder = choose_decoder("", image_dir, model.checkpoint.spec, device, names, workers)
    read_round = reader(decoder, image_dir, model)
    with threads("decode", workers) as pool:
        started = perf_counter()
        pictures = [picture for future in read_round(pool.submit, names) for picture in future.result()]
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)
        decode = (perf_counter() - started) / len(names)
    images = [picture.image for picture in pictures if picture.image is not None]
    batch, rounds = full_batch(images[:batch_size], batch_size), math.ceil(len(names) / batch_size)
    started = perf_counter()
    for _ in range(rounds):
        output = model.launch(batch)
    output.cpu()  # waits for the device
    return {"decode": decode, "forward": (perf_counter() - started) / (rounds * batch_size)}


def precision_of(step: str, job: Job) -> str:
    if step in PACKAGE:
        chosen = job.open_resident().precision
        return f"{chosen.value} ({chosen.reason})"
    dtype = job.half if step == "half precision" else torch.float32
    return next(name for name, known in DTYPES.items() if known == dtype)


def batch_size_curve(open_resident: Callable[[], ResidentModel]) -> pd.DataFrame:
    """The package's model on batches of 1, 2, 4, …: a row a size, until one fails or is too large to try.

    Of the network alone, on noise. `memory MB` is a GPU's peak, or on a CPU the process's.
    """
    model = open_resident()
    gpu, rows, size = model.device.value.startswith("cuda"), {}, 1
    while size <= LARGEST["cuda" if gpu else "cpu"]:
        try:
            seconds = forward_seconds(model, size)
        except (RuntimeError, MemoryError):
            break
        memory = torch.cuda.max_memory_reserved(model.device.value) / 2**20 if gpu else peak_memory()
        rows[size] = {"pictures/s": size / seconds, "latency ms": 1000 * seconds, "memory MB": memory}
        size *= 2
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("batch size")
