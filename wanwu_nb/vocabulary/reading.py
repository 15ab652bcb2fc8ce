"""From a table of wishes to what is asked of each class of the model."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import MissingFile, VocabularyError
from ..paths import local_path
from ..text import clean_label
from .columns import HEADINGS, Wish
from .matching import Asked, matched
from .rows import read_rows
from .unclear import Unclear
from .words import Vocabulary, Word

SHARED = ("category", "english")  # labels that become one name have these in common


class Answer(NamedTuple):
    """What is asked of a class in one column, and in which row."""

    value: Wish
    row: int


Answers = dict[str, Answer]  # by column


def read_vocabulary(path: str | Path, labels: Mapping[int, str]) -> Vocabulary:
    """Read a table, .csv or .xlsx, that says what becomes of the model's `labels` (by class id).

    Returns what is asked, class by class. Raises MissingFile or VocabularyError, in one sentence with the row.

    >>> read_vocabulary("vocabulary.csv", {0: "T恤", 1: "水印"}).words[1].drop
    True
    """
    file = Path(local_path(path))
    if not file.exists():
        raise MissingFile(f"vocabulary {file} does not exist")
    own_names = {class_id: clean_label(label) for class_id, label in labels.items()}
    try:
        asked = matched(read_rows(file), own_names)
        answers = _by_class(asked, own_names)
        words = _words(answers, own_names)
    except Unclear as error:
        raise VocabularyError(f"vocabulary {file}: {error}") from None
    return Vocabulary(words, str(file.absolute()))


def _by_class(asked: Iterable[Asked], own_names: Mapping[int, str]) -> dict[int, Answers]:
    rows_of: dict[int, list[Asked]] = {}
    for each in asked:
        if each.row.wishes:
            for class_id in each.classes:
                rows_of.setdefault(class_id, []).append(each)
    answers = {}
    for class_id, rows in sorted(rows_of.items()):
        answers[class_id] = _answers(rows, own_names[class_id])
    return answers


def _answers(rows: Sequence[Asked], label: str) -> Answers:
    """Column by column, the most exact row's."""
    columns = {column for each in rows for column in each.row.wishes}
    answers = {}
    for column in sorted(columns):
        asking = [each for each in rows if column in each.row.wishes]
        answers[column] = _most_exact(asking, column, label)
    return answers


def _most_exact(rows: Sequence[Asked], column: str, label: str) -> Answer:
    unbeaten = [each for each in rows if not any(other.beats(each) for other in rows)]
    first = unbeaten[0]
    value = first.row.wishes[column]
    for other in unbeaten[1:]:
        second = other.row.wishes[column]
        if second != value:
            raise Unclear(_two_wishes(first, other, column, label))
    return Answer(value, first.row.number)


def _two_wishes(first: Asked, second: Asked, column: str, label: str) -> str:
    values = f"{_shown(first.row.wishes[column])} and {_shown(second.row.wishes[column])}"
    advice = "leave one" if first.exact else f"give {label} a row of its own"
    rows = f"rows {first.row.number} and {second.row.number}"
    return f"{rows} ask different things of {label}, {HEADINGS[column]} {values}: {advice}"


def _shown(value: Wish) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _words(answers: Mapping[int, Answers], own_names: Mapping[int, str]) -> dict[int, Word]:
    names = {class_id: _name(answers.get(class_id, {}), label) for class_id, label in own_names.items()}
    words = {}
    for class_id, asked in answers.items():
        word = _word(asked, names[class_id], class_id)
        if word != Word(own_names[class_id], class_id):
            words[class_id] = word
    for name, classes in _merged(answers, names, own_names).items():
        shared = {column: _shared(column, name, classes, answers) for column in SHARED}
        for class_id in classes:
            threshold = words[class_id].threshold if class_id in words else None
            words[class_id] = Word(name, min(classes), False, threshold, shared["category"], shared["english"])
    return words


def _name(asked: Answers, label: str) -> str:
    return str(asked["name"].value) if "name" in asked else label


def _is_dropped(asked: Answers) -> bool:
    return "drop" in asked and bool(asked["drop"].value)


def _word(asked: Answers, name: str, class_id: int) -> Word:
    """As if no other class became this name."""
    threshold = float(asked["threshold"].value) if "threshold" in asked else None
    category = str(asked["category"].value) if "category" in asked else ""
    english = str(asked["english"].value) if "english" in asked else ""
    return Word(name, class_id, _is_dropped(asked), threshold, category, english)


def _merged(
    answers: Mapping[int, Answers], names: Mapping[int, str], own_names: Mapping[int, str]
) -> dict[str, list[int]]:
    """The classes of each name that a label becomes which had another; one that has it already is among them."""
    staying = [class_id for class_id in names if not _is_dropped(answers.get(class_id, {}))]
    new_names = {names[class_id] for class_id in staying if names[class_id] != own_names[class_id]}
    merged: dict[str, list[int]] = {}
    for class_id in staying:
        if names[class_id] in new_names:
            merged.setdefault(names[class_id], []).append(class_id)
    return merged


def _shared(column: str, name: str, classes: Iterable[int], answers: Mapping[int, Answers]) -> str:
    """The one value that these classes have; those without one take it over."""
    shared: Answer | None = None
    for class_id in classes:
        own = answers.get(class_id, {}).get(column)
        if own is None:
            continue
        if shared is None:
            shared = own
        elif own.value != shared.value:
            raise Unclear(
                f"rows {shared.row} and {own.row} both become {name}, with {HEADINGS[column]} {shared.value} and "
                f"{own.value}: give both the same"
            )
    return str(shared.value) if shared else ""
