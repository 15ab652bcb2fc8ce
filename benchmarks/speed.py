"""How fast, against what people use instead? The same pictures and weights, one process a contender, in one run.

    python -m benchmarks.speed [--full] [--record FOLDER]

Every contender goes once over all distinct pictures, which also gives its agreement with the default script, and then
again, interleaved with the others, over fewer. Times are medians; loading, compiling and warming up stand apart. The
default script is timed on eight pictures; for agreement, it is run with the model loaded once.
"""

import resource
import statistics
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from wanwu_nb.agreement import Share, agreement
from wanwu_nb.hardware import environment, usable_cores
from wanwu_nb.measure import Spread, peak_memory
from wanwu_nb.results import read_result

from . import harness
from .contenders import CONTENDERS, DEFAULT, REFERENCE, Contender
from .jobs import Ready
from .workloads import PICTURES, WORKLOADS, pictures

DEFAULT_COUNT, QUICK_COUNT = 8, 64
FULL_REPEATS, REPEATS = 7, 3
Run = dict[str, Any]  # what a child measured of a contender


@dataclass(frozen=True)
class Row:
    """One line of the table: medians, and ratios of medians, all from one run."""

    contender: str
    ms: float
    ms_from_to: tuple[float, float]
    pictures_per_second: float
    times_default: float
    peak_mb: float
    agreement: float | None
    agreement_95: tuple[float, float] | None
    bound_ms: float | None = None
    efficiency: float | None = None


def main() -> None:
    parser = harness.command_line(__doc__, record="folder for a JSON file a workload")
    parser.add_argument("--full", action="store_true", help="seven repeats over all pictures, a heavier detector too")
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS)
    options = parser.parse_args()
    if options.child:
        workload, contender, count, output = options.child
        harness.answer(measure(workload, contender, int(count), Path(output)))
        return
    repeats, quick = REPEATS, QUICK_COUNT
    workloads = options.workloads or ["resnest101", "demo"]
    if options.full:
        repeats, quick = FULL_REPEATS, PICTURES
        workloads = options.workloads or list(WORKLOADS)
    for workload in workloads:
        figures = compare(workload, repeats, quick)
        print(table(figures), flush=True)
        if options.record:
            place = "gpu" if torch.cuda.is_available() else "cpu"
            harness.write_record(options.record / f"speed_{workload}_{place}.json", figures)


# --- in a child process -----------------------------------------------------------------------------------------------


def measure(workload: str, name: str, count: int, output: Path) -> Run:
    """One contender: seconds a picture, peak memory, and of ours the limits, measured before and after."""
    contender = (CONTENDERS | REFERENCE)[name]
    ready = contender.prepare(WORKLOADS[workload].folder(), pictures(count), output)
    before = limits(ready)
    started = time.perf_counter()
    ready.run()
    seconds = time.perf_counter() - started
    after = limits(ready)
    run: Run = {"seconds": seconds / count, "pictures": count}
    for part, value in before.items():
        run[part] = statistics.mean([value, after[part]])
    run["peak_mb"] = peak_of(contender)
    if torch.cuda.is_available():
        run["peak_gpu_mb"] = torch.cuda.max_memory_reserved() / 2**20
    return run


def limits(ready: Ready) -> dict[str, float]:
    if ready.limit is None:
        return {}
    return ready.limit()


def peak_of(contender: Contender) -> float:
    """MB of this process at its peak, and of its workers, each taken as large as the largest."""
    peak = peak_memory()
    if contender.has_worker_processes:
        largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        peak += usable_cores() * largest
    return peak


# --- in the parent ----------------------------------------------------------------------------------------------------


def compare(workload: str, repeats: int, quick: int) -> dict[str, Any]:
    """All contenders on one workload, interleaved: what each took, and how far it agrees with the default script."""
    names = contenders_for(WORKLOADS[workload].folder())  # the folder is made before any clock starts
    runs: dict[str, list[Run]] = {name: [] for name in names}
    agreements: dict[str, Share | None] = {}
    with tempfile.TemporaryDirectory() as parent:
        reference = Path(parent) / "reference"
        for name in REFERENCE:
            run_child(workload, name, PICTURES, reference)
        for repeat in range(repeats):
            for name in names:
                count = count_for(name, repeat, quick)
                output = Path(parent) / f"{name} {repeat}"
                run = run_child(workload, name, count, output)
                runs[name].append(run)
                if count == PICTURES and name not in agreements:
                    agreements[name] = agreement_of(reference, output)
                print(f"{workload} · {name} · {1000 * run['seconds']:.1f} ms a picture", flush=True)
    default = median_seconds(runs[DEFAULT])
    rows = [asdict(row_of(name, runs[name], default, agreements.get(name))) for name in names]
    return {"workload": workload, "rows": rows, "runs": runs}


def contenders_for(folder: Path) -> list[str]:
    """Those that can run the model of this folder."""
    whole_pictures = (folder / "meta_info.txt").exists()  # ModelScope's labels: no boxes
    names = []
    for name, contender in CONTENDERS.items():
        if whole_pictures or not contender.names_whole_pictures_only:
            names.append(name)
    return names


def count_for(name: str, repeat: int, quick: int) -> int:
    """How many pictures: the default script is too slow for many; the others go once over all."""
    if name == DEFAULT:
        return DEFAULT_COUNT
    if repeat == 0:
        return PICTURES
    return quick


def run_child(workload: str, name: str, count: int, output: Path) -> Run:
    run: Run = harness.run_child("benchmarks.speed", [workload, name, str(count), output])
    return run


def agreement_of(reference: Path, output: Path) -> Share | None:
    """How far the results of two contenders agree over all pictures."""
    pairs = []
    for path in pictures():
        expected, actual = read_result(reference, path.name), read_result(output, path.name)
        pairs.append((expected.objects, actual.objects))
    return agreement(pairs)


def median_seconds(runs: list[Run]) -> float:
    seconds: float = statistics.median(run["seconds"] for run in runs)
    return seconds


def row_of(name: str, runs: list[Run], default: float, share: Share | None) -> Row:
    """`default`: seconds a picture of the default script."""
    median, low, high = Spread.of([run["seconds"] for run in runs])
    agreed, agreed_95 = None, None
    if share is not None:
        agreed, agreed_95 = share.value, (share.low, share.high)
    bound_ms, efficiency = None, None
    if "bound" in runs[0]:
        bound_ms = 1000 * statistics.median(run["bound"] for run in runs)
        efficiency = statistics.median(run["bound"] / run["seconds"] for run in runs)
    return Row(
        contender=name,
        ms=1000 * median,
        ms_from_to=(1000 * low, 1000 * high),
        pictures_per_second=1 / median,
        times_default=default / median,
        peak_mb=max(run["peak_mb"] for run in runs),
        agreement=agreed,
        agreement_95=agreed_95,
        bound_ms=bound_ms,
        efficiency=efficiency,
    )


def table(figures: dict[str, Any]) -> str:
    """For people: a line a contender, under the machine's name."""
    machine = harness.machine_of({"environment": environment()})
    titles = f"{'':28s}{'ms/picture':>11s}{'from to':>16s}{'× default':>11s}{'MB':>8s}{'agrees':>9s}{'of bound':>10s}"
    lines = [f"\n{figures['workload']}, {machine}", titles]
    for row in figures["rows"]:
        low, high = row["ms_from_to"]
        from_to = f"{low:.1f} {high:.1f}"
        agreed = percent(row["agreement"], 2)
        of_bound = percent(row["efficiency"], 1)
        times = f"{row['ms']:11.1f}{from_to:>16s}{row['times_default']:11.1f}"
        lines.append(f"{row['contender']:28s}{times}{row['peak_mb']:8.0f}{agreed:>9s}{of_bound:>10s}")
    return "\n".join(lines)


def percent(share: float | None, digits: int) -> str:
    if share is None:
        return ""
    return f"{share:.{digits}%}"


if __name__ == "__main__":
    main()
