"""Results on disk: one JSON a picture, a ledger that knows what is done, and a summary that adds up.

    images/<relative path, suffix included>.json    ledger.jsonl    failures.csv    summary.json

Files are written under a temporary name and moved into place: a reader never sees half a file, whenever the run is
killed. The ledger is append-only, a line a picture; a torn last line is passed over.
"""

import codecs
import csv
import errno
import hashlib
import io
import json
import os
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from .detections import Detections, Selection

FORMAT = 1  # of the per-picture JSON; part of the key, so that another format is written anew
NAME_TROUBLE = {errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR, errno.EEXIST}


@dataclass(frozen=True)
class Summary:
    """Totals of one run, as in summary.json: total_images = processed + resumed + failed, always.

    `invalid`: what networks gave that cannot be, and was dropped (see Detections).
    """

    total_images: int
    processed: int
    resumed: int
    failed: int
    objects: int
    labels: dict[str, int]
    invalid: int
    seconds: float
    images_per_second: float
    batch_size: dict
    precision: dict
    compiled: dict
    device: dict
    workers: dict
    decoder: dict
    decoding: dict
    model: dict
    settings: dict
    environment: dict

    def check(self, max_failed: float) -> None:
        """Raise TooManyFailed where more than this share of the pictures failed."""
        if self.failed > max_failed * self.total_images:
            raise TooManyFailed(
                f"{self.failed} of {self.total_images} pictures failed, more than max_failed={max_failed:g}: "
                "see failures.csv; what could be tagged is written, and the next run tries the failed ones again"
            )


class TooManyFailed(Exception):
    """More of a run's pictures failed than its owner allows."""


def run_key(fingerprint: str, precision: str, selection: Selection) -> str:
    """Digest of all that decides a picture's result besides the picture: same key, same JSON."""
    parts = {"format": FORMAT, "model": fingerprint, "precision": precision, **asdict(selection)}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


class OutputFolder:
    """The output folder of one run: what is finished already, where new results go, and the counts so far.

    Opening it checks that it can be written and that no other run is writing there, removes the last run's summary.json
    (there, it means complete) and reads the ledger. `choices` are those of a run that was stopped, as it noted them
    with `begin`: what decides how a result is rounded. After a complete run there are none to keep to.
    """

    def __init__(self, folder: str | Path, key: str):
        self.folder, self.key = Path(folder).absolute(), key
        self.processed = self.resumed = self.invalid = 0
        self.labels: Counter[str] = Counter()
        self.failures: dict[str, str] = {}
        try:
            (self.folder / "images").mkdir(parents=True, exist_ok=True)
            self.lock = FileLock(self.folder / ".lock")
            self.lock.acquire(timeout=0)
            self.entries, noted = read_ledger(self.folder / "ledger.jsonl", key)
            self.choices = {} if (self.folder / "summary.json").exists() else noted
            self.ledger = open_ledger(self.folder / "ledger.jsonl")
            (self.folder / "summary.json").unlink(missing_ok=True)
        except Timeout:
            raise BlockingIOError(
                f"another run is writing to {self.folder}: wait, or choose another output_dir"
            ) from None
        except OSError as error:
            reason = f"output folder {self.folder} cannot be written ({error.strerror}): choose another output_dir"
            raise OSError(reason) from None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ledger.close()
        self.lock.release()

    def begin(self, choices: dict) -> None:
        """Note the run's choices in the ledger, for the runs that go on from it."""
        if choices != self.choices:
            self.ledger.write(to_json({"format": FORMAT, "key": self.key, "choices": choices}))
            self.ledger.flush()

    def resume(self, image: str, stat: os.stat_result | None) -> bool:
        """Count the picture as done if it is: today's key, the file unchanged, its JSON there and whole."""
        entry = self.entries.get(image)
        if stat is None or not entry or entry["status"] != "done" or entry["key"] != self.key:
            return False
        if (entry["size"], entry["mtime"]) != (stat.st_size, stat.st_mtime_ns):
            return False
        try:
            whole = self.json_path(image).stat().st_size == entry["bytes"]
        except OSError:
            whole = False
        if whole:
            self.resumed += 1
            self.labels.update(entry["objects"])
            self.invalid += entry["invalid"]
        return whole

    def write(self, image: str, stat: os.stat_result, found: Detections) -> None:
        """Put one picture's JSON into place, then its line into the ledger."""
        size = {"width": found.width, "height": found.height}
        content = to_json({"image": image, **size, "objects": objects(found), "key": self.key})
        try:
            self.json_path(image).parent.mkdir(parents=True, exist_ok=True)
            self.move_into_place(content, self.json_path(image))
        except OSError as error:
            if error.errno not in NAME_TROUBLE:
                raise  # a full disk, say: the run cannot go on
            return self.fail(image, stat, f"its result cannot be named images/{image}.json: {error.strerror}")
        counts = Counter(found.names)
        self.record(image, stat, "done", objects=counts, invalid=found.invalid, bytes=len(content))
        self.processed += 1
        self.invalid += found.invalid
        self.labels.update(counts)

    def fail(self, image: str, stat: os.stat_result | None, reason: str) -> None:
        """Record a picture that could not be read or run; the result of an earlier version of it goes away."""
        with suppress(OSError):
            self.json_path(image).unlink(missing_ok=True)
        self.failures[image] = reason
        self.record(image, stat, "failed", reason=reason)

    def record(self, image: str, stat: os.stat_result | None, status: str, **more) -> None:
        file = {"size": stat.st_size, "mtime": stat.st_mtime_ns} if stat else {"size": None, "mtime": None}
        self.ledger.write(to_json({"image": image, **file, "key": self.key, "status": status, **more}))
        self.ledger.flush()

    def close(self, summary: Summary) -> None:
        """Write failures.csv and, last of all, summary.json."""
        table = io.StringIO(newline="")
        csv.writer(table).writerows([("image", "reason"), *sorted(self.failures.items())])
        text = table.getvalue().encode("utf-8", "backslashreplace")  # a file name may be no UTF-8
        self.move_into_place(codecs.BOM_UTF8 + text, self.folder / "failures.csv")  # the mark tells spreadsheets
        self.move_into_place(to_json(asdict(summary), indent=1), self.folder / "summary.json")

    def move_into_place(self, content: bytes, path: Path) -> None:
        """Write under a temporary name, then rename: whoever looks sees the old file or the new, never half."""
        partial = self.folder / ".partial"
        partial.write_bytes(content)
        os.replace(partial, path)

    def json_path(self, image: str) -> Path:
        return self.folder / "images" / f"{image}.json"


def objects(found: Detections) -> list[dict]:
    """The `objects` of a picture's JSON: bbox in the photo's pixels, or null for a whole-picture tag."""
    boxes = [None] * len(found) if found.boxes is None else found.boxes.round(2).tolist()
    rows = zip(found.names, found.class_ids.tolist(), found.scores.tolist(), boxes, strict=True)
    return [
        {"label": name, "label_id": class_id, "confidence": round(score, 4), "bbox": box}
        for name, class_id, score, box in rows
    ]


def read_ledger(path: Path, key: str) -> tuple[dict[str, dict], dict]:
    """The last word on each picture, and the choices noted for `key`; lines that a kill tore are passed over."""
    entries, choices = {}, {}
    if path.exists():
        for line in path.read_bytes().splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict) and "image" in entry:
                entries[entry["image"]] = entry
            elif isinstance(entry, dict) and entry.get("key") == key:
                choices = entry.get("choices", {})
    return entries, choices


def open_ledger(path: Path):
    """Open for appending; after a torn line, on a line of its own."""
    ledger = open(path, "a+b")  # noqa: SIM115 (open as long as the run)
    if ledger.tell():
        ledger.seek(-1, os.SEEK_END)
        if ledger.read() != b"\n":
            ledger.write(b"\n")
    return ledger


def to_json(record: dict, indent: int | None = None) -> bytes:
    """UTF-8, Chinese as Chinese, one line end; bytes of a file name that are no UTF-8 stay escaped."""
    text = json.dumps(record, ensure_ascii=False, indent=indent)
    try:
        return f"{text}\n".encode()
    except UnicodeEncodeError:
        return (json.dumps(record, indent=indent) + "\n").encode()
