"""Picture files that no library writes on its own: parts of JPEGs and PNGs put together by hand."""

import io
import struct
import zlib

import numpy as np
import torch
from PIL import Image

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def difference(decoded: torch.Tensor, expected: Image.Image) -> float:
    """Mean absolute difference in grey levels."""
    wanted = np.asarray(expected.convert("RGB")).transpose(2, 0, 1).astype(float)
    assert decoded.dtype == torch.uint8
    assert decoded.shape == wanted.shape
    return float(np.abs(decoded.numpy() - wanted).mean())


def saved(picture: Image.Image, form: str, **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def chunk(kind: bytes, data: bytes = b"", checksum: int | None = None) -> bytes:
    """One chunk of a PNG, with the right checksum or another."""
    right = zlib.crc32(kind + data)
    return struct.pack(">I4s", len(data), kind) + data + struct.pack(">I", right if checksum is None else checksum)


WHOLE = [(0, 0, 1, 1)]  # first column and row, steps between them
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def png(levels: np.ndarray, *chunks: bytes, bits: int = 8, interlaced: bool = False) -> bytes:
    """A PNG of levels [H,W] or [H,W,C], with more chunks before its pixels."""
    height, width, *channels = levels.shape
    colours = {(): 0, (2,): 4, (3,): 2, (4,): 6}[tuple(channels)]
    samples = levels.astype(">u2" if bits == 16 else np.uint8)
    passes = [samples[y::down, x::right] for x, y, right, down in (ADAM7 if interlaced else WHOLE)]
    pixels = zlib.compress(b"".join(b"\0" + row.tobytes() for part in passes for row in part))
    header = struct.pack(">2I5B", width, height, bits, colours, 0, 0, interlaced)
    return b"".join([PNG_SIGNATURE, chunk(b"IHDR", header), *chunks, chunk(b"IDAT", pixels), chunk(b"IEND")])


def with_chunk(content: bytes, extra: bytes) -> bytes:
    """A PNG with one more chunk, right behind its header."""
    return content[:33] + extra + content[33:]


def with_segment(content: bytes, marker: int, data: bytes) -> bytes:
    """A JPEG with one more segment of application data, before all others."""
    return content[:2] + struct.pack(">2BH", 0xFF, marker, len(data) + 2) + data + content[2:]
