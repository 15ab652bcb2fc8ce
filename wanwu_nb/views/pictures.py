"""Pictures with their tags drawn on them: one at a time, or the least sure of a run on one sheet."""

import heapq
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageOps
from torch import Tensor

from ..decoding import decode
from ..detections import Box, Tag
from ..paths import local_path
from ..tagged import Tagged
from ..versions import version_of
from .drawing import shown
from .fonts import COLOURS
from .labels import Labels, fitting, font_of, lines_of

SHEET_WIDTH = 1500
CELL_SHAPE = 0.64  # height / width
GREY = "#c8c8c8"
LETTERS_A_SIDE = 42  # so many stand along a photo's longer side
LEAST_LETTERS = 14
SHEET_LETTERS = 18  # pixels: a notebook shows the sheet at two thirds or more of its size, and then 11 are left
NAME_LETTERS = 16
CAPTION_LINES = 2  # of whole-picture tags below a picture of the sheet
NAME_LENGTH = 80  # characters
FOOTER = 34  # pixels
BETWEEN = "  ·  "


def annotate(photo: Image.Image, objects: Sequence[Tag]) -> Image.Image:
    """Draw boxes with label and confidence, a colour a label; sizes follow the photo's. Names avoid each other. Tags of
    the whole picture stand in a caption below it, best first; one that is unsure has a question mark.

    `objects`: best first, boxes xyxy in the upright photo's pixels.
    Returns a new picture, RGB, upright and with a caption higher than the photo: the caller's stays as it is.

    Example: `annotate(Image.open("photo.jpg"), model.predict(["photo.jpg"])[0].tags)`
    """
    pixels = decode(photo)
    picture = _as_image(pixels)
    letters = max(LEAST_LETTERS, max(picture.size) // LETTERS_A_SIDE)
    _draw(picture, [(tag, tag.bbox) for tag in objects if tag.bbox is not None], letters)
    return _with_caption(picture, _whole(objects), letters)


def contact_sheet(image_dir: str | Path, pictures: Iterable[Tagged], count: int = 12, columns: int = 3) -> Image.Image:
    """Draw the pictures that most need a look: the `count` with the least sure objects, annotated, least sure first.

    `pictures`: of the folder `image_dir`; read once, one at a time, so there may be any number. Those without an
    object are left out, and the last line says so. A photo that is no longer there, is another one by now, or cannot be
    opened any more, is a grey tile with its name.
    Returns the sheet, SHEET_WIDTH pixels wide.

    Example: `contact_sheet("photos", read_results("runs/tags")).save("contact_sheet.jpg")`
    """
    folder = local_path(image_dir)
    found = _Found(pictures)
    chosen = heapq.nsmallest(count, found, key=_sureness)
    width = SHEET_WIDTH // columns
    height = round(SHEET_WIDTH / columns * CELL_SHAPE)
    rows = max(1, math.ceil(len(chosen) / columns))
    sheet = Image.new("RGB", (columns * width, rows * height + FOOTER), "white")
    for i, tagged in enumerate(chosen):
        tile = _tile(folder, tagged, width, height)
        row, column = divmod(i, columns)
        corner = column * width, row * height
        sheet.paste(tile, corner)
    footer = words_of(len(chosen), found.with_tags, found.without)
    ImageDraw.Draw(sheet).text((12, rows * height + 4), footer, "#333", font_of(SHEET_LETTERS))
    return sheet


class _Found:
    """The pictures that hold something, counted as they pass by."""

    def __init__(self, pictures: Iterable[Tagged]) -> None:
        self._pictures = pictures
        self.with_tags = self.without = 0

    def __iter__(self) -> Iterator[Tagged]:
        for tagged in self._pictures:
            if len(tagged.detections):
                self.with_tags += 1
                yield tagged
            else:
                self.without += 1


def words_of(shown: int, with_tags: int, without: int) -> str:
    """Returns what is on a sheet and what is not, in a line.

    >>> words_of(12, 22, 0)
    '12 of 22 with tags, least sure first  有标签的 22 张中最不确定的 12 张'
    """
    text = f"{shown} of {with_tags} with tags, least sure first  有标签的 {with_tags} 张中最不确定的 {shown} 张"
    if without:
        text += f"{BETWEEN}{without} without tags left out  另有 {without} 张无标签"
    return text


def _sureness(tagged: Tagged) -> tuple[float, str]:
    """What the sheet is sorted by: the lowest confidence, then the name."""
    lowest = min(tagged.detections.scores)
    return float(lowest), tagged.image


def _tile(image_dir: str | Path, tagged: Tagged, width: int, height: int) -> Image.Image:
    """A cell of the sheet: the picture as large as fits; below it its name, and the tags of the whole of it."""
    tile = Image.new("RGB", (width, height), "white")
    canvas = ImageDraw.Draw(tile)
    font, small = font_of(SHEET_LETTERS), font_of(NAME_LETTERS)
    line = round(1.3 * SHEET_LETTERS)
    room = width - 16
    captions = lines_of([_caption(tag) for tag in _whole(tagged.objects)], BETWEEN, font, room, CAPTION_LINES)
    below = line * (1 + len(captions)) + 6
    size = room, height - 8 - below
    picture = _annotated(image_dir, tagged, size)
    if picture is None:
        picture = Image.new("RGB", size, GREY)
    tile.paste(picture, (8, 8))
    top = height - below
    for caption in captions:
        canvas.text((width / 2, top), caption, "black", font, anchor="ma")
        top += line
    name = fitting(shown(tagged.image, NAME_LENGTH), small, room)
    canvas.text((width / 2, top), name, "#555", small, anchor="ma")
    return tile


def _annotated(image_dir: str | Path, tagged: Tagged, room: tuple[int, int]) -> Image.Image | None:
    """The photo as large as fits with its boxes, or None where it is gone or another one."""
    if _has_changed(image_dir, tagged):
        return None
    path = Path(image_dir) / tagged.image
    try:
        pixels = decode(path)
        photo = _as_image(pixels)
        small = ImageOps.contain(photo, room, Image.Resampling.LANCZOS)
        picture = Image.new("RGB", room, "white")  # beside a narrow one there is room for names
        corner = (room[0] - small.width) // 2, 0
        picture.paste(small, corner)
        scale = small.width / photo.width, small.height / photo.height
        boxes = [(tag, _moved(tag.bbox, scale, corner)) for tag in tagged.objects if tag.bbox is not None]
        _draw(picture, boxes, SHEET_LETTERS)
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


def _moved(box: Box, scale: tuple[float, float], corner: tuple[int, int]) -> Box:
    x1, y1, x2, y2 = box
    across, down = scale
    left, top = corner
    return x1 * across + left, y1 * down + top, x2 * across + left, y2 * down + top


def _draw(picture: Image.Image, boxes: Sequence[tuple[Tag, Box]], letters: int) -> None:
    """Draw on `picture` itself: all boxes, the surest last, which lies over the others; then all names."""
    canvas = ImageDraw.Draw(picture)
    line = max(2, round(letters / 7))
    for tag, box in reversed(boxes):
        canvas.rectangle(box, outline=_colour(tag.label_id), width=line)
    labels = Labels(picture, letters)
    for tag, box in boxes:
        labels.write(_caption(tag), box, _colour(tag.label_id))


def _with_caption(picture: Image.Image, tags: Sequence[Tag], letters: int) -> Image.Image:
    """The picture, and below it the tags of the whole of it, if there are any."""
    if not tags:
        return picture
    font, line = font_of(letters), round(1.4 * letters)
    captions = lines_of([_caption(tag) for tag in tags], BETWEEN, font, picture.width - letters, most=len(tags))
    higher = Image.new("RGB", (picture.width, picture.height + line * len(captions) + letters // 2), "white")
    higher.paste(picture)
    canvas = ImageDraw.Draw(higher)
    for number, caption in enumerate(captions):
        canvas.text((letters / 2, picture.height + line * number), caption, "black", font)
    return higher


def _whole(objects: Sequence[Tag]) -> list[Tag]:
    """The tags of the whole picture."""
    return [tag for tag in objects if tag.bbox is None]


def _caption(tag: Tag) -> str:
    """A tag that is there only because the best always is asks rather than tells."""
    doubt = "？" if tag.unsure else ""
    return f"{shown(tag.label)}{doubt} {tag.confidence:.2f}"


def _colour(label_id: int) -> str:
    return COLOURS[label_id % len(COLOURS)]


def _as_image(pixels: Tensor) -> Image.Image:
    """A decoded picture, uint8 [3,H,W], for Pillow to draw on."""
    rows = pixels.permute(1, 2, 0)
    return Image.fromarray(rows.numpy())
