"""Corrections stay in the output folder: given once, they last for every later run there."""

from collections.abc import Iterable
from pathlib import Path

from .reading import read_corrections
from .table import KEPT, Corrections, together

NAMED = 3  # pictures in a sentence


def gathered(path: str, output_dir: str | Path) -> Corrections:
    """Returns all that was said so far of the pictures in an output folder and, on top of it, in the table at `path`,
    "" for none.

    Raises as `read_corrections` does.

    >>> gathered("", "runs/tags").images
    []
    """
    kept = Path(output_dir) / KEPT
    before = read_corrections(kept) if kept.is_file() else Corrections()
    if not path:
        return before
    return together(before, read_corrections(path))


def of_no_picture(corrections: Corrections, names: Iterable[str]) -> str:
    """Returns a sentence on corrections of pictures that are not among `names`, "" where there are none.

    >>> of_no_picture(Corrections([Correction("a.jpg", None, "right")]), ["b.jpg"])
    'corrections of 1 picture that is not there: a.jpg'
    """
    strangers = sorted(set(corrections.images).difference(names))
    if not strangers:
        return ""
    some = ", ".join(strangers[:NAMED]) + (", …" if len(strangers) > NAMED else "")
    what = "1 picture that is" if len(strangers) == 1 else f"{len(strangers):,} pictures that are"
    return f"corrections of {what} not there: {some}"
