"""What do the batch loop's own choices bring? Each against the way it would be without, on the same pictures.

    python -m benchmarks.choices [--record benchmarks/results/choices.json]

One process a measurement, the variants interleaved, medians. "ours" is the loop as it is, eager; every other variant
undoes one choice. Compiling is timed with an empty cache and then again with what the first left there; making and
judging INT8, held to AVX2: where there are instructions for half precision, nobody makes it unasked.
"""

import statistics
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from wanwu_nb import ResidentModel, tag_folder
from wanwu_nb.deciding import Decision
from wanwu_nb.detections import Selection
from wanwu_nb.finding import find_images
from wanwu_nb.hardware import Choice
from wanwu_nb.judging import SIZE
from wanwu_nb.preparing import choose_openvino
from wanwu_nb.process import INDUCTOR_CACHE, KEEP_FREED_MEMORY
from wanwu_nb.progress import Progress
from wanwu_nb.quantising import as_tagged
from wanwu_nb.results import OutputFolder, run_key
from wanwu_nb.running import Threads, run_plan
from wanwu_nb.settings import TagSettings
from wanwu_nb.threads import reading_threads
from wanwu_nb.timing import forward_seconds
from wanwu_nb.tuning import Plan, make_plan

from . import harness
from .workloads import WORKLOADS, pictures

BATCH_SIZE, COUNT, REPEATS = 8, 96, 3


# Threads as they come: each starts a team of torch threads of its own, one a core.
threads_with_teams = partial(reading_threads, one_core_each=False)


@dataclass(frozen=True)
class Variant:
    """The loop with one choice undone: by fields of its plan, by its threads, or by a variable of its process."""

    plan: Mapping[str, Any] = field(default_factory=dict)
    threads: Threads = reading_threads
    variables: Mapping[str, str] = field(default_factory=dict)


AHEAD = {
    "round_size": Choice(BATCH_SIZE, "for comparison: as on a GPU"),
    "rounds_ahead": Choice(2, "for comparison: as on a GPU"),
}
VARIANTS = {
    "ours": Variant(),
    "glibc gives freed memory back": Variant(variables={KEEP_FREED_MEMORY: "0"}),
    "decoding runs ahead, on the same cores": Variant(plan=AHEAD),
    "decoding threads with a team of torch threads each": Variant(threads=threads_with_teams),
}
COMPILING, INT8 = "compiling", "INT8"
MANY = 100_000  # pictures: whatever can be prepared pays


def main() -> None:
    options = harness.command_line(__doc__).parse_args()
    if options.child:
        harness.answer(measure(*options.child))
        return
    workloads = {workload: compare(workload) for workload in ("resnest101", "demo")}
    if options.record:
        harness.write_record(options.record, {"workloads": workloads})


def compare(workload: str) -> dict[str, Any]:
    """All variants on one workload, interleaved, each in processes of its own."""
    runs: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for _ in range(REPEATS):
        for name, variant in VARIANTS.items():
            milliseconds = run_child(workload, name, variant.variables)
            runs[name].append(milliseconds)
    medians = {}
    for name, milliseconds in runs.items():
        medians[name] = statistics.median(milliseconds)
        low, high = min(milliseconds), max(milliseconds)
        print(f"{workload} · {name}: {medians[name]:.1f} ms a picture ({low:.1f} to {high:.1f})")
    compiling = compile_twice(workload)
    int8 = run_child(workload, INT8, harness.HELD_TO_AVX2)
    print(f"{workload} · INT8: {int8}", flush=True)
    return {"ms_a_picture": medians, "runs": runs, "compiling": compiling, "int8": int8}


def compile_twice(workload: str) -> dict[str, Any]:
    """What compiling takes and brings, with an empty cache and with a full one."""
    measured = {}
    with tempfile.TemporaryDirectory() as cache:
        for state in ("cold", "warm"):
            measured[state] = run_child(workload, COMPILING, {INDUCTOR_CACHE: cache})
    print(f"{workload} · compiling: {measured}", flush=True)
    return measured


def run_child(workload: str, what: str, variables: Mapping[str, str]) -> Any:
    return harness.run_child("benchmarks.choices", [workload, what], variables)


def measure(workload: str, what: str) -> Any:
    """In a child process: milliseconds a picture of a variant, or what compiling or INT8 measured."""
    if what == INT8:
        return measure_int8(str(WORKLOADS[workload].folder()))
    model = ResidentModel.load(str(WORKLOADS[workload].folder()))
    image_dir = pictures(COUNT)[0].parent
    names = find_images(image_dir, COUNT)
    if what == COMPILING:
        return plan_for(model, image_dir, names, compile=True).compiled.measured
    with tempfile.TemporaryDirectory() as parent:
        run(model, image_dir, names, Path(parent) / "warm up", VARIANTS[what])
        seconds = run(model, image_dir, names, Path(parent) / "measured", VARIANTS[what])
    return 1000 * seconds / len(names)


def measure_int8(folder: str) -> dict[str, float]:
    """What `quantising` weighs before it makes INT8 unasked: seconds to make it, and to judge it by a picture, in
    forwards of FP32 as it would run; the share of a forward that INT8 saves.
    """
    model = ResidentModel.load(folder, precision="int8")
    choose_openvino(MANY, SIZE, model, print)
    fp32 = forward_seconds(model, SIZE) / SIZE
    with tempfile.TemporaryDirectory() as output:
        summary = tag_folder(model, pictures()[0].parent, output, limit=SIZE, int8_agreement=0)
        with as_tagged(model, Path(output)):
            int8 = forward_seconds(model, SIZE) / SIZE
    figures = summary.precision.measured or {}
    return {
        "quantising": figures["quantising"],
        "judging_in_forwards": figures["judging"] / figures["judged"] / fp32,
        "saved": 1 - int8 / fp32,
    }


def run(model: ResidentModel, image_dir: Path, names: list[str], output_dir: Path, variant: Variant) -> float:
    """Tag the pictures the variant's way into an empty folder, as `tag_folder` does; return the seconds it takes."""
    selection = Selection()
    key = run_key(model.checkpoint.fingerprint, model.precision.value, selection)
    plan = replace(plan_for(model, image_dir, names, compile=False), **variant.plan)
    with OutputFolder(output_dir, key) as output, Progress(len(names), 0) as progress:
        started = time.perf_counter()
        run_plan(plan, model, image_dir, names, Decision(selection), output, progress, threads=variant.threads)
        return time.perf_counter() - started


def plan_for(model: ResidentModel, image_dir: Path, names: list[str], compile: bool) -> Plan:
    settings = TagSettings(image_dir=str(image_dir), batch_size=BATCH_SIZE, compile=compile)
    return make_plan(settings, model, names, {}, print)


if __name__ == "__main__":
    main()
