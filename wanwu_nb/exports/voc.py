"""voc/: a data set in Pascal VOC's form: an XML a picture, pixels counted from 1; the pictures on request."""

import re
from xml.etree import ElementTree

from ..tagged import Tagged
from ..text import clean_label
from .placing import Placed, Places
from .writer import Job

NAME = "voc"
NOT_IN_XML = re.compile("[\x00-\x1f\x7f\ufffe\uffff]")


class VocWriter:
    """Writes voc/Annotations/…xml and voc/ImageSets/Main/trainval.txt, and voc/JPEGImages/… where pictures are copied.

    >>> writer = VocWriter(job)
    >>> writer.add(tagged)
    >>> writer.finish()
    """

    def __init__(self, job: Job) -> None:
        folder = job.target.make_folder(NAME)
        self._annotations = folder / "Annotations"
        self._annotations.mkdir()
        self._places = Places(job, folder / "JPEGImages")
        sets = folder / "ImageSets" / "Main"
        sets.mkdir(parents=True)
        self._names = open(sets / "trainval.txt", "wb")  # noqa: SIM115 (open as long as the export)
        job.target.close_at_end(self._names.close)

    def add(self, tagged: Tagged) -> None:
        """Take one picture's result."""
        placed = self._places.place(tagged)
        if placed is None:
            return
        path = self._annotations / f"{placed.stem}.xml"
        path.parent.mkdir(parents=True, exist_ok=True)
        tree = ElementTree.ElementTree(_annotation(placed))
        ElementTree.indent(tree)
        tree.write(path, encoding="utf-8")
        self._names.write(f"{placed.stem}\n".encode("utf-8", "surrogateescape"))

    def finish(self) -> None:
        """Say what has no place here."""
        self._places.finish()


def _annotation(placed: Placed) -> ElementTree.Element:
    root = ElementTree.Element("annotation")
    folder, _, name = placed.name.rpartition("/")
    _put(root, "folder", printable(folder))
    _put(root, "filename", printable(name))
    size = ElementTree.SubElement(root, "size")
    _put(size, "width", str(placed.width))
    _put(size, "height", str(placed.height))
    _put(size, "depth", "3")
    _put(root, "segmented", "0")
    for tag, (x1, y1, x2, y2) in placed.objects:
        each = ElementTree.SubElement(root, "object")
        _put(each, "name", clean_label(tag.label))
        _put(each, "pose", "Unspecified")
        _put(each, "truncated", "0")
        _put(each, "difficult", "0")
        _put(each, "confidence", f"{tag.confidence:.4f}")
        left, right = _pixels(x1, x2, placed.width)
        top, bottom = _pixels(y1, y2, placed.height)
        box = ElementTree.SubElement(each, "bndbox")
        _put(box, "xmin", str(left))
        _put(box, "ymin", str(top))
        _put(box, "xmax", str(right))
        _put(box, "ymax", str(bottom))
    return root


def _pixels(low: float, high: float, size: int) -> tuple[int, int]:
    """The first and the last pixel, counted from 1; at least one."""
    first = min(round(low) + 1, size)
    last = min(round(high), size)
    return first, max(first, last)


def _put(parent: ElementTree.Element, name: str, text: str) -> None:
    ElementTree.SubElement(parent, name).text = text


def printable(text: str) -> str:
    """Returns a name as XML can hold it: bytes that are no UTF-8 are shown escaped, control characters as �.

    >>> printable("a\\x01.jpg")
    'a�.jpg'
    """
    escaped = text.encode("utf-8", "backslashreplace").decode()
    return NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", escaped)
