"""The vocabulary.csv that a run leaves in its output folder, ready to be edited and passed back."""

import codecs
import csv
import hashlib
import io
import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..text import clean_label
from ..vocabulary import Vocabulary, Word
from ..vocabulary.columns import HEADINGS, shielded
from .file_systems import one_sentence

VOCABULARY = "vocabulary.csv"
OTHERS = "vocabulary.new.csv"
WRITTEN = ".vocabulary.sha256"  # as `sha256sum --check` reads it: the tables as they were last written here
PARTIAL = ".vocabulary.partial"

Cells = tuple[str, ...]


@dataclass(frozen=True)
class Seen:
    """How often a class occurred, and the median of its confidences.

    Example: `Seen(12, 0.87)`
    """

    count: int
    median: float


NEVER = Seen(0, 0.0)


def write_vocabulary(folder: Path, labels: Mapping[int, str], seen: Mapping[int, Seen], vocabulary: Vocabulary) -> Path:
    """Write the labels that occurred (`seen`, by the model's class id), most frequent first, and what is asked of them.

    Classes that something is asked of and that did not occur stand at the end: passed back, the table asks the same.
    A table that is not as it was last written here is somebody's work and stays as it is, and so does the one that
    `vocabulary` was read from: vocabulary.new.csv is written instead, or the next name that is free.

    Returns the table's path. Raises OutputError for what the file system says.

    >>> write_vocabulary(Path("runs/tags"), {0: "T恤"}, {0: Seen(3, 0.91)}, NO_WORDS).name
    'vocabulary.csv'
    """
    content = _content(labels, seen, vocabulary)
    with one_sentence(folder):
        written = _read_written(folder)
        for name in _names():
            path = folder / name
            before = _bytes(path)
            if before == content:
                return path
            if before is None or _may_replace(path, before, written, vocabulary.source):
                _replace(folder, name, content, written)
                return path
    raise AssertionError("there is always one more name")


def _names() -> Iterator[str]:
    yield VOCABULARY
    yield OTHERS
    for number in itertools.count(2):
        yield f"vocabulary.new{number}.csv"


def _may_replace(path: Path, content: bytes, written: Mapping[str, list[str]], source: str) -> bool:
    """As it was last written here, and not what this run goes by."""
    digests = written.get(path.name, [])
    if _digest(content) not in digests:
        return False
    return not os.path.exists(source) or not path.samefile(source)


def _bytes(path: Path) -> bytes | None:
    """None where there is nothing; what is no file, or cannot be read, is none of ours."""
    if not os.path.lexists(path):
        return None
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _read_written(folder: Path) -> dict[str, list[str]]:
    written: dict[str, list[str]] = {}
    content = _bytes(folder / WRITTEN) or b""
    for line in content.decode("utf-8", "replace").splitlines():
        digest, _, name = line.partition("  ")
        written.setdefault(name, []).append(digest)
    return written


def _replace(folder: Path, name: str, content: bytes, written: dict[str, list[str]]) -> None:
    """Both digests are noted before the table is replaced: ended in between, the next run knows the old and the new."""
    new = _digest(content)
    written[name] = [*written.get(name, []), new]
    _note(folder, written)
    _move_into_place(folder, name, content)
    written[name] = [new]
    _note(folder, written)


def _note(folder: Path, written: Mapping[str, list[str]]) -> None:
    lines = []
    for name, digests in sorted(written.items()):
        lines += [f"{digest}  {name}\n" for digest in digests]
    text = "".join(lines)
    _move_into_place(folder, WRITTEN, text.encode())


def _move_into_place(folder: Path, name: str, content: bytes) -> None:
    partial = folder / PARTIAL
    partial.write_bytes(content)
    os.replace(partial, folder / name)


def _content(labels: Mapping[int, str], seen: Mapping[int, Seen], vocabulary: Vocabulary) -> bytes:
    """UTF-8 with the mark that tells spreadsheets, and their line ends."""
    file = io.StringIO(newline="")
    table = csv.writer(file)
    table.writerow(HEADINGS.values())
    class_ids = _in_order(labels, seen, vocabulary)
    names = _label_cells(labels, class_ids, vocabulary)
    for class_id in class_ids:
        cells = _wishes(labels[class_id], vocabulary.words.get(class_id))
        occurred = seen.get(class_id, NEVER)
        median = f"{occurred.median:.4f}" if occurred.count else ""
        table.writerow((names[class_id], *cells, occurred.count, median))
    return codecs.BOM_UTF8 + file.getvalue().encode("utf-8", "backslashreplace")


def _in_order(labels: Mapping[int, str], seen: Mapping[int, Seen], vocabulary: Vocabulary) -> list[int]:
    """Most frequent first; of those that occurred as often, by class id."""
    keys = []
    for class_id in {*seen, *vocabulary.words}:
        if class_id in labels:
            count = seen.get(class_id, NEVER).count
            keys.append((-count, class_id))
    return [class_id for _, class_id in sorted(keys)]


def _wishes(label: str, word: Word | None) -> Cells:
    """The cells of name, drop, threshold, category and english."""
    if word is None:
        return ("", "", "", "", "")
    name = "" if word.name == clean_label(label) else shielded(word.name)
    drop = "x" if word.drop else ""
    threshold = "" if word.threshold is None else repr(word.threshold)
    return (name, drop, threshold, shielded(word.category), shielded(word.english))


def _label_cells(labels: Mapping[int, str], class_ids: Sequence[int], vocabulary: Vocabulary) -> dict[int, str]:
    """The label; the class id where classes of one label are asked different things."""
    asked = {clean_label(labels[class_id]) for class_id in vocabulary.words if class_id in labels}
    wishes: dict[str, set[Cells]] = {}
    if asked:
        for class_id, label in labels.items():
            word = vocabulary.words.get(class_id)
            wishes.setdefault(clean_label(label), set()).add(_wishes(label, word))
    cells = {}
    for class_id in class_ids:
        clean = clean_label(labels[class_id])
        is_one = clean not in asked or len(wishes[clean]) == 1
        cells[class_id] = shielded(clean) if is_one else _id_cell(class_id, wishes)
    return cells


def _id_cell(class_id: int, taken: Mapping[str, object]) -> str:
    """As a range where the number is itself a label."""
    number = str(class_id)
    return number if number not in taken else f"{number}~{number}"
