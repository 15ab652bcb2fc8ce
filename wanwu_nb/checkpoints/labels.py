"""Labels files: class id → Chinese name."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import MissingFile, ModelError
from ..text import clean_label, decoded
from .label_tables import Unclear, lines_of, names_in_lines
from .label_yaml import is_yaml, names_in_yaml

LARGEST_FILE = 64_000_000  # bytes
LARGEST_ID = 2**24  # further, float32 does not count exactly


@dataclass(frozen=True)
class Labels:
    """Names by class id as a source gives them: two readings where its first line may be a heading or a name.

    Example: `Labels("labels.txt", ({0: "台灯"},)).for_classes(1)`
    """

    source: str
    readings: tuple[dict[int, str], ...]

    @property
    def counts(self) -> list[int]:
        """Returns how many classes each reading names, counted to the last."""
        return [max(reading) + 1 for reading in self.readings]

    def for_classes(self, classes: int = 0) -> dict[int, str]:
        """Returns the reading that names `classes` classes (0: nobody knows how many the network has).

        Raises ModelError where the first line stays unclear, and where classes are left without a name at the end.
        """
        reading = self.readings[0]
        if len(self.readings) > 1:
            fitting = [names for names in self.readings if max(names) + 1 == classes]
            if len(fitting) != 1:
                raise ModelError(
                    f"labels file {self.source}: whether its first line is a name or a heading cannot be told: leave "
                    'it out if it is none, or write the class ids too, as in {"0": "台灯"}'
                )
            reading = fitting[0]
        last = max(reading)
        if last + 1 < classes:
            raise ModelError(
                f"the network has {classes} classes, and {self.source} names {len(reading)}, the last of them class "
                f"{last}: name all {classes}"
            )
        return reading


def read_labels(path: Path, classes: int = 0) -> dict[int, str]:
    """Read `{"0": "名"}`, a JSON list, YOLO's data.yaml, a table of ids and names (tabs, CSV), or one name a line.

    In tab-separated lines the name is the second column, and the class id the first where every line begins with a
    number of its own; else, as in ModelScope's meta_info.txt, the line's place from 0. `classes`, where the network's
    number of classes is known, tells a heading from a name.

    Returns class id → name. Raises MissingFile or ModelError, in one sentence.

    >>> read_labels(DEMO_FOLDER / "labels_zh.json")[0]
    'T恤'
    """
    return open_labels(path).for_classes(classes)


def open_labels(path: Path) -> Labels:
    """Read a labels file whose network is not known yet.

    Returns what it may mean. Raises MissingFile or ModelError, in one sentence.

    Example: `open_labels(Path("labels.txt")).counts`
    """
    text = read_text(path)
    if not text.strip():
        raise ModelError(f"labels file {path} is empty")
    try:
        readings = [_distinct(pairs) for pairs in _parse(path, text)]
    except Unclear as error:
        raise ModelError(f"labels file {path}: {error}") from None
    source = f"labels file {path}"
    named = [cleaned(source, reading) for reading in readings]
    return Labels(str(path), tuple(named))


def read_text(path: Path) -> str:
    """Read a labels file in UTF-8, in what its byte-order mark says, or in GB18030.

    Returns its text, line ends as they are. Raises MissingFile or ModelError, in one sentence.

    Example: `read_text(Path("labels.txt"))`
    """
    if path.is_dir():
        raise ModelError(f"labels {path} is a folder: give the file that lies in it")
    if not path.exists():
        raise MissingFile(f"labels file {path} does not exist")
    size = path.stat().st_size
    if not path.is_file() or size > LARGEST_FILE:
        raise ModelError(f"labels file {path} is no file of labels: it is no regular file, or has {size:,} bytes")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"labels file {path} cannot be read: {error.strerror}") from None
    text = decoded(content)
    if text is None:
        raise ModelError(f"labels file {path} is neither UTF-8 nor GB18030: convert it, e.g. iconv -f big5 -t utf-8")
    if "\0" in text:
        raise ModelError(f"labels file {path} is not text: save it as UTF-8")
    return text


def cleaned(source: str, labels: Mapping[int, object]) -> dict[int, str]:
    """Returns the names without white space around them and without characters that no name has.

    Raises ModelError for a class without a name, for an id that is none, and where there is no class at all.

    >>> cleaned("here", {0: " 台灯\\n"})
    {0: '台灯'}
    """
    if not labels:
        raise ModelError(f"{source} names no class")
    names = {}
    for class_id, name in labels.items():
        if not 0 <= class_id < LARGEST_ID:
            raise ModelError(f"{source}: class ids lie in 0…{LARGEST_ID - 1:,}, and {class_id} does not")
        clean = clean_label(name) if isinstance(name, str) else ""
        if not clean:
            raise ModelError(f"{source}: class {class_id} has no name (found {name!r})")
        names[class_id] = clean
    return names


def _parse(path: Path, text: str) -> list[list[tuple[int, object]]]:
    """The (class id, name) pairs of each reading."""
    start = text.lstrip()
    if is_yaml(path, text):
        return [names_in_yaml(text)]
    if start.startswith(("{", "[")):
        return [_from_json(path, start)]
    return names_in_lines(lines_of(text), path.suffix.lower() == ".csv")


def _from_json(path: Path, text: str) -> list[tuple[int, object]]:
    try:
        content = json.loads(text, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"labels file {path} is not JSON: {error}") from None
    if not isinstance(content, _Pairs):
        return list(enumerate(content))
    try:
        return [(int(class_id), name) for class_id, name in content]
    except ValueError:
        raise ModelError(f'labels file {path}: keys must be class ids, as in {{"0": "台灯"}}') from None


class _Pairs(list[tuple[str, object]]):
    """A JSON object with all its keys: a dict would forget the first of two that are equal."""


def _distinct(pairs: Iterable[tuple[int, object]]) -> dict[int, object]:
    names: dict[int, object] = {}
    for class_id, name in pairs:
        if class_id in names:
            raise Unclear(f"class {class_id} is there twice, as {names[class_id]!r} and as {name!r}")
        names[class_id] = name
    return names
