"""What does the stage clock cost, and does it add up? The resident step with and without it, in turns.

    python -m benchmarks.clock [--record benchmarks/results/clock.json]

`share`: what reading the clock takes, of a picture's time. `with_clock`: time with it over the time without, of runs
side by side; `stages_of_wall`: the sum of the stages over the time that passed.
"""

import tempfile
import time
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from wanwu_nb.measure import Spread, StageClock
from wanwu_nb.method.job import Job
from wanwu_nb.method.steps import STEPS
from wanwu_nb.method.trial import timed

from . import harness
from .jobs import job_of
from .workloads import WORKLOADS, pictures

REPEATS, COUNT, READINGS = 15, 8, 20_000
STAGES = 4  # a picture, in the resident step


def main() -> None:
    options = harness.command_line(__doc__).parse_args()
    workloads = {}
    for workload in ("resnest101", "demo"):
        with tempfile.TemporaryDirectory() as output:
            job = job_of(WORKLOADS[workload].folder(), pictures(COUNT), Path(output))
            workloads[workload] = measure(replace(job, open_network=cache(job.open_network)))
        print(workload, workloads[workload], flush=True)
    if options.record:
        harness.write_record(options.record, {"workloads": workloads, "repeats": REPEATS, "pictures": COUNT})


def measure(job: Job) -> dict[str, Any]:
    """The clock's cost on one workload; `Spread`s over the repeats."""
    tag = STEPS["resident"].tag
    tag(job)  # warm up
    ratios, sums, seconds = [], [], []
    for _ in range(REPEATS):
        clock = StageClock(job.device)
        without = timed(tag, job)
        with_clock = timed(tag, replace(job, clock=clock))
        ratios.append(with_clock / without)
        sums.append(sum(clock.seconds.values()) / with_clock)
        seconds.append(without / COUNT)
    readings = STAGES * seconds_a_stage(job.device)
    share = readings / Spread.of(seconds).median
    return {"share": share, "with_clock": Spread.of(ratios), "stages_of_wall": Spread.of(sums)}


def seconds_a_stage(device: str) -> float:
    """What entering and leaving one stage takes."""
    clock = StageClock(device)
    started = time.perf_counter()
    for _ in range(READINGS):
        with clock.stage("nothing"):
            pass
    return (time.perf_counter() - started) / READINGS


if __name__ == "__main__":
    main()
