"""A resident model in words, as it stands on the screen: in a line, or in a table of a notebook."""

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .resident import ResidentModel


def as_line(model: "ResidentModel") -> str:
    """Returns what is to be known of a model, for print.

    >>> as_line(model)
    'name: demo, kind: detector, classes: 20, input: 640 x 640, letterbox, ...'
    """
    return ", ".join(f"{name}: {value}" for name, value in _words(model).items())


def as_table(model: "ResidentModel") -> str:
    """Returns the same as HTML.

    >>> as_table(model)
    '<table><tr><th>name</th><td>demo</td></tr>...</table>'
    """
    rows = [f"<tr><th>{name}</th><td>{escape(value)}</td></tr>" for name, value in _words(model).items()]
    return f"<table>{''.join(rows)}</table>"


def _words(model: "ResidentModel") -> dict[str, str]:
    record, spec = model.record(), model.checkpoint.spec
    megabytes = record["bytes"] / 1e6
    return {
        "name": record["name"],
        "kind": record["kind"],
        "classes": f"{record['classes']:,}",
        "input": f"{spec.width} x {spec.height}, {spec.fit}",
        "device": f"{model.device.value} ({model.device.reason})",
        "precision": f"{model.precision.value} ({model.precision.reason})",
        "parameters": f"{record['parameters']:,} ({megabytes:,.1f} MB)",
        "loaded in": f"{model.load_seconds:.2f} s",
        "fingerprint": record["fingerprint"],
    }
