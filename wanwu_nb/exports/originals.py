"""The pictures that were tagged, where an export needs them: how EXIF turns them, and upright copies."""

import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from ..errors import WanwuError, first_line
from ..tagged import Tagged
from ..versions import version_of
from .notes import Notes
from .source import Source

Box = tuple[float, float, float, float]
Turn = Image.Transpose
SIDEWAYS = {Turn.TRANSPOSE, Turn.ROTATE_90, Turn.ROTATE_270, Turn.TRANSVERSE}
QUALITY = 95  # of a copy that had to be encoded anew
SAVING: dict[str, dict[str, object]] = {
    "JPEG": {"quality": QUALITY, "subsampling": 0},
    "WEBP": {"quality": QUALITY},
    "AVIF": {"quality": QUALITY},
    "TIFF": {"compression": "tiff_adobe_deflate"},
    "PNG": {},
}


@dataclass(frozen=True, eq=False)
class Original:
    """A picture's file: its content, and what brings its pixels upright, None where they are.

    Example: `Original(content, "JPEG", None)`
    """

    content: bytes
    format: str
    turn: Turn | None

    def upright(self) -> bytes:
        """Returns the file's content with its pixels upright and no orientation; as it is where it is upright.

        >>> original.upright()[:3]
        b'\\xff\\xd8\\xff'
        """
        if self.turn is None:
            return self.content
        copy = io.BytesIO()
        self.picture().save(copy, format=self.format, **SAVING[self.format])
        return copy.getvalue()

    def picture(self) -> Image.Image:
        """Returns the picture, upright. Raises UnreadableImage for one that cannot be decoded.

        >>> original.picture().size
        (1920, 1080)
        """
        return picture_of(self.content)

    def size(self, tagged: Tagged) -> tuple[int, int]:
        """Returns width and height as the file has them.

        >>> original.size(tagged)
        (1080, 1920)
        """
        if self.turn in SIDEWAYS:
            return tagged.height, tagged.width
        return tagged.width, tagged.height

    def box(self, tagged: Tagged, upright: Box) -> Box:
        """Returns a box of the upright picture in the file's own pixels.

        >>> original.box(tagged, (0.0, 0.0, 10.0, 20.0))
        (0.0, 1910.0, 20.0, 1920.0)
        """
        left, top, right, bottom = upright
        x1, y1 = self._point(tagged, left, top)
        x2, y2 = self._point(tagged, right, bottom)
        x1, x2 = sorted((x1, x2))
        y1, y2 = sorted((y1, y2))
        return x1, y1, x2, y2

    def _point(self, tagged: Tagged, x: float, y: float) -> tuple[float, float]:
        from_right = tagged.width - x
        from_bottom = tagged.height - y
        points = {
            Turn.FLIP_LEFT_RIGHT: (from_right, y),
            Turn.ROTATE_180: (from_right, from_bottom),
            Turn.FLIP_TOP_BOTTOM: (x, from_bottom),
            Turn.TRANSPOSE: (y, x),
            Turn.ROTATE_270: (y, from_right),
            Turn.TRANSVERSE: (from_bottom, from_right),
            Turn.ROTATE_90: (from_bottom, x),
        }
        if self.turn is None:
            return x, y
        return points[self.turn]


def picture_of(content: bytes) -> Image.Image:
    """Returns the picture in a file's content, upright, as it was for tagging. Raises UnreadableImage.

    >>> picture_of(Path("photo.jpg").read_bytes()).size
    (1920, 1080)
    """
    from ..decoding import decode_content  # here: torch comes with it, and most exports look at no picture

    pixels = decode_content(content).image.permute(1, 2, 0)
    return Image.fromarray(pixels.contiguous().numpy())


class Originals:
    """Reads the files of tagged pictures; those that are gone are noted once, whichever exports want them.

    >>> Originals(source, notes).read(tagged).turn is None
    True
    """

    def __init__(self, source: Source, notes: Notes) -> None:
        self._source = source
        self._notes = notes
        self.missing = 0
        self._last: tuple[Tagged, Original | None] | None = None  # several exports ask for the same one

    def read(self, tagged: Tagged) -> Original | None:
        """Returns a picture's file; None where it is gone, another one by now, or cannot be read: noted as such.

        >>> originals.read(tagged).format
        'JPEG'
        """
        if self._last is None or self._last[0] is not tagged:
            self._last = (tagged, self._read(tagged))
        return self._last[1]

    def _read(self, tagged: Tagged) -> Original | None:
        path = self._source.path_of(tagged.image)
        if path is None:
            self._missing("whose folder no run noted: give image_dir", tagged)
            return None
        now = version_of(path.parent, path.name)
        if now is None:
            folder = self._source.places.get(tagged.image, self._source.image_dir)
            self._missing(f"not in {folder} any more: give image_dir if it was moved", tagged)
            return None
        if tagged.version is not None and now.size != tagged.version.size:
            self._missing("changed since tagging: run again", tagged)
            return None
        try:
            return _open(path)
        except WanwuError as error:
            self._missing("unreadable by now", tagged, f"({error})")
            return None

    def _missing(self, what: str, tagged: Tagged, detail: str = "") -> None:
        self.missing += 1
        self._notes.add("left out where files are needed", what, tagged.image, detail)


def _open(path: Path) -> Original:
    """Raises UnreadableImage."""
    from ..decoding import DEFAULT_LIMITS, UnreadableImage, read_file
    from ..decoding.headers import open_header
    from ..decoding.pillow_pixels import turn_of

    content = read_file(path, DEFAULT_LIMITS)
    try:
        header = open_header(content, DEFAULT_LIMITS)
        with header.image as image:
            turn = turn_of(image)
            form = image.format or ""
    except UnreadableImage:
        raise
    except Exception as error:  # every decoder has errors of its own
        raise UnreadableImage(first_line(error)) from None
    if form not in SAVING:  # formats that know no orientation
        turn = None
    return Original(content, form, turn)
