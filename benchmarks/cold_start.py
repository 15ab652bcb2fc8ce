"""How long until the first forward is done? The default script's way, the resident model's, and a later run's.

    python -m benchmarks.cold_start [--record benchmarks/results/cold_start.json]

One process a measurement, the ways interleaved, files in the page cache for all: from the start of the process, and,
beside it, of that the loading, once all that it needs is imported. A later run in an output folder recalls the model,
and opens the engine that was kept: the network in FP32 by OpenVINO, whose answers to a batch of four are compared with
those that were kept. The fingerprint is read when results are first written, so it stands apart.
"""

import statistics
import tempfile
import time
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from . import harness

WORKLOAD, REPEATS, SIZE = "resnest101", 7, 4
DEFAULT = "default script"
Times = dict[str, float]  # seconds; `ready`: since 1970


# Each imports what it needs and nothing else, as a script does.


def default_script(folder: Path, output: Path) -> Times:
    import timm  # noqa: F401 (what the pickle needs)
    import torch

    started = time.perf_counter()
    with torch.no_grad():
        network = torch.load(folder / "pickled" / "module.pth", map_location="cpu", weights_only=False)
        network.eval()
        network(torch.zeros(1, 3, 224, 224))
    return {"loading": time.perf_counter() - started, "ready": time.time()}


def resident_model(folder: Path, output: Path) -> Times:
    from wanwu_nb import ResidentModel

    import_module("timm")  # what loading would import
    started = time.perf_counter()
    model = ResidentModel.load(str(folder), device="cpu")  # runs a first forward
    times = {"loading": time.perf_counter() - started, "ready": time.time()}
    started = time.perf_counter()
    assert model.checkpoint.fingerprint
    return {**times, "fingerprint": time.perf_counter() - started}


def later_run(folder: Path, output: Path) -> Times:
    from wanwu_nb import tag_folder  # noqa: F401 (first, as in every run)
    from wanwu_nb.engines import OPENVINO
    from wanwu_nb.preparing import choose_openvino
    from wanwu_nb.remembering import load_or_recall

    import_module("openvino")
    started = time.perf_counter()
    model = load_or_recall(output, model=str(folder), device="cpu", precision="fp32")
    engine = choose_openvino(0, SIZE, model)
    times = {"loading": time.perf_counter() - started, "ready": time.time()}
    if engine.value != OPENVINO or "network" in vars(model):
        raise RuntimeError(f"the model was loaded, or no engine opened: {engine}")
    return times


WAYS = {DEFAULT: default_script, "resident model": resident_model, "later run, kept engine": later_run}


def main() -> None:
    options = harness.command_line(__doc__).parse_args()
    if options.child:
        way, folder, output = options.child
        harness.answer((WAYS | PREPARING)[way](Path(folder), Path(output)))
        return
    from .workloads import WORKLOADS

    folder = WORKLOADS[WORKLOAD].folder()
    with tempfile.TemporaryDirectory() as parent:
        variables = harness.caches(Path(parent) / "caches")
        output = Path(parent) / "output"
        harness.run_child("benchmarks.cold_start", ["first run", folder, output], variables)
        figures = summarise(run_all(folder, output, variables))
    if options.record:
        harness.write_record(options.record, figures)


def first_run(folder: Path, output: Path) -> Times:
    """What a later one finds."""
    from wanwu_nb import ResidentModel, tag_folder
    from wanwu_nb.preparing import prepare

    from .workloads import pictures

    model = ResidentModel.load(str(folder), device="cpu", precision="fp32")
    tag_folder(model, pictures()[0].parent, output, limit=1)
    prepare(model, SIZE, must_be_faster=False)
    return {}


PREPARING = {"first run": first_run}


def run_all(folder: Path, output: Path, variables: Mapping[str, str]) -> dict[str, list[Times]]:
    """The ways in turns; the first turn only fills the page cache."""
    runs: dict[str, list[Times]] = {way: [] for way in WAYS}
    for turn in range(1 + REPEATS):
        for way in WAYS:
            arguments = ["-m", "benchmarks.cold_start", "--child", way, folder, output]
            process = harness.finished(arguments, variables)
            times: Times = {**process.answer, "from_start": process.answer["ready"] - process.started}
            if turn > 0:
                runs[way].append(times)
    return runs


def summarise(runs: Mapping[str, list[Times]]) -> dict[str, object]:
    """Print the medians, and return the figures of the record."""
    seconds = {
        part: {way: [run[part] for run in times] for way, times in runs.items()} for part in ("from_start", "loading")
    }
    ratios = {part: ratios_of(part, ways) for part, ways in seconds.items()}
    fingerprint = statistics.median(run["fingerprint"] for run in runs["resident model"])
    print(f"the fingerprint, apart: {fingerprint:.3f} s")
    return {"ratios": ratios, "fingerprint_seconds": fingerprint, "seconds": seconds}


def ratios_of(part: str, ways: Mapping[str, list[float]]) -> dict[str, float]:
    """Of the medians to the default script's."""
    default = statistics.median(ways[DEFAULT])
    ratios = {}
    for way, seconds in ways.items():
        ratios[way] = statistics.median(seconds) / default
        spread = f"from {min(seconds):.2f} to {max(seconds):.2f}"
        print(f"{part}, {way}: {statistics.median(seconds):.2f} s ({spread}), {ratios[way]:.2f} of {DEFAULT}'s")
    return ratios


if __name__ == "__main__":
    main()
