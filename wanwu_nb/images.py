"""Pictures in: find the files of a folder, read one as a network's input."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from .decoding import decode_content
from .errors import MissingFile, NotAFolder, PicturesError
from .files import DEFAULT_LIMITS, Limits, UnreadableImage, read_file
from .fitting import InputSpec, Placement, fit
from .reasons import reason_of

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


def find_images(folder: str | Path, limit: int = 0) -> list[str]:
    """Returns all pictures below `folder`, as sorted paths relative to it with forward slashes.

    By suffix, in any case, in all sub-folders but hidden ones; the first `limit` if that is not 0. Raises MissingFile
    or NotAFolder where there is no such folder, and PicturesError where it holds no picture.

    >>> find_images("photos")
    ['a.jpg', 'shoes/b.PNG']
    """
    root = Path(folder).absolute()
    if not root.exists():
        raise MissingFile(f"picture folder {root} does not exist: check image_dir")
    if not root.is_dir():
        raise NotAFolder(f"picture folder {root} is not a folder: give the folder the pictures are in")
    names = sorted(_pictures_below(root))
    if not names:
        suffixes = " ".join(SUFFIXES)
        raise PicturesError(f"no picture in {root} or below: files ending in {suffixes} are looked for")
    if limit:
        return names[:limit]
    return names


def _pictures_below(root: Path) -> Iterator[str]:
    for path in _walk(root):
        if _is_picture(path):
            name = os.path.relpath(path, root)
            yield name.replace(os.sep, "/")


def _walk(root: Path) -> Iterator[str]:
    """All files but those in hidden folders; an error, not silence, where a folder may not be read."""

    def fail(error: OSError) -> None:
        raise error

    for parent, folders, names in os.walk(root, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            yield os.path.join(parent, name)


def _is_picture(path: str) -> bool:
    name = os.path.basename(path)
    if name.startswith("."):
        return False
    _, suffix = os.path.splitext(name)
    return suffix.lower() in SUFFIXES


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
    except (OSError, ValueError):  # or a name with a zero byte in it
        return None
    return FileVersion(stat.st_size, stat.st_mtime_ns)


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture of a run: its input uint8 [3,H,W] and placement once read, or the `stage` that failed and its `reason`.

    `image` and `placement` are None exactly where there is a reason. `damaged`: the file lacks its end, or few rows.
    """

    name: str
    version: FileVersion | None
    image: Tensor | None = None
    placement: Placement | None = None
    stage: str = ""
    reason: str = ""
    damaged: bool = False


def read(folder: str | Path, spec: InputSpec, name: str, limits: Limits = DEFAULT_LIMITS) -> Picture:
    """Decode the picture `name` of `folder` and fit it to the input. Returns one that says why, if it cannot be read.

    Never raises for what is the picture's own: whatever its file, a decoder or its size may be.

    >>> picture = read("photos", model.checkpoint.spec, "a.jpg")
    """
    version = version_of(folder, name)  # before the bytes are read: a change meanwhile shows at the next run
    try:
        content = read_file(os.path.join(folder, name), limits)
        decoded = decode_content(content, limits)
        image, placement = fit(decoded.image, spec)
    except UnreadableImage as error:
        return Picture(name, version, stage=error.stage, reason=str(error))
    except Exception as error:  # of fitting
        return Picture(name, version, stage="decode", reason=reason_of(error))
    return Picture(name, version, image, placement, damaged=decoded.damaged)
