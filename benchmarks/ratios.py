"""What `compare_trees` prints and records of its runs: medians with their spread, and ratios of runs of one turn."""

from collections.abc import Mapping, Sequence
from typing import Any

from wanwu_nb.measure import Spread

from . import harness

FIGURES = {"seconds": "whole run, s", "ms": "ms a picture", "peak_mb": "MB at the peak"}
Run = Mapping[str, Any]


def figures_of(runs: Mapping[str, Sequence[Run]]) -> dict[str, Any]:
    """Of each way the medians, how near it comes to its bound, and how it stands to each of the older tree's ways."""
    ways = {}
    for name, several in runs.items():
        figures: dict[str, Any] = {key: Spread.of(values_of(several, key)) for key in FIGURES}
        if "bound_ms" in several[0]:
            figures["efficiency"] = Spread.of([run["bound_ms"] / run["ms"] for run in several])
        figures["against"] = against(several, runs) if name.startswith("ours") else {}
        ways[name] = figures
    return {"ways": ways, "runs": dict(runs)}


def against(ours: Sequence[Run], runs: Mapping[str, Sequence[Run]]) -> dict[str, dict[str, Spread]]:
    """Their figure over ours, turn by turn: 2 is half the time, or half the memory."""
    ratios: dict[str, dict[str, Spread]] = {}
    for name, theirs in runs.items():
        if not name.startswith("theirs"):
            continue
        ratios[name] = {}
        for key in FIGURES:
            pairs = zip(values_of(theirs, key), values_of(ours, key), strict=True)
            ratios[name][key] = Spread.of([their / our for their, our in pairs])
    return ratios


def values_of(runs: Sequence[Run], key: str) -> list[float]:
    return [run[key] for run in runs]


def table(workload: str, figures: Mapping[str, Any], count: int, avx2: bool) -> str:
    """For people: a line a way, then a line a pair of ours and theirs."""
    machine = harness.machine_of({"environment": harness.machine_here()})
    held = ", held to AVX2" if avx2 else ""
    titles = f"{'':24s}{f'{count} pictures, s':>24s}{'ms a picture':>24s}{'MB':>8s}{'of bound':>10s}"
    lines = [f"\n{workload}, {machine}{held}; medians (from to)", titles]
    for name, way in figures["ways"].items():
        efficiency = ""
        if "efficiency" in way:
            efficiency = f"{way['efficiency'][0]:.1%}"
        whole, loop = spread(way["seconds"], 1), spread(way["ms"], 1)
        memory = way["peak_mb"][0]
        lines.append(f"{name:24s}{whole:>24s}{loop:>24s}{memory:8.0f}{efficiency:>10s}")
    for name, way in figures["ways"].items():
        for theirs, ratios in way["against"].items():
            whole, loop = spread(ratios["seconds"], 2), spread(ratios["ms"], 2)
            memory = 1 / ratios["peak_mb"][0]
            times = f"{count} pictures {whole} ×, a picture {loop} ×"
            lines.append(f"{name} against {theirs}: {times}, memory {memory:.0%}")
    return "\n".join(lines)


def spread(values: Sequence[float], digits: int) -> str:
    median, low, high = values
    return f"{median:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"
