"""The output folder of one run: results are put, the ledger notes them, a stopped run goes on from there.

Files are written under a temporary name and moved into place: a reader never sees half a file, whenever the run is
killed. What concerns one picture fails that picture; what concerns all of them ends the run, in one sentence.
"""

import threading
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..corrections import Corrections, KnownLabels, corrected
from ..paths import local_path
from ..tagged import Failed, Tagged
from ..versions import FileVersion
from .edits import Edits, Whose, digest_of
from .failures import failures_table
from .file_systems import Names, one_sentence
from .in_flight import InFlight
from .jsons import to_json
from .ledger import FINISHED, compact, done_line, failed_line, read_ledger
from .lines import LineFile
from .locking import FolderLock
from .occurrences import Occurrences
from .orphans import note_orphans
from .placing import Placer
from .raw import RAW, RawSource, compact_raw, raw_record
from .records import FORMAT, LEDGER, result_record
from .setting_aside import FAILURES, SUMMARY, set_aside_in
from .vocabulary_file import PARTIAL as VOCABULARY_PARTIAL

if TYPE_CHECKING:
    from ..summary import Summary  # it knows the machine, and that torch: reading results needs neither

LABELS = "labels.json"
CORRECTED = "+"  # in the key of a picture that a person said something of: before the digest of that


class OutputFolder:
    """The output folder of one run: what is finished already, where new results go, and the counts so far.

    Opening it checks that it can be written and that no other run is writing there, sets the last summary aside and
    reads the ledger. `bits` are those that a stopped run noted with `begin`: what decides how a result is rounded.
    After a complete run there are none to keep to. `source`: of the raw objects that are written down, None for none.
    One thread at a time puts results.

    >>> with OutputFolder("runs/tags", key, "photos") as output:
    ...     output.put(tagged)
    """

    def __init__(self, folder: str | Path, key: str = "", image_dir: str | Path = "", source: RawSource | None = None):
        self.folder = Path(local_path(folder)).absolute()
        self.processed = self.redecided = self.resumed = self.orphaned = self.invalid = self.damaged = self.edited = 0
        self.labels: Counter[str] = Counter()
        self.failures: dict[str, str] = {}
        self.occurrences = Occurrences()  # of the model's labels, in this run's pictures
        self.notes: list[str] = []  # what whoever looks on should know
        self.corrections, self._words = Corrections(), KnownLabels({})
        self._place = Placer(self.folder)
        self._in_flight = InFlight(self.folder)
        self._contents: dict[str, str] = {}  # of pictures whose content was looked at, its SHA-256
        self._writing = threading.Lock()
        self._lock = FolderLock(self.folder)
        with one_sentence(self.folder, "choose another output_dir"):
            images = self.folder / "images"
            images.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
            try:
                self._open(str(image_dir))
            except BaseException:
                self._lock.release()
                raise
        self.aim(key, source)

    def aim(self, key: str, source: RawSource | None) -> None:
        """Say which results this run is to have: those of this key. Not before is it known what is done already."""
        self.key = key
        self.source = source
        self.bits = self._known.bits.get(key, {})

    def correct(self, corrections: Corrections, words: KnownLabels) -> None:
        """Say what persons said: it is merged into what is put, and a picture is not done before it is."""
        self.corrections, self._words = corrections, words

    def _key_of(self, image: str) -> str:
        digest = self.corrections.digest(image)
        return f"{self.key}{CORRECTED}{digest}" if digest else self.key

    def _open(self, image_dir: str) -> None:
        if self._lock.note:
            self.notes.append(self._lock.note)
        set_aside_in(self.folder)
        path = self.folder / LEDGER
        self._known = read_ledger(path)
        if self._known.many_times_needed:  # the ledger last: killed in between, the next run does both again
            compact_raw(self.folder, self._known.entries)
            compact(path, self._known)
        self._entries = self._known.entries
        self._image_dir, before = image_dir, self._known.image_dir
        self.same_folder_as_before = image_dir == before
        self._edits = Edits(self.folder, self._known)
        self._ledger = LineFile(path)
        self._raw = LineFile(self.folder / RAW)
        if not self.same_folder_as_before:
            self._ledger.note({"image_dir": image_dir})
            if before:
                self.notes.append(f"the pictures of the run before lay in {before}: its results stay as they are")
        self._names = Names(self.folder, self._finished())
        ended_one = [image for image, entry in self._entries.items() if entry.get("ended_process")]
        self.suspects = ended_one + self._in_flight.names()  # each may have ended a process

    def _finished(self) -> list[str]:
        return [image for image, entry in self._entries.items() if entry["status"] == "done"]

    def note_in_flight(self, names: Sequence[str]) -> None:
        """Write down which pictures are being read: see `InFlight`."""
        with one_sentence(self.folder):
            self._in_flight.note(names)

    def __enter__(self) -> "OutputFolder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for file in (self._ledger, self._raw):
            with suppress(OSError):
                file.close()
        self._place.clear()
        self._in_flight.clear()
        with suppress(OSError):
            (self.folder / VOCABULARY_PARTIAL).unlink(missing_ok=True)  # half written, by a killed run
        self._lock.release()

    def begin(self, bits: Mapping[str, Any], labels: Mapping[int, str]) -> None:
        """Write the model's names by class id, and note in the ledger what runs that go on from this one keep to."""
        in_order = sorted(labels.items())
        names = {str(class_id): name for class_id, name in in_order}
        self.write(to_json(names), LABELS)
        with one_sentence(self.folder):
            if bits and bits != self.bits:
                self._ledger.note({"format": FORMAT, "key": self.key, "choices": dict(bits)})

    def done(self, image: str, version: FileVersion | None) -> bool:
        """Returns whether the picture is finished: today's key, the file unchanged, its JSON there and whole."""
        if version and version.sha256:
            self._contents[image] = version.sha256
        entry = self._entries.get(image)
        if version is None or entry is None:
            return False
        if entry["status"] not in FINISHED or entry["key"] != self._key_of(image):
            return False
        if not version.matches(entry):
            return False
        return self._edits.whose(image, entry) in (Whose.RUN, Whose.PERSON)

    def is_edited(self, image: str, version: FileVersion | None) -> bool:
        """Returns whether the picture's JSON is a person's, who edited it: it stays, whatever is asked for now.

        One whose picture has changed since goes into edited/.
        """
        entry = self._entries.get(image)
        if entry is None or entry["status"] not in FINISHED or self._edits.whose(image, entry) is not Whose.PERSON:
            return False
        if version is None or not version.matches(entry):
            with one_sentence(self.folder):
                self._edits.move_aside(image)
            return False
        self.edited += 1
        return True

    def count_resumed(self, image: str, version: FileVersion | None = None) -> None:
        """Count a picture that is done, with what was found in it then; one that has come back is noted as done.

        So is one whose `version` has the same content and another time.
        """
        entry = self._entries[image]
        place = self._known.places[image]
        self.resumed += 1
        self.labels.update(entry["objects"])
        self.invalid += entry["invalid"]
        self.damaged += entry.get("damaged", False)
        touched = version is not None and version.mtime_ns != entry["mtime"]
        touched = touched or image in self._edits.touched
        if touched or entry["status"] == "gone" or place not in ("", self._image_dir):
            entry["status"] = "done"
            if version is not None:
                entry["mtime"] = version.mtime_ns
            with one_sentence(self.folder):
                self._ledger.note(entry)

    def count_done_with(self, key: str = "") -> int:
        """Returns how many pictures were tagged with this key, or with any."""
        entries = [entry for entry in self._entries.values() if entry["status"] in FINISHED]
        return sum(key in ("", entry["key"].partition(CORRECTED)[0]) for entry in entries)

    def count_done_otherwise(self, images: Iterable[str]) -> int:
        """Returns how many of these were tagged before, by another model or with other settings."""
        entries = [self._entries[image] for image in images if image in self._entries]
        return sum(entry["status"] in FINISHED for entry in entries)

    def note_orphans(self, names: Collection[str], move: bool = False) -> None:
        """Count the results of pictures that are no longer among `names`, all there are, and move them if asked."""
        with one_sentence(self.folder):
            self.orphaned = note_orphans(self.folder, self._known, self._ledger, names, self._image_dir, move)

    def put(self, result: Tagged | Failed) -> None:
        """Put one picture's JSON into place, then its line into the ledger; of one that failed, the line alone.

        Raises OutputError for what concerns all pictures: a full disk, a folder that was removed.
        """
        alone = self._writing.acquire(blocking=False)
        assert alone, "one thread at a time puts results: all files share one temporary name"
        try:
            with one_sentence(self.folder):
                if isinstance(result, Tagged):
                    result = self._write(result)
                if isinstance(result, Failed):
                    self._fail(result)
        finally:
            self._writing.release()

    def _write(self, tagged: Tagged) -> Tagged | Failed:
        reason = self._names.trouble(tagged.image)
        if reason:
            return Failed(tagged.image, tagged.version, "write", reason)
        if tagged.raw is not None and self.source is not None:
            self._raw.note(self._with_content(raw_record(tagged, self.source)), spaces=False)
            self.occurrences.add(tagged.image, tagged.raw)
        said = self.corrections.of(tagged.image)
        if said:
            tagged = replace(tagged, detections=corrected(tagged.detections, said, self._words))
        key = self._key_of(tagged.image)
        content = to_json(result_record(tagged, key))
        digest = digest_of(content)
        if tagged.image in self._entries:  # before it is in place: a kill in between leaves nothing like a person's
            self._ledger.note({"image": tagged.image, "writing": digest})
        reason = self._place.put_json(tagged.image, content)
        if reason:
            return Failed(tagged.image, tagged.version, "write", reason)
        line = done_line(tagged, key, len(content), self._place.written, digest)
        self._ledger.note(self._with_content(line))
        self.processed += 1
        self.invalid += tagged.invalid
        self.damaged += tagged.damaged
        self.labels.update(line["objects"])
        return tagged

    def _fail(self, failed: Failed) -> None:
        """The result of an earlier version of the picture goes away."""
        self._place.remove_json(failed.image)
        self.failures[failed.image] = failed.reason
        self._ledger.note(failed_line(failed, self.key))

    def _with_content(self, line: dict[str, Any]) -> dict[str, Any]:
        if line["image"] in self._contents:
            line["sha256"] = self._contents[line["image"]]
        return line

    def close(self, summary: "Summary") -> None:
        """Write failures.csv, note that the run is complete and, last of all, write summary.json."""
        record = to_json(summary.record(), indent=1)
        self.write(failures_table(self.failures), FAILURES)
        with one_sentence(self.folder):
            self._ledger.note({"complete": True})
        self.write(record, SUMMARY)

    def write(self, content: bytes, name: str) -> None:
        """Put a file of that name into the folder: whoever looks sees the old one or the new, never half."""
        with one_sentence(self.folder):
            self._place.put(name, content)

    def write_folder(self, files: Mapping[str, bytes], name: str) -> None:
        """Put a sub-folder with these files into the folder, whole, instead of the one that is there."""
        with one_sentence(self.folder):
            self._place.put_folder(name, files)

    def remove_folder(self, name: str) -> None:
        """Take a sub-folder that a run wrote away, where there is one."""
        with one_sentence(self.folder):
            self._place.remove_folder(name)
