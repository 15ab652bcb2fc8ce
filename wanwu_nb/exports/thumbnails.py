"""Small copies of the pictures in thumbs/, made once, on all cores: of a picture that has changed, anew."""

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from PIL import Image

from ..errors import WanwuError, first_line
from .originals import picture_of

FOLDER = "thumbs"
SIZE = 256  # pixels of the longer side, at most
QUALITY = 78
PARTIAL = ".partial"


def make_thumbnails(folder: Path, pictures: Iterable[tuple[str, Path]]) -> dict[str, str]:
    """Make those that are not in `folder` yet, or not of the picture as it is. `pictures`: names, and where they lie.

    Each has its picture's time. Returns why others have none, by name. Raises OSError where none can be written.

    >>> make_thumbnails(Path("runs/tags/thumbs"), [("a.jpg", Path("photos/a.jpg"))])
    {}
    """
    from ..hardware import usable_cores  # here: torch comes with it, and most exports look at no picture

    folder.mkdir(parents=True, exist_ok=True)
    problems = {}
    with ThreadPoolExecutor(usable_cores()) as threads:
        making = [(name, threads.submit(_make, path, place_of(folder, name))) for name, path in pictures]
        for name, made in making:
            problem = made.result()
            if problem:
                problems[name] = problem
    return problems


def place_of(folder: Path, name: str) -> Path:
    """Returns where a picture's small copy lies.

    >>> place_of(Path("thumbs"), "shoes/a.png")
    PosixPath('thumbs/shoes/a.png.jpg')
    """
    return folder / f"{name}.jpg"


def _make(picture: Path, place: Path) -> str:
    """Returns why there is none, "" where there is one."""
    try:
        taken = picture.stat().st_mtime_ns
    except OSError as error:
        return first_line(error)
    with suppress(OSError):
        if place.stat().st_mtime_ns == taken:
            return ""
    try:
        small = _small(picture)
    except (WanwuError, OSError, MemoryError) as error:
        return first_line(error)
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = place.with_name(f"{place.name}{PARTIAL}")
    small.save(partial, "JPEG", quality=QUALITY)
    os.utime(partial, ns=(taken, taken))
    os.replace(partial, place)
    return ""


def _small(picture: Path) -> Image.Image:
    """Upright. A JPEG is decoded at a half, a quarter or an eighth; whatever else, as it was for tagging."""
    small = _scaled_jpeg(picture)
    if small is None:
        small = _decoded(picture)
    small.thumbnail((SIZE, SIZE))
    return small


def _scaled_jpeg(picture: Path) -> Image.Image | None:
    from ..decoding.pillow_pixels import turn_of

    try:
        with Image.open(picture, formats=["JPEG"]) as file:
            if file.mode != "RGB":
                return None
            turn = turn_of(file)
            file.draft("RGB", (SIZE, SIZE))
            file.load()
            return file.copy() if turn is None else file.transpose(turn)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # what can be saved of it, decode knows
        return None


def _decoded(picture: Path) -> Image.Image:
    """Raises UnreadableImage."""
    from ..decoding import DEFAULT_LIMITS, read_file

    return picture_of(read_file(picture, DEFAULT_LIMITS))
