"""Write the figures of README.md and docs/speed.md anew from the records: `python -m benchmarks.readme`."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

import matplotlib.pyplot as plt

from wanwu_nb.plots import COLOURS, style

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGES = ROOT / "README.md", ROOT / "docs" / "speed.md"
CHART = ROOT / "docs" / "speed.png"
TITLES = {
    "resnest101": "ResNeSt-101, 54,092 classes, 629 MB, at 224",
    "demo": "the demo detector, 5 MB, at 640",
    "retinanet": "RetinaNet, ResNet-50, at 640",
}


def main() -> None:
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
    chart([record for record in records() if record["place"] == "cpu"]).savefig(CHART, dpi=150)


def pages() -> dict[Path, str]:
    """The pages as they should read: what stands between `<!-- name -->` and `<!-- end of name -->` made anew."""
    figures = {"speed": speed(), "choices": choices(), "scaled decoding": scaled_decoding(), "clock": clock()}
    found = {}
    for path in PAGES:
        found[path] = path.read_text(encoding="utf-8")
        for name, text in figures.items():
            made = f"<!-- {name} -->\n{text}\n<!-- end of {name} -->"
            between = f"<!-- {name} -->.*?<!-- end of {name} -->"
            found[path] = re.sub(between, lambda _, made=made: made, found[path], flags=re.DOTALL)
    return found


def speed() -> str:
    return "\n\n".join([*map(table, records()), memory_and_cold_start()])


def records() -> list[dict]:
    """The speed records there are, the heaviest model first, CPU before GPU."""
    names = [(f"speed_{workload}_{place}", place) for place in ("cpu", "gpu") for workload in TITLES]
    return [{**read(name), "place": place} for name, place in names if (RESULTS / f"{name}.json").exists()]


def read(name: str) -> dict:
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def table(record: dict) -> str:
    machine = record["environment"]
    where = machine["gpu"] or f"{machine['cores']} cores of {machine['cpu']}"
    lines = [
        f"**{TITLES[record['workload']]}** · {where}",
        "",
        "| | ms a picture | pictures/s | × default | agrees with default | of what is possible | peak memory |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in record["rows"]:
        agreed = "" if row["agreement"] is None else f"{row['agreement']:.1%}"
        share = f"{row['efficiency']:.0%}" if "efficiency" in row else ""
        name = f"**{row['contender']}**" if row["contender"].startswith("ours") else row["contender"]
        lines.append(
            f"| {name} | {row['ms']:,.1f} | {row['pictures_per_second']:.1f} | {row['times_default']:.1f} "
            f"| {agreed} | {share} | {row['peak_mb']:,.0f} MB |"
        )
    return "\n".join(lines)


def memory_and_cold_start() -> str:
    memory, cold = read("memory"), read("cold_start")
    few, many = memory["peak_mb"].items()
    return (
        f"Memory stays flat: {many[1]:,.0f} MB at its peak over {int(many[0]):,} pictures, {few[1]:,.0f} MB over "
        f"{int(few[0]):,}. Resuming 100,000 finished pictures takes {memory['resume_seconds']:.1f} s. "
        f"The 629 MB model is ready, first forward done, in {cold['ratio']:.0%} of the time that `torch.load` of its "
        "pickle and one forward take."
    )


def choices() -> str:
    """What a picture takes with and without each choice, eager; and what compiling costs and brings."""
    found = read("choices")["workloads"]
    compiled = {name: each["compiling"]["cold"] for name, each in found.items()}
    saved = [1 - each["batch_compiled"] / each["batch_eager"] for each in compiled.values()]
    lines = [line("ms a picture", found), line("---", ["---:"] * len(found))]
    for variant in next(iter(found.values()))["ms_a_picture"]:
        lines.append(line(variant, [f"{each['ms_a_picture'][variant]:.1f}" for each in found.values()]))
    for state, cache in (("cold", "an empty"), ("warm", "a full")):
        seconds = [f"{each['compiling'][state]['compiling']:.0f} s" for each in found.values()]
        lines.append(line(f"compiling takes, with {cache} cache", seconds))
    lines.append(line("and saves of the network's time", [f"{share:.0%}" for share in saved]))
    return "\n".join(lines)


def clock() -> str:
    """What the stage clock costs, and how its stages add up."""
    lines = ["| | of a picture's time | run with it / without | sum of stages / wall |", "| --- | ---: | ---: | ---: |"]
    for name, each in read("clock")["workloads"].items():
        cells = [f"{each['share']:.3%}", *(spread(each[part], 3) for part in ("with_clock", "stages_of_wall"))]
        lines.append(line(name, cells))
    return "\n".join(lines)


def spread(values: list[float], digits: int) -> str:
    median, low, high = (f"{value:.{digits}f}" for value in values)
    return f"{median} ({low} to {high})"


def line(name: str, cells: Iterable[str]) -> str:
    return f"| {' | '.join([name, *cells])} |"


def scaled_decoding() -> str:
    lines = ["| | decoding, ms | scaled, ms | gain end to end | agreement |", "| --- | ---: | ---: | ---: | ---: |"]
    for name, each in read("scaled_decoding")["workloads"].items():
        full, scaled = (1000 * each["decoding"][way] for way in ("full", "scaled"))
        hits, trials, *_ = each["agreement"]
        lines.append(line(name, [f"{full:.1f}", f"{scaled:.1f}", f"{each['gain']:.1%}", f"{hits / trials:.1%}"]))
    return "\n".join(lines)


def chart(found: list[dict]) -> plt.Figure:
    """Pictures a second, a panel a workload, ours in colour."""
    style()
    figure, panels = plt.subplots(1, len(found), figsize=(11, 3.2), layout="constrained", squeeze=False)
    for panel, record in zip(panels[0], found, strict=True):
        rows = record["rows"][::-1]
        rates = [row["pictures_per_second"] for row in rows]
        colours = [COLOURS[0] if row["contender"].startswith("ours") else "#b0b0b0" for row in rows]
        bars = panel.barh([row["contender"] for row in rows], rates, color=colours)
        panel.bar_label(bars, [f"{row['times_default']:.1f}×" for row in rows], padding=3)
        panel.set_xlim(0, max(rates) * 1.15)
        panel.set_xlabel("pictures a second")
        panel.set_title(TITLES[record["workload"]], fontsize=10)
    return figure


if __name__ == "__main__":
    main()
