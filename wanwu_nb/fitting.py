"""A picture fitted to a network's input, and the way back from the input's pixels to the photo's."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor
from torch.nn.functional import pad

from .resizing import resized

LARGEST_SIDE = 16_384  # of an input
LARGEST_MEAN, LARGEST_STD = 1.5, 5.0  # beyond, they are of values in 0…255
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of values in 0…1
# A line of 60,000 x 1 pixels would be enlarged to gigabytes for a network that takes its middle.
FAR = 16  # inputs long: sides that come out longer are cut first; all others are resized whole, and keep every bit
SEARCHED = 200  # pixels
REACH = {"bilinear": 1, "bicubic": 2}  # pixels on each side that a scaled one is made of, where nothing shrinks
LATER = {"interpolation": "bilinear", "truncate": False}  # fields that specs had not at first


@dataclass(frozen=True)
class InputSpec:
    """What a network wants: its input's size, how a picture is made to fit, and the normalisation.

    `fit`: "stretch" (both sides to the input's) · "letterbox" (whole picture, `pad` grey around it) · "crop" (shorter
    side to `shorter_side`, then the centre). `mean` and `std` are per channel, of values in 0…1. `interpolation`:
    "bilinear" or "bicubic", how pixels are mixed. `truncate`: a scaled side that comes out between two pixels is cut
    down to the smaller, as torchvision and timm do, instead of rounded.

    >>> InputSpec(640, 640, "letterbox", IMAGENET_MEAN, IMAGENET_STD)
    """

    width: int
    height: int
    fit: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    pad: int = 114
    shorter_side: int = 0
    interpolation: str = "bilinear"
    truncate: bool = False

    def __post_init__(self) -> None:
        known = "stretch", "letterbox", "crop"
        if self.fit not in known:
            raise ValueError(f'fit {self.fit!r} is not known: use "stretch", "letterbox" or "crop"')
        if self.interpolation not in REACH:
            raise ValueError(f'interpolation {self.interpolation!r} is not known: use "bilinear" or "bicubic"')
        longer = max(self.width, self.height)
        too_small = min(self.width, self.height) < 1 or self.shorter_side < 0
        if too_small or max(longer, self.shorter_side) > LARGEST_SIDE:
            sides = f"{self.width} x {self.height}, shorter_side {self.shorter_side}"
            raise ValueError(f"sides lie in 1…{LARGEST_SIDE:,} pixels, and {sides} do not")
        if self.fit == "crop" and 2 * self.shorter_side < longer:
            raise ValueError(
                f"crop scales a photo's shorter side to shorter_side, which is {self.shorter_side}: set it to at least "
                f"the input's own {longer}"
            )
        if not 0 <= self.pad <= 255:
            raise ValueError(f"pad is a grey of 0…255, and {self.pad} is none")
        of_pixels = any(abs(value) > LARGEST_MEAN for value in self.mean)
        if of_pixels or any(value > LARGEST_STD for value in self.std):
            raise ValueError(f"mean {self.mean} and std {self.std} are of values in 0…1: divide those of 0…255 by 255")
        if not all(value > 0 for value in self.std):
            raise ValueError(f"std divides the pixels, and must be above zero: {self.std}")
        if not all(isfinite(value) for value in (*self.mean, *self.std)):
            raise ValueError(f"mean {self.mean} and std {self.std} must be numbers")

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields by name, those that came later only where they are not the default.

        What is remembered by them, fingerprints say, stays as it was before there were such fields.

        >>> InputSpec(8, 8, "stretch", IMAGENET_MEAN, IMAGENET_STD, interpolation="bicubic").to_dict()["interpolation"]
        'bicubic'
        """
        values = asdict(self)
        for name, default in LATER.items():
            if values[name] == default:
                del values[name]
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "InputSpec":
        """Returns the spec that `to_dict` gave, from JSON too, which makes lists of tuples.

        >>> InputSpec.from_dict(json.loads(text)).mean
        (0.485, 0.456, 0.406)
        """
        of_three = {name: tuple(values[name]) for name in ("mean", "std")}
        return cls(**{**values, **of_three})


@dataclass(frozen=True)
class Placement:
    """Where a photo of `width` x `height` lies in the input: scaled to `scaled` (w, h), its corner at `offset`."""

    width: int
    height: int
    scaled: tuple[int, int]
    offset: tuple[int, int]

    def to_photo(self, boxes: np.ndarray) -> np.ndarray:
        """Returns boxes [N,4] xyxy of input pixels in the upright photo's pixels, clipped to the photo.

        >>> Placement(1280, 720, (640, 360), (0, 140)).to_photo(np.array([[100, 240, 200, 340]]))
        array([[200., 200., 400., 400.]])
        """
        photo = self.width, self.height
        size = np.array(photo * 2, np.float64)
        offset = np.array(self.offset * 2)
        scaled = np.array(self.scaled * 2)
        scale = size / scaled
        in_photo: np.ndarray = (boxes - offset) * scale
        return in_photo.clip(0, size)


def place(width: int, height: int, spec: InputSpec) -> Placement:
    """Returns the placement that `spec.fit` asks for; a crop is an offset below zero.

    >>> place(160, 90, InputSpec(64, 64, "letterbox", IMAGENET_MEAN, IMAGENET_STD)).offset
    (0, 14)
    """
    scaled = _scaled_size(width, height, spec)
    spare_x = spec.width - scaled[0]
    spare_y = spec.height - scaled[1]
    offset = _half(spare_x), _half(spare_y)
    return Placement(width, height, scaled, offset)


def _half(spare: int) -> int:
    """Half of the room; what a crop takes away is halved as `center_crop` rounds it, half to even."""
    if spare < 0:
        return -round(-spare / 2)
    return spare // 2


def _scaled_size(width: int, height: int, spec: InputSpec) -> tuple[int, int]:
    if spec.fit == "stretch":
        return spec.width, spec.height
    if spec.truncate:
        return _truncated_size(width, height, spec)
    if spec.fit == "letterbox":
        ratio = min(spec.width / width, spec.height / height)
    else:
        ratio = spec.shorter_side / min(width, height)
    scaled_width = round(width * ratio)
    scaled_height = round(height * ratio)
    return max(1, scaled_width), max(1, scaled_height)


def _truncated_size(width: int, height: int, spec: InputSpec) -> tuple[int, int]:
    """In whole numbers: one side is the input's exactly, and no error of a ratio can cut a pixel off the other."""
    if spec.fit == "letterbox":
        if spec.width * height <= spec.height * width:
            new, old = spec.width, width
        else:
            new, old = spec.height, height
    else:
        new, old = spec.shorter_side, min(width, height)
    scaled_width = width * new // old
    scaled_height = height * new // old
    return max(1, scaled_width), max(1, scaled_height)


def fit(image: Tensor, spec: InputSpec) -> tuple[Tensor, Placement]:
    """Fit a decoded picture to the input. Returns uint8 [3,spec.height,spec.width], contiguous, and its placement.

    >>> image, placement = fit(decode("photo.jpg"), spec)
    """
    _, photo_height, photo_width = image.shape
    placement = place(photo_width, photo_height, spec)
    if min(placement.offset) < 0:
        fitted = _resize_and_crop(image, placement, spec)
    else:
        fitted = _resize_and_pad(image, placement, spec)
    return fitted.contiguous(), placement  # here, a picture a thread: whoever stacks them copies whole pictures


def _resize_and_pad(image: Tensor, placement: Placement, spec: InputSpec) -> Tensor:
    left, top = placement.offset
    width, height = placement.scaled
    scaled = resized(image, width, height, spec.interpolation)
    right = spec.width - width - left
    bottom = spec.height - height - top
    return pad(scaled, [left, right, top, bottom], value=spec.pad)


class _Part(NamedTuple):
    """Some pixels of a side, how long they come out, and from where on of that the input's are taken."""

    pixels: slice
    scaled: int
    wanted: slice


def _resize_and_crop(image: Tensor, placement: Placement, spec: InputSpec) -> Tensor:
    """Of a side that comes out too long, only what the crop leaves is resized."""
    width, height = placement.scaled
    reach = REACH[spec.interpolation]
    columns = _part(placement.width, width, spec.width, reach)
    rows = _part(placement.height, height, spec.height, reach)
    part = image[:, rows.pixels, columns.pixels]
    scaled = resized(part, columns.scaled, rows.scaled, spec.interpolation)
    wanted = scaled[:, rows.wanted, columns.wanted]
    return _centre(wanted, spec)


def _centre(image: Tensor, spec: InputSpec) -> Tensor:
    """Its middle, of the input's size; zeros around a picture that is too small."""
    _, height, width = image.shape
    spare_x = spec.width - width
    spare_y = spec.height - height
    left, top = _half(spare_x), _half(spare_y)
    return pad(image, [left, spare_x - left, top, spare_y - top])


def _part(side: int, scaled: int, wanted: int, reach: int) -> _Part:
    """All of a side that comes out at most `FAR` times as long as the input's; of others the middle, and some more.

    The part begins and ends where a pixel's edge falls on one of the scaled pixels', or nearly, so that they lie as
    they would if all were resized.
    """
    if scaled <= FAR * wanted:
        everything = slice(None)
        return _Part(everything, scaled, everything)
    scale = scaled / side
    around = math.ceil(reach / min(scale, 1)) + 1  # neighbours that resizing mixes in
    first = round((scaled - wanted) / 2)  # as center_crop counts
    latest_start = max(0, math.floor(first / scale) - around)
    earliest_end = min(side, math.ceil((first + wanted) / scale) + around)
    start = _edge(range(latest_start, max(-1, latest_start - SEARCHED), -1), scale)
    end = _edge(range(earliest_end, min(side, earliest_end + SEARCHED) + 1), scale)
    before = round(start * scale)
    length = round(end * scale) - before
    offset = first - before
    return _Part(slice(start, end), length, slice(offset, offset + wanted))


def _edge(pixels: range, scale: float) -> int:
    """The first whose edge lies as near to an edge of the scaled pixels as any."""

    def away(pixel: int) -> float:
        edge = pixel * scale
        distance = abs(edge - round(edge))
        return round(distance, 6)

    return min(pixels, key=away)
