"""Which classes of the model a row means: a label, a pattern of labels, class ids."""

import difflib
import fnmatch
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .columns import unshielded
from .rows import Row
from .unclear import Unclear

CLASS_IDS = re.compile(r"(\d{1,9})(?:\s*[-‐‑–—~〜到至]\s*(\d{1,9}))?", re.ASCII)
DATE = re.compile(r"\d{4}-\d\d-\d\d.*|\d+月\d+日|\d+年\d+月|\d{1,2}-[A-Z][a-z]{2}|[A-Z][a-z]{2}-\d{1,2}")
MOST_NAMED = 5  # unknown labels in one sentence


@dataclass(frozen=True)
class Asked:
    """A row and the classes that it means; `exact` where it names them one by one, by label or class id.

    Example: `Asked(row, frozenset({3}), exact=True)`
    """

    row: Row
    classes: frozenset[int]
    exact: bool

    def beats(self, other: "Asked") -> bool:
        """Returns whether this row is the more exact: it means fewer of the same classes.

        Example: `row_of_one_label.beats(row_of_a_pattern)`
        """
        if self.exact != other.exact:
            return self.exact
        return self.classes < other.classes


def matched(rows: Iterable[Row], labels: Mapping[int, str]) -> list[Asked]:
    """Returns each row with its classes. Raises Unclear for rows that mean none, up to five of them named.

    Example: `matched(read_rows(path), {0: "台灯"})`
    """
    by_label: dict[str, list[int]] = {}
    for class_id, label in labels.items():
        by_label.setdefault(label, []).append(class_id)
    asked = []
    unknown = []
    for row in rows:
        classes, exact = _classes(row.label, labels, by_label)
        if not classes:
            unknown.append(row)
        asked.append(Asked(row, frozenset(classes), exact))
    if unknown:
        raise Unclear(_unknown(unknown, labels))
    return asked


def _classes(text: str, labels: Mapping[int, str], by_label: Mapping[str, list[int]]) -> tuple[list[int], bool]:
    """The class ids, and whether the text names them exactly: a label goes before a pattern and before a number."""
    for label in (unshielded(text), text):
        if label in by_label:
            return by_label[label], True
    ids = CLASS_IDS.fullmatch(unicodedata.normalize("NFKC", text))
    if ids:
        first = int(ids[1])
        last = int(ids[2] or first)
        if last > max(labels, default=-1):
            return [], True
        return [class_id for class_id in labels if first <= class_id <= last], first == last
    if not set("*?[").isdisjoint(text):
        matches = re.compile(fnmatch.translate(text)).match
        return [class_id for class_id, label in labels.items() if matches(label)], False
    return [], True


def _unknown(rows: list[Row], labels: Mapping[int, str]) -> str:
    plain = {_plain(label): label for label in labels.values()}
    texts = [_with_hint(row, labels, plain) for row in rows[:MOST_NAMED]]
    named = ", ".join(texts)
    rest = len(rows) - MOST_NAMED
    if rest > 0:
        named = f"{named} and {rest} more"
    return f"no label of the model is meant by {named}: the model's labels are in labels.json of an output folder"


def _with_hint(row: Row, labels: Mapping[int, str], plain: Mapping[str, str]) -> str:
    text = f"{row.label!r} in row {row.number}"
    hint = _hint(row.label, labels, plain)
    return f"{text} ({hint})" if hint else text


def _hint(text: str, labels: Mapping[int, str], plain: Mapping[str, str]) -> str:
    if DATE.fullmatch(text):
        return "if a spreadsheet made a date of class ids, write them as 1~12"
    if CLASS_IDS.fullmatch(unicodedata.normalize("NFKC", text)):
        return f"class ids go from {min(labels)} to {max(labels)}, the smaller one first"
    close = difflib.get_close_matches(_plain(text), plain, n=1)
    if close:
        return f"did you mean {plain[close[0]]}?"
    return ""


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()
