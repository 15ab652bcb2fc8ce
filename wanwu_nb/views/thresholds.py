"""How much would stay at another threshold: counted from what the network said, not from what was kept of it."""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..deciding import Decision
from ..settings import RAW_FLOOR
from ..tagged import Tagged
from .charts import COLOURS, FIRST, style
from .drawing import shown
from .tracing import Tracer, names_of

MOST_LABELS = 6
STEP = 0.005
LABEL_LENGTH = 14  # characters
AT_ALL, AT_NONE = 1.0, -1.0  # the highest threshold that a tag passes, where its score does not tell
GAP = 0.09  # between two names, as a share of the chart's height
HEADROOM = 1.18  # above the highest curve, for what is written there
LINE, UNSURE = "#666", "#dddddd"
ON_WHITE: dict[str, Any] = {"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 1}


def threshold_chart(pictures: Iterable[Tagged], decision: Decision) -> Figure:
    """Draw the objects that a run would keep against its threshold: of all labels, and of the most frequent ones.

    `pictures`: of `read_raw`, read once, one at a time. `decision`: that of the run; its threshold is a dashed line,
    and its vocabulary gives the names. A label with a threshold of its own is counted at all the others. Of a
    whole-picture tagger the blue curve has the tags that are at least so sure; in grey above it, the pictures whose
    best tag is kept all the same. Returns the figure.

    Example: `threshold_chart(read_raw("runs/tags"), Decision(Selection(conf_threshold=0.3)))`
    """
    counts = _count(pictures, decision)
    style()
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    _draw_all(left, counts)
    _draw_labels(right, counts)
    return figure


@dataclass
class _Counts:
    """The highest threshold that each object passes, by name; `best` has the highest of each picture of a tagger."""

    threshold: float
    lowest: float
    by_name: dict[str, "array[float]"] = field(default_factory=dict)
    best: "array[float]" = field(default_factory=lambda: array("f"))

    @property
    def thresholds(self) -> np.ndarray:
        count = round((1 - self.lowest) / STEP) + 1
        evenly = np.linspace(self.lowest, 1, count)
        return np.union1d(evenly, [self.threshold])

    def of_all(self) -> "array[float]":
        together = array("f")
        for scores in self.by_name.values():
            together.extend(scores)
        return together

    def most_frequent(self) -> list[str]:
        """At the run's threshold; of those that are as frequent there, what has more below it."""
        ranks = []
        for name, scores in self.by_name.items():
            count = _at(self.threshold, scores)
            ranks.append((-count, -len(scores), name))
        return [name for _, _, name in sorted(ranks)[:MOST_LABELS]]


def _count(pictures: Iterable[Tagged], decision: Decision) -> _Counts:
    """Decided once, at the lowest threshold of the chart: a higher one keeps those of them that are as sure."""
    threshold = decision.selection.conf_threshold
    lowest = min(threshold, max(decision.raw_floor, RAW_FLOOR))
    counts = _Counts(threshold, lowest)
    selection = replace(decision.selection, conf_threshold=lowest)
    tracer = Tracer(replace(decision, selection=selection))
    for picture in pictures:
        raw = picture.detections
        class_ids, scores, unsure = tracer.keep(raw)
        names = names_of(raw)
        best = AT_NONE
        for class_id, score in zip(class_ids, scores.tolist(), strict=True):
            if unsure:
                continue
            word = decision.vocabulary.word(class_id, names[class_id])
            highest = score if word.threshold is None else AT_ALL
            counts.by_name.setdefault(word.name, array("f")).append(highest)
            best = max(best, highest)
        if raw.boxes is None and class_ids:
            counts.best.append(best)
    return counts


def _at_least(thresholds: np.ndarray, scores: "array[float]") -> np.ndarray:
    """How many of the scores are, in the network's own precision."""
    in_order = np.sort(np.array(scores, np.float32))
    below = np.searchsorted(in_order, thresholds.astype(np.float32))
    return len(in_order) - below


def _at(threshold: float, scores: "array[float]") -> int:
    counts = _at_least(np.array([threshold]), scores)
    return int(counts[0])


def _draw_all(panel: Axes, counts: _Counts) -> None:
    thresholds = counts.thresholds
    scores = counts.of_all()
    total = _at_least(thresholds, scores)
    with_unsure = total + len(counts.best) - _at_least(thresholds, counts.best)
    panel.fill_between(thresholds, total, with_unsure, step="pre", color=UNSURE, linewidth=0)
    panel.fill_between(thresholds, total, step="pre", color=FIRST, alpha=0.25, linewidth=0)
    panel.plot(thresholds, total, drawstyle="steps-pre", color=FIRST)
    what = "Tags at least this sure 达到阈值的标签" if counts.best else "Objects at least this sure 达到阈值的物体"
    panel.set_title(what)
    _set_axes(panel, counts, int(with_unsure.max()))
    _write_count(panel, counts, _at(counts.threshold, scores))
    _write_unsure(panel, int(total[-1]), int(with_unsure[-1]))


def _set_axes(panel: Axes, counts: _Counts, highest: int) -> None:
    panel.set_xlim(counts.lowest, 1)
    panel.set_ylim(0, HEADROOM * max(1, highest))
    panel.yaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))
    panel.yaxis.set_major_formatter("{x:,.0f}")
    panel.axvline(counts.threshold, color=LINE, linestyle="--", linewidth=1)
    panel.set_xlabel("conf_threshold 阈值")


def _write_count(panel: Axes, counts: _Counts, total: int) -> None:
    """Beside the dashed line, where the curve is lower."""
    text = f"{total:,} at {counts.threshold:g}"
    if counts.best:
        unsure = len(counts.best) - _at(counts.threshold, counts.best)
        text += f"\n+ {unsure:,} unsure 没把握"
    point = counts.threshold, total
    has_room = counts.threshold < 0.65
    offset, side = (8, "left") if has_room else (-8, "right")
    panel.plot(*point, marker="o", color=FIRST, clip_on=False)
    panel.annotate(text, point, xytext=(offset, 8), textcoords="offset points", ha=side, bbox=ON_WHITE)


def _write_unsure(panel: Axes, total: int, with_unsure: int) -> None:
    """What the grey is, above all curves, where there is any to see."""
    top = panel.get_ylim()[1]
    if with_unsure - total < 0.02 * top:
        return
    text = "grey: unsure, but a picture's best\n灰色：没把握，但为每图最好的标签"
    corner = 0.99, 0.99
    letters: dict[str, Any] = {"color": LINE, "fontsize": "small", "bbox": ON_WHITE}
    panel.text(*corner, text, transform=panel.transAxes, ha="right", va="top", **letters)


def _draw_labels(panel: Axes, counts: _Counts) -> None:
    """A line a label, with its name and its count at the run's threshold."""
    names = counts.most_frequent()
    thresholds = counts.thresholds
    begins = []
    for name, colour in zip(names, COLOURS, strict=False):
        scores = counts.by_name[name]
        values = _at_least(thresholds, scores)
        panel.plot(thresholds, values, drawstyle="steps-pre", color=colour, linewidth=1.2)
        text = f"{shown(name, LABEL_LENGTH)}  {_at(counts.threshold, scores):,}"
        begins.append((int(values[0]), text, colour))
    highest = max([value for value, _, _ in begins], default=0)
    _set_axes(panel, counts, highest)
    panel.yaxis.tick_right()
    panel.spines["left"].set_visible(False)
    panel.spines["right"].set_visible(True)
    count = f"{len(names)} of {len(counts.by_name)}"
    panel.set_title(f"Most frequent at {counts.threshold:g} 最常见的标签 ({count})")
    _write_names(panel, counts.lowest, begins)


def _write_names(panel: Axes, x: float, begins: list[tuple[int, str, str]]) -> None:
    """At the beginnings of the lines, moved apart where these are too close."""
    top = panel.get_ylim()[1]
    in_order = sorted(reversed(begins), key=lambda begin: begin[0])
    heights = _apart([value / top for value, _, _ in in_order])
    for (value, text, colour), height in zip(in_order, heights, strict=True):
        panel.annotate(
            text,
            (x, value),
            xytext=(-0.08, height),
            textcoords="axes fraction",
            ha="right",
            va="center",
            color=colour,
            parse_math=False,
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.8},
            annotation_clip=False,
        )


def _apart(heights: list[float]) -> list[float]:
    """Each as near to its own height as the others leave room, lowest first."""
    moved: list[float] = []
    for height in heights:
        lowest = moved[-1] + GAP if moved else 0.0
        moved.append(max(height, lowest))
    room = 1.0
    for i in reversed(range(len(moved))):
        moved[i] = min(moved[i], room)
        room = moved[i] - GAP
    return moved
