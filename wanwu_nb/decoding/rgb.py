"""One picture decoded, of any format: upright RGB, uint8 [3,H,W]; transparency on white; the first frame of several.

It stays uint8 until it is on the device.
"""

from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image, ImageFile
from torch import Tensor
from torchcodec.decoders import ImageReadMode, decode_image

from .depths import colours_to_8_bits, white_of_png
from .files import DEFAULT_LIMITS, Limits, UnreadableImage, read_file
from .headers import Header, open_again, open_header
from .mending import BIT_DEPTH, mend_jpeg, rebuild_png, significant_bits
from .pillow_pixels import from_pillow, on_white, tiff_from_pillow
from .reasons import reason_of

# The rest is Pillow's; and of what is animated torchcodec decodes every frame, and holds them all. Not even a GIF's
# frames are counted for it: Pillow gives the same levels.
RGB, RGB_ALPHA = ImageReadMode.RGB, ImageReadMode.RGB_ALPHA
TORCHCODEC_FORMATS = frozenset({"JPEG", "PNG", "WEBP", "AVIF"})


class Decoded(NamedTuple):
    """A picture, uint8 [3,H,W]; `damaged`: its file lacks its end, or a few of its last rows."""

    image: Tensor
    damaged: bool


def decode(picture: str | Path | Image.Image, limits: Limits = DEFAULT_LIMITS) -> Tensor:
    """Decode a file (or take a PIL image). Returns upright RGB, uint8 [3,H,W].

    torchcodec decodes what it knows, without holding the GIL; Pillow the rest. Orientation is applied from where the
    format keeps it, alpha is composited on white, deeper pictures are scaled to 8 bits, the first frame of several is
    taken. Raises UnreadableImage, and nothing else, for a picture that cannot be had.

    >>> decode("photo.jpg").shape
    torch.Size([3, 1080, 1920])
    """
    if not isinstance(picture, Image.Image):
        content = read_file(picture, limits)
        return decode_content(content, limits).image
    try:
        return from_pillow(picture)
    except Exception as error:
        raise UnreadableImage(reason_of(error)) from None


def decode_content(content: bytes, limits: Limits = DEFAULT_LIMITS) -> Decoded:
    """Decode a file's content. Returns the picture, and whether its file is damaged; raises UnreadableImage.

    >>> decode_content(Path("photo.jpg").read_bytes()).damaged
    False
    """
    try:
        header = open_header(content, limits)
        with header.image:
            return _decode(header)
    except UnreadableImage:
        raise
    except Exception as error:  # every decoder has errors of its own
        raise UnreadableImage(reason_of(error)) from None


def _decode(header: Header) -> Decoded:
    image = header.image
    if image.format == "PNG":  # torchcodec takes the first of its frames
        return _decode_png(header)
    if image.format == "TIFF":
        return _decode_tiff(header)
    if image.format == "GIF":
        return _decode_gif(header)
    if image.format not in TORCHCODEC_FORMATS or is_animated(image):
        return Decoded(from_pillow(image), damaged=False)
    try:
        pixels = _from_torchcodec(header)
    except (RuntimeError, ValueError):
        return _decode_otherwise(header)
    return Decoded(pixels, damaged=False)


def is_animated(image: Image.Image) -> bool:
    """Returns whether an opened image has more frames than one.

    >>> is_animated(open_header(content, Limits()).image)
    False
    """
    return bool(getattr(image, "is_animated", False))


def _from_torchcodec(header: Header) -> Tensor:
    if not _is_transparent(header):
        return _first(decode_image(header.content, mode=RGB))
    rgba = _first(decode_image(header.content, mode=RGB_ALPHA))
    return on_white(rgba)


def _first(image: Tensor) -> Tensor:
    """Of an animation of one frame as well."""
    if image.ndim == 4:
        return image[0]
    return image


def _decode_gif(header: Header) -> Decoded:
    """The first frame may cover a part of the picture only; the rest is transparent."""
    image = header.image
    whole = (0, 0, *image.size)
    covered = image.tile[0].extents or whole
    pixels = from_pillow(image)
    if covered == whole:
        return Decoded(pixels, damaged=False)
    left, top, right, bottom = covered
    on_canvas = torch.full_like(pixels, 255)
    on_canvas[:, top:bottom, left:right] = pixels[:, top:bottom, left:right]
    return Decoded(on_canvas, damaged=False)


def _decode_tiff(header: Header) -> Decoded:
    def open_anew() -> ImageFile.ImageFile:
        return open_again(header.content).image

    pixels = tiff_from_pillow(header.image, open_anew)
    return Decoded(pixels, damaged=False)


def _is_transparent(header: Header) -> bool:
    image = header.image
    return "A" in image.getbands() or "transparency" in image.info


def _decode_otherwise(header: Header) -> Decoded:
    """What torchcodec cannot decode: without an end, or a rarer variant."""
    if header.image.format == "JPEG":
        mended = mend_jpeg(header.content)
        if mended is not None:
            return Decoded(mended, damaged=True)
    return Decoded(from_pillow(header.image), damaged=False)


def _decode_png(header: Header) -> Decoded:
    try:
        pixels = _png_from_torchcodec(header)
    except (RuntimeError, ValueError):
        pixels = _png_without_metadata(header)
    return Decoded(pixels, header.damaged)


def _png_without_metadata(header: Header) -> Tensor:
    """Decoders may also stumble over what stands behind the pixels."""
    content = rebuild_png(header.content)
    again = open_again(content)
    with again.image:
        try:
            return _png_from_torchcodec(again)
        except (RuntimeError, ValueError):
            return from_pillow(again.image)


def _png_from_torchcodec(header: Header) -> Tensor:
    if header.content[BIT_DEPTH] <= 8:
        return _from_torchcodec(header)
    transparent = _is_transparent(header)
    deep = decode_image(header.content, mode=RGB_ALPHA if transparent else RGB, output_dtype=torch.uint16)
    levels = deep.numpy()
    white = white_of_png(levels[:3], significant_bits(header.content))
    in_8_bits = torch.from_numpy(colours_to_8_bits(levels, white))
    if transparent:
        return on_white(in_8_bits)
    return in_8_bits
