"""服装: T-shirt, dress, jeans, sneaker, cap."""

import numpy as np

from .paint import across, ball, box, colour, line, neutral, oval, path, shade


def t_shirt(rng: np.random.Generator) -> str:
    base = colour(rng) if rng.random() < 0.7 else neutral(rng)
    trim, sleeve = shade(base, 0.7), rng.uniform(78, 96)
    left = f"M70 24 L44 34 L10 {sleeve:.0f} L36 {sleeve + 14:.0f} L50 82"
    right = f"L150 82 L164 {sleeve + 14:.0f} L190 {sleeve:.0f} L156 34 L130 24"
    body = f"{left} L48 184 Q100 192 152 184 {right} Q100 52 70 24 Z"
    svg = across("cloth", base) + path(body, "url(#cloth)", stroke=trim, stroke_width=2, stroke_linejoin="round")
    svg += line("M70 24 Q100 56 130 24", trim, 6) + line("M50 82 L52 66 M150 82 L148 66", trim, 2)
    svg += line("M62 150 Q72 120 64 96 M140 160 Q128 130 138 104", shade(base, 0.82), 2.5)
    print_colour = colour(rng)
    kind = rng.integers(4)
    if kind == 0:
        svg += oval(100, 100, 26, 26, print_colour) + oval(100, 100, 15, 15, shade(print_colour, 1.6))
    elif kind == 1:
        svg += "".join(box(49, y, 102, 11, print_colour, opacity=0.85) for y in (92, 118, 144))
    elif kind == 2:
        svg += path("M100 72 L124 122 L76 122 Z", print_colour)
    return svg


def dress(rng: np.random.Generator) -> str:
    base, flare = colour(rng, saturation=(0.4, 0.8)), rng.uniform(48, 72)
    hem, waist = rng.uniform(176, 192), rng.uniform(78, 90)
    hem_line = f"L{100 - flare:.0f} {hem:.0f} Q100 {hem + 14:.0f} {100 + flare:.0f} {hem:.0f}"
    skirt = f"M76 {waist:.0f} {hem_line} L124 {waist:.0f} Z"
    bodice = f"M74 34 Q78 60 76 {waist:.0f} L124 {waist:.0f} Q122 60 126 34 Q112 52 100 52 Q88 52 74 34 Z"
    svg = across("cloth", base) + path(skirt, "url(#cloth)") + path(bodice, "url(#cloth)")
    svg += line("M76 38 Q72 20 80 8 M124 38 Q128 20 120 8", shade(base, 0.8), 6)
    for i in range(1, 6):
        x = 100 + flare * (i - 3) / 3
        svg += line(
            f"M{100 + (i - 3) * 7} {waist + 8:.0f} Q{(100 + x) / 2:.0f} 130 {x:.0f} {hem:.0f}", shade(base, 0.78), 2
        )
    svg += box(74, waist - 5, 52, 11, shade(base, 0.55) if rng.random() < 0.5 else colour(rng), 3)
    if rng.random() < 0.5:
        spots = rng.uniform((-0.75, 0.1), (0.75, 0.95), (26, 2))
        dots = [(100 + u * (24 + (flare - 24) * v), waist + v * (hem - waist)) for u, v in spots]
        svg += "".join(oval(x, y, 3.4, 3.4, shade(base, 1.7)) for x, y in dots)
    return svg


def jeans(rng: np.random.Generator) -> str:
    base = colour(rng, hues=(0.56, 0.64), saturation=(0.35, 0.7), value=(0.3, 0.8))
    seam, leg = "#d9a05b", rng.uniform(30, 40)
    left = f"M58 14 L50 90 L{60 - leg / 2:.0f} 188 L{60 + leg / 2:.0f} 190 L100 84"
    body = f"{left} L{140 - leg / 2:.0f} 190 L{140 + leg / 2:.0f} 188 L150 90 L142 14 Z"
    svg = across("denim", base, 1.2, 0.75) + path(body, "url(#denim)", stroke=shade(base, 0.55), stroke_width=2)
    svg += box(57, 10, 86, 14, shade(base, 0.8), 3) + oval(100, 17, 4, 4, seam)
    svg += line("M62 26 Q66 48 86 46 M138 26 Q134 48 114 46", seam, 2, stroke_dasharray="4 4")
    svg += line("M100 24 L100 84 M100 60 Q112 56 110 26", seam, 2, stroke_dasharray="4 4")
    for x in (66, 90, 110, 134):
        svg += box(x - 2.5, 8, 5, 18, shade(base, 0.65), 1)
    if rng.random() < 0.6:
        fade = shade(base, 1.35)
        svg += oval(70, 122, 9, 26, fade, opacity=0.5) + oval(130, 122, 9, 26, fade, opacity=0.5)
    return svg + line("M52 180 L76 182 M124 182 L148 180", seam, 2, stroke_dasharray="4 4")


def sneaker(rng: np.random.Generator) -> str:
    base = colour(rng) if rng.random() < 0.7 else neutral(rng, 0.2)
    sole, stripe = neutral(rng, 0.8, 1.0), colour(rng)
    upper = "M14 128 Q10 84 22 62 Q34 54 46 62 Q54 84 84 70 L96 62 Q116 96 150 104 Q188 112 190 138 L14 138 Z"
    svg = across("upper", base) + path(upper, "url(#upper)", stroke=shade(base, 0.55), stroke_width=2)
    svg += path(
        "M10 134 L192 134 Q196 156 178 160 L24 160 Q8 156 10 134 Z", sole, stroke=shade(sole, 0.7), stroke_width=2
    )
    svg += line("M16 148 L188 148", shade(sole, 0.75), 2.5) + path(
        "M150 104 Q188 112 190 136 L146 136 Q140 116 150 104 Z", shade(base, 1.4)
    )
    for i in range(4):
        x, y = 88 + 13 * i, 78 + 8 * i
        svg += line(f"M{x} {y} L{x + 17} {y - 11}", "#ffffff", 4.5) + oval(x, y, 2.4, 2.4, shade(base, 0.4))
    if rng.random() < 0.6:
        svg += path("M34 128 Q72 124 112 92 L122 98 Q86 134 36 134 Z", stripe)
    else:
        svg += "".join(path(f"M{x} 132 L{x + 16} 92 L{x + 25} 95 L{x + 11} 132 Z", stripe) for x in (42, 62, 82))
    return svg + line("M24 64 Q34 58 44 64", shade(base, 0.6), 5)


def cap(rng: np.random.Generator) -> str:
    base = colour(rng)
    brim = shade(base, 0.75) if rng.random() < 0.5 else colour(rng)
    svg = ball("crown", base) + across("brim", brim)
    svg += path(
        "M22 128 Q18 46 96 42 Q160 44 164 124 Q92 106 22 128 Z", "url(#crown)", stroke=shade(base, 0.5), stroke_width=2
    )
    svg += line("M94 42 Q66 70 62 117 M94 42 Q124 66 126 114", shade(base, 0.65), 2.2)
    svg += path("M70 118 Q128 104 164 124 Q196 136 194 152 Q186 166 150 152 Q110 136 70 118 Z", "url(#brim)")
    svg += line("M84 122 Q132 118 184 150", shade(brim, 0.6), 1.8, stroke_dasharray="5 4") + oval(
        95, 41, 7, 4.5, shade(base, 0.6)
    )
    badge = colour(rng)
    svg += oval(104, 84, 15, 15, badge) + path(
        "M104 73 L107 81 L115 81 L109 87 L111 95 L104 90 L97 95 L99 87 L93 81 L101 81 Z", "#fff"
    )
    return svg
