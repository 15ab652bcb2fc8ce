"""Labels files: class id → Chinese name."""

import json
from pathlib import Path

from ..errors import MissingFile, ModelError


def read_labels(path: Path) -> dict[int, str]:
    """Read `{"0": "名"}`, a JSON list, one name a line, or tab-separated lines.

    In tab-separated lines the name is the second column, and the class id the first where every line begins with a
    number of its own; else, as in ModelScope's meta_info.txt, the line's place from 0.

    Returns class id → name. Raises MissingFile or ModelError, in one sentence.

    >>> read_labels(DEMO_FOLDER / "labels_zh.json")[0]
    'T恤'
    """
    text = _read_text(path)
    if not text:
        raise ModelError(f"labels file {path} is empty")
    labels = _parse(path, text)
    return _named(path, labels)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig").strip()
    except FileNotFoundError:
        raise MissingFile(f"labels file {path} does not exist") from None
    except UnicodeDecodeError:
        raise ModelError(f"labels file {path} is not UTF-8: convert it, e.g. iconv -f gb18030 -t utf-8") from None


def _parse(path: Path, text: str) -> dict[int, object]:
    if text.startswith(("{", "[")):
        return _from_json(path, text)
    lines = text.splitlines()
    return _from_lines(lines)


def _from_json(path: Path, text: str) -> dict[int, object]:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise ModelError(f"labels file {path} is not JSON: {error}") from None
    if isinstance(content, list):
        return dict(enumerate(content))
    try:
        return {int(class_id): name for class_id, name in content.items()}
    except ValueError:
        raise ModelError(f'labels file {path}: keys must be class ids, as in {{"0": "台灯"}}') from None


def _from_lines(lines: list[str]) -> dict[int, object]:
    rows = [line.split("\t") for line in lines]
    first_column = [row[0] for row in rows]
    if len(rows[0]) == 1:
        return dict(enumerate(first_column))
    names = [_second(row) for row in rows]
    class_ids = _class_ids(first_column)
    if class_ids is None:
        return dict(enumerate(names))
    return dict(zip(class_ids, names, strict=True))


def _second(row: list[str]) -> str:
    if len(row) < 2:
        return ""
    return row[1]


def _class_ids(column: list[str]) -> list[int] | None:
    """The numbers in a column, where every line has one of its own; else None."""
    texts = [text.strip() for text in column]
    if not all(text.isdecimal() for text in texts):
        return None
    if len(set(texts)) < len(texts):
        return None
    return [int(text) for text in texts]


def _named(path: Path, labels: dict[int, object]) -> dict[int, str]:
    """The labels without white space around them; one without a name is an error."""
    names = {}
    for class_id, name in labels.items():
        if not isinstance(name, str) or not name.strip():
            raise ModelError(f"labels file {path}: class {class_id} has no name (found {name!r})")
        names[class_id] = name.strip()
    return names
