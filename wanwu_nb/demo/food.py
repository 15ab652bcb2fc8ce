"""食品: apple, bread, milk carton, doughnut, soda can."""

import math

import numpy as np

from .paint import ball, box, colour, line, oval, path, ramp, shade, tube


def apple(rng: np.random.Generator) -> str:
    base = colour(rng, hues=(-0.03, 0.03), saturation=(0.7, 0.9), value=(0.65, 0.9))
    if rng.random() < 0.4:
        base = colour(rng, hues=(0.2, 0.28), saturation=(0.55, 0.8), value=(0.6, 0.85))
    fat = rng.uniform(70, 80)
    svg = ball("skin", base)
    left, right = round(100 - fat), round(100 + fat)
    half = f"C{100 - fat * 0.45:.0f} 42 {left} 50 {left} 106 C{left} 158 {100 - fat * 0.5:.0f} 192 100 180"
    other = f"C{100 + fat * 0.5:.0f} 192 {right} 158 {right} 106 C{right} 50 {100 + fat * 0.45:.0f} 42 100 62"
    svg += path(f"M100 62 {half} {other} Z", "url(#skin)") + oval(100, 62, 20, 6, shade(base, 0.55))
    svg += line(f"M100 64 Q98 40 {rng.uniform(104, 116):.0f} 20", "#6b4423", 7)
    svg += path("M106 42 Q128 12 162 24 Q148 54 106 42 Z", "#5fa845") + line("M110 40 Q130 28 154 27", "#3e7a2c", 2)
    svg += "".join(
        oval(x, y, 1.6, 1.6, shade(base, 1.6), opacity=0.8) for x, y in rng.uniform((50, 90), (150, 165), (14, 2))
    )
    return svg + oval(66, 92, 10, 18, "#ffffff", opacity=0.5, transform="rotate(20 66 92)")


def bread(rng: np.random.Generator) -> str:
    crust = colour(rng, hues=(0.06, 0.09), saturation=(0.6, 0.8), value=(0.55, 0.8))
    crumb, slices = shade(crust, 1.65), int(rng.integers(2, 5))
    svg = ramp("top", ((0, shade(crust, 1.3)), (0.5, crust), (1, shade(crust, 0.65))), 'x1="0" y1="0" x2="0" y2="1"')
    svg += path("M62 60 Q60 34 96 36 L168 36 Q196 40 186 70 L184 152 Q184 160 176 160 L70 160 Z", "url(#top)")
    for i in range(1, slices + 1):
        x = 104 + 72 * i / (slices + 1)
        svg += line(f"M{x:.0f} 42 Q{x + 10:.0f} 54 {x + 6:.0f} 70", shade(crust, 0.6), 5) + line(
            f"M{x + 3:.0f} 43 Q{x + 13:.0f} 55 {x + 9:.0f} 70", shade(crust, 1.5), 2
        )
    face = "M22 78 Q8 44 44 38 Q62 32 84 38 Q120 44 106 78 L106 154 Q106 162 98 162 L30 162 Q22 162 22 154 Z"
    svg += path(face, crumb, stroke=shade(crust, 0.85), stroke_width=8, stroke_linejoin="round")
    holes = rng.uniform((34, 56), (94, 150), (16, 2))
    return svg + "".join(oval(x, y, rng.uniform(1.5, 4), rng.uniform(1.2, 2.6), shade(crust, 1.3)) for x, y in holes)


def milk(rng: np.random.Generator) -> str:
    base = colour(rng, hues=(0.3, 0.95), saturation=(0.5, 0.85), value=(0.5, 0.95))
    tall = rng.uniform(0, 14)
    front = f"M46 {72 - tall:.0f} L118 {72 - tall:.0f} L118 192 L46 192 Z"
    svg = path(front, "#f7f8fa") + path(f"M118 {72 - tall:.0f} L154 {62 - tall:.0f} L154 178 L118 192 Z", "#cfd4dc")
    svg += path(
        f"M46 {72 - tall:.0f} L62 {34 - tall:.0f} L134 {34 - tall:.0f} L118 {72 - tall:.0f} Z", shade(base, 1.25)
    )
    svg += path(f"M118 {72 - tall:.0f} L134 {34 - tall:.0f} L154 {62 - tall:.0f} Z", shade(base, 0.6))
    svg += path(f"M60 {20 - tall:.0f} L136 {20 - tall:.0f} L134 {36 - tall:.0f} L62 {36 - tall:.0f} Z", base)
    wave = f"M46 {128 + tall:.0f} Q64 {112 + tall:.0f} 82 {126 + tall:.0f} T118 {124 + tall:.0f} L118 192 L46 192 Z"
    svg += path(wave, base) + path(
        f"M118 {124 + tall:.0f} Q136 {108 + tall:.0f} 154 {116 + tall:.0f} L154 178 L118 192 Z", shade(base, 0.6)
    )
    spot = colour(rng)
    if rng.random() < 0.5:
        svg += path("M82 84 Q62 112 82 116 Q102 112 82 84 Z", spot)
    else:
        svg += (
            oval(82, 100, 18, 13, "#2b2d33")
            + oval(76, 97, 4, 4, "#fff")
            + oval(90, 97, 4, 4, "#fff")
            + oval(82, 108, 9, 5, "#f2b6b0")
        )
    return svg + (
        oval(96, 52 - tall, 9, 6, "#ffffff") + oval(96, 50 - tall, 9, 6, shade(base, 0.75))
        if rng.random() < 0.5
        else ""
    )


def doughnut(rng: np.random.Generator) -> str:
    icing = (
        colour(rng) if rng.random() < 0.6 else colour(rng, hues=(0.05, 0.07), saturation=(0.6, 0.8), value=(0.25, 0.4))
    )
    hole, angles = rng.uniform(24, 32), [2 * math.pi * i / 24 for i in range(24)]
    reach = [80 + rng.uniform(-5, 4) for _ in angles]
    edge = " ".join(
        f"L{100 + r * math.cos(a):.1f} {100 + r * 0.92 * math.sin(a):.1f}" for a, r in zip(angles, reach, strict=True)
    )
    bend = f"A{hole:.1f} {hole * 0.9:.1f} 0 1 0"
    inner = f"M{100 + hole:.1f} 98 {bend} {100 - hole:.1f} 98 {bend} {100 + hole:.1f} 98 Z"
    outer = "M10 104 A90 84 0 1 0 190 104 A90 84 0 1 0 10 104 Z"
    svg = ball("dough", "#d99a55") + ball("icing", icing) + path(f"{outer} {inner}", "url(#dough)", fill_rule="evenodd")
    svg += path(
        f"M{edge[1:]} Z {inner}",
        "url(#icing)",
        fill_rule="evenodd",
        stroke="url(#icing)",
        stroke_width=5,
        stroke_linejoin="round",
    )
    svg += path(inner, stroke=shade(icing, 0.55), stroke_width=3)
    for _ in range(int(rng.integers(0, 2)) * 34):
        a, r = rng.uniform(0, 2 * math.pi), rng.uniform(hole + 9, 72)
        x, y, turn = 100 + r * math.cos(a), 100 + r * 0.9 * math.sin(a), rng.uniform(0, 180)
        svg += box(
            x - 5, y - 1.8, 10, 3.6, colour(rng, value=(0.8, 1.0)), 1.8, transform=f"rotate({turn:.0f} {x:.1f} {y:.1f})"
        )
    return svg + path("M40 78 Q58 44 98 40", stroke="#ffffff", stroke_width=6, stroke_linecap="round", opacity=0.4)


def soda(rng: np.random.Generator) -> str:
    base, second = colour(rng, saturation=(0.6, 0.95)), colour(rng)
    svg = tube("can", base) + tube("metal", "#c3c8d0")
    svg += path("M58 22 Q100 12 142 22 L150 38 L150 166 L140 186 Q100 196 60 186 L50 166 L50 38 Z", "url(#metal)")
    svg += path("M50 36 Q100 46 150 36 L150 166 Q100 178 50 166 Z", "url(#can)")
    svg += oval(100, 21, 42, 8, "#dfe3e9") + oval(100, 21, 36, 6, "#aeb4be") + oval(100, 20, 12, 3.4, "#eceff3")
    kind = rng.integers(3)
    if kind == 0:
        svg += path("M50 128 Q88 70 150 84 L150 110 Q92 98 50 152 Z", second) + path(
            "M50 152 Q92 98 150 110 L150 116 Q94 106 50 160 Z", "#ffffff"
        )
    elif kind == 1:
        svg += (
            oval(100, 104, 34, 34, "#ffffff")
            + oval(100, 104, 28, 28, second)
            + path("M100 84 Q120 104 100 126 Q80 104 100 84 Z", "#ffffff")
        )
    else:
        svg += path("M50 78 Q100 88 150 78 L150 92 Q100 102 50 92 Z", "#ffffff") + path(
            "M50 116 Q100 126 150 116 L150 140 Q100 150 50 140 Z", second
        )
    drops = rng.uniform((56, 48), (144, 160), (12, 2))
    svg += "".join(oval(x, y, 2, 2.6, "#ffffff", opacity=0.55) for x, y in drops)
    return svg + path("M64 44 L70 45 L70 168 L64 166 Z", "#ffffff", opacity=0.35)
