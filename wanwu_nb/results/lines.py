"""Files of JSON lines that only grow: a line is with the system when it was written, and a torn one costs no other."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .jsons import to_json


class Line(NamedTuple):
    """One line that was read: where it begins in the file, in bytes, and what it holds; None for one that is none."""

    offset: int
    record: dict[str, Any] | None


def read_lines(path: Path) -> Iterator[Line]:
    """Yields the lines of a file one after another; none where there is no such file.

    >>> [line.record for line in read_lines(Path("runs/tags/ledger.jsonl"))]
    """
    for offset, text in read_texts(path):
        yield Line(offset, parse_line(text))


def read_texts(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yields the lines of a file as they stand there, each with where it begins, in bytes.

    >>> [offset for offset, _ in read_texts(Path("runs/tags/ledger.jsonl"))]
    [0, 211]
    """
    if not path.exists():
        return
    offset = 0
    with open(path, "rb") as file:
        for text in file:
            yield offset, text
            offset += len(text)


def parse_line(text: bytes) -> dict[str, Any] | None:
    """Returns what a line holds, None for one that a kill tore, or that holds no record.

    >>> parse_line(b'{"complete": true}')
    {'complete': True}
    """
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(record, dict):
        return record
    return None


class LineFile:
    """Open for appending, unbuffered: a line is with the system when `note` returns, so that a kill loses none.

    >>> with LineFile(Path("runs/tags/ledger.jsonl")) as ledger:
    ...     ledger.note({"complete": True})
    """

    def __init__(self, path: Path):
        self.path = path
        self._file = open(path, "a+b", buffering=0)  # noqa: SIM115 (open as long as the run)
        self._end_torn_line()

    def _end_torn_line(self) -> None:
        """What comes next stands on a line of its own."""
        if self._file.tell() == 0:
            return
        self._file.seek(-1, os.SEEK_END)
        if self._file.read() != b"\n":
            self._file.write(b"\n")

    def note(self, line: Mapping[str, Any], spaces: bool = True) -> None:
        """Append a line. Raises OSError where it cannot be written whole; what was written then is a torn line."""
        content = to_json(line, spaces=spaces)
        while content:
            written = self._file.write(content)
            content = content[written:]

    def close(self) -> None:
        """Give the file back."""
        self._file.close()

    def __enter__(self) -> "LineFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
