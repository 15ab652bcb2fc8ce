"""Brushes that all drawings share: colours, gradients and shapes as SVG markup, and the picture made of it."""

import colorsys
import io
from collections.abc import Iterable

import numpy as np
import resvg_py
from PIL import Image

Range = tuple[float, float]
Stop = tuple[float, str]  # where on a gradient, from 0 to 1, and its colour there

DOWNWARDS = 'x1="0" y1="0" x2="0" y2="1"'
RIGHTWARDS = 'x1="0" y1="0" x2="1" y2="0"'


def picture_of(svg: str) -> Image.Image:
    """Returns the picture that an SVG document shows, RGBA."""
    png = resvg_py.svg_to_bytes(svg_string=svg, skip_system_fonts=True)
    return Image.open(io.BytesIO(png))


def colour(
    rng: np.random.Generator, hues: Range = (0.0, 1.0), saturation: Range = (0.35, 0.85), value: Range = (0.45, 0.95)
) -> str:
    """Returns a random colour within bounds, as #rrggbb."""
    hue = rng.uniform(*hues) % 1
    rgb = colorsys.hsv_to_rgb(hue, rng.uniform(*saturation), rng.uniform(*value))
    return _hexadecimal(255 * channel for channel in rgb)


def neutral(rng: np.random.Generator, darkest: float = 0.12, lightest: float = 0.95) -> str:
    """A grey, nearly: what devices and furniture come in."""
    return colour(rng, saturation=(0.0, 0.08), value=(darkest, lightest))


def shade(base: str, factor: float) -> str:
    """`base` made darker (factor below 1) or lighter (above 1)."""
    channels = [int(base[i : i + 2], 16) for i in (1, 3, 5)]
    if factor < 1:
        return _hexadecimal(channel * factor for channel in channels)
    return _hexadecimal(channel + (255 - channel) * (factor - 1) for channel in channels)


def _hexadecimal(channels: Iterable[float]) -> str:
    digits = [f"{round(min(255, channel)):02x}" for channel in channels]
    return "#" + "".join(digits)


def across(name: str, base: str, light: float = 1.25, dark: float = 0.72) -> str:
    """A gradient named `name`, light on the left, dark on the right."""
    stops = (0, shade(base, light)), (0.45, base), (1, shade(base, dark))
    return ramp(name, stops, 'x1="0" y1="0" x2="1" y2="0.25"')


def tube(name: str, base: str) -> str:
    """A gradient as on a cylinder: dark rims, a bright line left of the middle."""
    stops = (0, shade(base, 0.6)), (0.28, shade(base, 1.45)), (0.6, base), (1, shade(base, 0.5))
    return ramp(name, stops, RIGHTWARDS)


def ball(name: str, base: str) -> str:
    """A gradient as on a ball lit from the upper left."""
    stops = (0, shade(base, 1.5)), (0.5, base), (1, shade(base, 0.6))
    return pool(name, stops, 'cx="0.35" cy="0.3" r="0.8"')


def ramp(name: str, stops: Iterable[Stop], direction: str) -> str:
    """A gradient along a line."""
    return f'<linearGradient id="{name}" {direction}>{_stops(stops)}</linearGradient>'


def pool(name: str, stops: Iterable[Stop], place: str) -> str:
    """A gradient around a point."""
    return f'<radialGradient id="{name}" {place}>{_stops(stops)}</radialGradient>'


def _stops(stops: Iterable[Stop]) -> str:
    return "".join(f'<stop offset="{at}" stop-color="{colour_there}"/>' for at, colour_there in stops)


def path(d: str, fill: str = "none", **attributes: object) -> str:
    return f'<path d="{d}" fill="{fill}"{_written(attributes)}/>'


def box(x: float, y: float, width: float, height: float, fill: str, radius: float = 0, **attributes: object) -> str:
    """A rectangle, its corners round where `radius` says so."""
    place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{radius:.1f}"'
    return f'<rect {place} fill="{fill}"{_written(attributes)}/>'


def hand(y: float, width: float, length: float, fill: str, degrees: float) -> str:
    """A clock's hand or tick: upright at the centre line from `y` down, then turned about the centre."""
    return box(100 - width / 2, y, width, length, fill, width / 2, transform=f"rotate({degrees:.0f} 100 100)")


def oval(x: float, y: float, rx: float, ry: float, fill: str, **attributes: object) -> str:
    return f'<ellipse cx="{x:.1f}" cy="{y:.1f}" rx="{rx:.1f}" ry="{ry:.1f}" fill="{fill}"{_written(attributes)}/>'


def line(d: str, stroke: str, width: float, **attributes: object) -> str:
    """A stroked path with round ends."""
    return path(
        d,
        "none",
        stroke=stroke,
        stroke_width=f"{width:.1f}",
        stroke_linecap="round",
        stroke_linejoin="round",
        **attributes,
    )


def _written(attributes: dict[str, object]) -> str:
    return "".join(f' {name.replace("_", "-")}="{value}"' for name, value in attributes.items())
