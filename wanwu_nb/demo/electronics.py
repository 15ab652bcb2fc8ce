"""3C: phone, laptop, headphones, smart watch, camera."""

import numpy as np

from .paint import across, ball, box, colour, hand, line, neutral, oval, path, ramp, shade, tube


def phone(rng: np.random.Generator) -> str:
    frame, one, two = neutral(rng, 0.1, 0.9), colour(rng), colour(rng)
    svg = across("frame", frame) + ramp(
        "screen", ((0, shade(one, 1.3)), (1, shade(two, 0.8))), 'x1="0" y1="0" x2="0.6" y2="1"'
    )
    svg += (
        box(52, 6, 96, 188, "url(#frame)", 18)
        + box(56, 10, 88, 180, "#0c0d10", 15)
        + box(60, 14, 80, 172, "url(#screen)", 12)
    )
    svg += box(84, 19, 32, 8, "#0c0d10", 4) + box(148, 58, 3, 26, shade(frame, 0.6), 1)
    size = rng.uniform(11, 14)
    for row in range(int(rng.integers(2, 5))):
        for column in range(4):
            svg += box(66 + 18.5 * column, 50 + 24 * row, size, size, shade(colour(rng), 1.3), 4, opacity=0.95)
    svg += box(66, 162, 68, 18, "#ffffff", 8, opacity=0.35)
    return svg + path("M60 26 Q60 14 72 14 L104 14 L60 120 Z", "#ffffff", opacity=0.16)


def laptop(rng: np.random.Generator) -> str:
    shell, one, two = neutral(rng, 0.25, 0.9), colour(rng), colour(rng)
    lean = rng.uniform(-4, 6)
    svg = across("shell", shell) + ramp(
        "screen", ((0, shade(one, 1.25)), (1, shade(two, 0.75))), 'x1="0" y1="0" x2="1" y2="1"'
    )
    left, right = 34 + lean, 166 - lean
    lid = f"M{left:.0f} 28 Q{left:.0f} 22 {left + 7:.0f} 22 L{right - 7:.0f} 22 Q{right:.0f} 22 {right:.0f} 28"
    svg += path(f"{lid} L168 128 L32 128 Z", "#15171b")
    svg += path(f"M{41 + lean:.0f} 30 L{159 - lean:.0f} 30 L160 120 L40 120 Z", "url(#screen)")
    svg += (
        box(58, 46, rng.uniform(34, 52), 40, "#ffffff", 3, opacity=0.75)
        + box(64, 54, 24, 3, one)
        + box(64, 62, 20, 3, "#999")
    )
    svg += path(f"M{41 + lean:.0f} 30 L100 30 L70 120 L40 120 Z", "#ffffff", opacity=0.1)
    svg += path("M32 128 L168 128 L192 166 L8 166 Z", "url(#shell)") + path(
        "M8 166 L192 166 Q190 174 182 174 L18 174 Q10 174 8 166 Z", shade(shell, 0.6)
    )
    for row in range(4):
        y, half = 132 + 5 * row, 58 + 3.4 * row
        svg += line(f"M{100 - half:.0f} {y} L{100 + half:.0f} {y}", "#1d2026", 3.2, stroke_dasharray="5.6 2.6")
    return svg + path("M84 154 L116 154 L119 163 L81 163 Z", shade(shell, 0.8))


def headphones(rng: np.random.Generator) -> str:
    base, pad = (colour(rng) if rng.random() < 0.6 else neutral(rng, 0.12, 0.9)), neutral(rng, 0.1, 0.3)
    wide = rng.uniform(58, 66)
    left, right = 100 - wide, 100 + wide
    svg = tube("cup", base) + across("band", base)
    svg += line(f"M{left:.0f} 120 Q{left - 4:.0f} 22 100 20 Q{right + 4:.0f} 22 {right:.0f} 120", "url(#band)", 15)
    svg += line(f"M{left + 16:.0f} 60 Q{left + 24:.0f} 32 100 29 Q{right - 24:.0f} 32 {right - 16:.0f} 60", pad, 7)
    for x, sign in ((left, 1), (right, -1)):
        svg += box(x - 5, 82, 10, 30, "#b9bec6", 3)
        svg += box(x + sign * 13 - 12, 104, 24, 72, pad, 11) + box(x - sign * 4 - 15, 100, 30, 80, "url(#cup)", 14)
        svg += oval(x - sign * 5, 140, 6, 18, shade(base, 1.5), opacity=0.5)
    return svg


def watch(rng: np.random.Generator) -> str:
    strap, case, glow = colour(rng), neutral(rng, 0.15, 0.9), colour(rng, value=(0.8, 1.0))
    svg = tube("strap", strap) + across("case", case)
    svg += path("M74 52 L80 4 L120 4 L126 52 Z", "url(#strap)") + path(
        "M74 148 L80 196 L120 196 L126 148 Z", "url(#strap)"
    )
    svg += "".join(oval(100, y, 3, 2.4, shade(strap, 0.45)) for y in (162, 171, 180))
    svg += (
        box(54, 44, 92, 112, "url(#case)", 28)
        + box(146, 84, 7, 24, shade(case, 0.65), 3)
        + box(60, 50, 80, 100, "#08090c", 23)
    )
    if rng.random() < 0.5:
        for radius, share in ((30, 0.8), (22, 0.6), (14, 0.7)):
            length = 2 * 3.1416 * radius
            ring = f"{length * share * rng.uniform(0.7, 1.2):.0f} 999"
            arc = f"M100 {100 - radius} A{radius} {radius} 0 1 1 99.9 {100 - radius}"
            svg += line(arc, colour(rng, value=(0.8, 1.0)), 6, stroke_dasharray=ring)
    else:
        turn, minute = rng.uniform(0, 360, 2)
        svg += "".join(hand(64, 3, 7, "#888888", 30 * i) for i in range(12))
        svg += hand(78, 5, 24, "#ffffff", turn)
        svg += hand(68, 3, 34, glow, minute)
    return svg + path("M60 74 Q60 50 84 50 L112 50 L62 122 Z", "#ffffff", opacity=0.12)


def camera(rng: np.random.Generator) -> str:
    body, leather = (
        neutral(rng, 0.15, 0.85),
        (colour(rng, value=(0.2, 0.6)) if rng.random() < 0.5 else neutral(rng, 0.1, 0.25)),
    )
    svg = across("body", body) + ball("lens", "#26354f")
    svg += path("M66 52 L76 34 L124 34 L134 52 Z", "url(#body)") + box(14, 50, 172, 106, "url(#body)", 14)
    svg += box(14, 76, 172, 56, leather) + box(26, 40, 26, 12, shade(body, 0.7), 3) + oval(160, 48, 12, 5, "#c9ccd2")
    svg += box(82, 40, 36, 9, "#dfe8f5", 3) + box(28, 58, 22, 11, "#e9edf2", 3) + oval(168, 64, 3.5, 3.5, "#d33a2c")
    size = rng.uniform(40, 46)
    for radius, fill in (
        (size, shade(body, 0.55)),
        (size - 4, "#101216"),
        (size - 10, "#2b2e35"),
        (size - 14, "#0b0c0f"),
    ):
        svg += oval(100, 106, radius, radius, fill)
    svg += oval(100, 106, size - 17, size - 17, "url(#lens)") + oval(90, 95, 8, 6, "#ffffff", opacity=0.7)
    return svg + oval(110, 117, 4, 3, "#8fb7ff", opacity=0.6)
