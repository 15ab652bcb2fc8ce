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

NOTHING = Word("", 0)


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
    first, *others = _unbeaten(rows)
    value = first.row.wishes[column]
    for other in others:
        second = other.row.wishes[column]
        if second != value:
            raise Unclear(_two_wishes(first, other, column, label))
    return Answer(value, first.row.number)


def _unbeaten(rows: Sequence[Asked]) -> list[Asked]:
    unbeaten = []
    for each in rows:
        beaten = [other.beats(each) for other in rows]
        if not any(beaten):
            unbeaten.append(each)
    return unbeaten


def _two_wishes(first: Asked, second: Asked, column: str, label: str) -> str:
    one = _shown(first.row.wishes[column])
    two = _shown(second.row.wishes[column])
    advice = "leave one" if first.exact else f"give {label} a row of its own"
    rows = f"rows {first.row.number} and {second.row.number}"
    return f"{rows} ask different things of {label}, {HEADINGS[column]} {one} and {two}: {advice}"


def _shown(value: Wish) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _words(answers: Mapping[int, Answers], own_names: Mapping[int, str]) -> dict[int, Word]:
    names = {}
    for class_id, label in own_names.items():
        asked = answers.get(class_id, {})
        names[class_id] = _text(asked, "name") or label
    words = {}
    for class_id, asked in answers.items():
        word = _word(asked, names[class_id], class_id)
        nothing = Word(own_names[class_id], class_id)
        if word != nothing:
            words[class_id] = word
    merged = _merged(answers, names, own_names)
    for name, classes in merged.items():
        category = _shared("category", name, classes, answers)
        english = _shared("english", name, classes, answers)
        smallest = min(classes)
        for class_id in classes:
            own = words.get(class_id, NOTHING)
            words[class_id] = Word(name, smallest, False, own.threshold, category, english)
    return words


def _is_dropped(asked: Answers) -> bool:
    return "drop" in asked and bool(asked["drop"].value)


def _word(asked: Answers, name: str, class_id: int) -> Word:
    """As if no other class became this name."""
    drop = _is_dropped(asked)
    threshold = None
    if "threshold" in asked:
        threshold = float(asked["threshold"].value)
    category = _text(asked, "category")
    english = _text(asked, "english")
    return Word(name, class_id, drop, threshold, category, english)


def _text(asked: Answers, column: str) -> str:
    if column not in asked:
        return ""
    return str(asked[column].value)


def _merged(
    answers: Mapping[int, Answers], names: Mapping[int, str], own_names: Mapping[int, str]
) -> dict[str, list[int]]:
    """The classes of each name that a label becomes which had another; one that has it already is among them."""
    classes_of: dict[str, list[int]] = {}
    new_names = set()
    for class_id, name in names.items():
        asked = answers.get(class_id, {})
        if _is_dropped(asked):
            continue
        classes_of.setdefault(name, []).append(class_id)
        if name != own_names[class_id]:
            new_names.add(name)
    return {name: classes for name, classes in classes_of.items() if name in new_names}


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
