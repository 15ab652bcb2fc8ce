"""Is this tree faster than an older one? Both in turns on this machine, whole processes, each with its own code.

    python -m benchmarks.compare_trees OLD [--workloads demo everyday resnest101] [--avx2] [--repeats 5] [--record FILE]

OLD is the folder of another checkout, or a commit of this one, which is then laid out in a temporary folder. A turn
runs every way once, each in a new process, with a fresh output folder; what ours needs was prepared by an earlier one,
which is not counted, and what the older tree's compiler keeps was there before, too. An output folder begins with what
every later run in it finds: what is known of the model and, where its verdict held, the network in INT8. A process tags
`--count` pictures from its start to its end; then, apart from that, `--again` of them with the engine that is ready by
now. Ratios are of runs of one turn.

With --avx2 all engines are held to AVX2, which each is asked about first; "auto" then is FP32, as it would be on such a
processor.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import harness, instructions
from .ours import carry
from .ratios import figures_of, table
from .workloads import USUAL, WORKLOADS, pictures

ONE_RUN = Path(__file__).with_name("one_run.py")
COUNT, AGAIN, TURNS = 200, 200, 5
TRIES = 3  # of a run, where a machine that others use disturbs it
UNKNOWN_TO_OLDER_TREES = ("interpolation", "truncate")  # of a model.json's input: all resize bilinearly
Run = dict[str, Any]


@dataclass(frozen=True)
class Way:
    """One column: which tree, in which precision, compiled or by its own choice of an engine."""

    tree: str
    precision: str = "auto"
    compile: str = "auto"


# One line a precision of ours.
WAYS = {
    "theirs, defaults": Way("theirs"),
    "theirs, compiled FP32": Way("theirs", "fp32", "yes"),
    "ours, defaults": Way("ours"),
    "ours, FP32": Way("ours", "fp32"),
    "ours, INT8": Way("ours", "int8"),
}


def main() -> None:
    parser = harness.command_line(__doc__)
    parser.add_argument("old", metavar="OLD", help="folder of another checkout, or a commit")
    parser.add_argument("--workloads", nargs="+", choices=USUAL, default=USUAL)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--repeats", type=harness.positive, default=TURNS)
    parser.add_argument("--count", type=harness.positive, default=COUNT)
    parser.add_argument("--again", type=harness.positive, default=AGAIN)
    parser.add_argument("--avx2", action="store_true", help="hold all engines to AVX2")
    options = parser.parse_args()
    ways, variables = WAYS, {}
    if options.avx2:
        ways, variables = held_ways(), harness.HELD_TO_AVX2
        check_they_are_held()
    chosen = {name: ways[name] for name in options.ways if name in ways}
    with checkout(options.old) as old:
        trees = {"theirs": old, "ours": harness.ROOT}
        for tree in trees.values():
            check_runs_its_own_code(tree)
        workloads = {}
        for workload in options.workloads:
            runs = compare(trees, workload, chosen, options.repeats, options.count, options.again, variables)
            workloads[workload] = figures_of(runs)
            print(table(workload, workloads[workload], options.count, options.avx2), flush=True)
            if options.record:  # after each: whatever ends the next one costs no figures
                told = {"old": options.old, "new": revision(harness.ROOT), "avx2": options.avx2}
                told |= {"turns": options.repeats, "count": options.count, "workloads": workloads}
                harness.write_record(options.record, told)


def held_ways() -> dict[str, Way]:
    """What "auto" says on a processor that has no more than AVX2: torch still sees what this one has."""
    held = dict(WAYS)
    held["theirs, defaults"] = Way("theirs", "fp32")
    del held["ours, defaults"]  # the same as in FP32
    return held


def check_they_are_held() -> None:
    """Raise SystemExit where an engine uses more than AVX2 all the same."""
    told = instructions.ask(harness.HELD_TO_AVX2)
    print(f"held to AVX2: {told}", flush=True)
    wrong = instructions.not_held(told)
    if wrong:
        raise SystemExit(f"these engines cannot be held to AVX2: {wrong}")


@contextmanager
def checkout(old: str) -> Iterator[Path]:
    """A folder of an older tree: the one that is named, or the commit's, outside this tree and for this while."""
    folder = Path(old).absolute()
    if folder.is_dir():
        yield folder
        return
    with tempfile.TemporaryDirectory() as parent:
        archive = Path(parent) / "old.tar"
        command = ["git", "-C", str(harness.ROOT), "archive", "--output", str(archive), old]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{old} is neither a folder nor a commit: {done.stderr.strip()}")
        tree = Path(parent) / "old"
        shutil.unpack_archive(archive, tree, filter="data")
        yield tree


def check_runs_its_own_code(tree: Path) -> None:
    """Raise SystemExit where Python, started for the tree, takes the package from elsewhere, or finds none."""
    command = [sys.executable, "-P", "-c", "import wanwu_nb; print(wanwu_nb.__file__)"]
    environment = harness.surroundings({"PYTHONPATH": str(tree)})
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True)
    package = Path(done.stdout.strip())
    if done.returncode or not package.is_relative_to(tree):
        raise SystemExit(f"{tree} is no checkout whose own wanwu_nb runs there:\n{done.stdout}{done.stderr}")


def revision(tree: Path) -> str:
    """The commit that is checked out, with "-dirty" where files differ from it; "" where there is no git."""
    command = ["git", "-C", str(tree), "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.strip()


def compare(
    trees: Mapping[str, Path],
    workload: str,
    ways: Mapping[str, Way],
    turns: int,
    count: int,
    again: int,
    variables: Mapping[str, str],
) -> dict[str, list[Run]]:
    """All runs of each way on one workload, the ways in turns. The first turn prepares, and is not counted."""
    with tempfile.TemporaryDirectory() as parent:
        model = model_for_both(workload, Path(parent))
        variables = {**variables, **harness.caches(Path(parent) / "caches")}
        earlier = Path(parent) / "earlier"
        for name, way in list(ways.items()):
            prepared = prepare(trees[way.tree], way, model, earlier / name, variables)
            if prepared["precision"]["value"] != way.precision == "int8":
                print(f"{workload} · {name} · left out: {prepared['precision']['reason']}", flush=True)
                ways = {other: ways[other] for other in ways if other != name}
        runs: dict[str, list[Run]] = {name: [] for name in ways}
        for turn in range(turns):
            for name, way in ways.items():
                run = run_once(trees[way.tree], way, model, count, again, variables, earlier / name)
                runs[name].append(run)
                print(f"{workload} · {turn + 1} · {name} · {in_words(runs[name][-1])}", flush=True)
    return runs


def model_for_both(workload: str, parent: Path) -> Path:
    """The workload's model folder, as both trees can read it."""
    folder = WORKLOADS[workload].folder()
    description = folder / "model.json"
    if not description.exists():
        return folder
    content = json.loads(description.read_text(encoding="utf-8"))
    for name in UNKNOWN_TO_OLDER_TREES:
        content["input"].pop(name, None)
    model = parent / workload
    shutil.copytree(folder, model, ignore=shutil.ignore_patterns("pickled", "made"))
    (model / "model.json").write_text(json.dumps(content), encoding="utf-8")
    return model


def prepare(tree: Path, way: Way, model: Path, output: Path, variables: Mapping[str, str]) -> Run:
    """What an earlier run leaves: ours its engine, a compiler its cache; and files in the page cache."""
    if way.tree == "ours":
        arguments = ["-m", "wanwu_nb.prepare", str(model), "--precision", way.precision]
        environment = harness.surroundings({**variables, "PYTHONPATH": str(tree)})
        subprocess.run([sys.executable, *arguments], cwd=tree, env=environment)  # says itself what it cannot prepare
    return one_run(tree, way, model, 2, 0, variables, output)


def run_once(
    tree: Path, way: Way, model: Path, count: int, again: int, variables: Mapping[str, str], earlier: Path
) -> Run:
    """One process in a fresh output folder, which holds what the `earlier` one's first run made once for all runs.

    Once more where the older tree found that what it had compiled was slower: on a machine that is not ours alone.
    """
    for _ in range(TRIES - 1):
        with suppress(NotCompiled):
            return in_fresh_folder(tree, way, model, count, again, variables, earlier)
    return in_fresh_folder(tree, way, model, count, again, variables, earlier)


class NotCompiled(RuntimeError):
    """The older tree was asked to compile, and did not."""


def in_fresh_folder(
    tree: Path, way: Way, model: Path, count: int, again: int, variables: Mapping[str, str], earlier: Path
) -> Run:
    with tempfile.TemporaryDirectory() as parent:
        output = Path(parent)
        for part in ("run", "again"):
            carry(earlier / "run", output / part)
        return one_run(tree, way, model, count, again, variables, output)


def one_run(
    tree: Path, way: Way, model: Path, count: int, again: int, variables: Mapping[str, str], output: Path
) -> Run:
    """One process: seconds from start to end, without what it measured afterwards; and what it told."""
    arguments = ["-P", ONE_RUN, model, pictures()[0].parent, output, "--precision", way.precision]
    arguments += ["--compile", way.compile, "--count", str(count), "--again", str(again)]
    if again and way.tree == "ours":
        arguments.append("--bound")
    process = harness.finished(arguments, {**variables, "PYTHONPATH": str(tree)}, checkout=tree)
    run: Run = process.answer
    if again and way.compile == "yes" and not run["compiled"]["value"]:
        raise NotCompiled(f"asked to compile, and did not: {run['compiled']['reason']}")
    run["seconds"] = process.seconds - run["seconds_after_the_run"]
    return run


def in_words(run: Run) -> str:
    engine = (run["engine"] or {}).get("value", "")
    how = [run["precision"]["value"], engine, f"batches of {run['batch_size']['value']}"]
    return f"{run['seconds']:.1f} s, then {run['ms']:.1f} ms a picture ({', '.join(filter(None, how))})"


if __name__ == "__main__":
    main()
