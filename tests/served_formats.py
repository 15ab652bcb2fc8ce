"""A picture file of every format that is served, in the kinds that people have, made by the tests themselves."""

import io
import re
import struct
from collections.abc import Iterator
from importlib.util import find_spec

import numpy as np
from picture_files import chunk, png, saved
from PIL import ExifTags, Image

SIZE = 200, 150
UPRIGHT = 6  # as a phone held upright has it


def whole_files() -> dict[str, bytes]:
    """Returns the content of each file by its name; the same bytes wherever the libraries are the same.

    HEIC is among them where pillow-heif is installed.
    """
    files = {}
    for kind in (_jpegs, _pngs, _animations, _webps, _avifs, _bmps, _tiffs, _heics):
        files.update(kind())
    return files


def picture(seed: int = 0, size: tuple[int, int] = SIZE) -> Image.Image:
    """A ramp with noise and a patch: neither so plain that it is packed to nothing, nor noise alone."""
    width, height = size
    generator = np.random.default_rng(seed)
    across = np.linspace(0, 200, width)[None, :, None]
    down = np.linspace(0, 50, height)[:, None, None]
    noise = generator.normal(0, 6, (height, width, 3))
    levels = across + down * np.array([1.0, 0.2, 0.6]) + noise
    levels[height // 4 : height // 2, width // 4 : width // 2] = generator.integers(0, 255, 3)
    return Image.fromarray(levels.clip(0, 255).astype(np.uint8))


def _see_through() -> Image.Image:
    image = picture(1)
    image.putalpha(Image.linear_gradient("L").resize(SIZE))
    return image


def _frames(count: int = 4) -> list[Image.Image]:
    return [picture(seed) for seed in range(count)]


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = UPRIGHT
    exif[ExifTags.Base.Make] = "a camera"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = b"words " * 20
    return exif


def _jpegs() -> Iterator[tuple[str, bytes]]:
    image = picture()
    first, *others = _frames(3)
    yield "baseline.jpg", saved(image, "JPEG", quality=85)
    yield "large.jpg", saved(picture(size=(1600, 1000)), "JPEG", quality=80)
    yield "progressive.jpg", saved(image, "JPEG", progressive=True)
    yield "full_colour.jpg", saved(image, "JPEG", subsampling=0, quality=95)
    yield "restart.jpg", saved(image, "JPEG", restart_marker_rows=1)
    yield "grey.jpg", saved(image.convert("L"), "JPEG")
    yield "inks.jpg", saved(image.convert("CMYK"), "JPEG")
    yield "turned.jpg", saved(image, "JPEG", exif=_exif(), comment=b"a comment", icc_profile=b"profile" * 100)
    yield "several.jpg", saved(first, "MPO", save_all=True, append_images=others)


def _pngs() -> Iterator[tuple[str, bytes]]:
    image = picture()
    levels = np.asarray(image)
    deep = levels.astype(np.uint16) * 257
    grey = deep[..., 0]
    palette = image.quantize(64)
    first, *others = _frames(3)
    text = chunk(b"tEXt", b"Comment\0" + b"words " * 50)
    yield "colours.png", saved(image, "PNG")
    yield "transparent.png", saved(_see_through(), "PNG")
    yield "palette.png", saved(palette, "PNG")
    yield "palette_transparent.png", saved(palette, "PNG", transparency=3)
    yield "bilevel.png", saved(image.convert("1"), "PNG")
    yield "deep_grey.png", png(grey, chunk(b"sBIT", b"\x0c"), bits=16)
    yield "deep_colours.png", png(deep, text, bits=16)
    yield "deep_transparent.png", png(np.dstack([deep, grey]), bits=16)
    yield "interlaced.png", png(levels, text, interlaced=True)
    yield "animated.png", saved(first, "PNG", save_all=True, append_images=others, duration=50)
    yield "turned.png", saved(image, "PNG", exif=_exif(), icc_profile=b"profile" * 100)


def _animations() -> Iterator[tuple[str, bytes]]:
    first, *others = _frames()
    yield "still.gif", saved(picture(), "GIF")
    yield "transparent.gif", saved(picture().quantize(32), "GIF", transparency=2)
    yield "animated.gif", saved(first, "GIF", save_all=True, append_images=others, duration=50, loop=0)


def _webps() -> Iterator[tuple[str, bytes]]:
    first, *others = _frames()
    yield "still.webp", saved(picture(), "WEBP", quality=80)
    yield "lossless.webp", saved(picture(), "WEBP", lossless=True)
    yield "transparent.webp", saved(_see_through(), "WEBP")
    yield "turned.webp", saved(picture(), "WEBP", exif=_exif())
    yield "animated.webp", saved(first, "WEBP", save_all=True, append_images=others, duration=50)


def _avifs() -> Iterator[tuple[str, bytes]]:
    first, *others = _frames(3)
    yield "still.avif", saved(picture(), "AVIF", speed=9)
    yield "transparent.avif", saved(_see_through(), "AVIF", speed=9)
    yield "turned.avif", saved(picture(), "AVIF", speed=9, exif=_exif())
    animated = saved(first, "AVIF", speed=9, save_all=True, append_images=others)
    yield "animated.avif", _without_times(animated)


def _without_times(content: bytes) -> bytes:
    """An animation says when it was made, in three boxes with two times of 8 bytes each."""
    timeless = bytearray(content)
    for box in (b"mvhd", b"tkhd", b"mdhd"):
        for match in re.finditer(box, content):
            start = match.end() + 4  # version and flags
            timeless[start : start + 16] = bytes(16)
    return bytes(timeless)


def _bmps() -> Iterator[tuple[str, bytes]]:
    image = picture()
    yield "colours.bmp", saved(image, "BMP")
    yield "palette.bmp", saved(image.quantize(64), "BMP")
    yield "bilevel.bmp", saved(image.convert("1"), "BMP")
    yield "transparent.bmp", saved(_see_through(), "BMP")
    yield "run_lengths.bmp", _run_lengths()


def _run_lengths() -> bytes:
    """A BMP of 8 bits, packed as runs (RLE8), which Pillow reads and does not write."""
    width, height = 64, 48
    row = bytes([20, 40, 24, 90, 20, 200, 0, 0])
    data = row * height + b"\0\1"
    palette = b"".join(bytes([grey, grey, grey, 0]) for grey in range(256))
    start = 14 + 40 + len(palette)
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(data), 2835, 2835, 256, 0)
    return struct.pack("<2sIHHI", b"BM", start + len(data), 0, 0, start) + header + palette + data


def _tiffs() -> Iterator[tuple[str, bytes]]:
    image = picture()
    first, *others = _frames(3)
    for name in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "zstd", "lzma"):
        yield f"{name}.tif", saved(image, "TIFF", compression=name)
    yield "fax.tif", saved(image.convert("1"), "TIFF", compression="group4")
    yield "inks.tif", saved(image.convert("CMYK"), "TIFF", compression="tiff_lzw")
    yield "big.tif", saved(image, "TIFF", big_tiff=True)
    yield "several.tif", saved(first, "TIFF", save_all=True, append_images=others, compression="tiff_lzw")
    yield "turned.tif", saved(image, "TIFF", exif=_exif())
    yield "floats.tif", saved(image.convert("F"), "TIFF")
    grey = np.asarray(image.convert("L")).astype(np.uint16)
    yield "deep_grey.tif", saved(Image.fromarray(grey * 16), "TIFF", compression="tiff_lzw")


def _heics() -> Iterator[tuple[str, bytes]]:
    if find_spec("pillow_heif") is None:
        return
    from pillow_heif import from_pillow

    yield "still.heic", _as_heic(from_pillow(picture()))
    yield "transparent.heic", _as_heic(from_pillow(_see_through()))


def _as_heic(heif) -> bytes:
    file = io.BytesIO()
    heif.save(file, quality=60)
    return file.getvalue()
