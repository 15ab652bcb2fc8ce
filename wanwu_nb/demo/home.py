"""家居: desk lamp, chair, mug, vase, wall clock."""

import math

import numpy as np

from .paint import across, ball, box, colour, hand, line, neutral, oval, path, shade, tube


def desk_lamp(rng: np.random.Generator) -> str:
    base = colour(rng) if rng.random() < 0.7 else neutral(rng, 0.15)
    elbow_x, elbow_y = rng.uniform(48, 66), rng.uniform(84, 104)
    head_x, head_y = rng.uniform(112, 128), rng.uniform(36, 48)
    svg = across("paint", base) + ball("bulb", "#ffd979")
    svg += line(f"M92 180 L{elbow_x:.0f} {elbow_y:.0f} L{head_x:.0f} {head_y:.0f}", shade(base, 0.6), 8)
    svg += line(f"M92 180 L{elbow_x:.0f} {elbow_y:.0f} L{head_x:.0f} {head_y:.0f}", shade(base, 1.3), 3)
    svg += oval(elbow_x, elbow_y, 8, 8, shade(base, 0.5)) + oval(elbow_x, elbow_y, 3.5, 3.5, "#d8dbe0")
    svg += oval(96, 184, 46, 11, shade(base, 0.5)) + oval(96, 180, 46, 11, "url(#paint)")
    turn = rng.uniform(15, 40)
    svg += f'<g transform="translate({head_x:.1f} {head_y:.1f}) rotate({-turn:.0f})">'
    svg += oval(0, 46, 15, 13, "url(#bulb)") + path(
        "M-12 -12 Q0 -24 12 -12 L40 42 Q0 58 -40 42 Z", "url(#paint)", stroke=shade(base, 0.6), stroke_width=2
    )
    return (
        svg
        + oval(0, 43, 39, 8, "#ffe9a6")
        + oval(0, 44, 22, 4, "#ffffff")
        + box(-7, -27, 14, 14, shade(base, 0.55), 4)
        + "</g>"
    )


def chair(rng: np.random.Generator) -> str:
    wood = colour(rng, hues=(0.05, 0.11), saturation=(0.35, 0.65), value=(0.35, 0.85))
    seat = colour(rng) if rng.random() < 0.6 else wood
    svg = across("wood", wood) + across("seat", seat)
    svg += line("M66 116 L58 168 M146 112 L156 164", shade(wood, 0.55), 8)
    svg += line("M50 122 L40 192 M132 126 L140 194", shade(wood, 0.8), 9) + line(
        "M47 160 L136 164", shade(wood, 0.65), 5
    )
    svg += line("M60 110 L52 12 M148 106 L146 10", "url(#wood)", 9)
    if rng.random() < 0.5:
        svg += path("M48 14 Q98 4 150 12 L150 66 Q98 58 54 68 Z", "url(#seat)", stroke=shade(seat, 0.6), stroke_width=2)
    else:
        svg += "".join(
            line(f"M{53 + 2 * i} {20 + 24 * i} Q98 {12 + 24 * i} 147 {18 + 24 * i}", "url(#wood)", 10) for i in range(3)
        )
    svg += path(
        "M56 100 L150 96 Q160 112 152 122 Q96 134 42 126 Q36 114 56 100 Z",
        "url(#seat)",
        stroke=shade(seat, 0.55),
        stroke_width=2,
    )
    return svg + path("M42 126 Q96 134 152 122 L152 128 Q96 142 43 133 Z", shade(seat, 0.5))


def mug(rng: np.random.Generator) -> str:
    base = colour(rng) if rng.random() < 0.7 else neutral(rng, 0.7)
    height, inside = rng.uniform(112, 138), shade(base, 0.45)
    top = 100 - height / 2
    bottom = 100 + height / 2
    svg = tube("glaze", base)
    svg += path(
        f"M134 {top + 24:.0f} Q190 {top + 20:.0f} 184 104 Q178 {bottom - 20:.0f} 132 {bottom - 26:.0f}",
        stroke=shade(base, 0.7),
        stroke_width=15,
    )
    svg += path(
        f"M135 {top + 24:.0f} Q188 {top + 20:.0f} 182 104 Q176 {bottom - 22:.0f} 132 {bottom - 28:.0f}",
        stroke=shade(base, 1.15),
        stroke_width=6,
    )
    svg += path(
        f"M24 {top:.0f} L30 {bottom - 8:.0f} Q84 {bottom + 14:.0f} 136 {bottom - 8:.0f} L142 {top:.0f} Z", "url(#glaze)"
    )
    svg += (
        oval(83, top, 59, 13, shade(base, 1.4))
        + oval(83, top + 1, 52, 10, inside)
        + oval(83, top + 4, 46, 7, "#5a3217")
    )
    kind, second = rng.integers(4), colour(rng)
    if kind == 0:
        svg += path("M83 132 Q58 112 62 96 Q72 84 83 98 Q94 84 104 96 Q108 112 83 132 Z", second)
    elif kind == 1:
        svg += path("M27 108 Q84 128 139 108 L138 124 Q84 144 28 124 Z", second)
    elif kind == 2:
        svg += "".join(oval(x, y, 7, 7, second) for x, y in ((52, 96), (84, 104), (116, 96), (66, 126), (102, 126)))
    return svg


def vase(rng: np.random.Generator) -> str:
    base, belly, neck = colour(rng), rng.uniform(38, 52), rng.uniform(13, 20)
    svg = tube("glaze", base)
    for _ in range(int(rng.integers(2, 5))):
        x, y = rng.uniform(58, 142), rng.uniform(14, 46)
        svg += line(f"M100 96 Q{(x + 100) / 2:.0f} 60 {x:.0f} {y:.0f}", "#3f7d3a", 3.2)
        svg += oval(
            (100 + x) / 2,
            (80 + y) / 2 + 8,
            8,
            3.5,
            "#58a14e",
            transform=f"rotate({rng.uniform(-50, 50):.0f} {(100 + x) / 2:.0f} {(80 + y) / 2:.0f})",
        )
        petal = colour(rng, value=(0.75, 1.0))
        for i in range(6):
            angle = i * math.pi / 3
            svg += oval(x + 8 * math.cos(angle), y + 8 * math.sin(angle), 6, 6, petal)
        svg += oval(x, y, 5, 5, "#f5c542")
    foot, left, right = 0.55 * belly, 100 - belly, 100 + belly
    outline = f"M{100 - neck:.0f} 78 Q{98 - neck:.0f} 98 {left:.0f} 128 Q{left - 6:.0f} 164 {100 - foot:.0f} 194"
    outline += f" L{100 + foot:.0f} 194 Q{right + 6:.0f} 164 {right:.0f} 128 Q{102 + neck:.0f} 98 {100 + neck:.0f} 78 Z"
    svg += (
        path(outline, "url(#glaze)")
        + oval(100, 78, neck + 4, 5, shade(base, 1.4))
        + oval(100, 78, neck, 3, shade(base, 0.4))
    )
    if rng.random() < 0.6:
        second = colour(rng)
        for y in (128, 144):
            down = f"M{left + 2:.0f} {y} Q100 {y + 13} {right - 2:.0f} {y}"
            svg += path(f"{down} L{right - 2:.0f} {y + 7} Q100 {y + 20} {left + 2:.0f} {y + 7} Z", second)
    return svg + path(
        f"M{100 - belly * 0.6:.0f} 124 Q{100 - belly * 0.8:.0f} 150 {100 - belly * 0.5:.0f} 176",
        stroke="#ffffff",
        stroke_width=5,
        opacity=0.35,
    )


def clock(rng: np.random.Generator) -> str:
    frame, face = colour(rng), neutral(rng, 0.88, 1.0)
    svg = (
        across("frame", frame)
        + oval(100, 100, 92, 92, "url(#frame)")
        + oval(100, 100, 80, 80, shade(frame, 0.5))
        + oval(100, 100, 77, 77, face)
    )
    for i in range(60):
        long = 14 if i % 15 == 0 else 10 if i % 5 == 0 else 0
        if long:
            svg += hand(28, long / 2.5, long, "#23262c", 6 * i)
    hour, minute = rng.uniform(0, 12), int(rng.integers(0, 60))
    svg += hand(58, 8, 50, "#23262c", 30 * hour)
    svg += hand(38, 6, 72, "#23262c", 6 * minute)
    svg += hand(34, 2, 82, colour(rng, value=(0.7, 0.95)), rng.uniform(0, 360))
    return svg + oval(100, 100, 6, 6, "#23262c") + path("M40 70 Q60 32 104 28 Q70 46 56 84 Z", "#ffffff", opacity=0.5)
