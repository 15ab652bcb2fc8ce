"""What does the stage clock cost, and does it add up? The resident step with and without it, in turns.

    python -m benchmarks.clock [--record benchmarks/results/clock.json]

`share`: what reading the clock takes, of a picture's time. `with_clock`: time with it over the time without, of runs
side by side; `stages_of_wall`: the sum of the stages over the time that passed.
"""

import argparse
import json
import tempfile
import time
from dataclasses import replace
from functools import cache
from pathlib import Path

from wanwu_nb.measure import Spread, StageClock
from wanwu_nb.steps import Job, resident
from wanwu_nb.trial import timed
from wanwu_nb.tuning import environment

from .contenders import job_of
from .workloads import WORKLOADS, pictures

REPEATS, COUNT, READINGS = 15, 8, 20_000
STAGES = 4  # a picture, in the resident step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", type=Path)
    given = parser.parse_args()
    found = {}
    for workload in ("resnest101", "demo"):
        with tempfile.TemporaryDirectory() as output:
            job = job_of(WORKLOADS[workload].folder(), pictures(COUNT), Path(output))
            found[workload] = measure(replace(job, open=cache(job.open)))
        print(workload, found[workload], flush=True)
    if given.record:
        record = {"workloads": found, "repeats": REPEATS, "pictures": COUNT, "environment": environment()}
        given.record.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def measure(job: Job) -> dict:
    resident(job)  # warm up
    ratios, sums, seconds = [], [], []
    for _ in range(REPEATS):
        clock = StageClock(job.device)
        without, with_clock = timed(resident, job), timed(resident, replace(job, clock=clock))
        ratios.append(with_clock / without)
        sums.append(sum(clock.seconds.values()) / with_clock)
        seconds.append(without / COUNT)
    share = STAGES * seconds_a_stage(job.device) / Spread.of(seconds).median
    return {"share": share, "with_clock": Spread.of(ratios), "stages_of_wall": Spread.of(sums)}


def seconds_a_stage(device: str) -> float:
    clock, started = StageClock(device), time.perf_counter()
    for _ in range(READINGS):
        with clock.stage("nothing"):
            pass
    return (time.perf_counter() - started) / READINGS


if __name__ == "__main__":
    main()
