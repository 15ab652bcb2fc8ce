"""The long proofs: damaged files, kills, memory over many pictures. Prints each figure beside its bound: `make soak`.

    python tests/soak.py [--files N] [--kills N] [--pictures N] [--finished N] [--seed S] [--record docs/soak.txt]

Exits with 1 where a figure is beyond its bound. A file at fault is kept, and printed with its number and recipe;
`mutations.mutated(whole_files(), seed, number)` makes it again.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import fuzz
import kills

from wanwu_nb.hardware import environment

ROOT = Path(__file__).parent.parent
RESUME_SECONDS, RESUME_MB, GROWTH_MB = 5, 300, 100
FEW = 1_000  # pictures that the many are compared with
WIDTH = 480  # of those pictures: it is the loop that is asked about, not the decoder
SHOWN = 10  # faults that are printed


@dataclass
class Figure:
    """A line of the record: what was measured, its bound as people read it, and whether it is within."""

    name: str
    value: str
    bound: str = ""
    within: bool = True

    def __str__(self) -> str:
        verdict = "" if self.within else "  BEYOND IT"
        bound = f"  (bound: {self.bound})" if self.bound else ""
        return f"  {self.name:<74} {self.value}{bound}{verdict}".rstrip()


def main() -> None:
    options = _options().parse_args()
    record = [_heading(options.seed)]
    figures = []
    for title, part in _parts(options):
        started = time.perf_counter()
        print(f"\n{title} …", file=sys.stderr, flush=True)
        measured = list(part)
        minutes = (time.perf_counter() - started) / 60
        section = "\n".join([f"{title} ({minutes:.0f} min)", *map(str, measured)])
        print(f"\n{section}", flush=True)
        record.append(section)
        figures += measured
    beyond = [figure.name for figure in figures if not figure.within]
    verdict = f"BEYOND THEIR BOUNDS: {', '.join(beyond)}" if beyond else "Every figure is within its bound."
    print(f"\n{verdict}")
    if options.record:
        text = "\n\n".join([*record, verdict])
        options.record.write_text(f"{text}\n", encoding="utf-8")
    sys.exit(bool(beyond))


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000, help="damaged files; 0: none")
    parser.add_argument("--kills", type=int, default=90, help="runs that are killed; 0: none")
    parser.add_argument("--pictures", type=int, default=50_000, help="pictures of the long run; 0: none")
    parser.add_argument("--finished", type=int, default=100_000, help="finished pictures that are resumed; 0: none")
    parser.add_argument("--seed", type=int, default=1, help="of damage and kills")
    parser.add_argument("--record", type=Path, help="text file for what is printed")
    return parser


def _parts(options: argparse.Namespace) -> Iterator[tuple[str, Iterator[Figure]]]:
    with tempfile.TemporaryDirectory() as folder:
        if options.files:
            title = f"{options.files:,} damaged files, of every served format, tagged in child processes"
            yield title, damaged_files(Path(folder, "fuzz"), options.files, options.seed)
        if options.kills:
            title = f"{options.kills} runs killed by SIGKILL, and run again"
            yield title, killed_runs(Path(folder, "kills"), options.kills, options.seed)
        if options.pictures:
            title = f"Memory over {options.pictures:,} pictures, {WIDTH} wide"
            yield title, memory(options.pictures, Path(folder, "memory.json"))
        if options.finished:
            title = f"{options.finished:,} finished pictures resumed"
            yield title, resuming(options.finished, Path(folder, "resuming.json"))


def _heading(seed: int) -> str:
    machine = environment()
    try:
        machine["pillow_heif"] = version("pillow_heif")
    except PackageNotFoundError:
        machine["pillow_heif"] = "not installed: no HEIC among the files"
    today = datetime.now(UTC).date().isoformat()
    lines = [f"make soak, {today}, seed {seed}", *(f"  {name}: {value}" for name, value in machine.items() if value)]
    heading = "\n".join(lines)
    print(heading, flush=True)
    return heading


def damaged_files(parent: Path, count: int, seed: int) -> Iterator[Figure]:
    """What came of the files; those at fault are kept in the folder that is printed."""
    parent.mkdir()
    report = fuzz.fuzz(parent, count, seed)
    _keep(parent / "faults", report.faults)
    yield Figure("files", f"{report.files:,}")
    yield Figure("tagged", f"{report.results:,}, {report.damaged} of them as damaged")
    yield Figure("failed, with a reason", f"{sum(report.reasons.values()):,}")
    for reason, times in report.reasons.most_common():
        yield Figure(f"  {_beginning(reason)}", f"{times:,}")
    yield from none_of("crashes", report.crashes)
    yield from none_of("files found to be at fault for them", report.culprits)
    yield from none_of("hangs", report.hangs)
    yield from none_of("unrecorded", report.unrecorded)
    yield from none_of("reasons that a person does not understand", report.not_understood)
    slow = f"{report.slowest:.1f} s ({report.slowest_file})"
    yield Figure("the slowest file", slow, f"{fuzz.SECONDS} s", report.slowest < fuzz.SECONDS)
    peak = f"{report.peak_mb:,.0f} MB"
    yield Figure("peak memory of a child", peak, f"{fuzz.PEAK_MB:,} MB", report.peak_mb < fuzz.PEAK_MB)


def _keep(folder: Path, faults: list[str]) -> None:
    if not folder.exists():
        return
    kept = Path(tempfile.mkdtemp(prefix="soak_faults_"))
    for path in folder.iterdir():
        path.rename(kept / path.name)
    print(f"{len(faults)} faults; the files are kept in {kept}", flush=True)


def killed_runs(parent: Path, count: int, seed: int) -> Iterator[Figure]:
    """How many outcomes are those of a run never stopped."""
    parent.mkdir()
    report = kills.kill(parent, count, seed)
    same = count - len(report.differences)
    yield Figure("killed at random times", f"{report.at_random}")
    yield Figure("killed at exact places", f"{count - report.at_random}")
    for place in report.places:
        yield Figure(f"  {place}", "")
    yield Figure("outcomes as of a run never stopped", f"{same} of {count}", "all", same == count)
    yield from none_of("other outcomes", report.differences)


def memory(pictures: int, record: Path) -> Iterator[Figure]:
    """How much higher the peak over so many pictures is than over a few."""
    counts = ["--few", str(FEW), "--many", str(pictures), "--width", str(WIDTH), "--finished", "0"]
    measured = _measure(counts, record)
    peaks, grown = measured["peak_mb"], measured["growth_mb"]
    yield Figure(f"peak memory over {FEW:,} pictures", f"{peaks[str(FEW)]:,.0f} MB")
    yield Figure(f"peak memory over {pictures:,} pictures", f"{peaks[str(pictures)]:,.0f} MB")
    yield Figure("more than over the few", f"{grown:+.0f} MB", f"{GROWTH_MB} MB", grown < GROWTH_MB)


def resuming(finished: int, record: Path) -> Iterator[Figure]:
    """What a run takes that finds all done."""
    measured = _measure(["--many", "0", "--finished", str(finished)], record)
    seconds, above = measured["resume_seconds"], measured["resume_above_mb"]
    took = f"{seconds:.1f} s"
    yield Figure("tag_folder, the quickest of three", took, f"{RESUME_SECONDS} s", seconds < RESUME_SECONDS)
    higher = f"{above:+.0f} MB"
    yield Figure("above the process with its model loaded", higher, f"{RESUME_MB} MB", above < RESUME_MB)


def _measure(options: list[str], record: Path) -> dict[str, Any]:
    """What benchmarks/memory.py measures."""
    command = [sys.executable, "-m", "benchmarks.memory", *options, "--record", record]
    # On a busy machine a network's threads wait for each other, turning round, for most of the time.
    variables = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run(command, cwd=ROOT, check=True, env=variables, stdout=subprocess.DEVNULL)
    return json.loads(record.read_text(encoding="utf-8"))


def none_of(name: str, faults: list[str]) -> Iterator[Figure]:
    """Yields the figure of what must not be, and some of them where they are."""
    yield Figure(name, f"{len(faults)}", "0", not faults)
    for fault in faults[:SHOWN]:
        yield Figure(f"  {fault}", "")


def _beginning(reason: str) -> str:
    """Of a reason, without what it advises."""
    *what, _ = reason.split(": ") if ": " in reason else (reason, "")
    return ": ".join(what)


if __name__ == "__main__":
    main()
