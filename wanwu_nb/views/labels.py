"""Names beside their boxes: where each can be read, and hides no other."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from PIL import Image, ImageColor, ImageDraw, ImageFont

from ..detections import Box, shared_area
from .drawing import ELLIPSIS
from .fonts import chinese_font

# Rec. 709: how bright red, green and blue look.
RED, GREEN, BLUE = 0.2126, 0.7152, 0.0722


class Bar(NamedTuple):
    """A bar with a name, at its place in a picture."""

    left: float
    top: float
    right: float
    bottom: float


class Labels:
    """Writes names beside boxes on one picture, the surest first: later ones give way.

    >>> labels = Labels(picture, letters=18)
    >>> labels.write("台灯 0.93", (100, 120, 200, 220), "#0072B2")
    """

    def __init__(self, picture: Image.Image, letters: int) -> None:
        self._canvas = ImageDraw.Draw(picture)
        self._size = picture.size
        self._font = font_of(letters)
        self._height = 1.25 * letters
        self._margin = max(2.0, letters / 7)
        self._rise = 0.12 * letters  # the font leaves room above its letters
        self.bars: list[Bar] = []  # where names stand

    def write(self, text: str, box: Box, colour: str) -> None:
        """Write a name on a bar of the box's colour, where the least is hidden by it."""
        text = fitting(text, self._font, self._size[0] - 2 * self._margin)
        width = self._canvas.textlength(text, self._font) + 2 * self._margin
        bar = min(self._places(box, width), key=self._hidden)
        self.bars.append(bar)
        self._canvas.rectangle(bar, fill=colour)
        self._canvas.text((bar.left + self._margin, bar.top - self._rise), text, ink_on(colour), self._font)

    def _hidden(self, bar: Bar) -> float:
        return sum(shared_area(bar, other) for other in self.bars)

    def _places(self, box: Box, width: float) -> Iterator[Bar]:
        """Above the box, below it, in it; each at its left and its right. All within the picture."""
        x1, y1, x2, y2 = box
        for top in (y1 - self._height, y2, y1, y2 - self._height):
            for left in (x1, x2 - width):
                left_in = max(0.0, min(left, self._size[0] - width))
                top_in = max(0.0, min(top, self._size[1] - self._height))
                yield Bar(left_in, top_in, left_in + width, top_in + self._height)


def ink_on(colour: str) -> str:
    """Returns black or white, whichever is read better on a colour.

    >>> ink_on("#56B4E9"), ink_on("#0072B2")
    ('black', 'white')
    """
    red, green, blue = (value / 255 for value in ImageColor.getrgb(colour)[:3])
    luminance = RED * red**2.2 + GREEN * green**2.2 + BLUE * blue**2.2
    white, black = 1.05 / (luminance + 0.05), (luminance + 0.05) / 0.05  # contrast, as WCAG 2 has it
    return "black" if black > white else "white"


def fitting(text: str, font: ImageFont.FreeTypeFont, room: float) -> str:
    """Returns the text, or as much of it as `room` pixels hold.

    >>> fitting("a lamp", font_of(18), 9)
    'a…'
    """
    kept = len(text)
    fits = text
    while kept > 1 and font.getlength(fits) > room:
        kept -= 1
        fits = text[:kept] + ELLIPSIS
    return fits


def lines_of(parts: Sequence[str], between: str, font: ImageFont.FreeTypeFont, room: float, most: int) -> list[str]:
    """Returns the parts in as many lines as they need, at most so many; then an ellipsis says that there are more.

    >>> lines_of(["灯 0.9", "椅 0.5"], " · ", font_of(18), 300, most=1)
    ['灯 0.9 · 椅 0.5']
    """
    lines: list[str] = []
    for part in parts:
        longer = f"{lines[-1]}{between}{part}" if lines else part
        if lines and font.getlength(longer) <= room:
            lines[-1] = longer
        elif len(lines) < most:
            lines.append(fitting(part, font, room))
        else:
            lines[-1] = fitting(f"{lines[-1]} {ELLIPSIS}", font, room)
            break
    return lines


def font_of(size: int) -> ImageFont.FreeTypeFont:
    """Returns the Chinese font in a size, in pixels.

    >>> font_of(18).size
    18
    """
    return ImageFont.truetype(str(chinese_font()), size)
