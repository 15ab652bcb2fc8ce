"""Backgrounds for the drawn scenes: a wall and a table, a flat lay, a studio sweep, a shelf.

Each is drawn small as SVG and enlarged: the softness reads as depth of field, and it is quick. The clutter in
them (frames, leaves, stripes, bokeh) is there on purpose: the detector must learn to leave it alone.
"""

import numpy as np
from PIL import Image

from .paint import DOWNWARDS, RIGHTWARDS, Range, box, colour, picture_of, pool, ramp, shade

VIEW = 480  # longest side of the drawing's own coordinates
SHARE = 4  # drawn at a quarter of the size, then enlarged
BRIGHT = (0.55, 0.97)


def draw_background(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """Draw one background of `size` = (width, height) pixels, RGB. The same generator state, the same bytes."""
    width, height = size
    zoom = VIEW / max(size)
    w, h = width * zoom, height * zoom
    draw = BACKGROUNDS[rng.integers(len(BACKGROUNDS))]
    drawn = f'width="{width // SHARE}" height="{height // SHARE}" viewBox="0 0 {w:.0f} {h:.0f}"'
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" preserveAspectRatio="none" {drawn}>'
    image = picture_of(f"{opening}{draw(rng, w, h)}</svg>")
    return image.convert("RGB").resize(size, Image.Resampling.BICUBIC)


def wall_and_table(rng: np.random.Generator, w: float, h: float) -> str:
    """A room seen from the front: wall with a picture frame or a window's light, and a table top below."""
    wall, table = _tone(rng, (0.05, 0.35)), _tone(rng, (0.1, 0.5), (0.45, 0.9))
    edge = h * rng.uniform(0.55, 0.8)
    body = ramp("wall", ((0, wall), (1, shade(wall, 0.8))), DOWNWARDS)
    body += ramp("table", ((0, shade(table, 0.75)), (1, table)), DOWNWARDS)
    body += box(0, 0, w, h, "url(#wall)")
    if rng.random() < 0.5:
        x, y, fw, fh = rng.uniform(0, 0.8) * w, rng.uniform(0, 0.2) * h, 0.2 * w, 0.35 * h
        body += box(x, y, fw, fh, shade(wall, 0.65)) + box(x + 5, y + 5, fw - 10, fh - 10, _tone(rng, (0, 0.5)))
    if rng.random() < 0.5:
        x = rng.uniform(0, 0.7) * w
        light = f"{x:.0f},0 {x + 0.2 * w:.0f},0 {x + 0.4 * w:.0f},{edge:.0f} {x + 0.15 * w:.0f},{edge:.0f}"
        body += f'<polygon points="{light}" fill="#fff" opacity="0.22"/>'
    return body + box(0, edge, w, h, "url(#table)") + box(0, edge, w, 2, shade(table, 0.6))


def flat_lay(rng: np.random.Generator, w: float, h: float) -> str:
    """A surface seen from above: plain, boards of wood, or a striped cloth, with leaves at its rim."""
    base = _tone(rng, (0.05, 0.45), (0.5, 0.97))
    direction = (RIGHTWARDS, DOWNWARDS)[rng.integers(2)]
    body = ramp("base", ((0, base), (1, shade(base, 0.82))), direction) + box(0, 0, w, h, "url(#base)")
    pitch = rng.uniform(0.06, 0.2) * w
    kind = rng.integers(3)
    for i in range(int(w / pitch) + 1 if kind else 0):
        x = i * pitch
        if kind == 1:
            body += box(x, 0, pitch - 1.5, h, shade(base, rng.uniform(0.85, 1.0)))
            body += box(x, 0, 1, h, shade(base, 0.5))
        else:
            body += box(x, 0, pitch / 2, h, shade(base, 0.88))
    for _ in range(rng.integers(0, 5)):
        body += _leaf(rng, rng.choice([0, w]) + rng.normal(0, 0.06 * w), rng.uniform(0, h), 0.13 * w)
    return body


def studio_sweep(rng: np.random.Generator, w: float, h: float) -> str:
    """A photographer's paper sweep: one colour, a pool of light, sometimes soft discs of bokeh."""
    paper = _tone(rng, (0.0, 0.6), (0.35, 0.98))
    x, y = rng.uniform(0.25, 0.75), rng.uniform(0.25, 0.7)
    body = pool("pool", ((0, paper), (1, shade(paper, 0.6))), f'cx="{x:.2f}" cy="{y:.2f}" r="0.8"')
    body += box(0, 0, w, h, "url(#pool)")
    for _ in range(rng.integers(0, 9)):
        cx, cy, r = rng.uniform(0, w), rng.uniform(0, h), rng.uniform(0.01, 0.06) * w
        body += f'<circle cx="{cx:.0f}" cy="{cy:.0f}" r="{r:.1f}" fill="#fff" opacity="{rng.uniform(0.04, 0.2):.2f}"/>'
    return body


def shelf(rng: np.random.Generator, w: float, h: float) -> str:
    """Shelf boards over a patterned wall, with the backs of books and plain boxes on them."""
    wall, board = _tone(rng, (0.0, 0.3)), _tone(rng, (0.2, 0.5), (0.3, 0.8))
    body = box(0, 0, w, h, wall)
    pitch = rng.uniform(0.04, 0.09) * w
    for i in range(int(w / pitch) + 1):
        body += box(i * pitch, 0, 1, h, shade(wall, 0.9))
    for y in np.arange(rng.uniform(0.25, 0.5), 1.0, 0.45) * h:
        x = rng.uniform(0, 0.8) * w
        for _ in range(rng.integers(0, 7)):
            bw, bh = rng.uniform(0.012, 0.04) * w, rng.uniform(0.1, 0.22) * h
            body += box(x, y - bh, bw, bh, _tone(rng, (0.1, 0.6), (0.25, 0.85)))
            x += bw + 1
        body += box(0, y, w, 0.03 * h, board) + box(0, y + 0.03 * h, w, 0.015 * h, shade(wall, 0.75))
    return body


BACKGROUNDS = (wall_and_table, flat_lay, studio_sweep, shelf)


def _leaf(rng: np.random.Generator, x: float, y: float, length: float) -> str:
    """A leaf that reaches into the picture from its rim."""
    green = colour(rng, (0.22, 0.42), (0.3, 0.6), (0.3, 0.7))
    d = f"M0 0 Q{length / 2:.0f} {-length / 3:.0f} {length:.0f} 0 Q{length / 2:.0f} {length / 3:.0f} 0 0 Z"
    return f'<path transform="translate({x:.0f} {y:.0f}) rotate({rng.uniform(0, 360):.0f})" d="{d}" fill="{green}"/>'


def _tone(rng: np.random.Generator, saturation: Range, value: Range = BRIGHT) -> str:
    """A muted colour of any hue."""
    return colour(rng, saturation=saturation, value=value)
