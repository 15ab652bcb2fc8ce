"""Pictures deeper than 8 bits, brought to 8: which level is white?

A file with 16 bits a sample may hold 12-bit data, whose white is 4095, or a dark photograph, whose white is 65535. What
a file states decides (PNG's sBIT, TIFF's MaxSampleValue and packed depths). Where it states nothing but its container's
16 bits, the smallest of 8, 10, 12, 14 and 16 bits that holds the highest level does: with 14 bits filled at most, a
photograph comes out up to four times as bright as with 16, and 12-bit data are not black. Only levels that are 8 bits
stretched to 16 (all of them multiples of 257, or of 256) leave no doubt: their white is 65535, however dark they are.
"""

from collections.abc import Iterator

import numpy as np

DEPTHS = 8, 10, 12, 14, 16
FULL = 65535
BAND = 2**22  # samples that are converted at once: a large picture must not be held three times, in floats


def to_8_bits(levels: np.ndarray, white: float) -> np.ndarray:
    """Returns levels […,H,W] as uint8, `white` as 255; what lies outside is clipped, and NaN is 0.

    >>> to_8_bits(np.array([[0, 2048, 4095]], np.uint16), 4095)
    array([[  0, 128, 255]], dtype=uint8)
    """
    scale = white / 255
    in_8_bits = np.empty(levels.shape, np.uint8)
    for rows in bands(levels.shape):
        band = _as_floats(levels[..., rows, :], white)
        scaled = (band / scale).round()
        in_8_bits[..., rows, :] = scaled.clip(0, 255)
    return in_8_bits


def _as_floats(levels: np.ndarray, white: float) -> np.ndarray:
    if levels.dtype == np.uint16:
        return levels.astype(np.float32)  # exact, and quicker
    with np.errstate(invalid="ignore"):  # a NaN of damaged data may be one that warns
        exact = levels.astype(np.float64)
    return np.nan_to_num(exact, nan=0.0, posinf=white, neginf=0.0)


def colours_to_8_bits(levels: np.ndarray, white: float) -> np.ndarray:
    """Returns levels [3,H,W] or, with opacity, [4,H,W] as uint8; opacity goes as far as the colours, or to 16 bits.

    >>> colours_to_8_bits(np.full((4, 8, 8), 4095, np.uint16), 4095).min()
    255
    """
    colours = to_8_bits(levels[:3], white)
    opacity = levels[3:]
    opaque = white
    if opacity.size and opacity.max() > white:
        opaque = FULL
    return np.concatenate([colours, to_8_bits(opacity, opaque)])


def bands(shape: tuple[int, ...]) -> Iterator[slice]:
    """Yields slices of rows that hold some four million samples each, of an array […,H,W].

    >>> list(bands((3, 1080, 1920)))
    [slice(0, 728, None), slice(728, 1456, None)]
    """
    *planes, height, width = shape
    samples_a_row = width * int(np.prod(planes))
    rows = max(1, BAND // max(1, samples_a_row))
    for start in range(0, height, rows):
        yield slice(start, start + rows)


def white_of(levels: np.ndarray, stated: int = 0) -> float:
    """Returns the level that is white; `stated`: the one that the file states, 0 where it states none.

    >>> white_of(np.array([[0, 3000]], np.uint16)), white_of(np.array([[0, 3000]], np.uint16), stated=65535)
    (4095, 65535)
    """
    if levels.dtype.kind == "f":
        return _white_of_floats(levels)
    highest = int(levels.max())
    if 0 < highest <= stated:
        return stated
    if _all_multiples(levels, 257) or _all_multiples(levels, 256):
        return FULL
    return white_over(highest)


def white_over(highest: int) -> int:
    """Returns the white of the smallest depth that holds a level, which is the level itself beyond 16 bits.

    >>> white_over(3000)
    4095
    """
    for bits in DEPTHS:
        if highest < 2**bits:
            return int(2**bits - 1)
    return highest


def white_of_png(levels: np.ndarray, significant_bits: int) -> float:
    """Returns the level that is white in a PNG of 16 bits; `significant_bits` is what its sBIT says, 0 without one.

    PNG wants fewer significant bits moved up, so that 65535 is white all the same. Many writers leave them where they
    are; then some level has bits below the significant ones.

    >>> white_of_png(np.array([[0, 3000]], np.uint16), 12), white_of_png(np.array([[0, 3008]], np.uint16), 12)
    (4095, 65535)
    """
    if not significant_bits:
        return white_of(levels)
    if significant_bits < 16 and not _all_multiples(levels, 2 ** (16 - significant_bits)):
        highest = int(levels.max())
        if highest < 2**significant_bits:
            return float(2**significant_bits - 1)
    return FULL


def _white_of_floats(levels: np.ndarray) -> float:
    """1, or more where the levels go further: floats come in any scale."""
    highest = np.max(levels, initial=1.0, where=np.isfinite(levels))
    return float(highest)


def _all_multiples(levels: np.ndarray, step: int) -> bool:
    """Whether the lower bits say nothing of their own: levels moved up. A blank picture shows nothing."""
    if not levels.any():
        return False
    for rows in bands(levels.shape):
        remainders = levels[..., rows, :] % step
        if remainders.any():
            return False
    return True
