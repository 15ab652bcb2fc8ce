"""Charts and pictures with boxes, one style, Chinese rendered with a font that comes with a dependency."""

import heapq
import importlib.util
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import pandas as pd
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, PercentFormatter
from PIL import Image, ImageDraw, ImageFont, ImageOps

from .measure import CHINESE
from .trial import Row

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe and Ito: colour-blind safe
SHEET_WIDTH = 1500


@cache
def chinese_font() -> Path:
    """The path of Noto Sans SC (OFL), which the package zhplot carries. Raises FileNotFoundError, never draws boxes."""
    package = importlib.util.find_spec("zhplot")  # located, not imported: importing it changes matplotlib's settings
    for folder in package.submodule_search_locations if package else ():
        path = Path(folder) / "fonts" / "NotoSansSC-Regular.ttf"
        if path.is_file():
            return path
    raise FileNotFoundError("the Chinese font NotoSansSC-Regular.ttf is missing: run `pip install zhplot`")


def style() -> None:
    """Set matplotlib up for all charts: the Chinese font, light grid, no frame."""
    font_manager.fontManager.addfont(chinese_font())
    matplotlib.rcParams.update(
        {
            "font.family": [font_manager.FontProperties(fname=chinese_font()).get_name(), "sans-serif"],
            "axes.unicode_minus": False,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlelocation": "left",
            "axes.titlesize": "medium",
            "figure.dpi": 110,
        }
    )


def label_chart(labels: dict[str, int], top: int = 20) -> Axes:
    """Bars of the `top` most frequent labels."""
    style()
    rows = sorted(labels.items(), key=lambda row: -row[1])[:top][::-1]
    _, axes = plt.subplots(figsize=(8, 1.2 + 0.28 * max(1, len(rows))))
    bars = axes.barh([name for name, _ in rows], [count for _, count in rows], color=COLOURS[0])
    axes.bar_label(bars, padding=3)
    axes.set_xlabel("objects 物体数")
    axes.set_title(f"Most frequent labels 最常见的标签 ({len(rows)} of {len(labels)})")
    axes.margins(x=0.08)
    return axes


def contact_sheet(image_dir: Path, output_dir: Path, count: int = 12, columns: int = 3) -> Image.Image:
    """The `count` tagged pictures with the least sure objects, annotated, least sure first."""
    found = heapq.nsmallest(count, read_doubtful(output_dir), key=lambda row: row[0])
    cell = SHEET_WIDTH // columns, round(SHEET_WIDTH / columns * 0.64)
    rows = max(1, -(-len(found) // columns))
    sheet = Image.new("RGB", (cell[0] * columns, cell[1] * rows), "white")
    for i, (_, result) in enumerate(found):
        with Image.open(image_dir / result["image"]) as photo:
            picture = annotate(ImageOps.exif_transpose(photo).convert("RGB"), result["objects"])
        tile = captioned(picture, result["image"], cell)
        sheet.paste(tile, (i % columns * cell[0], i // columns * cell[1]))
    return sheet


def read_doubtful(output_dir: Path) -> Iterable[tuple[tuple[float, str], dict]]:
    """((lowest confidence, name), result) of every picture in which something was found."""
    for path in sorted((output_dir / "images").rglob("*.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        if result["objects"]:
            yield (min(o["confidence"] for o in result["objects"]), result["image"]), result


def annotate(photo: Image.Image, objects: list[dict]) -> Image.Image:
    """Draw boxes with label and confidence, a colour a label; sizes follow the photo's."""
    draw = ImageDraw.Draw(photo)
    line = max(2, max(photo.size) // 320)
    font = ImageFont.truetype(str(chinese_font()), max(14, max(photo.size) // 42))
    for i, found in enumerate(reversed(objects)):
        colour = COLOURS[found["label_id"] % len(COLOURS)]
        text = f"{found['label']} {found['confidence']:.2f}"
        x, y = found["bbox"][:2] if found["bbox"] else (line, line + i * 1.3 * font.size)
        if found["bbox"]:
            draw.rectangle(found["bbox"], outline=colour, width=line)
        right, height = draw.textlength(text, font), 1.25 * font.size
        x, y = min(x, photo.width - right - 2 * line), max(0, y - height if found["bbox"] else y)
        draw.rectangle((x, y, x + right + 2 * line, y + height), fill=colour)
        draw.text((x + line, y - 0.12 * font.size), text, "white", font)
    return photo


def captioned(picture: Image.Image, caption: str, cell: tuple[int, int]) -> Image.Image:
    """A cell of the sheet: the picture as large as fits, its name below."""
    tile = Image.new("RGB", cell, "white")
    font = ImageFont.truetype(str(chinese_font()), 18)
    picture = ImageOps.contain(picture, (cell[0] - 16, cell[1] - 40), Image.Resampling.LANCZOS)
    tile.paste(picture, ((cell[0] - picture.width) // 2, 8))
    ImageDraw.Draw(tile).text((cell[0] / 2, cell[1] - 28), caption, "#333", font, anchor="ma")
    return tile


def stage_bars(rows: dict[str, dict[str, float]]) -> Axes:
    """A bar a row, stacked by stage, in shares of its own total; the total, in seconds, at its end."""
    style()
    stages = list(dict.fromkeys(stage for seconds in rows.values() for stage in seconds))
    _, axes = plt.subplots(figsize=(9, 0.9 + 0.7 * len(rows)))
    for name, seconds in list(rows.items())[::-1]:
        total, left = sum(seconds.values()), 0.0
        for stage, colour in zip(stages, COLOURS, strict=False):
            share = seconds.get(stage, 0.0) / total
            axes.barh(name, share, left=left, color=colour, label=stage)
            if share > 0.07:
                axes.text(left + share / 2, name, f"{share:.0%}", ha="center", va="center", color="white")
            left += share
        axes.text(1.01, name, f"{total:.3g} s", va="center")
    named = dict(zip(*axes.get_legend_handles_labels()[::-1], strict=True))
    titles = [f"{stage} {CHINESE.get(stage, '')}" for stage in stages]
    axes.legend([named[stage] for stage in stages], titles, ncols=len(stages), loc="lower left", bbox_to_anchor=(0, 1))
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel("share of the time a picture takes 每张图片耗时占比")
    return axes


def utilisation(table: pd.DataFrame) -> Axes:
    """How busy CPU and GPUs are over time, from a Monitor's table."""
    style()
    _, axes = plt.subplots(figsize=(9, 2.6))
    gpus = [column for column in table if column.startswith("gpu ") and column[4:].isdigit()]
    for column, colour in zip(["cpu", *gpus], COLOURS, strict=False):
        axes.plot(
            table["seconds"], table[column], color=colour, label=f"{column.upper()}, mean {table[column].mean():.0f} %"
        )
    axes.set_ylim(0, 105)
    axes.set_xlabel("seconds 秒")
    axes.set_ylabel("busy 占用 %")
    axes.legend(loc="lower right")
    return axes


def waterfall(seconds: dict[str, float]) -> Axes:
    """Seconds a picture, a bar a step; pale what it saved of the fastest before, in the second colour what it lost.

    A step that takes over one and a half times as long as the first is cut off.
    """
    style()
    _, axes = plt.subplots(figsize=(9, 1.2 + 0.45 * len(seconds)))
    first = best = next(iter(seconds.values()), 1.0)
    for name, now in seconds.items():
        end = min(now, 1.5 * first)
        axes.barh(name, min(end, best), color=COLOURS[0])
        lost = {"color": COLOURS[1], "hatch": "//" if end < now else "", "edgecolor": "white", "linewidth": 0}
        axes.barh(name, max(0.0, end - best), left=best, **lost)
        axes.barh(name, max(0.0, best - end), left=end, color=COLOURS[0], alpha=0.2)
        gain = "" if name == next(iter(seconds)) else f"  × {best / now:.2f}"
        axes.text(max(end, best), name, f"  {now:.3g} s{gain}", va="center")
        best = min(best, now)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.8 * first)
    cut = "; hatched: cut off 斜线为截断" if max(seconds.values(), default=0.0) > 1.5 * first else ""
    axes.set_xlabel(f"seconds a picture 秒/张; pale: saved 浅色为省下; orange: lost 橙色为变慢{cut}")
    axes.set_title("× against the fastest step before 相对此前最快一步的倍数")
    return axes


def speed_against_tags(rows: dict[str, Row], min_agreement: float) -> Figure:
    """Pictures a second against agreement with the default and, where there is ground truth, accuracy; 95 % bars."""
    style()
    shown = {"agreement 一致率": "agreement", "accuracy 准确率": "accuracy"}
    shown = {title: share for title, share in shown.items() if any(getattr(row, share) for row in rows.values())}
    figure, panels = plt.subplots(1, max(1, len(shown)), figsize=(9, 3.2), layout="constrained", squeeze=False)
    for panel, (title, share) in zip(panels[0], shown.items(), strict=False):
        for (name, row), colour in zip(rows.items(), COLOURS, strict=False):
            if found := getattr(row, share):
                spread = [[found.value - found.low], [found.high - found.value]]
                rate = 1 / row.spread.median
                panel.errorbar(rate, found.value, yerr=spread, fmt="o", capsize=4, color=colour, label=name)
        panel.set_xscale("log")
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.xaxis.set_major_formatter("{x:g}")
        panel.xaxis.set_minor_formatter(NullFormatter())
        panel.yaxis.set_major_formatter(PercentFormatter(1))
        panel.set_xlabel("pictures a second 张/秒")
        panel.set_title(f"{title}, 95 % interval 区间")
        if share == "agreement":
            panel.axhline(min_agreement, color="#888", linestyle=":", label=f"min_agreement {min_agreement:g}")
    named = {
        name: handle for panel in panels[0] for handle, name in zip(*panel.get_legend_handles_labels(), strict=True)
    }
    names = sorted(named, key=lambda name: list(rows).index(name) if name in rows else len(rows))
    panels[0, -1].legend([named[name] for name in names], names, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def batch_curve(curve: pd.DataFrame) -> Figure:
    """Throughput, latency and memory against the batch size, from Ladder.curve()."""
    style()
    figure, panels = plt.subplots(1, 3, figsize=(9, 2.6), layout="constrained")
    titles = "throughput 吞吐 (pictures/s)", "latency 延迟 (ms a batch)", "peak memory 峰值内存 (MB)"
    for panel, column, title, colour in zip(panels, curve, titles, COLOURS, strict=False):
        panel.plot(curve.index, curve[column], marker="o", color=colour)
        panel.set_xscale("log", base=2)
        panel.set_xticks(curve.index, [str(size) for size in curve.index])
        if column == "latency ms":
            panel.set_yscale("log", base=2)
            panel.yaxis.set_major_formatter("{x:g}")
        else:
            panel.set_ylim(0, 1.1 * curve[column].max())
        panel.set_xlabel("batch size 批大小")
        panel.set_title(title)
    return figure
