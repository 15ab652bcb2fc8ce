"""Backgrounds for the drawn scenes: a wall and a table, a flat lay, a studio sweep, a shelf.

Each is drawn small as SVG and enlarged: the softness reads as depth of field, and it is quick. The clutter in
them (frames, leaves, stripes, bokeh) is there on purpose: the detector must learn to leave it alone.
"""

import colorsys
import io

import numpy as np
import resvg_py
from PIL import Image

VIEW = 480  # longest side of the drawing's own coordinates
SHARE = 4  # drawn at a quarter of the size, then enlarged


def draw_background(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """Draw one background of `size` = (width, height) pixels, RGB. The same generator state, the same bytes."""
    zoom = VIEW / max(size)
    view = (size[0] * zoom, size[1] * zoom)
    body = BACKGROUNDS[rng.integers(len(BACKGROUNDS))](rng, *view)
    drawn = f'width="{size[0] // SHARE}" height="{size[1] // SHARE}" viewBox="0 0 {view[0]:.0f} {view[1]:.0f}"'
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" preserveAspectRatio="none" {drawn}>{body}</svg>'
    png = resvg_py.svg_to_bytes(svg_string=svg, skip_system_fonts=True)
    return Image.open(io.BytesIO(png)).convert("RGB").resize(size, Image.Resampling.BICUBIC)


def wall_and_table(rng, w, h) -> str:
    """A room seen from the front: wall with a picture frame or a window's light, and a table top below."""
    wall, table = tone(rng, 0.05, 0.35), tone(rng, 0.1, 0.5, value=(0.45, 0.9))
    edge = h * rng.uniform(0.55, 0.8)
    body = gradient("wall", wall, darker(wall, 0.8), 1) + gradient("table", darker(table, 0.75), table, 1)
    body += rect(0, 0, w, h, "url(#wall)")
    if rng.random() < 0.5:
        x, y, fw, fh = rng.uniform(0, 0.8) * w, rng.uniform(0, 0.2) * h, 0.2 * w, 0.35 * h
        body += rect(x, y, fw, fh, darker(wall, 0.65)) + rect(x + 5, y + 5, fw - 10, fh - 10, tone(rng, 0, 0.5))
    if rng.random() < 0.5:
        x = rng.uniform(0, 0.7) * w
        light = f"{x:.0f},0 {x + 0.2 * w:.0f},0 {x + 0.4 * w:.0f},{edge:.0f} {x + 0.15 * w:.0f},{edge:.0f}"
        body += f'<polygon points="{light}" fill="#fff" opacity="0.22"/>'
    return body + rect(0, edge, w, h, "url(#table)") + rect(0, edge, w, 2, darker(table, 0.6))


def flat_lay(rng, w, h) -> str:
    """A surface seen from above: plain, boards of wood, or a striped cloth, with leaves at its rim."""
    base = tone(rng, 0.05, 0.45, value=(0.5, 0.97))
    body = gradient("base", base, darker(base, 0.82), rng.integers(2)) + rect(0, 0, w, h, "url(#base)")
    pitch = rng.uniform(0.06, 0.2) * w
    kind = rng.integers(3)
    for i in range(int(w / pitch) + 1 if kind else 0):
        x = i * pitch
        if kind == 1:
            body += rect(x, 0, pitch - 1.5, h, darker(base, rng.uniform(0.85, 1.0)))
            body += rect(x, 0, 1, h, darker(base, 0.5))
        else:
            body += rect(x, 0, pitch / 2, h, darker(base, 0.88))
    for _ in range(rng.integers(0, 5)):
        body += leaf(rng, rng.choice([0, w]) + rng.normal(0, 0.06 * w), rng.uniform(0, h), 0.13 * w)
    return body


def studio_sweep(rng, w, h) -> str:
    """A photographer's paper sweep: one colour, a pool of light, sometimes soft discs of bokeh."""
    paper = tone(rng, 0.0, 0.6, value=(0.35, 0.98))
    x, y = rng.uniform(0.25, 0.75), rng.uniform(0.25, 0.7)
    body = (
        f'<radialGradient id="pool" cx="{x:.2f}" cy="{y:.2f}" r="0.8"><stop offset="0" stop-color="{paper}"/>'
        f'<stop offset="1" stop-color="{darker(paper, 0.6)}"/></radialGradient>'
    ) + rect(0, 0, w, h, "url(#pool)")
    for _ in range(rng.integers(0, 9)):
        cx, cy, r = rng.uniform(0, w), rng.uniform(0, h), rng.uniform(0.01, 0.06) * w
        body += f'<circle cx="{cx:.0f}" cy="{cy:.0f}" r="{r:.1f}" fill="#fff" opacity="{rng.uniform(0.04, 0.2):.2f}"/>'
    return body


def shelf(rng, w, h) -> str:
    """Shelf boards over a patterned wall, with the backs of books and plain boxes on them."""
    wall, board = tone(rng, 0.0, 0.3), tone(rng, 0.2, 0.5, value=(0.3, 0.8))
    body = rect(0, 0, w, h, wall)
    pitch = rng.uniform(0.04, 0.09) * w
    for i in range(int(w / pitch) + 1):
        body += rect(i * pitch, 0, 1, h, darker(wall, 0.9))
    for y in np.arange(rng.uniform(0.25, 0.5), 1.0, 0.45) * h:
        x = rng.uniform(0, 0.8) * w
        for _ in range(rng.integers(0, 7)):
            bw, bh = rng.uniform(0.012, 0.04) * w, rng.uniform(0.1, 0.22) * h
            body += rect(x, y - bh, bw, bh, tone(rng, 0.1, 0.6, value=(0.25, 0.85)))
            x += bw + 1
        body += rect(0, y, w, 0.03 * h, board) + rect(0, y + 0.03 * h, w, 0.015 * h, darker(wall, 0.75))
    return body


BACKGROUNDS = (wall_and_table, flat_lay, studio_sweep, shelf)


def leaf(rng, x, y, length) -> str:
    """A leaf that reaches into the picture from its rim."""
    green = tone(rng, 0.3, 0.6, value=(0.3, 0.7), hue=(0.22, 0.42))
    d = f"M0 0 Q{length / 2:.0f} {-length / 3:.0f} {length:.0f} 0 Q{length / 2:.0f} {length / 3:.0f} 0 0 Z"
    return f'<path transform="translate({x:.0f} {y:.0f}) rotate({rng.uniform(0, 360):.0f})" d="{d}" fill="{green}"/>'


def rect(x, y, w, h, fill) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" fill="{fill}"/>'


def gradient(name, first, last, vertical) -> str:
    end = 'x2="0" y2="1"' if vertical else 'x2="1" y2="0"'
    stops = f'<stop offset="0" stop-color="{first}"/><stop offset="1" stop-color="{last}"/>'
    return f'<linearGradient id="{name}" x1="0" y1="0" {end}>{stops}</linearGradient>'


def tone(rng, least, most, value=(0.55, 0.97), hue=(0.0, 1.0)) -> str:
    """A colour of moderate saturation (`least`..`most`), as #rrggbb."""
    rgb = colorsys.hsv_to_rgb(rng.uniform(*hue), rng.uniform(least, most), rng.uniform(*value))
    return "#" + "".join(f"{round(255 * c):02x}" for c in rgb)


def darker(colour: str, factor: float) -> str:
    return "#" + "".join(f"{round(int(colour[i : i + 2], 16) * factor):02x}" for i in (1, 3, 5))
