"""Text that comes from outside: labels, names of categories, names of files."""

import codecs
import re

# Control characters and lone surrogates; marks and overrides of the direction of writing; the byte-order mark.
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
# What parts words: a line end or tab of any kind, or white space twice. A single space of any width stays as it is.
GAP = re.compile("[\t-\r\x1c-\x1f\x85\u2028\u2029]|\\s{2,}")

GB2312_SHARE = 0.8  # of the characters beyond ASCII, from which on bytes are taken for Chinese
BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # begins with UTF-16's
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


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


def printable(text: str) -> str:
    r"""Show bytes of a file name that are no UTF-8 as escapes, so that every writer takes the text.

    >>> printable("bytes_\udcff.png")
    'bytes_\\udcff.png'
    """
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode()


def decoded(content: bytes) -> str | None:
    """Read a file's bytes by their byte-order mark, else as UTF-8, else as GB18030 where that gives Chinese.

    Returns the text, None where it is none of these.

    >>> decoded("台灯".encode("gbk"))
    '台灯'
    """
    marks = [mark for mark in BYTE_ORDER_MARKS if content.startswith(mark)]
    encoding = BYTE_ORDER_MARKS[marks[0]] if marks else "utf-8"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        return None if marks else _from_gb18030(content)


def _from_gb18030(content: bytes) -> str | None:
    """Chinese text alone: other bytes decode too, but to characters that nobody uses."""
    try:
        text = content.decode("gb18030")
    except UnicodeDecodeError:
        return None
    beyond_ascii = [character for character in text if not character.isascii()]
    common = "".join(beyond_ascii).encode("gb2312", errors="ignore")
    share = len(common) / 2 / len(beyond_ascii)
    return text if share >= GB2312_SHARE else None
