"""The bytes of a picture's file: regular files only, within limits that are checked before anything is spent."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from ..errors import WanwuError
from ..settings import MAX_BYTES, MAX_PIXELS

KINDS = {stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket", stat.S_IFCHR: "device", stat.S_IFBLK: "device"}
KINDS[stat.S_IFDIR] = "folder"
# A pipe that takes the file's place meanwhile must not hold the reader; Windows has text files too.
OPENING = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class UnreadableImage(WanwuError):
    """A file that holds no whole picture; the message is the reason, without the file's name.

    `stage`: "read" where the file system refused, "decode" where its bytes are no picture.
    """

    def __init__(self, reason: str, stage: str = "decode"):
        super().__init__(reason)
        self.stage = stage


@dataclass(frozen=True)
class Limits:
    """What one picture may take: bytes of its file, pixels, pixels along its longer side. Checked before it is decoded.

    Decoding takes some 10 bytes a pixel while it lasts.

    >>> decode("photo.jpg", Limits(max_pixels=50_000_000))
    """

    max_pixels: int = MAX_PIXELS
    max_bytes: int = MAX_BYTES
    max_side: int = 100_000

    def check_bytes(self, size: int) -> None:
        """Raise UnreadableImage for a file of more bytes.

        >>> Limits().check_bytes(53120)
        """
        if size > self.max_bytes:
            reason = f"cannot be read: its {size:,} bytes are more than max_bytes={self.max_bytes:,}"
            raise UnreadableImage(reason, stage="read")

    def check_size(self, width: int, height: int) -> None:
        """Raise UnreadableImage for a picture of more pixels, or with a longer side.

        >>> Limits().check_size(1920, 1080)
        """
        pixels = width * height
        if pixels > self.max_pixels:
            raise UnreadableImage(
                f"too many pixels: {width:,} x {height:,} are {pixels:,}, more than max_pixels={self.max_pixels:,}"
            )
        if max(width, height) > self.max_side:
            longer = max(width, height)
            raise UnreadableImage(f"too long a side: {longer:,} pixels are more than max_side={self.max_side:,}")


DEFAULT_LIMITS = Limits()


def read_file(path: str | Path, limits: Limits) -> bytes:
    """Returns the content of a regular file, or of one that a link leads to.

    Raises UnreadableImage (stage "read") for any other kind of file, which is not even opened, and for one that is too
    large or cannot be read; and for an empty one.

    >>> content = read_file("photo.jpg", Limits())
    """
    try:
        _check(os.stat(path), limits)
        content = _content(path, limits)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UnreadableImage(f"cannot be read: {reason}", stage="read") from None
    except ValueError:  # a name with a zero byte in it
        raise UnreadableImage("cannot be read: no file can have such a name", stage="read") from None
    if not content:
        raise UnreadableImage("file is empty (0 bytes)")
    return content


def _content(path: str | Path, limits: Limits) -> bytes:
    descriptor = os.open(path, OPENING)
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        _check(status, limits)  # again: another file may have taken its place
        return file.read(status.st_size)


def _check(status: os.stat_result, limits: Limits) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = KINDS.get(stat.S_IFMT(status.st_mode), "special file")
        raise UnreadableImage(f"cannot be read: it is a {kind}, not a file", stage="read")
    limits.check_bytes(status.st_size)
