"""One step on trial: run in a process of its own, timed, then watched. The result is a Row."""

import io
import math
import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from time import perf_counter
from typing import TypeVar, TypeVarTuple

import pandas as pd

from ..errors import MeasurementError, first_line
from ..gpus import peak_gpu_memory
from ..measure import Monitor, Spread, StageClock, busy, diagnose, peak_memory
from ..quality import Share
from ..quantising import as_tagged
from ..summary import Summary
from .job import Job
from .limits import Stages, bound
from .steps import Step

STEP_SECONDS = 30  # no further repeat of a step that has taken this long
PROFILE_SECONDS = 1.5  # enough for the monitor to say something

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")


@dataclass(frozen=True)
class Row:
    """What was measured of one step. Every figure that is shown of it comes from here.

    `reason`: why there is no measurement. `output`: where its JSONs are. `seconds` a picture, one a repeat, loading
    apart but for a step that loads each time; `ready`, seconds until the first pictures were done.
    `stages`: seconds a picture by stage, under a clock, in a run of its own. In the package's own loop stages run at
    the same time, and cannot be clocked: for its steps `stages` are limits, decoding alone and the network alone (see
    `limits.bound`), and do not add up to `seconds`.
    `cpu_busy`, `gpu_busy`: shares of the time, in 0…1. `peak_mb`, `peak_gpu_mb`: of memory.
    Against `base`, the fastest step before it, `predicted` and `gain` tell how many times as fast the step was to be,
    and is. `agreement` with the default step and `accuracy` are judged when all that has been measured. `refused`: what
    of its tags keeps the next steps from building on it.
    """

    step: str
    reason: str = ""
    output: Path = Path()
    seconds: tuple[float, ...] = ()
    ready: float = 0.0
    stages: Stages = field(default_factory=dict)
    cpu_busy: float | None = None
    gpu_busy: float | None = None
    peak_mb: float = 0.0
    peak_gpu_mb: float | None = None
    precision: str = ""
    bottleneck: str = ""
    base: str = ""
    predicted: float = 0.0
    gain: float = 0.0
    agreement: Share | None = None
    accuracy: Share | None = None
    refused: str = ""

    @property
    def spread(self) -> Spread:
        """Returns median, lowest and highest of the seconds a picture."""
        return Spread.of(self.seconds)

    @property
    def is_slower(self) -> bool:
        """Returns whether the step lost against the fastest before it."""
        return bool(self.base) and self.gain < 1

    @property
    def speed_and_tags(self) -> tuple[float, Share | None, Share | None]:
        """Returns pictures a second, agreement and accuracy: what `views.charts.speed_against_tags` draws."""
        return 1 / self.spread.median, self.agreement, self.accuracy

    def __str__(self) -> str:
        if self.reason:
            return f"not run 未运行: {self.reason}"
        lines = []
        if self.base:
            lines.append(f"measured 实测: × {self.gain:.2f} of {self.base}; predicted 预测: × {self.predicted:.2f}")
        if self.is_slower:
            lines.append(f"slower: the next steps stay compared with {self.base} 变慢：后续仍与 {self.base} 比较")
        if self.refused:
            lines.append(f"not used: {self.refused} 不采用：标签变化过多")
        lines.append(self.bottleneck)
        lines.append(f"precision 精度: {self.precision}")
        return "\n".join(lines)


def attempt(step: Step, job: Job, repeats: int, patience: float = math.inf) -> Row:
    """Measure a step in a process of its own; a run over `patience` seconds is not waited for.

    Returns its row, or one with the reason why it cannot run.

    >>> attempt(STEPS["batched"], job, repeats=3).spread.median
    0.0512
    """
    try:
        return in_own_process(measure, step, job, repeats, patience)
    except BrokenProcessPool:
        return Row(step.name, "its process was killed, as the system does where memory runs out")
    except Exception as error:  # whatever a model, a driver or a compiler may say
        return Row(step.name, first_line(error))


def in_own_process(work: Callable[[*Arguments], Result], *arguments: *Arguments) -> Result:
    """Call `work` in a new process: neither memory nor settings of one measurement reach the next.

    torch is imported once for all of them. What is printed is lost. Returns what `work` returns, and raises what it
    raises; raises BrokenProcessPool where the process is killed.

    >>> in_own_process(peak_memory)
    301.4
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with ProcessPoolExecutor(1, context) as pool:
        running = pool.submit(_quietly, partial(work, *arguments))
        return running.result()


def timed(tag: Callable[[Job], None], job: Job) -> float:
    """Returns the seconds that a job takes.

    >>> timed(STEPS["resident"].tag, job)
    1.234
    """
    started = perf_counter()
    tag(job)
    return perf_counter() - started


def measure(step: Step, job: Job, repeats: int, patience: float) -> Row:
    """Warm up; then timed runs, without clock or monitor; then a run under both.

    Returns the step's row. Raises MeasurementError where a run would take over `patience` seconds, and whatever the
    step raises.

    >>> measure(STEPS["batched"], job, repeats=3, patience=100).ready
    0.8
    """
    if not step.loads_each_time:
        job = loaded_once(job)
    ready = _warm_up(step, job, patience)
    seconds = _repeat(step, job, repeats)
    peak_mb, peak_gpu_mb = peak_memory(), peak_gpu_memory(job.device)
    stages, samples = _watch(step, job, Spread.of(seconds).median)
    device_busy = busy(samples, job.device)
    on_gpu = job.device.startswith("cuda")
    return Row(
        step.name,
        output=job.output,
        seconds=tuple(seconds),
        ready=ready,
        stages=stages,
        cpu_busy=busy(samples, "cpu"),
        gpu_busy=device_busy if on_gpu else None,
        peak_mb=peak_mb,
        peak_gpu_mb=peak_gpu_mb,
        precision=_precision(step, job),
        bottleneck=diagnose(stages, device_busy, job.device),
    )


def loaded_once(job: Job) -> Job:
    """Returns a job whose networks are loaded once for all its runs.

    >>> job = loaded_once(job)
    """
    return replace(
        job,
        open_network=cache(job.open_network),
        open_in_int8=cache(job.open_in_int8),
        open_resident=cache(job.open_resident),
    )


def _quietly(work: Callable[[], Result]) -> Result:
    watching = threading.Thread(target=_leave_with_parent, daemon=True)
    watching.start()
    nowhere = io.StringIO()
    with redirect_stdout(nowhere), redirect_stderr(nowhere):
        return work()


def _leave_with_parent() -> None:
    """A kernel that is killed must not leave its measurement running."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _warm_up(step: Step, job: Job, patience: float) -> float:
    """Seconds until the first pictures were done: loading, compiling, the first batch."""
    count = 1 if step.loads_each_time else job.batch_size
    few = replace(job, names=job.names[:count])
    parts = len(job.names) / len(few.names)
    ready = timed(step.tag, few)
    if step.ours:
        step.tag(job)  # on a GPU, ways to decode are compared on the first pictures
    elif ready * parts > patience:  # starting up, or slow?
        warm = timed(step.tag, few)
        if warm * parts > patience:
            all_of_them = f"all {len(job.names)} would take too long, give a smaller limit"
            raise MeasurementError(f"{len(few.names)} pictures took {warm:.0f} s: {all_of_them}")
    return ready


def _repeat(step: Step, job: Job, repeats: int) -> list[float]:
    """Seconds a picture, one a timed run."""
    seconds: list[float] = []
    while len(seconds) < repeats and sum(seconds) * len(job.names) < STEP_SECONDS:
        whole = timed(step.tag, job)
        seconds.append(whole / len(job.names))
    return seconds


def _watch(step: Step, job: Job, seconds: float) -> tuple[Stages, pd.DataFrame]:
    """Stages and the monitor's samples, from whole batches, for a second or two; `seconds`: a picture's."""
    batches = max(1, round(PROFILE_SECONDS / seconds / job.batch_size))
    clock = StageClock(job.device)
    some = replace(job, names=job.names[: batches * job.batch_size], clock=clock)
    runs = 0
    started = perf_counter()
    with Monitor() as monitor:
        while perf_counter() - started < PROFILE_SECONDS:
            step.tag(some)
            runs += 1
    if step.ours:
        model = some.open_resident()
        with as_tagged(model, some.output):
            return bound(model, some.image_dir, some.names, some.batch_size), monitor.table
    pictures = runs * len(some.names)
    stages = {stage: spent / pictures for stage, spent in clock.seconds.items()}
    return stages, monitor.table


def _precision(step: Step, job: Job) -> str:
    if step.ours:
        choice = Summary.read(job.output).precision
        return f"{choice.value} ({choice.reason})"
    return job.lower if step.lower else "fp32"
