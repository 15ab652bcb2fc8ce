"""How long until the first forward is done? The default script's way, the resident model's, and a later run's.

    python -m benchmarks.cold_start [--record benchmarks/results/cold_start.json]

One process a measurement, the ways interleaved, files in the page cache for all. Imports are done before the clock
starts: all ways need the same ones. A later run in an output folder recalls the model, and opens the engine that was
kept: the network in FP32 by OpenVINO, whose answers to a batch of four are compared with those that were kept. The
fingerprint is read when results are first written, so it stands apart.
"""

import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import openvino  # noqa: F401 (what the engine needs)
import timm  # noqa: F401 (what the pickle needs)
import torch

from wanwu_nb import ResidentModel, tag_folder
from wanwu_nb.engines import OPENVINO
from wanwu_nb.measure import Spread
from wanwu_nb.preparing import choose_openvino, prepare
from wanwu_nb.remembering import load_or_recall

from . import harness
from .workloads import WORKLOADS, pictures

WORKLOAD, REPEATS, SIZE = "resnest101", 7, 4
DEFAULT = "default script"
Times = dict[str, float]


def default_script(folder: Path, output: Path) -> Times:
    started = time.perf_counter()
    with torch.no_grad():
        network = torch.load(folder / "pickled" / "module.pth", map_location="cpu", weights_only=False)
        network.eval()
        network(torch.zeros(1, 3, 224, 224))
    return {"seconds": time.perf_counter() - started}


def resident_model(folder: Path, output: Path) -> Times:
    started = time.perf_counter()
    model = ResidentModel.load(str(folder), device="cpu")  # runs a first forward
    ready = time.perf_counter()
    assert model.checkpoint.fingerprint
    return {"seconds": ready - started, "fingerprint_seconds": time.perf_counter() - ready}


def later_run(folder: Path, output: Path) -> Times:
    started = time.perf_counter()
    model = load_or_recall(output, model=str(folder), device="cpu", precision="fp32")
    engine = choose_openvino(0, SIZE, model)
    seconds = time.perf_counter() - started
    if engine.value != OPENVINO or "network" in vars(model):
        raise RuntimeError(f"the model was loaded, or no engine opened: {engine}")
    return {"seconds": seconds}


WAYS = {DEFAULT: default_script, "resident model": resident_model, "later run, kept engine": later_run}


def main() -> None:
    options = harness.command_line(__doc__).parse_args()
    folder = WORKLOADS[WORKLOAD].folder()
    if options.child:
        way, output = options.child
        harness.answer((WAYS | PREPARING)[way](folder, Path(output)))
        return
    with tempfile.TemporaryDirectory() as parent:
        variables = harness.caches(Path(parent) / "caches")
        output = Path(parent) / "output"
        harness.run_child("benchmarks.cold_start", ["first run", output], variables)
        figures = summarise(run_all(output, variables))
    if options.record:
        harness.write_record(options.record, figures)


def first_run(folder: Path, output: Path) -> Times:
    """What a later one finds."""
    started = time.perf_counter()
    model = ResidentModel.load(str(folder), device="cpu", precision="fp32")
    tag_folder(model, pictures()[0].parent, output, limit=1)
    prepare(model, SIZE, must_be_faster=False)
    return {"seconds": time.perf_counter() - started}


PREPARING = {"first run": first_run}


def run_all(output: Path, variables: Mapping[str, str]) -> dict[str, list[Times]]:
    """The ways in turns; the first turn only fills the page cache."""
    runs: dict[str, list[Times]] = {way: [] for way in WAYS}
    for turn in range(1 + REPEATS):
        for way in WAYS:
            times = harness.run_child("benchmarks.cold_start", [way, output], variables)
            if turn > 0:
                runs[way].append(times)
    return runs


def summarise(runs: dict[str, list[Times]]) -> dict[str, object]:
    """Print the medians, and return the figures of the record."""
    seconds, medians = {}, {}
    for way, times in runs.items():
        seconds[way] = [run["seconds"] for run in times]
        medians[way], low, high = Spread.of(seconds[way])
        print(f"{way}: {medians[way]:.3f} s (from {low:.3f} to {high:.3f})")
    ratios = {way: median / medians[DEFAULT] for way, median in medians.items() if way != DEFAULT}
    fingerprint = statistics.median(run["fingerprint_seconds"] for run in runs["resident model"])
    for way, ratio in ratios.items():
        print(f"{way} against {DEFAULT}: {ratio:.2f}")
    print(f"the fingerprint, apart: {fingerprint:.3f} s")
    return {"ratios": ratios, "fingerprint_seconds": fingerprint, "seconds": seconds}


if __name__ == "__main__":
    main()
