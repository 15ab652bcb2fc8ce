"""Pictures in: decode one, read it as a network's input.

A decoded picture is upright RGB, uint8 [3,H,W]; transparency lies on white. It stays uint8 until it is on the device.
"""

import io
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from torchcodec.decoders import decode_image

from .errors import WanwuError
from .fitting import InputSpec, Placement, fit

TORCHCODEC_FORMATS = frozenset({"JPEG", "MPO", "PNG", "WEBP", "GIF", "AVIF"})


class UnreadableImage(WanwuError):
    """A file that holds no whole picture; the message is the reason, without the file's name.

    `stage`: "read" where the file system refused, "decode" where its bytes are no picture.
    """

    def __init__(self, reason: str, stage: str = "decode"):
        super().__init__(reason)
        self.stage = stage


@dataclass(frozen=True)
class FileVersion:
    """Which version of a file was read: its size in bytes and the time of its last change, in nanoseconds."""

    size: int
    mtime_ns: int


def version_of(folder: str | Path, name: str) -> FileVersion | None:
    """Returns the version of the file `name` of `folder` as it is now, or None where there is none.

    >>> version_of("photos", "a.jpg")
    FileVersion(size=53120, mtime_ns=1764100000000000000)
    """
    try:
        stat = os.stat(os.path.join(folder, name))
    except OSError:
        return None
    return FileVersion(stat.st_size, stat.st_mtime_ns)


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture of a run: its input uint8 [3,H,W] and placement once read, or the `stage` that failed and its `reason`.

    `image` and `placement` are None exactly where there is a reason.
    """

    name: str
    version: FileVersion | None
    image: Tensor | None = None
    placement: Placement | None = None
    stage: str = ""
    reason: str = ""


def read(folder: str | Path, spec: InputSpec, name: str) -> Picture:
    """Decode the picture `name` of `folder` and fit it to the input. Returns one that says why, if it cannot be read.

    >>> picture = read("photos", model.checkpoint.spec, "a.jpg")
    """
    version = version_of(folder, name)  # before the bytes are read: a change meanwhile shows at the next run
    try:
        decoded = decode(os.path.join(folder, name))
        image, placement = fit(decoded, spec)
    except UnreadableImage as error:
        return Picture(name, version, stage=error.stage, reason=str(error))
    return Picture(name, version, image, placement)


def decode(picture: str | Path | Image.Image) -> Tensor:
    """Decode a file (or take a PIL image). Returns upright RGB, uint8 [3,H,W].

    torchcodec decodes what it knows, without holding the GIL; Pillow the rest. EXIF orientation is applied, alpha is
    composited on white, 16 bits are scaled to 8, the first frame of several is taken. Raises UnreadableImage.

    >>> decode("photo.jpg").shape
    torch.Size([3, 1080, 1920])
    """
    if isinstance(picture, Image.Image):
        return _from_pillow(picture)
    content = _content(picture)
    try:
        with Image.open(io.BytesIO(content)) as header:  # reads the header only: format, size, mode
            if header.format in TORCHCODEC_FORMATS:
                return _from_torchcodec(content, header)
            return _from_pillow(header)
    except UnidentifiedImageError:
        return _from_heic(content)
    except Image.DecompressionBombError as error:
        raise UnreadableImage(f"too many pixels: {error}") from None
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise UnreadableImage(f"cannot be decoded: {error}") from None


def _content(path: str | Path) -> bytes:
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise UnreadableImage(f"cannot be read: {error.strerror}", stage="read") from None
    if not content:
        raise UnreadableImage("file is empty (0 bytes)")
    return content


def _from_torchcodec(content: bytes, header: Image.Image) -> Tensor:
    transparent = "A" in header.getbands() or "transparency" in header.info
    try:
        if not transparent:
            return decode_image(content, mode="RGB")
        rgba = decode_image(content, mode="RGB_ALPHA")
        return _on_white(rgba)
    except (RuntimeError, ValueError):
        return _from_pillow(header)  # a rarer variant, or broken: then Pillow says how in a sentence people understand


def _from_heic(content: bytes) -> Tensor:
    """The one family torchcodec reads and Pillow does not."""
    try:
        return decode_image(content, mode="RGB")
    except (RuntimeError, ValueError):
        raise UnreadableImage("not a picture in a known format") from None


def _from_pillow(image: Image.Image) -> Tensor:
    upright = ImageOps.exif_transpose(image)
    mode = upright.mode
    if mode.startswith("I;16") or mode in ("I", "F"):
        upright = _scaled_to_8_bits(upright)
    if upright.has_transparency_data:
        rgba = _as_tensor(upright.convert("RGBA"))
        return _on_white(rgba)
    return _as_tensor(upright.convert("RGB"))


def _as_tensor(image: Image.Image) -> Tensor:
    pixels = np.array(image)
    rows_first = torch.from_numpy(pixels)
    return rows_first.permute(2, 0, 1)


def _scaled_to_8_bits(image: Image.Image) -> Image.Image:
    """Pillow clips deeper grey levels at 255, which turns the picture white; scale them instead."""
    levels = np.asarray(image, dtype=np.float64)
    top = 65535.0
    if image.mode == "F":
        highest = levels.max()
        top = max(1.0, float(highest))
    scaled = levels * 255 / top
    whole = scaled.round()
    in_range = whole.clip(0, 255)
    return Image.fromarray(in_range.astype(np.uint8))


def _on_white(rgba: Tensor) -> Tensor:
    """Composite uint8 [4,H,W] on white: product cut-outs keep arbitrary colours where they are transparent."""
    colours = rgba[:3]
    alpha = rgba[3:]
    alpha = alpha.to(torch.int32)
    white = 255 * (255 - alpha)
    colours = colours * alpha
    rounded = (colours + white + 127) // 255
    return rounded.to(torch.uint8)
