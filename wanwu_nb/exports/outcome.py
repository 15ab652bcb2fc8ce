"""What came of exporting: which files are there, what whoever uses them should know, what could not be written."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import quote

from ..errors import WanwuError
from ..text import printable

AS_IT_WAS = "nothing new 无变化"


class ExportsFailed(WanwuError):
    """Some exports could not be written."""


@dataclass(frozen=True)
class Exports:
    """What was exported: the `files` by kind, the first of each the one to open; `notes`, sentences that whoever uses
    them should know; `failed`, why others could not be written. `unchanged`: nothing was new, and nothing was written.

    >>> Exports({"csv": [Path("runs/tags/tags.csv")]}, [], {}).check()
    """

    files: Mapping[str, Sequence[Path]]
    notes: Sequence[str]
    failed: Mapping[str, str]
    unchanged: bool = False

    def check(self) -> None:
        """Raise ExportsFailed where an export could not be written.

        >>> exports.check()
        """
        if self.failed:
            reasons = [f"{kind}: {reason}" for kind, reason in self.failed.items()]
            raise ExportsFailed(f"not exported: {'; '.join(reasons)}")

    def _repr_html_(self) -> str:
        """Links are relative: a notebook's server knows no other."""
        rows = ""
        for kind, paths in self.files.items():
            rows += _row(kind, ", ".join(_link(path) for path in paths))
        if self.unchanged:
            rows += _row("", AS_IT_WAS)
        for kind, reason in self.failed.items():
            rows += _row(kind, f"<b>not exported 未导出</b>: {escape(reason)}")
        notes = [f"<p>{escape(note)}</p>" for note in self.notes]
        return f"<table>{rows}</table>{''.join(notes)}"


def _row(heading: str, cell: str) -> str:
    return f"<tr><th>{escape(heading)}</th><td>{cell}</td></tr>"


def _link(path: Path) -> str:
    address = quote(os.path.relpath(path), errors="surrogateescape")
    name = printable(path.name)
    return f'<a href="{address}">{escape(name)}</a>'
