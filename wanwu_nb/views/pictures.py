"""Pictures with their tags drawn on them: one at a time, or the least sure of a run on one sheet."""

import heapq
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps
from torch import Tensor

from ..decoding import decode
from ..detections import Tag
from ..paths import local_path
from ..tagged import Tagged
from ..versions import version_of
from .drawing import ELLIPSIS, shown
from .fonts import COLOURS, chinese_font

SHEET_WIDTH = 1500
CELL_SHAPE = 0.64  # height / width
GREY = "#c8c8c8"
LETTERS, LARGE_LETTERS = 42, 24  # so many stand along a photo's longer side
CAPTION = 80  # characters of a name below its picture


def annotate(photo: Image.Image, objects: Sequence[Tag]) -> Image.Image:
    """Draw boxes with label and confidence, a colour a label; sizes follow the photo's. Tags without a
    box are text, best first; one that is unsure has a question mark.

    `objects`: best first, boxes xyxy in the upright photo's pixels.
    Returns a new picture, upright RGB: the caller's stays as it is.

    Example: `annotate(Image.open("photo.jpg"), model.predict(["photo.jpg"])[0].tags)`
    """
    pixels = decode(photo)
    picture = _as_image(pixels)
    _draw(picture, objects)
    return picture


def contact_sheet(image_dir: str | Path, pictures: Iterable[Tagged], count: int = 12, columns: int = 3) -> Image.Image:
    """Draw the pictures that most need a look: the `count` with the least sure objects, annotated, least sure first.

    `pictures`: of the folder `image_dir`; read once, one at a time, so there may be any number. Those without an
    object are left out. A photo that is no longer there, is another one by now, or cannot be opened any more, is a grey
    tile with its name.
    Returns the sheet, SHEET_WIDTH pixels wide.

    Example: `contact_sheet("photos", read_results("runs/tags")).save("contact_sheet.jpg")`
    """
    folder = local_path(image_dir)
    chosen = _least_sure(pictures, count)
    width = SHEET_WIDTH // columns
    height = round(SHEET_WIDTH / columns * CELL_SHAPE)
    rows = math.ceil(len(chosen) / columns)
    size = columns * width, max(1, rows) * height
    sheet = Image.new("RGB", size, "white")
    for i, tagged in enumerate(chosen):
        tile = _tile(folder, tagged, width, height)
        row, column = divmod(i, columns)
        corner = column * width, row * height
        sheet.paste(tile, corner)
    return sheet


def _least_sure(pictures: Iterable[Tagged], count: int) -> list[Tagged]:
    with_objects = (tagged for tagged in pictures if len(tagged.detections))
    return heapq.nsmallest(count, with_objects, key=_sureness)


def _sureness(tagged: Tagged) -> tuple[float, str]:
    """What the sheet is sorted by: the lowest confidence, then the name."""
    lowest = min(tagged.detections.scores)
    return float(lowest), tagged.image


def _tile(image_dir: str | Path, tagged: Tagged, width: int, height: int) -> Image.Image:
    """A cell of the sheet: the picture as large as fits, its name below."""
    room = width - 16, height - 40
    picture = _annotated(image_dir, tagged)
    if picture is None:
        picture = Image.new("RGB", room, GREY)
    picture = ImageOps.contain(picture, room, Image.Resampling.LANCZOS)
    tile = Image.new("RGB", (width, height), "white")
    left = (width - picture.width) // 2
    tile.paste(picture, (left, 8))
    canvas = ImageDraw.Draw(tile)
    middle = width / 2, height - 28
    font = _font(18)
    name = _fitting(shown(tagged.image, CAPTION), font, room[0])
    canvas.text(middle, name, "#333", font, anchor="ma")
    return tile


def _annotated(image_dir: str | Path, tagged: Tagged) -> Image.Image | None:
    """The photo with its tags, or None where it is gone or another one."""
    if _has_changed(image_dir, tagged):
        return None
    path = Path(image_dir) / tagged.image
    try:
        pixels = decode(path)
        picture = _as_image(pixels)
        _draw(picture, tagged.objects)
    except Exception:  # whatever a decoder says of a photo that was removed or changed: the sheet goes on without it
        return None
    return picture


def _has_changed(image_dir: str | Path, tagged: Tagged) -> bool:
    """Whether another file lies there by now, of any kind and size: it is not opened, and the boxes are not its own.

    By size alone: a copy of the folder may have other times.
    """
    if tagged.version is None:
        return False
    now = version_of(image_dir, tagged.image)
    return now is None or now.size != tagged.version.size


def _draw(picture: Image.Image, objects: Sequence[Tag]) -> None:
    """Draw on `picture` itself, the surest box last: it lies over the others."""
    pen = _Pen(picture, LETTERS)
    for tag in reversed(objects):
        if tag.bbox is not None:
            left, top, _, _ = tag.bbox
            colour = _colour(tag.label_id)
            pen.box(tag.bbox, colour)
            pen.label(left, top - pen.text_height, _caption(tag), colour)
    _list_tags(picture, [tag for tag in objects if tag.bbox is None])


def _list_tags(picture: Image.Image, tags: Sequence[Tag]) -> None:
    """Whole-picture tags, a line each."""
    pen = _Pen(picture, LARGE_LETTERS)
    top = float(pen.line)
    for tag in tags:
        pen.label(pen.line, top, _caption(tag), _colour(tag.label_id))
        top += 1.3 * pen.font.size


def _caption(tag: Tag) -> str:
    """A tag that is there only because the best always is asks rather than tells."""
    doubt = "？" if tag.unsure else ""
    return f"{shown(tag.label)}{doubt} {tag.confidence:.2f}"


class _Pen:
    """Draws on one picture; lines and letters follow its size."""

    def __init__(self, picture: Image.Image, letters_a_side: int) -> None:
        self.canvas = ImageDraw.Draw(picture)
        self.right_edge = picture.width
        longer_side = max(picture.size)
        self.line = max(2, longer_side // 320)
        letters = max(14, longer_side // letters_a_side)
        self.font = _font(letters)
        self.text_height = 1.25 * letters
        self.text_rise = 0.12 * letters  # the font leaves room above its letters

    def box(self, bbox: tuple[float, float, float, float], colour: str) -> None:
        self.canvas.rectangle(bbox, outline=colour, width=self.line)

    def label(self, x: float, y: float, text: str, colour: str) -> None:
        """White text on a bar of `colour`, its upper left corner at `x`, `y`, or where it still is in the picture."""
        text = _fitting(text, self.font, self.right_edge - 2 * self.line)
        text_width = self.canvas.textlength(text, self.font)
        width = text_width + 2 * self.line
        left = max(0, min(x, self.right_edge - width))
        top = max(0, y)
        right = left + width
        bottom = top + self.text_height
        self.canvas.rectangle((left, top, right, bottom), fill=colour)
        start = left + self.line, top - self.text_rise
        self.canvas.text(start, text, "white", self.font)


def _fitting(text: str, font: ImageFont.FreeTypeFont, room: float) -> str:
    """The text, or as much of it as `room` pixels hold."""
    kept = len(text)
    fitting = text
    while kept > 1 and font.getlength(fitting) > room:
        kept -= 1
        fitting = text[:kept] + ELLIPSIS
    return fitting


def _colour(label_id: int) -> str:
    return COLOURS[label_id % len(COLOURS)]


def _font(size: int) -> ImageFont.FreeTypeFont:
    path = str(chinese_font())
    return ImageFont.truetype(path, size)


def _as_image(pixels: Tensor) -> Image.Image:
    """A decoded picture, uint8 [3,H,W], for Pillow to draw on."""
    rows = pixels.permute(1, 2, 0)
    return Image.fromarray(rows.numpy())
