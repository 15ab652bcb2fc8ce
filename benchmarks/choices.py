"""What do the batch loop's own choices bring? Each against the way it would be without, on the same pictures.

    python -m benchmarks.choices [--record benchmarks/results/choices.json]

One process a measurement, the variants interleaved, medians. `ours` is the loop as it is, eager; every other variant
undoes one choice. Compiling is timed with an empty cache and then again with what the first left there.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from wanwu_nb import ResidentModel, resident, tag_folder, tagging
from wanwu_nb.tuning import Choice, choose_compile, environment

from .contenders import BATCH_SIZE
from .workloads import WORKLOADS, pictures

COUNT, REPEATS = 96, 3


def allocator_left_alone() -> None:
    resident.keep_freed_memory = lambda: None


def decoding_ahead() -> None:
    tagging.choose_ahead = lambda *_: Choice(BATCH_SIZE, "for comparison", {"ahead": 2})


def threads_with_teams() -> None:
    @contextmanager
    def threads(name: str, count: int):
        with ThreadPoolExecutor(count, name) as pool:
            yield pool

    tagging.threads = threads


VARIANTS: dict[str, Callable[[], None]] = {
    "ours": lambda: None,
    "glibc gives freed memory back": allocator_left_alone,
    "decoding runs ahead, on the same cores": decoding_ahead,
    "decoding threads with a team of torch threads each": threads_with_teams,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", type=Path)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)  # workload, variant
    given = parser.parse_args()
    if given.child:
        workload, variant = given.child
        print(json.dumps(compiling(workload) if variant == "compiling" else ms_a_picture(workload, variant)))
        return
    record = {"workloads": {name: compare(name) for name in ("resnest101", "demo")}, "environment": environment()}
    if given.record:
        given.record.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def compare(workload: str) -> dict:
    runs = {variant: [] for variant in VARIANTS}
    for _ in range(REPEATS):
        for variant in VARIANTS:
            runs[variant].append(child(workload, variant))
    medians = {variant: statistics.median(values) for variant, values in runs.items()}
    for variant, median in medians.items():
        low, high = min(runs[variant]), max(runs[variant])
        print(f"{workload} · {variant}: {median:.1f} ms a picture ({low:.1f} to {high:.1f})")
    with tempfile.TemporaryDirectory() as cache:
        found = {state: child(workload, "compiling", cache) for state in ("cold", "warm")}
    print(f"{workload} · compiling: {found}", flush=True)
    return {"ms_a_picture": medians, "runs": runs, "compiling": found}


def child(workload: str, variant: str, cache: str = "") -> float | dict:
    command = [sys.executable, "-m", "benchmarks.choices", "--child", workload, variant]
    variables = os.environ | ({"TORCHINDUCTOR_CACHE_DIR": cache} if cache else {})
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=variables)
    return json.loads(done.stdout.splitlines()[-1])


def ms_a_picture(workload: str, variant: str) -> float:
    VARIANTS[variant]()
    model = ResidentModel.load(str(WORKLOADS[workload].folder()))
    with tempfile.TemporaryDirectory() as folder:
        options = {"batch_size": BATCH_SIZE, "compile": False, "limit": COUNT}
        for output in ("warm", "out"):
            summary = tag_folder(model, pictures(COUNT)[0].parent, Path(folder) / output, **options)
    return 1000 * summary.seconds / COUNT


def compiling(workload: str) -> dict:
    model = ResidentModel.load(str(WORKLOADS[workload].folder()))
    return choose_compile(True, None, COUNT, BATCH_SIZE, model).measured


if __name__ == "__main__":
    main()
