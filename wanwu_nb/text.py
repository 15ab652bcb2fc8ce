"""Text that comes from outside: labels, names of categories, names of files."""

import re

# Control characters and lone surrogates; marks and overrides of the direction of writing; the byte-order mark.
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
# What parts words: a line end or tab of any kind, or white space twice. A single space of any width stays as it is.
GAP = re.compile("[\t-\r\x1c-\x1f\x85\u2028\u2029]|\\s{2,}")


def clean_label(text: str) -> str:
    r"""Take out what nobody sees and what ends or turns a line; each gap between words becomes one space.

    For labels where they are read. A label that can be printed as it is stays as it is, whatever its script.
    Returns one line of text, "" where nothing is left.

    >>> clean_label("台灯\n\u202e")
    '台灯'
    """
    one_line = GAP.sub(" ", text)
    printable = UNPRINTABLE.sub("", one_line)
    single = GAP.sub(" ", printable)  # taking a character out can bring two spaces together
    return single.strip()
