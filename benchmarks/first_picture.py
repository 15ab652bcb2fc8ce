"""How long until the first picture is tagged, and until 200 are? From the start of the process, for every contender.

    python -m benchmarks.first_picture [--repeats 1] [--record benchmarks/results/first_picture.json]

Whole processes: importing, loading and preparing count, and nothing is warmed up. Each imports what it needs. The
first process of a pair finds no cache of any engine, the second what the first left there, and the first's network in
INT8. The first picture is tagged when its JSON is written, the whole is done when the process has ended. Files of
models and pictures are in the page cache for all. Contenders that leave nothing behind go through one pair, the others
through as many as there are repeats.
"""

import statistics
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wanwu_nb.results import json_path

from . import harness
from .contenders import AS_IT_COMES, CONTENDERS
from .ours import carry
from .workloads import USUAL, WORKLOADS, pictures

COUNT = 200
PROCESSES = ("first", "second")
ALL = CONTENDERS | AS_IT_COMES
Run = dict[str, float]  # seconds: "first_picture", "whole"


def main() -> None:
    parser = harness.command_line(__doc__)
    parser.add_argument("--repeats", type=harness.positive, default=1)
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=USUAL)
    parser.add_argument("--contenders", nargs="+", choices=ALL)
    parser.add_argument("--pictures", type=harness.positive, default=COUNT)
    options = parser.parse_args()
    harness.check_that_others_are_here()
    workloads = {}
    for workload in options.workloads:
        names = options.contenders or list(ALL)
        possible = [name for name in names if ALL[name].can_run(workload)]
        workloads[workload] = compare(workload, possible, options.repeats, options.pictures)
        print(table(workload, workloads[workload], options.pictures), flush=True)
        if options.record:  # after each: whatever ends the next one costs no figures
            harness.write_record(options.record, {"pictures": options.pictures, "workloads": workloads})


def compare(workload: str, names: list[str], repeats: int, count: int) -> dict[str, Any]:
    """Pairs of processes of each contender, the contenders in turns: medians, and all runs."""
    WORKLOADS[workload].folder()  # made before any clock starts
    runs: dict[str, dict[str, list[Run]]] = {}
    for name in names:
        runs[name] = {process: [] for process in PROCESSES}
    for repeat in range(repeats):
        for name in names:
            if repeat == 0 or ALL[name].keeps:
                pair = pair_of_processes(workload, name, count)
                for process, run in pair.items():
                    runs[name][process].append(run)
    return {"seconds": medians_of(runs), "runs": runs}


def pair_of_processes(workload: str, name: str, count: int) -> dict[str, Run]:
    pair = {}
    with tempfile.TemporaryDirectory() as parent:
        caches = harness.caches(Path(parent) / "caches")
        for process in PROCESSES:
            output = Path(parent) / process
            carry(Path(parent) / "first", output)
            pair[process] = timed(workload, name, count, output, caches)
    first, second = pair["first"], pair["second"]
    print(f"{workload} · {name} · first picture after {first['first_picture']:.1f} s, ", end="")
    print(f"in the second process {second['first_picture']:.1f} s", flush=True)
    return pair


def timed(workload: str, name: str, count: int, output: Path, variables: Mapping[str, str]) -> Run:
    paths = pictures(count)
    folder = WORKLOADS[workload].folder()
    arguments = ["-m", "benchmarks.one_contender", folder, paths[0].parent, name, str(count), output]
    process = harness.finished(arguments, variables)
    written = [json_path(output, path.name).stat().st_mtime for path in paths]
    return {"first_picture": min(written) - process.started, "whole": process.seconds}


def medians_of(runs: Mapping[str, Mapping[str, list[Run]]]) -> dict[str, dict[str, Run]]:
    medians: dict[str, dict[str, Run]] = {}
    for name, processes in runs.items():
        medians[name] = {}
        for process, several in processes.items():
            medians[name][process] = {
                part: statistics.median(run[part] for run in several) for part in ("first_picture", "whole")
            }
    return medians


def table(workload: str, figures: Mapping[str, Any], count: int) -> str:
    """For people: a line a contender, under the machine's name."""
    machine = harness.machine_of({"environment": harness.machine_here()})
    titles = f"{'':28s}{'first picture, s':>18s}{'2nd process':>13s}{f'all {count}, s':>13s}{'2nd process':>13s}"
    lines = [f"\n{workload}, {machine}", titles]
    for name, processes in figures["seconds"].items():
        first, second = processes["first"], processes["second"]
        until_first = f"{first['first_picture']:18.1f}{second['first_picture']:13.1f}"
        whole = f"{first['whole']:13.1f}{second['whole']:13.1f}"
        lines.append(f"{name:28s}{until_first}{whole}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
