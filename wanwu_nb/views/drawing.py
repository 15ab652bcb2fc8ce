"""What is drawn comes from outside: long text is shortened, and what cannot be drawn is said and passed over."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import first_line
from ..text import clean_label

MOST = 40  # characters of a label that are shown
ELLIPSIS = "…"


def shown(text: str, most: int = MOST) -> str:
    """Returns a label or file name as it is drawn: on one line, at most `most` characters, a longer one ending in "…".

    >>> shown("a lamp on a table", 8)
    'a lamp…'
    """
    one_line = clean_label(text[: 4 * most])  # not all of a text that nobody will see the end of
    if len(one_line) <= most and len(text) <= 4 * most:
        return one_line
    beginning = one_line[: most - 1]
    return beginning.rstrip() + ELLIPSIS


@contextmanager
def drawing_never_decides() -> Iterator[None]:
    """Goes around what only draws: an error in it is one printed line, and the run goes on and counts.

    matplotlib is imported inside, since a wrong setting of it is an error, too.

    >>> with drawing_never_decides():
    ...     contact_sheet("photos", read_results("runs/tags")).save("contact_sheet.jpg")
    """
    try:
        yield
    except Exception as error:  # whatever a library, a font or a file says: what was tagged is tagged
        reason = shown(first_line(error), 300)
        print(f"not drawn 未绘制: {reason}")
        _close_figures()


def _close_figures() -> None:
    """A notebook would draw what is open at the end of the cell, and fail there."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        pyplot.close("all")
