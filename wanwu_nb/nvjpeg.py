"""JPEGs decoded by the GPU: opened in threads, then a round in one call. What nvJPEG cannot take, the CPU reads."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image, ImageFile
from torch import Tensor
from torchcodec.decoders import decode_jpeg

from .decoding import DEFAULT_LIMITS, Limits, read_file
from .decoding.headers import open_header
from .decoding.mending import ADOBE, END, rebuild_jpeg
from .decoding.pillow_pixels import turn_of
from .fitting import InputSpec, fit
from .images import Picture, read
from .versions import FileVersion, version_of

DECODED_AT_ONCE = 32  # pictures in their full size, on the device: more are 2 % faster, and take gigabytes
Turn = Image.Transpose
TURNED: dict[Turn, Callable[[Tensor], Tensor]] = {
    Turn.FLIP_LEFT_RIGHT: lambda image: image.flip(2),
    Turn.FLIP_TOP_BOTTOM: lambda image: image.flip(1),
    Turn.ROTATE_90: lambda image: image.rot90(1, (1, 2)),
    Turn.ROTATE_180: lambda image: image.rot90(2, (1, 2)),
    Turn.ROTATE_270: lambda image: image.rot90(3, (1, 2)),
    Turn.TRANSPOSE: lambda image: image.transpose(1, 2),
    Turn.TRANSVERSE: lambda image: image.transpose(1, 2).flip(1, 2),
}


class Jpeg(NamedTuple):
    """A JPEG that the GPU is to decode: the version of its file, its content, and what brings it upright."""

    name: str
    version: FileVersion | None
    content: bytes
    turn: Turn | None


def open_jpeg(folder: str | Path, name: str, limits: Limits = DEFAULT_LIMITS) -> Jpeg | None:
    """Returns the file's content, where it is an RGB JPEG that has its end; None for what the CPU is to read.

    >>> open_jpeg("photos", "a.jpg").turn
    """
    version = version_of(folder, name)  # before the bytes are read
    try:
        content = read_file(os.path.join(folder, name), limits)
        header = open_header(content, limits)
    except Exception:  # images.read says what is wrong with it
        return None
    if not _is_rgb_jpeg(header.image) or not content.endswith(END):
        return None
    turn = turn_of(header.image)
    if turn is not None:  # turned here: not every decoder does it
        content = rebuild_jpeg(content, keep=(ADOBE,))
    return Jpeg(name, version, content, turn)


def _is_rgb_jpeg(header: ImageFile.ImageFile) -> bool:
    if header.format != "JPEG":
        return False
    if header.mode != "RGB":
        return False
    return "mp" not in header.info  # an MPO


def decode_on_gpu(
    folder: str | Path,
    spec: InputSpec,
    device: str,
    opened: Sequence[Jpeg | Picture],
    limits: Limits = DEFAULT_LIMITS,
) -> list[Picture]:
    """Returns what `images.read` gives for each, in order; the inputs of those that the GPU decoded are on the device.

    >>> pictures = decode_on_gpu("photos", spec, "cuda", [open_jpeg("photos", "a.jpg")])
    """
    decoded = {}
    jpegs = [jpeg for jpeg in opened if isinstance(jpeg, Jpeg)]
    for start in range(0, len(jpegs), DECODED_AT_ONCE):
        some = jpegs[start : start + DECODED_AT_ONCE]
        images = _decode_all([jpeg.content for jpeg in some], device)
        for jpeg, image in zip(some, images, strict=True):
            decoded[jpeg.name] = _fitted(jpeg, image, spec)
    pictures = []
    for one in opened:
        picture = decoded.get(one.name) if isinstance(one, Jpeg) else one
        if picture is None:
            picture = read(folder, spec, one.name, limits)
        pictures.append(picture)
    return pictures


def _decode_all(contents: Sequence[bytes], device: str) -> list[Tensor | None]:
    """All in one call; where that fails, one by one, with None for the one that is broken."""
    try:
        return list(decode_jpeg(list(contents), mode="RGB", device=device))
    except RuntimeError:
        return [_decode_one(content, device) for content in contents]


def _decode_one(content: bytes, device: str) -> Tensor | None:
    try:
        (image,) = decode_jpeg([content], mode="RGB", device=device)
    except RuntimeError:
        return None
    return image


def _fitted(jpeg: Jpeg, image: Tensor | None, spec: InputSpec) -> Picture | None:
    if image is None:
        return None
    try:
        if jpeg.turn is not None:
            image = TURNED[jpeg.turn](image).contiguous()
        on_input, placement = fit(image, spec)
    except torch.AcceleratorError:
        raise  # the device is lost
    except RuntimeError:  # its memory is full, say
        return None
    return Picture(jpeg.name, jpeg.version, on_input, placement)
