"""Pictures in: find the files of a folder, read one as a network's input, and know the way back to the photo.

A decoded picture is upright RGB, uint8 [3,H,W]; transparency lies on white. It stays uint8 until it is on the device.
"""

import io
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torchcodec.decoders import decode_image
from torchvision.transforms.v2.functional import center_crop, resize
from torchvision.transforms.v2.functional import pad as pad_image

SUFFIXES = (
    ".jpg",
    ".jpeg",
    ".jpe",
    ".jfif",
    ".png",
    ".webp",
    ".gif",
    ".bmp",
    ".tif",
    ".tiff",
    ".avif",
    ".heic",
    ".heif",
)
TORCHCODEC_FORMATS = frozenset({"JPEG", "MPO", "PNG", "WEBP", "GIF", "AVIF"})


class UnreadableImage(Exception):
    """A file that holds no whole picture; the message is the reason, without the file's name."""


def find_images(folder: str | Path, limit: int = 0) -> list[str]:
    """All pictures below `folder`, as sorted paths relative to it with forward slashes; the first `limit` if not 0.

    By suffix, in any case, in all sub-folders but hidden ones. Raises FileNotFoundError or NotADirectoryError where
    there is no such folder, and ValueError where it holds no picture.
    """
    folder = Path(folder).absolute()
    if not folder.exists():
        raise FileNotFoundError(f"picture folder {folder} does not exist: check image_dir")
    if not folder.is_dir():
        raise NotADirectoryError(f"picture folder {folder} is not a folder: give the folder the pictures are in")
    found = sorted(
        os.path.relpath(os.path.join(parent, name), folder).replace(os.sep, "/")
        for parent, names in walk(folder)
        for name in names
        if Path(name).suffix.lower() in SUFFIXES and not name.startswith(".")
    )
    if not found:
        raise ValueError(f"no picture in {folder} or below: files ending in {' '.join(SUFFIXES)} are looked for")
    return found[:limit] if limit else found


def walk(folder: Path):
    """os.walk without hidden folders, and with an error, not silence, where a folder may not be read."""

    def fail(error):
        raise error

    for parent, folders, names in os.walk(folder, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield parent, names


@dataclass(frozen=True)
class Picture:
    """A picture of a run: its input uint8 [3,H,W] and placement once read, or why there is none."""

    name: str
    stat: os.stat_result | None
    image: Tensor | None = None
    placement: "Placement | None" = None
    failure: str = ""


def read(folder: str | Path, spec: "InputSpec", name: str) -> Picture:
    """Decode the picture `name` of `folder` and fit it to the input; one that cannot be read says why."""
    stat = stat_of(folder, name)  # before the bytes are read: a change meanwhile shows at the next run
    try:
        return Picture(name, stat, *fit(decode(os.path.join(folder, name)), spec))
    except UnreadableImage as reason:
        return Picture(name, stat, failure=str(reason))


def stat_of(folder: str | Path, name: str) -> os.stat_result | None:
    try:
        return os.stat(os.path.join(folder, name))
    except OSError:
        return None


def decode(picture: str | Path | Image.Image) -> Tensor:
    """Decode a file (or take a PIL image) to upright RGB, uint8 [3,H,W].

    torchcodec decodes what it knows, without holding the GIL; Pillow the rest. EXIF orientation is applied, alpha is
    composited on white, 16 bits are scaled to 8, the first frame of several is taken. Raises UnreadableImage.
    """
    if isinstance(picture, Image.Image):
        return from_pillow(picture)
    try:
        content = Path(picture).read_bytes()
    except OSError as error:
        raise UnreadableImage(f"cannot be read: {error.strerror}") from None
    if not content:
        raise UnreadableImage("file is empty (0 bytes)")
    try:
        with Image.open(io.BytesIO(content)) as header:  # reads the header only: format, size, mode
            if header.format in TORCHCODEC_FORMATS:
                return from_torchcodec(content, header)
            return from_pillow(header)
    except Image.UnidentifiedImageError:
        return from_heic(content)
    except Image.DecompressionBombError as error:
        raise UnreadableImage(f"too many pixels: {error}") from None
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise UnreadableImage(f"cannot be decoded: {error}") from None


def from_torchcodec(content: bytes, header: Image.Image) -> Tensor:
    transparent = "A" in header.getbands() or "transparency" in header.info
    try:
        if not transparent:
            return decode_image(content, mode="RGB")
        return on_white(decode_image(content, mode="RGB_ALPHA"))
    except (RuntimeError, ValueError):
        return from_pillow(header)  # a rarer variant, or broken: then Pillow says how in a sentence people understand


def from_heic(content: bytes) -> Tensor:
    """The one family torchcodec reads and Pillow does not."""
    try:
        return decode_image(content, mode="RGB")
    except (RuntimeError, ValueError):
        raise UnreadableImage("not a picture in a known format") from None


def from_pillow(image: Image.Image) -> Tensor:
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I;16") or upright.mode in ("I", "F"):
        upright = scaled_to_8_bits(upright)
    if upright.has_transparency_data:
        pixels = torch.from_numpy(np.array(upright.convert("RGBA"))).permute(2, 0, 1)
        return on_white(pixels)
    return torch.from_numpy(np.array(upright.convert("RGB"))).permute(2, 0, 1)


def scaled_to_8_bits(image: Image.Image) -> Image.Image:
    """Pillow clips deeper grey levels at 255, which turns the picture white; scale them instead."""
    levels = np.asarray(image, dtype=np.float64)
    top = 65535 if image.mode != "F" else max(1.0, float(levels.max()))
    return Image.fromarray((levels * 255 / top).round().clip(0, 255).astype(np.uint8))


def on_white(rgba: Tensor) -> Tensor:
    """Composite uint8 [4,H,W] on white: product cut-outs keep arbitrary colours where they are transparent."""
    alpha = rgba[3:].to(torch.int32)
    return ((rgba[:3] * alpha + 255 * (255 - alpha) + 127) // 255).to(torch.uint8)


@dataclass(frozen=True)
class InputSpec:
    """What a network wants: its input's size, how a picture is made to fit, and the normalisation.

    `fit`: "stretch" (both sides to the input's) · "letterbox" (whole picture, `pad` grey around it) · "crop" (shorter
    side to `shorter_side`, then the centre). `mean` and `std` are per channel, of values in 0…1.
    """

    width: int
    height: int
    fit: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    pad: int = 114
    shorter_side: int = 0

    def __post_init__(self):
        if self.fit not in ("stretch", "letterbox", "crop"):
            raise ValueError(f'fit {self.fit!r} is not known: use "stretch", "letterbox" or "crop"')


@dataclass(frozen=True)
class Placement:
    """Where a photo of `width` x `height` lies in the input: scaled to `scaled` (w, h), its corner at `offset`."""

    width: int
    height: int
    scaled: tuple[int, int]
    offset: tuple[int, int]

    def to_photo(self, boxes: np.ndarray) -> np.ndarray:
        """Boxes [N,4] xyxy from input pixels to the upright photo's pixels, clipped to the photo."""
        size = np.array([self.width, self.height] * 2, np.float64)
        scale = size / np.array(self.scaled * 2)
        return ((boxes - np.array(self.offset * 2)) * scale).clip(0, size)


def place(width: int, height: int, spec: InputSpec) -> Placement:
    """The placement that `spec.fit` asks for; a crop is an offset below zero."""
    ratios = spec.width / width, spec.height / height
    if spec.fit == "stretch":
        scaled = spec.width, spec.height
    else:
        ratio = min(ratios) if spec.fit == "letterbox" else spec.shorter_side / min(width, height)
        scaled = max(1, round(width * ratio)), max(1, round(height * ratio))
    return Placement(width, height, scaled, ((spec.width - scaled[0]) // 2, (spec.height - scaled[1]) // 2))


def fit(image: Tensor, spec: InputSpec) -> tuple[Tensor, Placement]:
    """Fit a decoded picture to the input: uint8 [3,H,W] in, uint8 [3,spec.height,spec.width] and its placement out."""
    placement = place(image.shape[2], image.shape[1], spec)
    scaled = resize(image, placement.scaled[::-1], antialias=True)
    left, top = placement.offset
    if min(left, top) < 0:
        return center_crop(scaled, [spec.height, spec.width]), placement
    right, bottom = spec.width - scaled.shape[2] - left, spec.height - scaled.shape[1] - top
    return pad_image(scaled, [left, top, right, bottom], fill=spec.pad), placement
