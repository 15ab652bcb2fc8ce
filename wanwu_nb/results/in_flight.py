"""Which pictures are being read: should a decoder end the process, the next run reads them one by one."""

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from .jsons import to_json

NAME, PARTIAL = ".in_flight.json", ".in_flight.partial"


class InFlight:
    """The note of them in an output folder.

    >>> InFlight(Path("runs/tags")).names()
    []
    """

    def __init__(self, folder: Path):
        self.path = folder / NAME
        self.partial = folder / PARTIAL

    def names(self) -> list[str]:
        """Returns those that were in flight when a run died without a word."""
        with suppress(FileNotFoundError, ValueError):
            names: list[str] = json.loads(self.path.read_bytes())["names"]
            return names
        return []

    def note(self, names: Sequence[str]) -> None:
        """Write down which pictures are being read from now on. Raises OSError where that cannot be done."""
        self.partial.write_bytes(to_json({"names": list(names)}))
        os.replace(self.partial, self.path)

    def clear(self) -> None:
        """None are."""
        for path in (self.path, self.partial):
            with suppress(OSError):
                path.unlink(missing_ok=True)
