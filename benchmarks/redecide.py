"""Another threshold for 100,000 finished pictures: how long, and how much memory, without the network?

    python -m benchmarks.redecide [--record benchmarks/results/redecide.json]

In a folder of the memory, where the work alone is seen, and on the disk, where replacing so many files may take more.
Beside each, what as many empty files take that are written under another name and moved into place, and what files
of a result's size take that replace such files. The results are those of the demo detector on drawn scenes.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from wanwu_nb import ResidentModel, tag_folder
from wanwu_nb.deciding import Decision
from wanwu_nb.detections import Selection
from wanwu_nb.finding import find_images
from wanwu_nb.images import read
from wanwu_nb.measure import peak_memory
from wanwu_nb.remembering import load_or_recall, remember
from wanwu_nb.results import OutputFolder, RawSource, run_key
from wanwu_nb.tagged import Tagged
from wanwu_nb.tagger import Tagger
from wanwu_nb.versions import version_of

from . import harness
from .memory import link_pictures
from .workloads import pictures

COUNT = 100_000
MEMORY = Path("/dev/shm")  # a file system of Linux in memory
SCENES = 16
BEFORE, AFTER = 0.3, 0.5  # the threshold then, and now


def main() -> None:
    options = harness.command_line(__doc__).parse_args()
    if options.child:
        folder, output = options.child
        harness.answer(redecide(Path(folder), Path(output)))
        return
    figures = {}
    for name, place in places().items():
        with tempfile.TemporaryDirectory(dir=place) as parent:
            figures[name] = measure(Path(parent))
        show(name, figures[name])
    if options.record:
        harness.write_record(options.record, figures)


def places() -> dict[str, Path]:
    """The file systems that are measured, by name."""
    disk = {"disk": Path(tempfile.gettempdir())}
    if MEMORY.is_dir():
        return {"memory": MEMORY, **disk}
    return disk


def show(name: str, figures: Mapping[str, Any]) -> None:
    print(
        f"in {name}: {COUNT:,} pictures decided anew in {figures['seconds']:.1f} s, {figures['forwards']} forwards; "
        f"as many empty files moved into place take {figures['empty_writes_seconds']:.1f} s, "
        f"files of a result's size in place of such {figures['rewrites_seconds']:.1f} s\n"
        f"  {figures['above_mb']:.0f} MB above the process before it; "
        f"raw.jsonl: {figures['raw_bytes_a_picture']} bytes a picture at the median"
    )


def measure(parent: Path) -> dict[str, Any]:
    folder, output = parent / "pictures", parent / "tags"
    link_pictures(folder, COUNT)
    finish(folder, output)
    lengths = [len(line) for line in (output / "raw.jsonl").read_bytes().splitlines()]
    run = harness.run_child("benchmarks.redecide", [folder, output])
    assert run["redecided"] == COUNT, run
    empty = seconds_of_writes(parent / "others", b"")
    a_result = (output / "images" / f"{find_images(folder)[0]}.json").read_bytes()
    seconds_of_writes(parent / "others", a_result)
    return {
        "seconds": round(run["seconds"], 2),
        "forwards": run["forwards"],
        "above_mb": round(run["peak_mb"] - run["before_mb"], 1),
        "empty_writes_seconds": round(empty, 2),
        "rewrites_seconds": round(seconds_of_writes(parent / "others", a_result), 2),
        "raw_bytes_a_picture": statistics.median(lengths),
    }


def finish(folder: Path, output: Path) -> None:
    """What a finished run leaves, written by what writes it; the network runs on a few scenes alone."""
    model = ResidentModel.load("demo", precision="fp32")
    decision = Decision(Selection(BEFORE))
    tagged = tag_scenes(model, decision)
    fingerprint = model.checkpoint.fingerprint
    key = run_key(fingerprint, "fp32", decision.selection)
    source = RawSource.of(fingerprint, "fp32", decision)
    with OutputFolder(output, key, folder.absolute(), source) as results:
        results.begin({}, model.labels)
        for i, name in enumerate(find_images(folder)):
            results.put(replace(tagged[i % len(tagged)], image=name, version=version_of(folder, name)))
        remember(model, results)


def tag_scenes(model: ResidentModel, decision: Decision) -> Sequence[Tagged]:
    scenes = [read(path.parent, model.checkpoint.spec, path.name) for path in pictures(SCENES)]
    results = []
    for launched in Tagger(model, decision, batch_size=8).launch(scenes):
        results += [result for result in launched.results() if isinstance(result, Tagged)]
    return results


def redecide(folder: Path, output: Path) -> dict[str, Any]:
    """In a child process: another threshold, and what that took."""
    model = load_or_recall(output, model="demo", precision="fp32")
    forwards = count_forwards()
    before = peak_memory()
    started = time.perf_counter()
    summary = tag_folder(model, folder, output, conf_threshold=AFTER)
    seconds = time.perf_counter() - started
    return {
        "seconds": seconds,
        "redecided": summary.redecided,
        "forwards": len(forwards),
        "before_mb": before,
        "peak_mb": peak_memory(),
    }


def count_forwards() -> list[int]:
    """The batches that the network runs on from here on."""
    batches: list[int] = []
    launch = ResidentModel.launch

    def counted(model: ResidentModel, batch: Any) -> Any:
        batches.append(len(batch))
        return launch(model, batch)

    ResidentModel.launch = counted  # type: ignore[method-assign]
    return batches


def seconds_of_writes(folder: Path, content: bytes) -> float:
    """Of as many files, each written under another name and moved into place."""
    started = time.perf_counter()
    for i in range(COUNT):
        sub_folder = folder / f"{i // 1_000:04d}"
        if i % 1_000 == 0:
            sub_folder.mkdir(parents=True, exist_ok=True)
        partial = folder / ".partial"
        partial.write_bytes(content)
        os.replace(partial, sub_folder / f"{i}.json")
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
