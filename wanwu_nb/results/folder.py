"""The output folder of one run: results are put, the ledger notes them, a stopped run goes on from there.

Files are written under a temporary name and moved into place: a reader never sees half a file, whenever the run is
killed. What concerns one picture fails that picture; what concerns all of them ends the run, in one sentence.
"""

import codecs
import csv
import errno
import io
import json
import os
import threading
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from ..images import FileVersion
from ..paths import local_path
from ..summary import Summary
from ..tagger import Failed, Tagged
from .file_systems import Names, concerns_one_name, one_sentence
from .jsons import to_json
from .ledger import FINISHED, Entry, Ledger, compact, read_ledger
from .locking import FolderLock
from .records import FORMAT, LEDGER, json_path, result_record

LABELS, SUMMARY, FAILURES, ORPHANS = "labels.json", "summary.json", "failures.csv", "orphans"
IN_FLIGHT = ".in_flight.json"
PREVIOUS = {SUMMARY: "summary.previous.json", FAILURES: "failures.previous.csv"}


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
            _set_aside(path)
        finally:
            lock.release()


def _set_aside(folder: Path) -> None:
    """Whoever reads the ledger must still see that the run was complete: version 0.1 had no line for it."""
    summary = folder / SUMMARY
    if not summary.exists():
        return
    with suppress(ValueError):
        content = json.loads(summary.read_bytes())
        if "complete" not in content:
            with Ledger(folder / LEDGER) as ledger:
                ledger.note({"complete": True})
    for name, previous in PREVIOUS.items():
        with suppress(FileNotFoundError):
            os.replace(folder / name, folder / previous)


class OutputFolder:
    """The output folder of one run: what is finished already, where new results go, and the counts so far.

    Opening it checks that it can be written and that no other run is writing there, sets the last summary aside and
    reads the ledger. `bits` are those that a stopped run noted with `begin`: what decides how a result is rounded.
    After a complete run there are none to keep to. One thread puts all results.

    >>> with OutputFolder("runs/tags", key, "photos") as output:
    ...     output.put(tagged)
    """

    def __init__(self, folder: str | Path, key: str, image_dir: str | Path = ""):
        self.folder = Path(local_path(folder)).absolute()
        self.key = key
        self.processed = self.resumed = self.orphaned = self.invalid = self.damaged = 0
        self.labels: Counter[str] = Counter()
        self.failures: dict[str, str] = {}
        self.notes: list[str] = []  # what whoever looks on should know
        self._images = self.folder / "images"
        self._partial = self.folder / ".partial"
        self._in_flight = self.folder / IN_FLIGHT
        self._writer = 0
        self._lock = FolderLock(self.folder)
        with one_sentence(self.folder, "choose another output_dir"):
            self._images.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
            try:
                self._open(str(image_dir))
            except BaseException:
                self._lock.release()
                raise

    def _open(self, image_dir: str) -> None:
        if self._lock.note:
            self.notes.append(self._lock.note)
        _set_aside(self.folder)
        path = self.folder / LEDGER
        self._known = read_ledger(path)
        compact(path, self._known)
        self._entries = self._known.entries
        self.bits = self._known.bits.get(self.key, {})
        self._image_dir, before = image_dir, self._known.image_dir
        self.same_folder_as_before = image_dir == before
        self._ledger = Ledger(path)
        if not self.same_folder_as_before:
            self._ledger.note({"image_dir": image_dir})
            if before:
                self.notes.append(f"the pictures of the run before lay in {before}: its results stay as they are")
        self._names = Names(self.folder, self._finished())
        self.suspects = self._read_suspects()

    def _finished(self) -> list[str]:
        return [image for image, entry in self._entries.items() if entry["status"] == "done"]

    def _read_suspects(self) -> list[str]:
        """Pictures that were in flight when a run died without a word, and those that ended one before."""
        suspects = [image for image, entry in self._entries.items() if entry.get("ended_process")]
        with suppress(FileNotFoundError, ValueError):
            suspects += json.loads(self._in_flight.read_bytes())["names"]
        return suspects

    def note_in_flight(self, names: Sequence[str]) -> None:
        """Write down which pictures are being read: should a decoder end the process, the next run asks one by one."""
        partial = self._in_flight.with_suffix(".partial")
        with one_sentence(self.folder):
            partial.write_bytes(to_json({"names": list(names)}))
            os.replace(partial, self._in_flight)

    def __enter__(self) -> "OutputFolder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._ledger.close()
        for path in (self._partial, self._in_flight):
            with suppress(OSError):
                path.unlink(missing_ok=True)
        self._lock.release()

    def begin(self, bits: Mapping[str, Any], labels: Mapping[int, str]) -> None:
        """Write the model's names by class id, and note in the ledger what runs that go on from this one keep to."""
        in_order = sorted(labels.items())
        names = {str(class_id): name for class_id, name in in_order}
        content = to_json(names)
        with one_sentence(self.folder):
            self._move_into_place(content, self.folder / LABELS)
            if bits and bits != self.bits:
                self._ledger.note({"format": FORMAT, "key": self.key, "choices": dict(bits)})

    def done(self, image: str, version: FileVersion | None) -> bool:
        """Returns whether the picture is finished: today's key, the file unchanged, its JSON there and whole."""
        entry = self._entries.get(image)
        if version is None or entry is None:
            return False
        if entry["status"] not in FINISHED or entry["key"] != self.key:
            return False
        if (entry["size"], entry["mtime"]) != (version.size, version.mtime_ns):
            return False
        try:
            size = os.stat(json_path(self.folder, image)).st_size
        except OSError:
            return False
        return bool(size == entry["bytes"])

    def count_resumed(self, image: str) -> None:
        """Count a picture that is done, with what was found in it then; one that has come back is noted as done."""
        entry = self._entries[image]
        place = self._known.places[image]
        self.resumed += 1
        self.labels.update(entry["objects"])
        self.invalid += entry["invalid"]
        self.damaged += entry.get("damaged", False)
        if entry["status"] == "gone" or place not in ("", self._image_dir):
            entry["status"] = "done"
            with one_sentence(self.folder):
                self._ledger.note(entry)

    def note_orphans(self, names: Collection[str], move: bool = False) -> None:
        """Note the results of pictures that are no longer among `names`, all there are in the folder, as gone.

        They are kept, or moved to orphans/, and no reader of results sees them. Only those of this image_dir count.
        """
        there = set(names)
        for image, entry in self._entries.items():
            if image in there or entry["status"] not in FINISHED:
                continue
            if self._known.places[image] not in ("", self._image_dir):
                continue
            self.orphaned += 1
            if entry["status"] == "done":
                with one_sentence(self.folder):
                    self._set_aside_orphan(image, entry, move)

    def _set_aside_orphan(self, image: str, entry: Entry, move: bool) -> None:
        entry["status"] = "gone"
        self._ledger.note(entry)
        if move:
            target = self.folder / ORPHANS / f"{image}.json"
            target.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):
                os.replace(json_path(self.folder, image), target)

    def put(self, result: Tagged | Failed) -> None:
        """Put one picture's JSON into place, then its line into the ledger; of one that failed, the line alone.

        Raises OutputError for what concerns all pictures: a full disk, a folder that was removed.
        """
        self._check_writer()
        with one_sentence(self.folder):
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
        reason = self._names.trouble(tagged.image)
        if reason:
            return Failed(tagged.image, tagged.version, "write", reason)
        path = json_path(self.folder, tagged.image)
        content = to_json(result_record(tagged, self.key))
        self._partial.write_bytes(content)
        if not self._images.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self._images))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.replace(self._partial, path)
        except OSError as error:
            if not concerns_one_name(error):
                raise
            reason = f"its result cannot be named images/{tagged.image}.json: {error.strerror}"
            return Failed(tagged.image, tagged.version, "write", reason)
        counts = Counter(tagged.detections.names)
        line = _line(tagged, self.key, "done")
        line["objects"] = counts
        line["invalid"] = tagged.invalid
        line["bytes"] = len(content)
        if tagged.damaged:
            line["damaged"] = True
        self._ledger.note(line)
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
        if failed.ended_process:
            line["ended_process"] = True
        self._ledger.note(line)

    def close(self, summary: Summary) -> None:
        """Write failures.csv, note that the run is complete and, last of all, write summary.json."""
        table = io.StringIO(newline="")
        rows = csv.writer(table)
        rows.writerow(("image", "reason"))
        in_order = sorted(self.failures.items())
        rows.writerows(in_order)
        text = table.getvalue()
        content = text.encode("utf-8", "backslashreplace")  # a file name may be no UTF-8
        record = to_json(summary.record(), indent=1)
        with one_sentence(self.folder):
            self._move_into_place(codecs.BOM_UTF8 + content, self.folder / FAILURES)  # the mark tells spreadsheets
            self._ledger.note({"complete": True})
            self._move_into_place(record, self.folder / SUMMARY)

    def _move_into_place(self, content: bytes, path: Path) -> None:
        """Write under a temporary name, then rename: whoever looks sees the old file or the new, never half."""
        self._partial.write_bytes(content)
        os.replace(self._partial, path)


def _line(result: Tagged | Failed, key: str, status: str) -> dict[str, Any]:
    """The ledger's line of a picture, as far as all have it."""
    version = result.version
    size = version.size if version else None
    mtime = version.mtime_ns if version else None
    return {"image": result.image, "size": size, "mtime": mtime, "key": key, "status": status}
