"""The columns of a vocabulary: their headings, and what may stand below each."""

import re
import unicodedata
from collections.abc import Callable

from ..text import clean_label
from .unclear import Unclear

Wish = str | bool | float

LABEL = "label"
HEADINGS = {
    "label": "label 原标签",
    "name": "name 改为",
    "drop": "drop 不要",
    "threshold": "threshold 阈值",
    "category": "category 类目",
    "english": "english 英文",
    "count": "count 次数",
    "median": "median 置信度中位数",
}
TO_READ_ONLY = {"count", "median"}  # a run writes them and reads no wish in them
WORDS = {word: column for column, heading in HEADINGS.items() for word in heading.split()} | {"confidence": "median"}

YES = {"x", "yes", "y", "true", "1", "drop", "是", "不要", "√", "✓", "✔"}
NO = {"no", "n", "false", "0", "keep", "否", "要"}
NUMBER = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(e[+-]?\d+)?", re.ASCII)
DECIMAL_COMMA = re.compile(r"(0?,\d+|\d+,\d{1,2})%?", re.ASCII)  # 1,000 may be a thousand

# What a spreadsheet computes, or takes for a number or a date and writes back as another text: 007, 1-2, 1E5.
COMPUTED = r"[=+\-@＝＋－＠].*"
CONVERTED = r"[\d.,:/~–%eE][\d .,:/~–%eE\-]*"
UNSAFE = re.compile(rf"'*({COMPUTED}|(?=.*\d){CONVERTED}|true|false)", re.IGNORECASE | re.DOTALL)


def column_of(heading: str) -> str | None:
    """Returns the column that a cell of the first row is the heading of, in Chinese, English or both; None: of none.

    >>> column_of("阈值 Threshold")
    'threshold'
    """
    words = re.split(r"[\s/|()_:,;]+", _plain(heading))
    columns = {WORDS.get(word) for word in words if word}
    if len(columns) != 1:
        return None
    return columns.pop()


def wish(column: str, cell: str) -> Wish | None:
    """Returns what a cell asks for, None where it asks for nothing. Raises Unclear.

    >>> wish("threshold", "30%")
    0.3
    """
    if not cell:
        return None
    return _READERS[column](cell)


def shielded(text: str) -> str:
    """Returns a text as it is written so that no spreadsheet computes or converts it: ' in front where one would.

    >>> shielded("=1+1")
    "'=1+1"
    """
    if UNSAFE.fullmatch(text):
        return f"'{text}"
    return text


def unshielded(text: str) -> str:
    """Returns a text that `shielded` wrote, as it was.

    >>> unshielded("'=1+1")
    '=1+1'
    """
    if text.startswith("'") and UNSAFE.fullmatch(text):
        return text[1:]
    return text


def _text(cell: str) -> str | None:
    return unshielded(cell) or None


def _category(cell: str) -> str | None:
    levels = unshielded(cell).replace("／", "/").split("/")
    names = [clean_label(level) for level in levels]
    return "/".join(name for name in names if name) or None


def _drop(cell: str) -> bool:
    word = _plain(cell)
    if word in YES:
        return True
    if word in NO:
        return False
    raise Unclear(f"{HEADINGS['drop']} is {cell!r}: write x or 是 to leave the label out, nothing or 否 to keep it")


def _threshold(cell: str) -> float:
    text = _plain(cell).replace("。", ".").replace(" ", "")
    if DECIMAL_COMMA.fullmatch(text):
        text = text.replace(",", ".")
    digits = text.removesuffix("%")
    if not NUMBER.fullmatch(digits):
        raise Unclear(f"{HEADINGS['threshold']} is {cell!r}, which is no number: write one in 0…1, as 0.3, or as 30%")
    value = float(digits)
    if digits != text:
        value = round(value / 100, 12)  # 0.7% is 0.007, not 0.006999999999999999
    if value > 1:
        raise Unclear(f"{HEADINGS['threshold']} is {cell!r}, and thresholds lie in 0…1: write 0.3 or 30%")
    return value


def _plain(cell: str) -> str:
    """Full-width letters and digits as others, small letters."""
    return unicodedata.normalize("NFKC", cell).strip().casefold()


_READERS: dict[str, Callable[[str], Wish | None]] = {
    "name": _text,
    "drop": _drop,
    "threshold": _threshold,
    "category": _category,
    "english": _text,
}
