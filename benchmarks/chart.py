"""The chart of the speed records, and what its panels and the pages' tables are called."""

from collections.abc import Sequence
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
    panel.bar_label(bars, [f"{row['times_default']:.1f}×" for row in rows], padding=3)
    panel.set_xlim(0, max(rates) * 1.15)
    panel.set_xlabel("pictures a second")
    title = TITLES[record["workload"]]
    panel.set_title(f"{title}\n{machine_of(record)}", fontsize=10)


def is_ours(contender: str) -> bool:
    return contender.startswith("ours")
