"""Labels files: class id → Chinese name."""

import json
from pathlib import Path


def read_labels(path: Path) -> dict[int, str]:
    """Read `{"0": "名"}`, a JSON list, one name a line, or tab-separated lines.

    In tab-separated lines the name is the second column, and the class id the first where every line begins with a
    number of its own; else, as in ModelScope's meta_info.txt, the line's place from 0. Raises FileNotFoundError or
    ValueError, in one sentence.
    """
    try:
        text = path.read_text(encoding="utf-8-sig").strip()
    except FileNotFoundError:
        raise FileNotFoundError(f"labels file {path} does not exist") from None
    except UnicodeDecodeError:
        raise ValueError(f"labels file {path} is not UTF-8: convert it, e.g. iconv -f gb18030 -t utf-8") from None
    if not text:
        raise ValueError(f"labels file {path} is empty")
    labels = from_json(path, text) if text[0] in "{[" else from_lines(text.splitlines())
    unnamed = [i for i, name in labels.items() if not (isinstance(name, str) and name.strip())]
    if unnamed:
        raise ValueError(f"labels file {path}: class {unnamed[0]} has no name (found {labels[unnamed[0]]!r})")
    return {i: name.strip() for i, name in labels.items()}


def from_json(path: Path, text: str) -> dict:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise ValueError(f"labels file {path} is not JSON: {error}") from None
    if isinstance(content, list):
        return dict(enumerate(content))
    try:
        return {int(i): name for i, name in content.items()}
    except ValueError:
        raise ValueError(f'labels file {path}: keys must be class ids, as in {{"0": "台灯"}}') from None


def from_lines(lines: list[str]) -> dict[int, str]:
    rows = [line.split("\t") for line in lines]
    if len(rows[0]) == 1:
        return {i: row[0] for i, row in enumerate(rows)}
    names = [row[1] if len(row) > 1 else "" for row in rows]
    ids = {row[0].strip() for row in rows}
    if len(ids) == len(rows) and all(i.isdecimal() for i in ids):
        return {int(row[0]): name for row, name in zip(rows, names, strict=True)}
    return dict(enumerate(names))
