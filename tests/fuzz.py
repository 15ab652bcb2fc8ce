"""Damaged files tagged by child processes with limits: does each become a result, or a failure with a reason?

    report = fuzz(Path("work"), count=10_000, seed=1)

A child gets some hundred files and is run until it completes. What ends it, hangs, or is not recorded is counted, and
the file at fault is kept below `work`/faults, with its recipe. `python tests/fuzz.py FOLDER OUTPUT FIT` is the child.
"""

import json
import math
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from mutations import Mutated, mutated
from served_formats import whole_files
from torch import nn

from wanwu_nb import reading, tag_folder
from wanwu_nb.decoding import reasons
from wanwu_nb.decoding.headers import NO_HEIC
from wanwu_nb.measure import peak_memory
from wanwu_nb.results.ledger import read_ledger

A_CHILD = 500  # files
TRIES = 12  # runs of one folder: each that dies takes a file with it
SECONDS = 30  # that a file may take
PEAK_MB = 2048
CHILD_SECONDS = 1800  # a whole child; those that take longer are killed
GUARD = 8 * 2**30  # bytes: a child that wants more gets none, so that the machine lives
ALL_REASONS = (
    reasons.TRUNCATED,
    reasons.NO_MEMORY,
    reasons.TOO_LARGE,
    reasons.DAMAGED,
    "too many pixels: ",
    "too long a side: ",
    "not a picture in a known format",
    "file is empty (0 bytes)",
    NO_HEIC,
)
TOO_LATE = "reading it takes over"


@dataclass
class Report:
    """What came of the files. None of the lists may have an entry: each names a file and its recipe, or a child."""

    files: int = 0
    results: int = 0
    damaged: int = 0
    crashes: list[str] = field(default_factory=list)  # of children
    culprits: list[str] = field(default_factory=list)  # the files that were found to be at fault
    hangs: list[str] = field(default_factory=list)
    unrecorded: list[str] = field(default_factory=list)
    not_understood: list[str] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    slowest_file: str = ""
    peak_mb: float = 0.0
    peak_file: str = ""

    @property
    def faults(self) -> list[str]:
        """Returns those of files."""
        return [*self.culprits, *self.hangs, *self.unrecorded, *self.not_understood]


def fuzz(parent: Path, count: int, seed: int, first: int = 0) -> Report:
    """Make files `first` to `first + count` of a seed, have them tagged, and report."""
    whole = whole_files()
    report = Report()
    for start in range(first, first + count, A_CHILD):
        end = min(start + A_CHILD, first + count)
        files = [mutated(whole, seed, number) for number in range(start, end)]
        _tag(parent / f"{start:06d}", files, report)
    return report


def _tag(parent: Path, files: list[Mutated], report: Report) -> None:
    folder, output = parent / "pictures", parent / "tags"
    folder.mkdir(parents=True)
    for file in files:
        (folder / file.name).write_bytes(file.content)
    recipes = {file.name: file.recipe for file in files}
    fit = ("crop", "letterbox")[report.files // A_CHILD % 2]
    for _ in range(TRIES):
        fault = run_child(folder, output, fit, report)
        if not fault:
            break
        report.crashes.append(fault)
    report.files += len(files)
    before = set(report.faults)
    _judge(output, recipes, report)
    for fault in sorted(set(report.faults) - before):
        name = fault.split(" ")[0]
        print(f"fault: {fault}", flush=True)
        kept = parent.parent / "faults" / name
        kept.parent.mkdir(exist_ok=True)
        kept.write_bytes((folder / name).read_bytes())


def run_child(folder: Path, output: Path, fit: str, report: Report) -> str:
    """Tag a folder in a child process. Returns how it ended, "" where it ended well."""
    command = [sys.executable, __file__, folder, output, fit]
    try:
        child = subprocess.run(command, capture_output=True, timeout=CHILD_SECONDS)
    except subprocess.TimeoutExpired:
        return f"{folder.parent.name}: a child took over {CHILD_SECONDS} s"
    if child.returncode:
        last_words = child.stderr.decode(errors="replace")[-1000:]
        return f"{folder.parent.name}: a child ended with {child.returncode}: {last_words}"
    measured = json.loads(child.stdout.splitlines()[-1])
    if measured["slowest"] > report.slowest:
        report.slowest, report.slowest_file = measured["slowest"], measured["slowest_file"]
    if measured["peak_mb"] > report.peak_mb:
        report.peak_mb, report.peak_file = measured["peak_mb"], measured["peak_file"]
    return ""


def _judge(output: Path, recipes: Mapping[str, str], report: Report) -> None:
    """Each file is a result that is whole, or a failure whose reason a person understands."""
    entries = read_ledger(output / "ledger.jsonl").entries
    for name, recipe in recipes.items():
        entry = entries.get(name, {"status": "not in the ledger"})
        if entry["status"] == "failed":
            _judge_failure(f"{name} ({recipe}): {entry['reason']}", entry, report)
            continue
        fault = entry["status"]
        if fault == "done":
            fault = fault_of_result(output / "images" / f"{name}.json", name)
        if fault:
            report.unrecorded.append(f"{name} ({recipe}): {fault}")
        else:
            report.results += 1
            report.damaged += entry.get("damaged", False)


def _judge_failure(description: str, entry: Mapping, report: Report) -> None:
    reason = entry["reason"]
    report.reasons[shortened(reason)] += 1
    if entry.get("ended_process"):
        report.culprits.append(description)
    elif reason.startswith(TOO_LATE):
        report.hangs.append(description)
    elif entry["stage"] not in ("read", "decode") or not reason.startswith(ALL_REASONS):
        report.not_understood.append(description)


def shortened(reason: str) -> str:
    """Returns a reason without its figures, so that those of one kind are counted together."""
    for start in ALL_REASONS:
        if reason.startswith(start):
            return start.removesuffix(": ")
    return reason


def fault_of_result(path: Path, name: str) -> str:
    """Returns what is wrong with a picture's JSON, "" where it is whole and says what can be."""
    try:
        record = json.loads(path.read_bytes())
        width, height = record["width"], record["height"]
        if record["image"] != name or not record["key"]:
            return "another picture's JSON"
        if min(width, height) < 1:
            return f"a size of {width} x {height}"
        for each in record["objects"]:
            if not _is_possible(each, width, height):
                return f"an object that cannot be: {each}"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"no whole JSON: {error!r}"
    return ""


def _is_possible(tag: Mapping, width: int, height: int) -> bool:
    left, top, right, bottom = tag["bbox"]
    inside = 0 <= left < right <= width and 0 <= top < bottom <= height
    sure = math.isfinite(tag["confidence"]) and 0 <= tag["confidence"] <= 1
    return inside and sure and bool(tag["label"])


# --- the child --------------------------------------------------------------------------------------------------------


class Halves(nn.Module):
    """Two boxes a picture, its left and right half, as sure as it is bright: small, and any input has them."""

    def forward(self, images):
        brightness = (images.mean((2, 3)).mean(1, keepdim=True) + 1) / 2
        height, width = images.shape[2:]
        boxes = torch.tensor([[0.0, 0, width / 2, height], [width / 2, 0, width, height]])
        scores = brightness.expand(-1, 2).clamp(0, 1)
        return boxes.expand(len(images), 2, 4), scores, torch.arange(2).expand(len(images), 2)


def main() -> None:
    from small_networks import CPU, FP32, Checkpoint, InputSpec, ResidentModel

    folder, output, fit = sys.argv[1:]
    _limit_memory()
    half = (0.5,) * 3
    spec = InputSpec(224, 224, fit, half, half, shorter_side=256 if fit == "crop" else 0)
    model = ResidentModel(Checkpoint("halves", "test", Halves(), spec, {0: "左", 1: "右"}, Path(__file__)), CPU, FP32)
    watched = _watch()
    tag_folder(model, folder, output, batch_size=16, compile=False, conf_threshold=0.0, picture_timeout=SECONDS)
    slowest, slowest_file = max((seconds, name) for seconds, _, name in watched)
    _, peak_file = max((grown, name) for _, grown, name in watched)
    answer = {"slowest": slowest, "slowest_file": slowest_file, "peak_mb": peak_memory(), "peak_file": peak_file}
    print(json.dumps(answer))


def _watch() -> list[tuple[float, float, str]]:
    """What each picture takes that is read from now on: seconds, MB by which the peak rose meanwhile; and its name."""
    watched = []
    read = reading.read

    def read_and_watch(folder, spec, name, limits):
        started, before = time.perf_counter(), peak_memory()
        picture = read(folder, spec, name, limits)
        watched.append((time.perf_counter() - started, peak_memory() - before, name))
        return picture

    reading.read = read_and_watch
    return watched


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + GUARD
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


if __name__ == "__main__":
    main()
