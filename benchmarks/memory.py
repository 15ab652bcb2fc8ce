"""Does memory stay flat, and is resuming quick? 20,000 pictures against 1,000; 100,000 finished ones.

    python -m benchmarks.memory [--record benchmarks/results/memory.json]

The pictures are hard links to a few drawn scenes; the network is small, since it is the loop that is asked about.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import timm
from safetensors.torch import save_file

from wanwu_nb import ResidentModel, tag_folder
from wanwu_nb.detections import Detections, Selection
from wanwu_nb.measure import peak_memory
from wanwu_nb.results import OutputFolder, run_key
from wanwu_nb.tuning import environment

from .workloads import pictures

FEW, MANY, FINISHED = 1_000, 20_000, 100_000
NAMES = ["衣服", "电器", "家具", "食品"]
A_FOLDER = 1_000  # pictures in one sub-folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", type=Path)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)  # pictures, output
    given = parser.parse_args()
    if given.child:
        print(json.dumps(tag(*map(Path, given.child))))
        return
    with tempfile.TemporaryDirectory() as parent:
        found = measure(Path(parent))
    growth = found["peak_mb"][str(MANY)] - found["peak_mb"][str(FEW)]
    print(f"peak memory: {found['peak_mb']} MB, {growth:+.0f} MB")
    print(f"resuming {FINISHED:,} finished pictures: {found['resume_seconds']:.2f} s")
    if given.record:
        record = {**found, "growth_mb": round(growth, 1), "environment": environment()}
        given.record.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def measure(parent: Path) -> dict:
    save_file(timm.create_model("mobilenetv3_small_100", num_classes=len(NAMES)).state_dict(), parent / "w.safetensors")
    (parent / "labels.txt").write_text("\n".join(NAMES), encoding="utf-8")
    peaks = {}
    for count in (FEW, MANY):
        folder = links(parent / f"{count}", count)
        peaks[str(count)] = round(child(folder, parent / f"{count} tagged")["peak_mb"], 1)
    folder = links(parent / "finished", FINISHED)
    finish(folder, parent / "finished tagged", parent)
    resumed = child(folder, parent / "finished tagged")
    assert resumed["resumed"] == FINISHED, resumed
    return {"peak_mb": peaks, "resume_seconds": resumed["seconds"]}


def links(folder: Path, count: int) -> Path:
    few = pictures(8)
    for i in range(count):
        path = folder / f"{i // A_FOLDER:04d}" / f"{i:06d}.jpg"
        if i % A_FOLDER == 0:
            path.parent.mkdir(parents=True)
            own = [path.parent / f"{i:06d}.original" for i in range(len(few))]  # a file has some 65,000 links at most
            for original, picture in zip(own, few, strict=True):
                original.write_bytes(picture.read_bytes())
        os.link(own[i % len(own)], path)
    return folder


def child(folder: Path, output: Path) -> dict:
    command = [sys.executable, "-m", "benchmarks.memory", "--child", str(folder), str(output)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.splitlines()[-1])


def load(parent: Path) -> ResidentModel:
    return ResidentModel.load(str(parent / "w.safetensors"), architecture="timm/mobilenetv3_small_100")


def tag(folder: Path, output: Path) -> dict:
    model = load(folder.parent)
    started = time.perf_counter()
    summary = tag_folder(model, folder, output, batch_size=8, compile=False)
    seconds = time.perf_counter() - started
    return {"peak_mb": peak_memory(), "seconds": seconds, "resumed": summary.resumed, "failed": summary.failed}


def finish(folder: Path, output: Path, parent: Path) -> None:
    """The results of a finished run, written by what writes them, without running the network 100,000 times."""
    model = load(parent)
    found = Detections(1920, 1080, None, np.array([0.9]), np.array([1]), NAMES[1:2])
    key = run_key(model.checkpoint.fingerprint, model.precision.value, Selection())
    with OutputFolder(output, key) as results:
        for path in sorted(folder.rglob("*.jpg")):
            results.write(path.relative_to(folder).as_posix(), path.stat(), found)


if __name__ == "__main__":
    main()
