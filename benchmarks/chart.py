"""The chart of the speed records, and what its panels and the pages' tables are called."""

from collections.abc import Sequence
from textwrap import fill
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from wanwu_nb.views.charts import COLOURS, style

from .harness import machine_of

Record = dict[str, Any]

TITLES = {
    "resnest101": "ResNeSt-101, 54,092 classes, 629 MB, at 224",
    "demo": "the demo detector, 5 MB, at 640",
    "everyday": "the everyday tagger, EfficientNet-Lite0, 19 MB, at 224",
    "retinanet": "RetinaNet, ResNet-50, at 640",
}
GREY = "#b0b0b0"
ENOUGH = 0.95  # of the tags as the default script's: below, a bar says how many
TITLE_WIDTH = 48  # characters that a panel has room for


def chart(records: Sequence[Record]) -> Figure:
    """Pictures a second, a panel a workload, each with its machine."""
    style()
    figure, panels = plt.subplots(1, len(records), figsize=(5.5 * len(records), 4), layout="constrained", squeeze=False)
    for panel, record in zip(panels[0], records, strict=True):
        draw_panel(panel, record)
    return figure


def draw_panel(panel: Axes, record: Record) -> None:
    """Bars with the fastest at the bottom, ours in colour."""
    rows = record["rows"][::-1]
    names = [row["contender"] for row in rows]
    rates = [row["pictures_per_second"] for row in rows]
    colours = [COLOURS[0] if is_ours(row["contender"]) else GREY for row in rows]
    bars = panel.barh(names, rates, color=colours)
    panel.bar_label(bars, [label_of(row) for row in rows], padding=3)
    panel.set_xlim(0, max(rates) * 1.4)
    panel.set_xlabel("pictures a second")
    lines = [TITLES[record["workload"]], machine_of(record)]
    title = "\n".join(fill(line, TITLE_WIDTH) for line in lines)
    panel.set_title(title, fontsize=10, loc="left")


def label_of(row: Record) -> str:
    """How many times as fast, and how many tags are the same where that are too few."""
    times = f"{row['times_default']:.1f}×"
    agreement = row["agreement"]
    if agreement is None or agreement >= ENOUGH:
        return times
    return f"{times}, {agreement:.0%} agree"


def is_ours(contender: str) -> bool:
    return contender.startswith("ours")
