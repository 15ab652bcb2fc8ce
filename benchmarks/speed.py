"""How fast, against what people use instead? The same pictures and weights, one process a contender, in one run.

    python -m benchmarks.speed [--full] [--record FOLDER]

Every contender goes once over all distinct pictures, which also gives its agreement with the default script, and then
again, interleaved with the others, over fewer. Times are medians; loading, compiling and warming up stand apart. The
default script is timed on eight pictures; for agreement, it is run with the model loaded once.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from wanwu_nb.measure import Spread, peak_memory
from wanwu_nb.quality import Share, agreement
from wanwu_nb.tuning import environment, usable_cores

from .contenders import CLASSIFIERS_ONLY, CONTENDERS, REFERENCE
from .workloads import PICTURES, WORKLOADS, pictures

DEFAULT = "default script"
DEFAULT_COUNT, QUICK_COUNT = 8, 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="seven repeats over all pictures, a heavier detector too")
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS)
    parser.add_argument("--record", type=Path, help="folder for a JSON file a workload")
    parser.add_argument(
        "--child", nargs=4, metavar=("WORKLOAD", "CONTENDER", "COUNT", "OUTPUT"), help=argparse.SUPPRESS
    )
    given = parser.parse_args()
    if given.child:
        workload, contender, count, output = given.child
        print(json.dumps(measure(workload, contender, int(count), Path(output))))
        return
    for workload in given.workloads or [name for name in WORKLOADS if given.full or name != "retinanet"]:
        record = run(workload, repeats=7 if given.full else 3, quick=PICTURES if given.full else QUICK_COUNT)
        print(table(record), flush=True)
        if given.record:
            place = "gpu" if torch.cuda.is_available() else "cpu"
            given.record.mkdir(parents=True, exist_ok=True)
            path = given.record / f"speed_{workload}_{place}.json"
            path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def run(workload: str, repeats: int, quick: int) -> dict:
    """All contenders on one workload, interleaved: what each took, and how far it agrees with the default script."""
    folder = WORKLOADS[workload].folder()  # made before the clock starts
    names = [name for name in CONTENDERS if (folder / "meta_info.txt").exists() or name not in CLASSIFIERS_ONLY]
    runs, agreements = {name: [] for name in names}, {}
    with tempfile.TemporaryDirectory() as parent:
        reference = Path(parent) / "reference"
        child(workload, "resident step", PICTURES, reference)
        for repeat in range(repeats):
            for name in names:
                count = DEFAULT_COUNT if name == DEFAULT else PICTURES if repeat == 0 else quick
                output = Path(parent) / f"{name} {repeat}"
                runs[name].append(child(workload, name, count, output))
                if count == PICTURES and name not in agreements:
                    agreements[name] = agreement(reference / "images", output / "images")
                print(f"{workload} · {name} · {1000 * runs[name][-1]['seconds']:.1f} ms a picture", flush=True)
    return {
        "workload": workload,
        "rows": [row(name, runs, agreements.get(name)) for name in names],
        "runs": runs,
        "environment": environment(),
    }


def child(workload: str, contender: str, count: int, output: Path) -> dict:
    command = [sys.executable, "-m", "benchmarks.speed", "--child", workload, contender, str(count), str(output)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{contender} failed on {workload}:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def measure(workload: str, contender: str, count: int, output: Path) -> dict:
    """One contender in this process: seconds a picture, peak memory, and for ours the bound before and after."""
    work = (CONTENDERS | REFERENCE)[contender](WORKLOADS[workload].folder(), pictures(count), output)
    bounds = [work.bound()] if hasattr(work, "bound") else []
    started = time.perf_counter()
    work()
    found = {"seconds": (time.perf_counter() - started) / count, "pictures": count}
    if bounds:
        bounds.append(work.bound())
        found |= {part: statistics.mean(bound[part] for bound in bounds) for part in bounds[0]}
    worker = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    found["peak_mb"] = peak_memory() + (usable_cores() * worker if "DataLoader" in contender else 0)
    if torch.cuda.is_available():
        found["peak_gpu_mb"] = torch.cuda.max_memory_reserved() / 2**20
    return found


def row(name: str, runs: dict[str, list[dict]], agreed: Share | None) -> dict:
    """One line of the table: medians, ratios of medians, all from this run."""
    median, low, high = Spread.of([run["seconds"] for run in runs[name]])
    default = statistics.median(run["seconds"] for run in runs[DEFAULT])
    line = {
        "contender": name,
        "ms": 1000 * median,
        "ms_from_to": [1000 * low, 1000 * high],
        "pictures_per_second": 1 / median,
        "times_default": default / median,
        "peak_mb": max(run["peak_mb"] for run in runs[name]),
        "agreement": agreed and agreed.value,
        "agreement_95": agreed and [agreed.low, agreed.high],
    }
    if "bound" in runs[name][0]:
        line["bound_ms"] = 1000 * statistics.median(run["bound"] for run in runs[name])
        line["efficiency"] = statistics.median(run["bound"] / run["seconds"] for run in runs[name])
    return line


def table(record: dict) -> str:
    lines = [f"\n{record['workload']}, {record['environment']['gpu'] or record['environment']['cpu']}"]
    lines.append(
        f"{'':28s}{'ms/picture':>11s}{'from to':>16s}{'× default':>11s}{'MB':>8s}{'agrees':>9s}{'of bound':>10s}"
    )
    for each in record["rows"]:
        low, high = each["ms_from_to"]
        agreed = f"{each['agreement']:.2%}" if each["agreement"] is not None else ""
        bound = f"{each['efficiency']:.1%}" if "efficiency" in each else ""
        lines.append(
            f"{each['contender']:28s}{each['ms']:11.1f}{f'{low:.1f} {high:.1f}':>16s}{each['times_default']:11.1f}"
            f"{each['peak_mb']:8.0f}{agreed:>9s}{bound:>10s}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
