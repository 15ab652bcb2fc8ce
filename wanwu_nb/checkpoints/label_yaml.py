"""YOLO's data.yaml: `names:`, a list or a mapping, `nc:` beside it."""

import re
from pathlib import Path
from typing import Any

from .label_tables import Unclear, number

NAMES = re.compile(r"^names[ \t]*:", re.MULTILINE)


def is_yaml(path: Path, text: str) -> bool:
    """Returns whether a labels file is YAML, by its suffix or by a line that begins with `names:`.

    >>> is_yaml(Path("labels.txt"), "nc: 1\\nnames: [台灯]")
    True
    """
    return path.suffix.lower() in (".yaml", ".yml") or NAMES.search(text) is not None


def names_in_yaml(text: str) -> list[tuple[int, object]]:
    """Read `names`, or a file that is nothing else; scalars as they are written, since YAML makes False of `no`.

    Returns (class id, name) pairs, all that are written. Raises Unclear for what is no list of names.

    >>> names_in_yaml("names: [台灯, no]")
    [(0, '台灯'), (1, 'no')]
    """
    import yaml  # here, where it is needed: most labels are none of this

    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise Unclear(f"it is not YAML ({reason})") from None
    entries = _entries(root)
    names = entries.get("names", root)
    pairs = _pairs(names)
    count = number(_text(entries.get("nc")))
    if count is not None and count != len(pairs):
        raise Unclear(f"nc is {count}, and names are {len(pairs)}")
    return pairs


def _entries(node: Any) -> dict[str, Any]:
    entries = {}
    if _kind(node) == "mapping":
        for key, value in node.value:
            entries[_text(key)] = value
    return entries


def _pairs(names: Any) -> list[tuple[int, object]]:
    kind = _kind(names)
    if kind == "sequence":
        texts = [_text(name) for name in names.value]
        return list(enumerate(texts))
    if kind != "mapping":
        raise Unclear("it has no list of names: write names: [台灯, 椅子]")
    pairs: list[tuple[int, object]] = []
    for key, name in names.value:
        text = _text(key)
        class_id = number(text)
        if class_id is None:
            raise Unclear(f"the keys of names must be class ids, and {text!r} is none")
        pairs.append((class_id, _text(name)))
    return pairs


def _kind(node: Any) -> str:
    """ "scalar", "sequence" or "mapping"; "" where there is nothing."""
    return getattr(node, "id", "")


def _text(node: Any) -> str:
    """A scalar as it is written; "" for anything else."""
    if _kind(node) != "scalar":
        return ""
    text: str = node.value
    return text
