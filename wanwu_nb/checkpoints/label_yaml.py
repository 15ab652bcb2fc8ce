"""YOLO's data.yaml: `names:`, a list or a mapping, `nc:` beside it."""

import re
from pathlib import Path
from typing import Any

from .label_tables import Unclear

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
    count = _text(entries.get("nc"))
    if count and count.isdecimal() and int(count) != len(pairs):
        raise Unclear(f"nc is {count}, and names are {len(pairs)}")
    return pairs


def _entries(node: Any) -> dict[str, Any]:
    if _kind(node) != "mapping":
        return {}
    return {key.value: value for key, value in node.value if _kind(key) == "scalar"}


def _kind(node: Any) -> str:
    """ "scalar", "sequence" or "mapping"; "" for an empty file."""
    return getattr(node, "id", "")


def _pairs(names: Any) -> list[tuple[int, object]]:
    if _kind(names) == "sequence":
        return [(i, _text(name)) for i, name in enumerate(names.value)]
    if _kind(names) != "mapping":
        raise Unclear("it has no list of names: write names: [台灯, 椅子]")
    pairs: list[tuple[int, object]] = []
    for key, name in names.value:
        class_id = _text(key)
        if class_id is None or not class_id.isdecimal():
            raise Unclear(f"the keys of names must be class ids, and {class_id!r} is none")
        pairs.append((int(class_id), _text(name)))
    return pairs


def _text(node: Any) -> str | None:
    if _kind(node) != "scalar":
        return None
    text: str = node.value
    return text
