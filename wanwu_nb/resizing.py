"""A picture at another size: to the bit as torchvision's `resize` makes it, without importing torchvision.

It takes a second to import, which a run of few pictures would notice, and calls what is called here.
"""

import platform

import torch
from torch import Tensor
from torch.nn.functional import interpolate

WITH_BYTES = ("AVX2", "AVX512")  # processors on which torch mixes bytes bilinearly as fast as it can


def resized(image: Tensor, width: int, height: int, interpolation: str) -> Tensor:
    """Scale uint8 [3,H,W] to [3,height,width], without aliasing.

    `interpolation`: "bilinear", as torchvision does; or "bicubic", as Pillow does and so timm, one level apart at most.

    >>> resized(torch.zeros(3, 8, 8, dtype=torch.uint8), 4, 2, "bilinear").shape
    torch.Size([3, 2, 4])
    """
    if interpolation == "bilinear":
        return _resized(image, width, height, "bilinear")
    less_than_halved = 2 * width > image.shape[2]
    if less_than_halved or image.is_cuda:
        return _as_by_pillow(image, width, height)
    return _resized(image, width, height, "bicubic")


def _as_by_pillow(image: Tensor, width: int, height: int) -> Tensor:
    """Rows first, then columns, each rounded to whole levels.

    torch's own way is ten times as fast, and two levels apart at hard edges where a picture is less than halved; on a
    GPU it rounds only once, and is many apart.
    """
    rows = _rounded_bicubic(image.float(), width, image.shape[1])
    both = _rounded_bicubic(rows, width, height)
    return both.byte()


def _rounded_bicubic(image: Tensor, width: int, height: int) -> Tensor:
    scaled = _resized(image, width, height, "bicubic")
    half_up = (scaled + 0.5).floor()  # Tensor.round takes halves to even
    return half_up.clamp(0, 255)


def _resized(image: Tensor, width: int, height: int, mode: str) -> Tensor:
    """torchvision's `resize` of one picture, bytes or floats, with antialias."""
    _, old_height, old_width = image.shape
    if (old_height, old_width) == (height, width):
        return image
    batch = _as_batch(image)
    in_floats = image.dtype == torch.uint8 and not _mixes_bytes(image, mode)
    if in_floats:
        batch = batch.float()
    scaled = interpolate(batch, [height, width], mode=mode, align_corners=False, antialias=True)
    if in_floats:
        scaled = scaled.clamp(0, 255).round().byte()
    return scaled[0]


def _as_batch(image: Tensor) -> Tensor:
    """[1,3,H,W], whose strides say how it lies: torch lays a batch of one anew where they leave that open."""
    batch = image[None]
    if not batch.is_contiguous(memory_format=torch.channels_last):
        return batch
    strides = image.numel(), *image.stride()
    return image.as_strided(batch.shape, strides)


def _mixes_bytes(image: Tensor, mode: str) -> bool:
    """Whether torch scales bytes as they are, here: whole numbers all the way, and other ones than floats give."""
    if image.is_cuda:
        return False
    if mode == "bicubic":
        return True
    on_arm = platform.machine() in ("aarch64", "arm64")
    return on_arm or torch.backends.cpu.get_cpu_capability() in WITH_BYTES
