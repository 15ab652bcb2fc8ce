"""Does memory stay flat, and is resuming quick? 20,000 pictures against 1,000; 100,000 finished ones.

    python -m benchmarks.memory [--record benchmarks/results/memory.json] [--few N] [--many N] [--width W] …

The pictures are hard links to a few drawn scenes; the network is small, since it is the loop that is asked about.
"""

import io
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import timm
from PIL import Image
from safetensors.torch import save_file

from wanwu_nb import ResidentModel, tag_folder
from wanwu_nb.detections import Detections, Selection
from wanwu_nb.finding import find_images
from wanwu_nb.measure import MB, peak_memory
from wanwu_nb.results import OutputFolder, run_key
from wanwu_nb.tagged import Tagged
from wanwu_nb.versions import version_of

from . import harness
from .workloads import pictures

FEW, MANY, FINISHED = 1_000, 20_000, 100_000
LABELS = ["衣服", "电器", "家具", "食品"]
WEIGHTS, NETWORK = "weights.safetensors", "mobilenetv3_small_100"
RESUMES = 3
A_FOLDER = 1_000  # pictures in one sub-folder


def main() -> None:
    parser = harness.command_line(__doc__)
    parser.add_argument("--few", type=int, default=FEW, help="pictures of the run that the other is compared with")
    parser.add_argument("--many", type=int, default=MANY, help="pictures of the long run; 0: none")
    parser.add_argument("--finished", type=int, default=FINISHED, help="finished pictures that are resumed; 0: none")
    parser.add_argument("--width", type=int, default=0, help="pixels that pictures are made wide; 0: as they are drawn")
    options = parser.parse_args()
    if options.child:
        folder, output = options.child
        harness.answer(tag(Path(folder), Path(output)))
        return
    figures = {}
    with tempfile.TemporaryDirectory() as name:
        parent = Path(name)
        make_model(parent)
        if options.many:
            figures |= compare(parent, options.few, options.many, options.width)
        if options.finished:
            figures |= resume(parent, options.finished)
    if options.record:
        harness.write_record(options.record, figures)


def compare(parent: Path, few: int = FEW, many: int = MANY, width: int = 0) -> dict[str, Any]:
    """The peak memory of two runs, and how much higher that of the long one is."""
    peaks = {}
    for count in (few, many):
        folder = link_pictures(parent / f"{count}", count, width)
        run = run_child(folder, parent / f"{count} tagged")
        peaks[str(count)] = round(run["peak_mb"], 1)
    growth = round(peaks[str(many)] - peaks[str(few)], 1)
    print(f"peak memory: {peaks} MB, {growth:+.0f} MB")
    return {"peak_mb": peaks, "growth_mb": growth}


def resume(parent: Path, count: int = FINISHED) -> dict[str, Any]:
    """What a run takes that finds all done: the quickest of some, since other work on the machine only adds."""
    folder, output = parent / "finished", parent / "finished tagged"
    link_pictures(folder, count)
    finish(folder, output)
    runs = [run_child(folder, output) for _ in range(RESUMES)]
    for run in runs:
        assert run["resumed"] == count, run
    seconds = min(run["seconds"] for run in runs)
    above = round(max(run["above_mb"] for run in runs), 1)
    print(f"resuming {count:,} finished pictures: {seconds:.2f} s, {above:+.0f} MB above the process with its model")
    return {"resume_seconds": seconds, "resume_above_mb": above}


def run_child(folder: Path, output: Path) -> dict[str, Any]:
    run: dict[str, Any] = harness.run_child("benchmarks.memory", [folder, output])
    return run


def make_model(parent: Path) -> None:
    """A small network's weights, random, and its labels beside them."""
    network = timm.create_model(NETWORK, num_classes=len(LABELS))
    save_file(network.state_dict(), parent / WEIGHTS)
    (parent / "labels.txt").write_text("\n".join(LABELS), encoding="utf-8")


def load_model(parent: Path) -> ResidentModel:
    return ResidentModel.load(str(parent / WEIGHTS), architecture=f"timm/{NETWORK}")


def link_pictures(folder: Path, count: int, width: int = 0) -> Path:
    """`count` pictures in sub-folders of a thousand: links to copies of a few, since a file has some 65,000 at most."""
    few = [content_of(path, width) for path in pictures(8)]
    for first in range(0, count, A_FOLDER):
        sub_folder = folder / f"{first // A_FOLDER:04d}"
        sub_folder.mkdir(parents=True)
        originals = []
        for i, content in enumerate(few):
            original = sub_folder / f"{i}.original"
            original.write_bytes(content)
            originals.append(original)
        for i in range(first, min(first + A_FOLDER, count)):
            os.link(originals[i % len(originals)], sub_folder / f"{i:06d}.jpg")
    return folder


def content_of(path: Path, width: int) -> bytes:
    """A picture's file, made so wide, 0 for as it is."""
    if not width:
        return path.read_bytes()
    file = io.BytesIO()
    with Image.open(path) as image:
        image.thumbnail((width, width))
        image.save(file, "JPEG")
    return file.getvalue()


def tag(folder: Path, output: Path) -> dict[str, Any]:
    """In a child process: tag the folder, and say what it took."""
    model = load_model(folder.parent)
    highest = peak_memory()
    forget_peak()
    loaded = psutil.Process().memory_info().rss / MB
    started = time.perf_counter()
    summary = tag_folder(model, folder, output, batch_size=8, compile=False)
    seconds = time.perf_counter() - started
    while_tagging = peak_memory()
    return {
        "peak_mb": max(highest, while_tagging),
        "above_mb": while_tagging - loaded,
        "seconds": seconds,
        "resumed": summary.resumed,
        "failed": summary.failed,
    }


def forget_peak() -> None:
    """Let the peak be that of what comes; where the system cannot forget, that of loading counts as well."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def finish(folder: Path, output: Path) -> None:
    """The results of a finished run, written by what writes them, without running the network 100,000 times."""
    model = load_model(folder.parent)
    key = run_key(model.checkpoint.fingerprint, model.precision.value, Selection())
    detections = Detections(1920, 1080, None, np.array([0.9]), np.array([1]), LABELS[1:2])
    with OutputFolder(output, key) as results:
        for name in find_images(folder):
            results.put(Tagged(name, version_of(folder, name), detections))


if __name__ == "__main__":
    main()
