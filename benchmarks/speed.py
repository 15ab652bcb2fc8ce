"""How fast, against what people use instead? The same pictures and weights, one process a contender, in one run.

    python -m benchmarks.speed [--full] [--record FOLDER]

Every contender goes once over all distinct pictures, which also gives its agreement with the default script, and then
again, interleaved with the others, over fewer. Times are medians; loading, preparing and warming up stand apart. The
default script is timed on eight pictures; for agreement, it is run with the model loaded once, in FP32. Ours, in
each precision and with each engine that this machine has, are compared with our own FP32 as well: what then differs is
not the decoding. What engines prepare is kept for the benchmark alone, and no longer than it runs.
"""

import resource
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from wanwu_nb.agreement import Share, agreement
from wanwu_nb.hardware import usable_cores
from wanwu_nb.measure import Spread, peak_memory
from wanwu_nb.results import read_result

from . import harness
from .contenders import CONTENDERS, DEFAULT, OURS, OURS_IN_FP32, REFERENCE, Contender
from .ours import carry
from .ready import Ready
from .workloads import PICTURES, USUAL, WORKLOADS, pictures

DEFAULT_COUNT, QUICK_COUNT = 8, 64
SOME_SECONDS, MOST = 3.0, 3_200
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
    agreement_ours: float | None = None  # with ours, eager in FP32
    agreement_ours_95: tuple[float, float] | None = None
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
    harness.check_that_others_are_here()
    repeats, quick = REPEATS, QUICK_COUNT
    workloads = options.workloads or list(USUAL)
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
    ready.warm_up()
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
    if contender.worker_processes:
        largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        peak += usable_cores() * largest
    return peak


# --- in the parent ----------------------------------------------------------------------------------------------------


def compare(workload: str, repeats: int, quick: int, names: Sequence[str] = ()) -> dict[str, Any]:
    """All contenders on one workload, or those `names`, interleaved: what each took, and how far it agrees with the
    default script.
    """
    WORKLOADS[workload].folder()  # made before any clock starts
    names = names or contenders_for(workload)
    runs: dict[str, list[Run]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as parent:
        caches = harness.caches(Path(parent) / "caches")
        for name in REFERENCE:
            run_child(workload, name, PICTURES, Path(parent) / name, caches)
        for repeat in range(repeats):
            for name in names:
                count = count_for(name, runs[name], quick)
                output = Path(parent) / name
                if repeat:
                    output = Path(parent) / f"{name} {repeat}"
                    carry(Path(parent) / name, output)
                run = run_child(workload, name, count, output, caches)
                runs[name].append(run)
                print(f"{workload} · {name} · {1000 * run['seconds']:.1f} ms a picture", flush=True)
        agreements = agreements_of(names, Path(parent))
    default = median_seconds(runs[DEFAULT])
    rows = [asdict(row_of(name, runs[name], default, **agreements[name])) for name in names]
    return {"workload": workload, "rows": rows, "runs": runs}


def contenders_for(workload: str) -> list[str]:
    """Those that can run this workload on this machine."""
    return [name for name, contender in CONTENDERS.items() if contender.can_run(workload)]


def agreements_of(names: Sequence[str], outputs: Path) -> dict[str, dict[str, Share | None]]:
    """What each contender said of all pictures, compared: with the reference, and ours with ours in FP32."""
    (reference,) = REFERENCE
    agreements: dict[str, dict[str, Share | None]] = {name: {} for name in names}
    for name in names:
        if name != DEFAULT:  # it goes over a few
            agreements[name]["share"] = agreement_of(outputs / reference, outputs / name)
        if name in OURS and name != OURS_IN_FP32:
            agreements[name]["share_ours"] = agreement_of(outputs / OURS_IN_FP32, outputs / name)
    return agreements


def count_for(name: str, earlier: Sequence[Run], quick: int) -> int:
    """How many pictures: the default script is too slow for many; the others go once over all, then over `quick` or,
    where those are done at once, over as many as take some seconds.
    """
    if name == DEFAULT:
        return DEFAULT_COUNT
    if not earlier:
        return PICTURES
    in_some_seconds = int(SOME_SECONDS / earlier[0]["seconds"])
    return min(max(quick, in_some_seconds), MOST)


def run_child(workload: str, name: str, count: int, output: Path, caches: dict[str, str]) -> Run:
    run: Run = harness.run_child("benchmarks.speed", [workload, name, str(count), output], caches)
    return run


def agreement_of(reference: Path, output: Path) -> Share | None:
    """How far the results of two contenders agree over all pictures."""
    pairs = []
    for path in pictures(PICTURES):
        expected, actual = read_result(reference, path.name), read_result(output, path.name)
        pairs.append((expected.objects, actual.objects))
    return agreement(pairs, by_id=True)


def median_seconds(runs: list[Run]) -> float:
    seconds: float = statistics.median(run["seconds"] for run in runs)
    return seconds


def row_of(
    name: str, runs: list[Run], default: float, share: Share | None = None, share_ours: Share | None = None
) -> Row:
    """`default`: seconds a picture of the default script."""
    median, low, high = Spread.of([run["seconds"] for run in runs])
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
        agreement=value_of(share),
        agreement_95=interval_of(share),
        agreement_ours=value_of(share_ours),
        agreement_ours_95=interval_of(share_ours),
        bound_ms=bound_ms,
        efficiency=efficiency,
    )


def value_of(share: Share | None) -> float | None:
    return None if share is None else share.value


def interval_of(share: Share | None) -> tuple[float, float] | None:
    return None if share is None else (share.low, share.high)


def table(figures: dict[str, Any]) -> str:
    """For people: a line a contender, under the machine's name."""
    machine = harness.machine_of({"environment": harness.machine_here()})
    times = f"{'ms/picture':>11s}{'from to':>16s}{'× default':>11s}"
    titles = f"{'':28s}{times}{'MB':>8s}{'agrees':>9s}{'own FP32':>10s}{'of bound':>10s}"
    lines = [f"\n{figures['workload']}, {machine}", titles]
    for row in figures["rows"]:
        low, high = row["ms_from_to"]
        from_to = f"{low:.1f} {high:.1f}"
        agreed = percent(row["agreement"], 2)
        own = percent(row["agreement_ours"], 2)
        of_bound = percent(row["efficiency"], 1)
        times = f"{row['ms']:11.1f}{from_to:>16s}{row['times_default']:11.1f}"
        lines.append(f"{row['contender']:28s}{times}{row['peak_mb']:8.0f}{agreed:>9s}{own:>10s}{of_bound:>10s}")
    return "\n".join(lines)


def percent(share: float | None, digits: int) -> str:
    if share is None:
        return ""
    return f"{share:.{digits}%}"


if __name__ == "__main__":
    main()
