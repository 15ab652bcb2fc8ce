"""JPEG and PNG files that lack their end, and PNG files whose metadata are broken: what of them is still a picture?"""

import random
import re
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from torch import Tensor
from torchcodec.decoders import decode_jpeg

from .files import UnreadableImage
from .reasons import TRUNCATED

ENOUGH_ROWS = 0.9  # of a sequential JPEG whose data end early

# --- JPEG: markers are 0xFF and a byte; in a scan's data 0xFF is followed by 0, or by a restart marker
START_OF_SCAN, END_OF_IMAGE, FIRST_RESTART = 0xDA, 0xD9, 0xD0
FRAMES = {0xC0: True, 0xC1: True, 0xC2: False}  # baseline, extended: sequential; progressive
METADATA = {0xFE, *range(0xE0, 0xF0)}  # comments, application data
ADOBE = b"Adobe"
PICTURE_METADATA = b"Exif\0\0", ADOBE
BETWEEN_SCANS = {0xC4, 0xDA, 0xDB, 0xDC, 0xDD} | METADATA  # tables, scans
MARKER_IN_SCAN = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")
END = b"\xff\xd9"
HOLE = 64  # so many zeros at the end are no data: a download that had its room reserved
NOISE = random.Random(0).randbytes(4096).replace(b"\xff", b"\xfe")

# --- PNG: chunks of length, type, data, checksum
SIGNATURE = b"\x89PNG\r\n\x1a\n"
BIT_DEPTH = 24  # where in the file it stands
LAST_CHUNK = struct.pack(">I4sI", 0, b"IEND", zlib.crc32(b"IEND"))
PICTURE_CHUNKS = {b"IHDR", b"PLTE", b"tRNS", b"sBIT", b"eXIf", b"IDAT"}


class _Jpeg(NamedTuple):
    """What a JPEG's markers say; `unsent`: (component, coefficient) that no scan has brought to the last bit."""

    sequential: bool
    unsent: set[tuple[int, int]]
    has_end: bool


def mend_jpeg(content: bytes) -> Tensor | None:
    """Decode a JPEG that lacks its end. Returns RGB, uint8 [3,H,W], or None where the end is there: it fails otherwise.

    Of a sequential one, 90 % of the rows must be there (the others are grey), of a progressive one everything but the
    end marker. Raises UnreadableImage where more is missing.

    >>> image = mend_jpeg(content[:-2])
    """
    jpeg = _markers(content)
    if jpeg.has_end:
        return None
    if jpeg.unsent:
        raise UnreadableImage(TRUNCATED)
    image, share = _with_share(_without_hole(content))
    enough = ENOUGH_ROWS if jpeg.sequential else 1.0
    if share < enough:
        raise UnreadableImage(TRUNCATED)
    return image


def rebuild_jpeg(content: bytes, keep: tuple[bytes, ...] = PICTURE_METADATA) -> bytes:
    """Returns the same JPEG without comments and application data but those that begin with one of `keep`: EXIF for its
    orientation, and Adobe's for its colours.

    >>> content = rebuild_jpeg(content)
    """
    parts = [content[:2]]
    position = 2
    while position + 4 <= len(content):
        marker, length = struct.unpack_from(">xBH", content, position)
        if marker == START_OF_SCAN:
            break
        segment = content[position : position + 2 + length]
        if marker not in METADATA or segment[4:].startswith(keep):
            parts.append(segment)
        position += 2 + length
    parts.append(content[position:])
    return b"".join(parts)


def _markers(content: bytes) -> _Jpeg:
    sequential = False
    unsent = {(-1, 0)}  # as long as no frame is there
    position = 2
    while position + 4 <= len(content):
        marker, length = struct.unpack_from(">xBH", content, position)
        if marker == END_OF_IMAGE:
            return _Jpeg(sequential, unsent, True)
        segment = content[position + 4 : position + 2 + length]
        if marker in FRAMES:
            sequential = FRAMES[marker]
            components = segment[6::3]
            unsent = {(component, k) for component in components for k in range(64)}
        elif marker not in BETWEEN_SCANS:  # another kind of JPEG, or damaged here
            return _Jpeg(False, unsent | {(-1, 0)}, END in content[position:])
        position += 2 + length
        if marker == START_OF_SCAN:
            unsent -= _sent(segment)
            position = _next_marker(content, position)
    has_end = content[position : position + 2] == END
    return _Jpeg(sequential, unsent, has_end)


def _sent(scan: bytes) -> set[tuple[int, int]]:
    """The coefficients that a scan brings to their last bit."""
    count = scan[0]
    first, last, bits = scan[1 + 2 * count :]
    if bits & 15:
        return set()
    components = scan[1 : 1 + 2 * count : 2]
    return {(component, k) for component in components for k in range(first, last + 1)}


def _next_marker(content: bytes, position: int) -> int:
    match = MARKER_IN_SCAN.search(content, position)
    if match is None:
        return len(content)
    return match.start(1) - 1


def _without_hole(content: bytes) -> bytes:
    data = content.rstrip(b"\0")
    if len(content) - len(data) < HOLE:
        data = content
    return data.rstrip(b"\xff")  # half a marker


def _with_share(data: bytes) -> tuple[Tensor, float]:
    """The picture, and how much of its rows is there: those that stay as they are whatever stands behind the data.

    libjpeg takes an end marker wherever it comes, and makes up what is missing. So we decode twice, once with noise
    before the marker, and look for the first row that differs, as they are stored: EXIF would turn them.
    """
    image = decode_jpeg(data + END, mode="RGB")
    as_stored = rebuild_jpeg(data, keep=(ADOBE,))
    made_up, noisy = decode_jpeg([as_stored + END, as_stored + _noise(data) + END], mode="RGB")
    assert isinstance(image, Tensor)
    differs = (made_up != noisy).any(dim=0).any(dim=1)
    rows = len(differs)
    there = int(differs.int().argmax()) if differs.any() else rows
    return image, there / rows


def _noise(data: bytes) -> bytes:
    """Noise, for a scan with restart markers too: with the next eight of them, counted from 0 to 7 and again."""
    found = {data.rfind(bytes([0xFF, FIRST_RESTART + i])): i for i in range(8)}
    last = found[max(found)] if max(found) >= 0 else 7
    parts = [NOISE]
    for i in range(1, 9):
        marker = FIRST_RESTART + (last + i) % 8
        parts += [bytes([0xFF, marker]), NOISE]
    return b"".join(parts)


def has_png_end(content: bytes) -> bool:
    """Returns whether the chunk that ends a PNG is there; what stands behind it does not count.

    >>> has_png_end(content[:-12])
    False
    """
    if content.endswith(LAST_CHUNK):
        return True
    return any(kind == b"IEND" and checksum is not None for kind, _, checksum in _chunks(content))


def significant_bits(content: bytes) -> int:
    """Returns the most that a PNG's sBIT says of its colours, 0 where it has none.

    >>> significant_bits(content)
    12
    """
    for kind, data, _ in _chunks(content):
        if kind == b"sBIT":
            return max(data[:3], default=0)
        if kind == b"IDAT":
            break
    return 0


def rebuild_png(content: bytes) -> bytes:
    """Returns the same PNG of those chunks alone that make the picture, and with its end.

    What is left out: text, profiles, times, further frames. A wrong checksum is put right, but not of pixels, sizes and
    colours; nor does an EXIF with a wrong one turn the picture.

    >>> content = rebuild_png(content)
    """
    parts = [SIGNATURE]
    for kind, data, checksum in _chunks(content):
        right = zlib.crc32(kind + data)
        critical = kind[:1].isupper()
        if kind not in PICTURE_CHUNKS or (kind == b"eXIf" and checksum != right):
            continue
        if checksum is None or not critical:
            checksum = right
        parts.append(struct.pack(">I4s", len(data), kind) + data + struct.pack(">I", checksum))
    parts.append(LAST_CHUNK)
    return b"".join(parts)


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes, int | None]]:
    """Type, data and checksum, up to the end or to what is no chunk; the last may be cut: then its checksum is None."""
    position = len(SIGNATURE)
    while position + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, position)
        if not kind.isalpha():
            return
        start = position + 8
        data = content[start : start + length]
        position = start + length + 4
        checksum = None
        if position <= len(content):
            (checksum,) = struct.unpack_from(">I", content, position - 4)
        yield kind, data, checksum
        if kind == b"IEND":
            return
