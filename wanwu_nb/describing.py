"""A resident model in words, as it stands on the screen: in a line, or in a table of a notebook."""

from collections.abc import Mapping
from html import escape
from typing import Any

from .fitting import InputSpec
from .hardware import Choice

Words = Mapping[str, str]


def words_of(record: Mapping[str, Any], spec: InputSpec, device: Choice[str], precision: Choice[str]) -> Words:
    """Returns what is to be known of a model, by name; `record` is what stands of it in summary.json.

    >>> words_of(model.record(), model.checkpoint.spec, model.device, model.precision)["classes"]
    '54,092'
    """
    megabytes = record["bytes"] / 1e6
    return {
        "name": record["name"],
        "kind": record["kind"],
        "classes": f"{record['classes']:,}",
        "input": f"{spec.width} x {spec.height}, {spec.fit}",
        "device": f"{device.value} ({device.reason})",
        "precision": f"{precision.value} ({precision.reason})",
        "parameters": f"{record['parameters']:,} ({megabytes:,.1f} MB)",
        "loaded in": f"{record['load_seconds']:.2f} s",
        "fingerprint": record["fingerprint"],
    }


def as_line(words: Words) -> str:
    """Returns them for print.

    >>> as_line({"name": "demo", "kind": "detector"})
    'name: demo, kind: detector'
    """
    return ", ".join(f"{name}: {value}" for name, value in words.items())


def as_table(words: Words) -> str:
    """Returns them as HTML.

    >>> as_table({"name": "demo"})
    '<table><tr><th>name</th><td>demo</td></tr></table>'
    """
    rows = [f"<tr><th>{name}</th><td>{escape(value)}</td></tr>" for name, value in words.items()]
    return f"<table>{''.join(rows)}</table>"
