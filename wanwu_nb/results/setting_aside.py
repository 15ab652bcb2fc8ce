"""A run begins: what the one before left as its last word is put aside, and never taken for today's."""

import json
import os
from contextlib import suppress
from pathlib import Path

from .file_systems import one_sentence
from .lines import LineFile
from .locking import FolderLock
from .records import LEDGER

SUMMARY, FAILURES = "summary.json", "failures.csv"
# The summary last: as long as it is there, what a killed run left half done is the next one's to finish.
PREVIOUS = {FAILURES: "failures.previous.csv", SUMMARY: "summary.previous.json"}


def set_aside_summary(folder: str | Path) -> None:
    """A run begins: the last one's summary.json becomes summary.previous.json, so that it is never taken for today's.

    Does nothing where there is none. Raises OutputBusy where another run is writing there, OutputError where that
    cannot be done.

    >>> set_aside_summary("runs/tags")
    """
    path = Path(folder).absolute()
    if not (path / SUMMARY).exists():
        return
    lock = FolderLock(path)
    with one_sentence(path):
        lock.acquire()
        try:
            set_aside_in(path)
        finally:
            lock.release()


def set_aside_in(folder: Path) -> None:
    """The same, for whoever holds the folder's lock.

    Whoever reads the ledger must still see that the run was complete: version 0.1 had no line for it.

    >>> set_aside_in(Path("runs/tags"))
    """
    summary = folder / SUMMARY
    if not summary.exists():
        return
    with suppress(ValueError):
        content = json.loads(summary.read_bytes())
        if "complete" not in content:
            with LineFile(folder / LEDGER) as ledger:
                ledger.note({"complete": True})
    for name, previous in PREVIOUS.items():
        with suppress(FileNotFoundError):
            os.replace(folder / name, folder / previous)
