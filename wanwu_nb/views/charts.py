"""Charts in one style, with Chinese text. Each takes plain data, and returns matplotlib's axes or figure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import pandas as pd
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, NullFormatter, PercentFormatter

from ..measure import STAGE_NAMES_ZH
from ..quality import Share
from .drawing import shown
from .fonts import COLOURS as COLOURS
from .fonts import chinese_font

FIRST, SECOND, *_ = COLOURS
IN_BAR: dict[str, Any] = {"ha": "center", "va": "center", "color": "white"}
LOST: dict[str, Any] = {"color": SECOND, "edgecolor": "white", "linewidth": 0}

SpeedAndTags = tuple[float, Share | None, Share | None]  # pictures a second, agreement, accuracy
Point = tuple[float, Share]  # pictures a second, and one of them


def style() -> None:
    """Set matplotlib up for all charts: the Chinese font, titles on the left, no frame.

    Example: `style(); figure, axes = plt.subplots()`
    """
    font = chinese_font()
    font_manager.fontManager.addfont(font)
    family = font_manager.FontProperties(fname=font).get_name()
    settings = matplotlib.rcParams
    settings["font.family"] = [family, "sans-serif"]
    settings["axes.unicode_minus"] = False
    settings["axes.spines.top"] = False
    settings["axes.spines.right"] = False
    settings["axes.titlelocation"] = "left"
    settings["axes.titlesize"] = "medium"
    settings["figure.dpi"] = 110


def label_chart(labels: Mapping[str, int], top: int = 20) -> Axes:
    """Returns bars of the `top` most frequent labels; `labels` counts the objects of each.

    Example: `label_chart({"台灯": 12, "椅子": 7})`
    """
    most_common = Counter(labels).most_common(top)[::-1]  # matplotlib begins at the bottom
    names = [shown(name) for name, _ in most_common]
    counts = [count for _, count in most_common]
    height = 1.2 + 0.28 * max(1, len(names))
    axes = _new_axes(8, height)
    bars = axes.barh(range(len(names)), counts, color=FIRST)
    axes.bar_label(bars, padding=3)
    axes.set_yticks(range(len(names)), names, parse_math=False)  # a $ in a label is a $
    axes.set_xlabel("objects 物体数")
    axes.set_title(f"Most frequent labels 最常见的标签 ({len(names)} of {len(labels)})")
    axes.margins(x=0.08)
    return axes


def stage_bars(rows: Mapping[str, Mapping[str, float]]) -> Axes:
    """Returns a bar a row, stacked by stage, in shares of its own total; the total, in seconds, at its end.

    Example: `stage_bars({"default": {"load": 1.8, "decode": 0.6, "forward": 1.5}})`
    """
    colours = _colours_of_stages(rows)
    height = 0.9 + 0.7 * len(rows)
    axes = _new_axes(9, height)
    names = list(rows)
    names.reverse()  # matplotlib begins at the bottom
    for y, name in enumerate(names):
        _stacked_bar(axes, y, rows[name], colours)
    axes.set_yticks(range(len(names)), names)
    handles = [Patch(facecolor=colour) for colour in colours.values()]
    titles = [f"{stage} {STAGE_NAMES_ZH.get(stage, '')}" for stage in colours]
    axes.legend(handles, titles, ncols=len(titles), loc="lower left", bbox_to_anchor=(0, 1))
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel("share of the time a picture takes 每张图片耗时占比")
    return axes


def utilisation(table: pd.DataFrame) -> Axes:
    """Returns how busy CPU and GPUs are over time, from a Monitor's table.

    Example: `utilisation(monitor.table)`
    """
    axes = _new_axes(9, 2.6)
    gpus = [column for column in table if column.startswith("gpu ") and column[4:].isdigit()]
    columns = ["cpu", *gpus]
    for column, colour in zip(columns, cycle(COLOURS), strict=False):
        label = f"{column.upper()}, mean {table[column].mean():.0f} %"
        axes.plot(table["seconds"], table[column], color=colour, label=label)
    axes.set_ylim(0, 105)
    axes.set_xlabel("seconds 秒")
    axes.set_ylabel("busy 占用 %")
    axes.legend(loc="lower right")
    return axes


def waterfall(seconds: Mapping[str, float]) -> Axes:
    """Returns seconds a picture, a bar a step; pale what it saved of the fastest before, in orange what it lost.

    A step that takes over one and a half times as long as the first is cut off.

    Example: `waterfall({"default": 4.2, "resident": 2.1, "batched": 0.65})`
    """
    height = 1.2 + 0.45 * len(seconds)
    axes = _new_axes(9, height)
    first = next(iter(seconds.values()), 1.0)
    longest = 1.5 * first
    best = first
    for i, (name, now) in enumerate(seconds.items()):
        _bar_against(axes, name, now, best, longest)
        text = f"  {now:.3g} s"
        if i > 0:
            text += f"  × {best / now:.2f}"
        end = min(now, longest)
        axes.text(max(end, best), i, text, va="center")
        best = min(best, now)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.8 * first)
    explanation = "seconds a picture 秒/张; pale: saved 浅色为省下; orange: lost 橙色为变慢"
    if max(seconds.values(), default=0.0) > longest:
        explanation += "; hatched: cut off 斜线为截断"
    axes.set_xlabel(explanation)
    axes.set_title("× against the fastest step before 相对此前最快一步的倍数")
    return axes


def speed_against_tags(rows: Mapping[str, SpeedAndTags], min_agreement: float) -> Figure:
    """Returns pictures a second against agreement with the default and, where there is truth, accuracy; 95 % bars.

    Example: `speed_against_tags({"batched": (12.5, Share(99, 100, 0.946, 0.998), None)}, min_agreement=0.95)`
    """
    agreements = {name: (rate, share) for name, (rate, share, _) in rows.items() if share}
    accuracies = {name: (rate, share) for name, (rate, _, share) in rows.items() if share}
    judged = {"agreement 一致率": agreements, "accuracy 准确率": accuracies}
    titles = [title for title, points in judged.items() if points]
    style()
    columns = max(1, len(titles))
    figure, grid = plt.subplots(1, columns, figsize=(9, 3.2), layout="constrained", squeeze=False)
    panels = grid[0]
    colours = dict(zip(rows, cycle(COLOURS), strict=False))
    for panel, title in zip(panels, titles, strict=False):
        _plot_points(panel, judged[title], colours)
        panel.set_title(f"{title}, 95 % interval 区间")
    if agreements:
        label = f"min_agreement {min_agreement:g}"
        panels[0].axhline(min_agreement, color="#888", linestyle=":", label=label)
    _one_legend(panels, list(rows))
    return figure


def batch_curve(curve: pd.DataFrame) -> Figure:
    """Returns throughput, latency and memory, which are the columns of `curve`, against the batch size, its index.

    Example: `batch_curve(ladder.curve())`
    """
    style()
    figure, panels = plt.subplots(1, 3, figsize=(9, 2.6), layout="constrained")
    sizes = [str(size) for size in curve.index]
    titles = "throughput 吞吐 (pictures/s)", "latency 延迟 (ms a batch)", "peak memory 峰值内存 (MB)"
    for panel, column, title, colour in zip(panels, curve, titles, COLOURS, strict=False):
        values = curve[column]
        panel.plot(values, marker="o", color=colour)
        panel.set_xscale("log", base=2)
        panel.set_xticks(curve.index, sizes)
        if title.startswith("latency"):
            panel.set_yscale("log", base=2)
            panel.yaxis.set_major_formatter("{x:g}")
        else:
            panel.set_ylim(0, 1.1 * values.max())
        panel.set_xlabel("batch size 批大小")
        panel.set_title(title)
    return figure


def _new_axes(width: float, height: float) -> Axes:
    style()
    _, axes = plt.subplots(figsize=(width, height))
    return axes


def _colours_of_stages(rows: Mapping[str, Mapping[str, float]]) -> dict[str, str]:
    """A colour for every stage of any row, in the order they come up."""
    stages: dict[str, None] = {}
    for seconds in rows.values():
        stages |= dict.fromkeys(seconds)
    return dict(zip(stages, cycle(COLOURS), strict=False))


def _stacked_bar(axes: Axes, y: int, seconds: Mapping[str, float], colours: Mapping[str, str]) -> None:
    total = sum(seconds.values())
    left = 0.0
    for stage, colour in colours.items():
        share = seconds.get(stage, 0.0) / total
        axes.barh(y, share, left=left, color=colour)
        if share > 0.07:  # else there is no room for the figure
            middle = left + share / 2
            axes.text(middle, y, f"{share:.0%}", **IN_BAR)
        left += share
    axes.text(1.01, y, f"{total:.3g} s", va="center")


def _bar_against(axes: Axes, name: str, now: float, best: float, longest: float) -> None:
    """A bar of `now` seconds, `longest` at most: what is beyond `best` is lost, what it is short of it saved."""
    if now <= best:
        axes.barh(name, now, color=FIRST)
        axes.barh(name, best - now, left=now, color=FIRST, alpha=0.2)
        return
    end = min(now, longest)
    hatch = "//" if now > longest else ""
    axes.barh(name, best, color=FIRST)
    axes.barh(name, end - best, left=best, hatch=hatch, **LOST)


def _plot_points(panel: Axes, points: Mapping[str, Point], colours: Mapping[str, str]) -> None:
    """Each with its interval."""
    for name, (rate, share) in points.items():
        below = share.value - share.low
        above = share.high - share.value
        spread = [[below], [above]]
        panel.errorbar(rate, share.value, yerr=spread, fmt="o", capsize=4, color=colours[name], label=name)
    panel.set_xscale("log")
    panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panel.xaxis.set_major_formatter("{x:g}")
    panel.xaxis.set_minor_formatter(NullFormatter())
    panel.yaxis.set_major_formatter(PercentFormatter(1))
    panel.set_xlabel("pictures a second 张/秒")


def _one_legend(panels: Sequence[Axes], names: Sequence[str]) -> None:
    """One legend for all panels, beside the last: `names` in their order, then what else is drawn."""
    handles: dict[str, Any] = {}
    for panel in panels:
        panel_handles, panel_labels = panel.get_legend_handles_labels()
        handles |= dict(zip(panel_labels, panel_handles, strict=True))
    titles = [name for name in names if name in handles]
    titles += [label for label in handles if label not in names]
    ordered = [handles[title] for title in titles]
    panels[-1].legend(ordered, titles, loc="center left", bbox_to_anchor=(1, 0.5))
