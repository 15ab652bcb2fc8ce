"""What Pillow decodes, as uint8 [3,H,W]: turned upright, deep levels in 8 bits, transparency on white."""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import ExifTags, Image, ImageFile, TiffImagePlugin
from torch import Tensor

from .depths import bands, colours_to_8_bits, to_8_bits, white_of, white_over

BITS_PER_SAMPLE, MAX_SAMPLE_VALUE = 258, 281  # TIFF tags
DEEP_COLOURS = "RGB;16", "RGBX;16", "RGBA;16"  # of these Pillow keeps the high bytes
MAY_BE_SHALLOW = 64  # high bytes below it belong to levels of 14 bits or fewer
OTHER_ORDER = {"L": "B", "B": "L", "N": "B" if sys.byteorder == "little" else "L"}
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def from_pillow(image: Image.Image) -> Tensor:
    """Decode an image that Pillow has opened, or take one from memory; of several frames, the one it stands at.

    Returns upright RGB, uint8 [3,H,W]. Raises whatever Pillow's decoders raise.

    >>> from_pillow(Image.open("photo.gif")).shape
    torch.Size([3, 1080, 1920])
    """
    image.load()
    turn = turn_of(image)
    mode = image.mode
    if mode.startswith("I;16") or mode in ("I", "F"):
        image = _scaled_to_8_bits(image)
    return _upright(image, turn)


def tiff_from_pillow(image: ImageFile.ImageFile, open_anew: Callable[[], ImageFile.ImageFile]) -> Tensor:
    """As `from_pillow`, for a TIFF: with the low bytes of colours of 16 bits, where without them it would be black.

    `open_anew` opens the same file once more.

    >>> pixels = tiff_from_pillow(Image.open("photo.tif"), lambda: Image.open("photo.tif"))
    """
    is_deep = _raw_mode(image).startswith(DEEP_COLOURS)
    image.load()
    if not is_deep:
        return from_pillow(image)
    high = np.asarray(image)
    if high[..., :3].max() >= MAY_BE_SHALLOW:
        return from_pillow(image)
    low = _low_bytes(open_anew())
    levels = high.astype(np.uint16) * 256 + low
    planes = levels.transpose(2, 0, 1)
    white = white_of(planes[:3], _stated_white(image))
    in_8_bits = colours_to_8_bits(planes, white)
    pixels = in_8_bits.transpose(1, 2, 0)
    rows_first = np.ascontiguousarray(pixels)
    return _upright(Image.fromarray(rows_first), turn_of(image))


def _low_bytes(image: ImageFile.ImageFile) -> np.ndarray:
    """Pillow takes the second byte of each level for the high one where it is told the other byte order."""
    tiles = []
    for tile in image.tile:
        raw_mode, *others = _arguments(tile)
        swapped = raw_mode[:-1] + OTHER_ORDER[raw_mode[-1]]
        tiles.append(tile._replace(args=(swapped, *others)))
    image.tile = tiles
    image.load()
    return np.asarray(image)


def _raw_mode(image: ImageFile.ImageFile) -> str:
    """How the file's bytes are turned into pixels, "RGB;16L" say."""
    if not image.tile:
        return ""
    raw_mode, *_ = _arguments(image.tile[0])
    return str(raw_mode)


def _arguments(tile: Any) -> tuple[Any, ...]:
    if isinstance(tile.args, tuple):
        return tile.args
    return (tile.args,)


def _upright(image: Image.Image, turn: Image.Transpose | None) -> Tensor:
    if turn is not None:
        image = image.transpose(turn)
    if image.has_transparency_data:
        rgba = _as_tensor(image.convert("RGBA"))
        return on_white(rgba)
    return _as_tensor(image.convert("RGB"))


def _as_tensor(image: Image.Image) -> Tensor:
    pixels = np.array(image)
    rows_first = torch.from_numpy(pixels)
    return rows_first.permute(2, 0, 1)


def _scaled_to_8_bits(image: Image.Image) -> Image.Image:
    """Pillow clips deeper grey levels at 255, which turns the picture white; scale them instead."""
    levels = np.asarray(image)
    white = white_of(levels, _stated_white(image))
    in_8_bits = to_8_bits(levels, white)
    return Image.fromarray(in_8_bits)


def _stated_white(image: Image.Image) -> int:
    """The white that a TIFF states: by packed levels of 9 to 15 bits, or by its highest level; 0 where it does not."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return 0
    try:
        bits = np.max(image.tag_v2.get(BITS_PER_SAMPLE, 16))
        highest = np.max(image.tag_v2.get(MAX_SAMPLE_VALUE, 0))
    except Exception:  # metadata: they say nothing about the pixels
        return 0
    if 8 < bits < 16:
        return int(2**bits - 1)
    if highest <= 0:
        return 0
    return white_over(int(highest))


def turn_of(image: Image.Image) -> Image.Transpose | None:
    """Returns what brings an opened image upright, as EXIF or a TIFF's tag has it; None where nothing does, or could.

    >>> turn_of(Image.open("upright.jpg")) is None
    True
    """
    orientation = ExifTags.Base.Orientation
    try:
        if isinstance(image, TiffImagePlugin.TiffImageFile):
            value = image.tag_v2.get(orientation)
        else:
            value = image.getexif().get(orientation)
        return TURNS.get(value or 1)
    except Exception:  # metadata: they say nothing about the pixels
        return None


def on_white(rgba: Tensor) -> Tensor:
    """Composite uint8 [4,H,W] on white: product cut-outs keep arbitrary colours where they are transparent.

    Returns uint8 [3,H,W].

    >>> on_white(torch.zeros(4, 8, 8, dtype=torch.uint8)).unique()
    tensor([255], dtype=torch.uint8)
    """
    parts = []
    for rows in bands(tuple(rgba.shape)):  # as 32-bit integers all at once they would take four times the memory
        part = _composite(rgba[:, rows])
        parts.append(part)
    if len(parts) == 1:
        return parts[0]
    return torch.cat(parts, dim=1)


def _composite(rgba: Tensor) -> Tensor:
    colours = rgba[:3]
    alpha = rgba[3:]
    alpha = alpha.to(torch.int32)
    white = 255 * (255 - alpha)
    colours = colours * alpha
    rounded = (colours + white + 127) // 255
    return rounded.to(torch.uint8)
