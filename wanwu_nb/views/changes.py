"""A vocabulary as it is, and what it would change before it is applied: decided twice, and compared."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from ..deciding import Decision
from ..detections import Selection
from ..tagged import Tagged
from ..vocabulary import Vocabulary, Word
from ..vocabulary.tables import read_table
from .tracing import Tracer, names_of

DROPPED = "—"
THROUGH_OTHERS = "through others 受其他标签影响"
COLUMNS = ["before", "after", "change", "objects_before", "objects_after"]

Labels = tuple[str, str, str]  # before, after, what changes


def vocabulary_changes(
    pictures: Iterable[Tagged], selection: Selection, before: Vocabulary, after: Vocabulary
) -> pd.DataFrame:
    """Compare what a run would keep with one vocabulary and with another, label by label.

    `pictures`: of `read_raw`, read once, one at a time. Returns a row for each label that is asked something else, or
    that has other objects, what is asked for first: before, after ("—" where it is left out), change, objects_before,
    objects_after. Labels without any object, before and after, are passed over.

    >>> vocabulary_changes(read_raw("runs/tags"), Selection(), NO_WORDS, words)
    """
    if before == after:
        pictures = []  # any number of them would say nothing
    first, second = Tracer(Decision(selection, before)), Tracer(Decision(selection, after))
    objects_before: Counter[int] = Counter()
    objects_after: Counter[int] = Counter()
    names: dict[int, str] = {}
    for picture in pictures:
        raw = picture.detections
        names.update(names_of(raw))
        objects_before.update(first.keep(raw).class_ids)
        objects_after.update(second.keep(raw).class_ids)
    shared = Counter(word.label_id for word in after.words.values() if not word.drop)
    rows: dict[Labels, tuple[int, int]] = {}
    for class_id, name in names.items():
        counts = objects_before[class_id], objects_after[class_id]
        old, new = before.word(class_id, name), after.word(class_id, name)
        change = _change(old, new, counts, shared)
        if change and any(counts):
            labels = _name(old), _name(new), change
            others = rows.get(labels, (0, 0))
            rows[labels] = others[0] + counts[0], others[1] + counts[1]
    table = [(*labels, *counts) for labels, counts in rows.items()]
    table.sort(key=_order)
    return pd.DataFrame(table, columns=COLUMNS)


def vocabulary_table(path: str | Path) -> pd.DataFrame:
    """Returns the table in a vocabulary's file as it is written there, each row under its number in the spreadsheet.

    >>> vocabulary_table("runs/tags/vocabulary.csv").head()
    """
    (_, headings), *rows = read_table(Path(path))
    width = len(headings)
    numbers = [number for number, _ in rows]
    cells = [(row + [""] * width)[:width] for _, row in rows]
    return pd.DataFrame(cells, index=numbers, columns=headings)


def _order(row: tuple[str, str, str, int, int]) -> tuple[object, ...]:
    """What is asked for comes first, of it what has most objects."""
    before, after, change, count_before, count_after = row
    return change == THROUGH_OTHERS, -count_before, -count_after, before, after, change


def _name(word: Word) -> str:
    return DROPPED if word.drop else word.name


def _change(old: Word, new: Word, counts: tuple[int, int], shared: Counter[int]) -> str:
    """What is asked anew of a class; where it is nothing and the counts differ, others make or take room."""
    if new.drop:
        return "" if old.drop else "left out 不要"
    changes = []
    if old.drop:
        changes.append("back 恢复")
    if new.label_id != old.label_id or new.name != old.name:
        changes.append("merged 合并" if shared[new.label_id] > 1 else "renamed 改名")
    if new.threshold != old.threshold:
        changes.append("threshold 阈值")
    if (new.category, new.english) != (old.category, old.english):
        changes.append("category, English 类目、英文")
    if not changes and counts[0] != counts[1]:
        changes.append(THROUGH_OTHERS)
    return ", ".join(changes)
