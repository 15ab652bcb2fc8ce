"""Brushes shared by the drawn products: colours, gradients, shapes, as SVG markup on a canvas of 200 x 200."""

import colorsys

import numpy as np


def colour(rng: np.random.Generator, hues=(0.0, 1.0), saturation=(0.35, 0.85), value=(0.45, 0.95)) -> str:
    """A random colour within bounds, as #rrggbb."""
    rgb = colorsys.hsv_to_rgb(rng.uniform(*hues) % 1, rng.uniform(*saturation), rng.uniform(*value))
    return "#" + "".join(f"{round(255 * c):02x}" for c in rgb)


def neutral(rng: np.random.Generator, darkest: float = 0.12, lightest: float = 0.95) -> str:
    """A grey, nearly: what devices and furniture come in."""
    return colour(rng, saturation=(0.0, 0.08), value=(darkest, lightest))


def shade(base: str, factor: float) -> str:
    """`base` made darker (factor below 1) or lighter (above 1)."""
    channels = [int(base[i : i + 2], 16) for i in (1, 3, 5)]
    lifted = [c * factor if factor < 1 else c + (255 - c) * (factor - 1) for c in channels]
    return "#" + "".join(f"{round(min(255, c)):02x}" for c in lifted)


def across(name: str, base: str, light: float = 1.25, dark: float = 0.72) -> str:
    """A gradient named `name`, light on the left, dark on the right."""
    return ramp(name, ((0, shade(base, light)), (0.45, base), (1, shade(base, dark))), 'x1="0" y1="0" x2="1" y2="0.25"')


def tube(name: str, base: str) -> str:
    """A gradient as on a cylinder: dark rims, a bright line left of the middle."""
    stops = (0, shade(base, 0.6)), (0.28, shade(base, 1.45)), (0.6, base), (1, shade(base, 0.5))
    return ramp(name, stops, 'x1="0" y1="0" x2="1" y2="0"')


def ball(name: str, base: str) -> str:
    """A gradient as on a ball lit from the upper left."""
    stops = "".join(
        f'<stop offset="{at}" stop-color="{c}"/>'
        for at, c in ((0, shade(base, 1.5)), (0.5, base), (1, shade(base, 0.6)))
    )
    return f'<radialGradient id="{name}" cx="0.35" cy="0.3" r="0.8">{stops}</radialGradient>'


def ramp(name: str, stops, direction: str) -> str:
    inner = "".join(f'<stop offset="{at}" stop-color="{c}"/>' for at, c in stops)
    return f'<linearGradient id="{name}" {direction}>{inner}</linearGradient>'


def path(d: str, fill: str = "none", **attributes) -> str:
    return f'<path d="{d}" fill="{fill}"{written(attributes)}/>'


def box(x, y, width, height, fill: str, radius=0, **attributes) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{radius:.1f}"'
    return f'<rect {place} fill="{fill}"{written(attributes)}/>'


def hand(y, width, length, fill: str, degrees: float) -> str:
    """A clock's hand or tick: upright at the centre line from `y` down, then turned about the centre."""
    return box(100 - width / 2, y, width, length, fill, width / 2, transform=f"rotate({degrees:.0f} 100 100)")


def oval(x, y, rx, ry, fill: str, **attributes) -> str:
    return f'<ellipse cx="{x:.1f}" cy="{y:.1f}" rx="{rx:.1f}" ry="{ry:.1f}" fill="{fill}"{written(attributes)}/>'


def line(d: str, stroke: str, width: float, **attributes) -> str:
    """A stroked path with round ends."""
    return path(
        d, stroke=stroke, stroke_width=f"{width:.1f}", stroke_linecap="round", stroke_linejoin="round", **attributes
    )


def written(attributes: dict) -> str:
    return "".join(f' {name.replace("_", "-")}="{value}"' for name, value in attributes.items())
