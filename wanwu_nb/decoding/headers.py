"""A picture's header: which format its bytes are, whatever the file's name says; size, mode and frames, undecoded.

Only the formats that are served are opened: Pillow knows others, and hands some of them to other programs.
"""

import io
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from .files import Limits, UnreadableImage
from .mending import SIGNATURE, has_png_end, rebuild_jpeg, rebuild_png

HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
AVIF = {b"avif", b"avis"}
EITHER = {b"mif1", b"msf1"}
NO_HEIC = "a HEIC picture needs one package more: run `pip install 'wanwu_nb[heic]'`, then run again"
OTHERS = {
    b"DDS ": "a DDS texture",
    b"BLP1": "a BLP texture",
    b"BLP2": "a BLP texture",
    b"%!PS": "PostScript",
    b"\xc5\xd0\xd3\xc6": "PostScript",
    b"%PDF": "a PDF document",
    b"8BPS": "a Photoshop document",
    b"\xff\x0a": "a JPEG XL picture",
    b"\0\0\0\x0cJXL ": "a JPEG XL picture",
    b"\0\0\0\x0cjP  ": "a JPEG 2000 picture",
    b"\xff\x4f\xff\x51": "a JPEG 2000 picture",
    b"\0\0\x01\0": "an icon",
    b"<svg": "an SVG drawing",
    b"<!DO": "a web page",
    b"<htm": "a web page",
    b"PK\x03\x04": "a ZIP archive",
}


class Header(NamedTuple):
    """A picture that is opened, its pixels not decoded; `content`, what decoders get; `damaged`: it lacked its end."""

    image: ImageFile.ImageFile
    content: bytes
    damaged: bool = False


Opener = Callable[[bytes], Header]


def open_header(content: bytes, limits: Limits) -> Header:
    """Open a file's content with Pillow. Raises UnreadableImage for what is not served, and beyond the limits.

    >>> open_header(content, Limits()).image.size
    (1920, 1080)
    """
    header = open_again(content)
    limits.check_size(*header.image.size)
    return header


def open_again(content: bytes) -> Header:
    """As `open_header`, for a picture whose size has been checked.

    >>> open_again(content).image.size
    (1920, 1080)
    """
    opener = _opener(content)
    return opener(content)


def _opener(content: bytes) -> Opener:
    start = content[:16]
    for begins, opener in OPENERS.items():
        if start.startswith(begins):
            return opener
    if start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        return _open_webp
    if start[4:8] == b"ftyp":
        return _opener_of_brands(content)
    for begins, name in OTHERS.items():
        if start.startswith(begins):
            raise UnreadableImage(f"not a picture in a known format, but {name}: save it as JPEG or PNG")
    raise UnreadableImage("not a picture in a known format")


def _opener_of_brands(content: bytes) -> Opener:
    """AVIF and HEIC share one container, with videos and others."""
    (length,) = struct.unpack_from(">I", content)
    others = content[16:length]
    compatible = {others[i : i + 4] for i in range(0, min(len(others), 400), 4)}
    brands = compatible | {content[8:12]}
    if brands & AVIF:
        return _open_avif
    if brands & (HEIC | EITHER):
        return _open_heic
    raise UnreadableImage("not a picture in a known format, but a video or the like")


def _open_jpeg(content: bytes) -> Header:
    """An MPO as well: its first picture is a JPEG."""
    with suppress(Exception):
        return _jpeg_header(content)
    with suppress(Exception):  # it failed for broken application data, perhaps: EXIF and Adobe's colours matter
        with_orientation = rebuild_jpeg(content)
        return _jpeg_header(with_orientation)
    return _jpeg_header(rebuild_jpeg(content, keep=()))


def _jpeg_header(content: bytes) -> Header:
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(content))
    return Header(image, content)


def _open_png(content: bytes) -> Header:
    damaged = not has_png_end(content)
    if damaged:
        content = rebuild_png(content)
    try:
        image = PngImagePlugin.PngImageFile(io.BytesIO(content))
    except Exception:  # for long texts, broken profiles, wrong checksums: none of them is the picture
        content = rebuild_png(content)
        image = PngImagePlugin.PngImageFile(io.BytesIO(content))
    return Header(image, content, damaged)


def _open_gif(content: bytes) -> Header:
    image = GifImagePlugin.GifImageFile(io.BytesIO(content))
    return Header(image, content)


def _open_bmp(content: bytes) -> Header:
    image = BmpImagePlugin.BmpImageFile(io.BytesIO(content))
    return Header(image, content)


def _open_tiff(content: bytes) -> Header:
    image = _Tiff(io.BytesIO(content))
    return Header(image, content)


def _open_webp(content: bytes) -> Header:
    image = WebPImagePlugin.WebPImageFile(io.BytesIO(content))
    return Header(image, content)


def _open_avif(content: bytes) -> Header:
    try:
        image = AvifImagePlugin.AvifImageFile(io.BytesIO(content))
    except Exception:  # for a broken EXIF, perhaps: the container says how an AVIF is turned, so it may go
        content = content.replace(b"Exif", b"none", 1)  # the type of that item, in the list of what the file holds
        image = AvifImagePlugin.AvifImageFile(io.BytesIO(content))
    return Header(image, content)


def _open_heic(content: bytes) -> Header:
    """By pillow-heif, which brings libheif along, reads the size before the pixels, and only the main picture.

    torchcodec would use a libheif of the system's, where there is one: the same file could be read here and not there,
    and it decodes whatever there is at once. Pillow's other users are not told: nothing is registered with it.
    """
    try:
        from pillow_heif import HeifImageFile
    except ImportError:
        raise UnreadableImage(NO_HEIC) from None
    image = HeifImageFile(io.BytesIO(content))
    return Header(image, content)


class _Tiff(TiffImagePlugin.TiffImageFile):
    """Pillow's own reads all EXIF once the pixels are decoded, where a broken one costs the picture, and turns it."""

    def load_prepare(self) -> None:
        """Make room, without Pillow's own bound on pixels: `Limits` hold already."""
        if self._im is None:
            self.im = Image.new(self.mode, self._tile_size).im
        super().load_prepare()

    def load_end(self) -> None:
        """Leave the pixels as they lie; the header's size is that of the turned picture."""
        self._size = self.im.size


# By how files begin. Not Image.open: its bound on pixels is one for the whole process, and beyond half of it it warns.
OPENERS: dict[bytes, Opener] = {
    b"\xff\xd8\xff": _open_jpeg,
    SIGNATURE: _open_png,
    b"GIF87a": _open_gif,
    b"GIF89a": _open_gif,
    b"BM": _open_bmp,
    b"II*\0": _open_tiff,
    b"MM\0*": _open_tiff,
    b"II+\0": _open_tiff,
    b"MM\0+": _open_tiff,
}
