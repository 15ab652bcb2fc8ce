"""The output folder of one run: results are put, the ledger notes them, a stopped run goes on from there.

Files are written under a temporary name and moved into place: a reader never sees half a file, whenever the run is
killed. The ledger is append-only, a line a picture; a torn last line is passed over.
"""

import codecs
import csv
import errno
import io
import os
import threading
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from filelock import FileLock, Timeout

from .errors import OutputBusy, OutputError
from .images import FileVersion
from .results import FAILURES, FORMAT, LABELS, LEDGER, SUMMARY, json_path, read_ledger, result_record, to_json
from .summary import Summary
from .tagger import Failed, Tagged

NAME_TROUBLE = {errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR, errno.EEXIST}


class OutputFolder:
    """The output folder of one run: what is finished already, where new results go, and the counts so far.

    Opening it checks that it can be written and that no other run is writing there, removes the last run's summary.json
    (there, it means complete) and reads the ledger. `bits` are those that a stopped run noted with `begin`: what
    decides how a result is rounded. After a complete run there are none to keep to. One thread puts all results.

    >>> with OutputFolder("runs/tags", key) as output:
    ...     output.put(tagged)
    """

    def __init__(self, folder: str | Path, key: str):
        self.folder = Path(folder).absolute()
        self.key = key
        self.processed = self.resumed = self.invalid = self.damaged = 0
        self.labels: Counter[str] = Counter()
        self.failures: dict[str, str] = {}
        self._writer = 0
        try:
            self._open()
        except Timeout:
            raise OutputBusy(f"another run is writing to {self.folder}: wait, or choose another output_dir") from None
        except OSError as error:
            reason = f"output folder {self.folder} cannot be written ({error.strerror}): choose another output_dir"
            raise OutputError(reason) from None

    def _open(self) -> None:
        images = self.folder / "images"
        images.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(self.folder / ".lock")
        self._lock.acquire(timeout=0)
        summary, ledger = self.folder / SUMMARY, self.folder / LEDGER
        self._entries, self.bits = read_ledger(ledger, self.key)
        if summary.exists():
            self.bits = {}
        self._ledger = _open_ledger(ledger)
        summary.unlink(missing_ok=True)

    def __enter__(self) -> "OutputFolder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ledger.close()
        self._lock.release()

    def begin(self, bits: Mapping[str, Any], labels: Mapping[int, str]) -> None:
        """Write the model's names by class id, and note in the ledger what runs that go on from this one keep to."""
        in_order = sorted(labels.items())
        names = {str(class_id): name for class_id, name in in_order}
        content = to_json(names)
        self._move_into_place(content, self.folder / LABELS)
        if bits and bits != self.bits:
            line = {"format": FORMAT, "key": self.key, "choices": dict(bits)}
            self._note(line)

    def done(self, image: str, version: FileVersion | None) -> bool:
        """Returns whether the picture is finished: today's key, the file unchanged, its JSON there and whole."""
        entry = self._entries.get(image)
        if version is None or entry is None:
            return False
        if entry["status"] != "done" or entry["key"] != self.key:
            return False
        if (entry["size"], entry["mtime"]) != (version.size, version.mtime_ns):
            return False
        try:
            size = os.stat(json_path(self.folder, image)).st_size
        except OSError:
            return False
        return bool(size == entry["bytes"])

    def count_resumed(self, image: str) -> None:
        """Count a picture that is done, with what was found in it then."""
        entry = self._entries[image]
        self.resumed += 1
        self.labels.update(entry["objects"])
        self.invalid += entry["invalid"]
        self.damaged += entry.get("damaged", False)

    def put(self, result: Tagged | Failed) -> None:
        """Put one picture's JSON into place, then its line into the ledger; of one that failed, the line alone."""
        self._check_writer()
        if isinstance(result, Tagged):
            result = self._write(result)
        if isinstance(result, Failed):
            self._fail(result)

    def _check_writer(self) -> None:
        """All files share one temporary name: two threads would take it from each other."""
        thread = threading.get_ident()
        if not self._writer:
            self._writer = thread
        assert self._writer == thread, "one thread puts all results of a run"

    def _write(self, tagged: Tagged) -> Tagged | Failed:
        path = json_path(self.folder, tagged.image)
        content = to_json(result_record(tagged, self.key))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._move_into_place(content, path)
        except OSError as error:
            if error.errno not in NAME_TROUBLE:
                raise  # a full disk, say: the run cannot go on
            reason = f"its result cannot be named images/{tagged.image}.json: {error.strerror}"
            return Failed(tagged.image, tagged.version, "write", reason)
        counts = Counter(tagged.detections.names)
        line = _line(tagged, self.key, "done")
        line["objects"] = counts
        line["invalid"] = tagged.invalid
        line["bytes"] = len(content)
        if tagged.damaged:
            line["damaged"] = True
        self._note(line)
        self.processed += 1
        self.invalid += tagged.invalid
        self.damaged += tagged.damaged
        self.labels.update(counts)
        return tagged

    def _fail(self, failed: Failed) -> None:
        """The result of an earlier version of the picture goes away."""
        path = json_path(self.folder, failed.image)
        with suppress(OSError):
            path.unlink(missing_ok=True)
        self.failures[failed.image] = failed.reason
        line = _line(failed, self.key, "failed")
        line["stage"] = failed.stage
        line["reason"] = failed.reason
        self._note(line)

    def _note(self, line: Mapping[str, Any]) -> None:
        content = to_json(line)
        self._ledger.write(content)
        self._ledger.flush()

    def close(self, summary: Summary) -> None:
        """Write failures.csv and, last of all, summary.json."""
        table = io.StringIO(newline="")
        rows = csv.writer(table)
        rows.writerow(("image", "reason"))
        in_order = sorted(self.failures.items())
        rows.writerows(in_order)
        text = table.getvalue()
        content = text.encode("utf-8", "backslashreplace")  # a file name may be no UTF-8
        self._move_into_place(codecs.BOM_UTF8 + content, self.folder / FAILURES)  # the mark tells spreadsheets
        record = to_json(summary.record(), indent=1)
        self._move_into_place(record, self.folder / SUMMARY)

    def _move_into_place(self, content: bytes, path: Path) -> None:
        """Write under a temporary name, then rename: whoever looks sees the old file or the new, never half."""
        partial = self.folder / ".partial"
        partial.write_bytes(content)
        os.replace(partial, path)


def _line(result: Tagged | Failed, key: str, status: str) -> dict[str, Any]:
    """The ledger's line of a picture, as far as all have it."""
    version = result.version
    size = version.size if version else None
    mtime = version.mtime_ns if version else None
    return {"image": result.image, "size": size, "mtime": mtime, "key": key, "status": status}


def _open_ledger(path: Path) -> IO[bytes]:
    """Open for appending; after a torn line, on a line of its own."""
    ledger = open(path, "a+b")  # noqa: SIM115 (open as long as the run)
    if ledger.tell():
        ledger.seek(-1, os.SEEK_END)
        if ledger.read() != b"\n":
            ledger.write(b"\n")
    return ledger
