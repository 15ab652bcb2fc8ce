"""How long until the first forward is done? The default script's way against the resident model's.

    python -m benchmarks.cold_start [--record benchmarks/results/cold_start.json]

One process a measurement, the two ways interleaved, the file in the page cache for both. Imports are done before the
clock starts: both ways need the same ones. The fingerprint is read when results are first written, so it stands apart.
"""

import statistics
import time
from pathlib import Path

import timm  # noqa: F401 (what the pickle needs)
import torch

from wanwu_nb import ResidentModel
from wanwu_nb.measure import Spread

from . import harness
from .workloads import WORKLOADS

WORKLOAD, REPEATS = "resnest101", 7
Times = dict[str, float]


def default_script(folder: Path) -> Times:
    started = time.perf_counter()
    with torch.no_grad():
        network = torch.load(folder / "pickled" / "module.pth", map_location="cpu", weights_only=False)
        network.eval()
        network(torch.zeros(1, 3, 224, 224))
    return {"seconds": time.perf_counter() - started}


def resident_model(folder: Path) -> Times:
    started = time.perf_counter()
    model = ResidentModel.load(str(folder), device="cpu")  # runs a first forward
    ready = time.perf_counter()
    assert model.checkpoint.fingerprint
    return {"seconds": ready - started, "fingerprint_seconds": time.perf_counter() - ready}


WAYS = {"default script": default_script, "resident model": resident_model}


def main() -> None:
    options = harness.command_line(__doc__).parse_args()
    folder = WORKLOADS[WORKLOAD].folder()
    if options.child:
        (way,) = options.child
        harness.answer(WAYS[way](folder))
        return
    figures = summarise(run_all())
    if options.record:
        harness.write_record(options.record, figures)


def run_all() -> dict[str, list[Times]]:
    """The ways in turns; the first turn only fills the page cache."""
    runs: dict[str, list[Times]] = {way: [] for way in WAYS}
    for turn in range(1 + REPEATS):
        for way in WAYS:
            times = harness.run_child("benchmarks.cold_start", [way])
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
    ratio = medians["resident model"] / medians["default script"]
    fingerprint = statistics.median(run["fingerprint_seconds"] for run in runs["resident model"])
    print(f"ratio: {ratio:.2f}; the fingerprint, apart: {fingerprint:.3f} s")
    return {"ratio": ratio, "fingerprint_seconds": fingerprint, "seconds": seconds}


if __name__ == "__main__":
    main()
