"""Write the README's figures anew from the records in benchmarks/results: `python -m benchmarks.readme`."""

import json
import re
from pathlib import Path

import matplotlib.pyplot as plt

from wanwu_nb.plots import COLOURS, style

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
CHART = ROOT / "docs" / "speed.png"
TITLES = {
    "resnest101": "ResNeSt-101, 54,092 classes, 629 MB, at 224",
    "demo": "the demo detector, 5 MB, at 640",
    "retinanet": "RetinaNet, ResNet-50, at 640",
}


def main() -> None:
    path = ROOT / "README.md"
    path.write_text(with_figures(path.read_text(encoding="utf-8")), encoding="utf-8")
    chart([record for record in records() if record["place"] == "cpu"]).savefig(CHART, dpi=150)


def with_figures(readme: str) -> str:
    """The README with all that stands between `<!-- speed -->` and `<!-- end of speed -->` made from the records."""
    tables = "\n\n".join(table(record) for record in records())
    made = f"<!-- speed -->\n{tables}\n\n{more()}\n<!-- end of speed -->"
    return re.sub(r"<!-- speed -->.*?<!-- end of speed -->", lambda _: made, readme, flags=re.DOTALL)


def records() -> list[dict]:
    """The speed records there are, the heaviest model first, CPU before GPU."""
    found = []
    for place in ("cpu", "gpu"):
        for workload in TITLES:
            path = RESULTS / f"speed_{workload}_{place}.json"
            if path.exists():
                found.append({**json.loads(path.read_text(encoding="utf-8")), "place": place})
    return found


def table(record: dict) -> str:
    machine = record["environment"]
    where = machine["gpu"] or f"{machine['cores']} cores of {machine['cpu']}"
    lines = [
        f"**{TITLES[record['workload']]}** · {where}",
        "",
        "| | ms a picture | pictures/s | × default | agrees with default | of what is possible |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in record["rows"]:
        agreed = "" if row["agreement"] is None else f"{row['agreement']:.1%}"
        share = f"{row['efficiency']:.0%}" if "efficiency" in row else ""
        name = f"**{row['contender']}**" if row["contender"].startswith("ours") else row["contender"]
        lines.append(
            f"| {name} | {row['ms']:,.1f} | {row['pictures_per_second']:.1f} | {row['times_default']:.1f} "
            f"| {agreed} | {share} |"
        )
    return "\n".join(lines)


def more() -> str:
    memory = json.loads((RESULTS / "memory.json").read_text(encoding="utf-8"))
    cold = json.loads((RESULTS / "cold_start.json").read_text(encoding="utf-8"))
    few, many = memory["peak_mb"].items()
    return (
        f"Memory stays flat: {many[1]:,.0f} MB at its peak over {int(many[0]):,} pictures, {few[1]:,.0f} MB over "
        f"{int(few[0]):,}. Resuming 100,000 finished pictures takes {memory['resume_seconds']:.1f} s. "
        f"The 629 MB model is ready, first forward done, in {cold['ratio']:.0%} of the time that `torch.load` of its "
        "pickle and one forward take."
    )


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
