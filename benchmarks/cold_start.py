"""How long until the first forward is done? The default script's way against the resident model's.

    python -m benchmarks.cold_start [--record benchmarks/results/cold_start.json]

One process a measurement, the two ways interleaved, the file in the page cache for both. Imports are done before the
clock starts: both ways need the same ones. The fingerprint is read when results are first written, so it stands apart.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from .workloads import WORKLOADS

REPEATS = 7


def default_script(folder: Path) -> dict[str, float]:
    import timm  # noqa: F401 (what the pickle needs)
    import torch

    started = time.perf_counter()
    with torch.no_grad():
        model = torch.load(folder / "pickled" / "module.pth", map_location="cpu", weights_only=False)
        model.eval()
        model(torch.zeros(1, 3, 224, 224))
    return {"seconds": time.perf_counter() - started}


def resident_model(folder: Path) -> dict[str, float]:
    import timm  # noqa: F401

    from wanwu_nb import ResidentModel

    started = time.perf_counter()
    model = ResidentModel.load(str(folder), device="cpu")  # runs a first forward
    seconds = time.perf_counter() - started
    started = time.perf_counter()
    assert model.checkpoint.fingerprint
    return {"seconds": seconds, "fingerprint_seconds": time.perf_counter() - started}


WAYS = {"default script": default_script, "resident model": resident_model}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", type=Path)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)  # what a child process runs
    given = parser.parse_args()
    folder = WORKLOADS["resnest101"].folder()
    if given.way:
        print(json.dumps(WAYS[given.way](folder)))
        return
    runs = {way: [] for way in WAYS}
    for _ in range(REPEATS + 1):
        for way in WAYS:
            command = [sys.executable, "-m", "benchmarks.cold_start", "--way", way]
            runs[way].append(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))
    report(runs, given.record)


def report(runs: dict[str, list[dict]], record: Path | None) -> None:
    from wanwu_nb.measure import Spread
    from wanwu_nb.tuning import environment

    runs = {way: found[1:] for way, found in runs.items()}  # the first filled the page cache
    seconds = {way: [run["seconds"] for run in found] for way, found in runs.items()}
    spreads = {way: Spread.of(values) for way, values in seconds.items()}
    for way, (median, low, high) in spreads.items():
        print(f"{way}: {median:.3f} s (from {low:.3f} to {high:.3f})")
    ratio = spreads["resident model"].median / spreads["default script"].median
    fingerprint = statistics.median(run["fingerprint_seconds"] for run in runs["resident model"])
    print(f"ratio: {ratio:.2f}; the fingerprint, apart: {fingerprint:.3f} s")
    if record:
        record.parent.mkdir(parents=True, exist_ok=True)
        content = {"ratio": ratio, "fingerprint_seconds": fingerprint, "seconds": seconds, "environment": environment()}
        record.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
