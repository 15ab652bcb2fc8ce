"""Is this tree as fast as another checkout of the project? Both in turns on this machine, each with its own code.

    python -m benchmarks.compare_trees OLD_CHECKOUT [--repeats 5] [--record FILE]

A repeat runs the old tree, this one, and the old one again: a ratio is this tree over the mean of the old runs around
it, and the noise is the second old run over the first. Every run is `benchmarks.speed`'s own, in a new process inside
its tree: what a difference between the trees' benchmarks would bring counts, too.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from wanwu_nb.measure import Spread

from . import harness

WORKLOADS = ("demo", "resnest101")
CONTENDERS = ("ours", "ours, compiled")
FIGURES = {"ms": "ms a picture", "peak_mb": "MB at the peak"}
COUNT = 64
SPEED = "benchmarks.speed"
Run = dict[str, float]  # a value for each of FIGURES


@dataclass(frozen=True)
class Comparison:
    """One figure of one contender, in both trees: medians with their spread, and ratios of runs side by side.

    `noise` is the old tree against itself.
    """

    old: Spread
    new: Spread
    ratio: Spread
    noise: Spread


def main() -> None:
    parser = harness.command_line(__doc__)
    parser.add_argument("old", type=Path, metavar="OLD_CHECKOUT", help="folder of another checkout")
    parser.add_argument("--repeats", type=positive, default=5)
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=WORKLOADS)
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=CONTENDERS)
    options = parser.parse_args()
    old, new = options.old.absolute(), harness.ROOT
    for tree in (old, new):
        check_runs_its_own_code(tree)
    figures = {}
    for workload in options.workloads:
        for contender in options.contenders:
            name = f"{workload} · {contender}"
            figures[name] = compare(old, new, workload, contender, options.repeats)
    if options.record:
        trees = {"old": revision(old), "new": revision(new)}
        harness.write_record(
            options.record, {"trees": trees, "repeats": options.repeats, "pictures": COUNT, "figures": figures}
        )


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least one")
    return number


def check_runs_its_own_code(tree: Path) -> None:
    """Raise SystemExit where Python, started in the tree, takes the package from elsewhere, or finds none."""
    command = [sys.executable, "-c", "import wanwu_nb; print(wanwu_nb.__file__)"]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True)
    package = Path(done.stdout.strip())
    if done.returncode or not package.is_relative_to(tree):
        raise SystemExit(f"{tree} is no checkout whose own wanwu_nb runs there:\n{done.stdout}{done.stderr}")


def revision(tree: Path) -> str:
    """The commit that is checked out, with "-dirty" where files differ from it; "" where there is no git."""
    command = ["git", "-C", str(tree), "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.strip()


def compare(old: Path, new: Path, workload: str, contender: str, repeats: int) -> dict[str, Any]:
    """One contender on one workload, the trees in turns; the figures of the record."""
    for tree in (old, new):
        run_in(tree, workload, contender)  # makes the workload's folder, and fills the page and compiler caches
    before, ours, after = [], [], []
    for _ in range(repeats):
        before.append(run_in(old, workload, contender))
        ours.append(run_in(new, workload, contender))
        after.append(run_in(old, workload, contender))
    figures = {}
    for key, words in FIGURES.items():
        comparison = compare_figure(values_of(before, key), values_of(ours, key), values_of(after, key))
        print(f"{workload} · {contender} · {words}: {sentence(comparison)}", flush=True)
        figures[key] = asdict(comparison)
    return figures


def run_in(tree: Path, workload: str, contender: str) -> Run:
    with tempfile.TemporaryDirectory() as output:
        measured = harness.run_child(SPEED, [workload, contender, str(COUNT), output], checkout=tree)
    return {"ms": 1000 * measured["seconds"], "peak_mb": measured["peak_mb"]}


def values_of(runs: Sequence[Run], key: str) -> list[float]:
    return [run[key] for run in runs]


def compare_figure(before: Sequence[float], ours: Sequence[float], after: Sequence[float]) -> Comparison:
    """`before` and `after`: the old tree's runs around each of `ours`."""
    ratios, noise = [], []
    for first, middle, second in zip(before, ours, after, strict=True):
        ratios.append(middle / statistics.mean([first, second]))
        noise.append(second / first)
    return Comparison(
        old=Spread.of([*before, *after]), new=Spread.of(ours), ratio=Spread.of(ratios), noise=Spread.of(noise)
    )


def sentence(comparison: Comparison) -> str:
    old, new = spread(comparison.old, 2), spread(comparison.new, 2)
    ratio, noise = spread(comparison.ratio, 3), spread(comparison.noise, 3)
    return f"old {old}, new {new}; new/old {ratio}, old against itself {noise}"


def spread(values: Spread, digits: int) -> str:
    median, low, high = values
    return f"{median:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


if __name__ == "__main__":
    main()
