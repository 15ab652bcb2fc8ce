"""The ledger of an output folder: append-only, a line a picture or a fact of a run. The last line of a picture counts.

{"image": …, "size": …, "mtime": …, "key": …, "status": "done", "objects": {…}, "invalid": …, "bytes": …,
 "written": …, "json": …}
{"image": …, "size": …, "mtime": …, "key": …, "status": "failed", "stage": …, "reason": …}
{"image": …, …, "status": "gone"}     as done, of a picture that has left its folder
{"image": …, "writing": …}            the digest of a JSON that is about to take the place of an earlier one
{"key": …, "choices": {…}}            how the run of this key rounds, for the one that goes on from it
{"image_dir": …}                      the folder that the pictures of the lines below lie in
{"complete": true}                    the run above came to its end
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .jsons import to_json
from .lines import read_lines

if TYPE_CHECKING:
    from ..tagged import Failed, Tagged

COMPACT_ABOVE, COMPACT_TIMES = 1_000, 4  # lines; and how many times what is needed
EARLIER = 8  # digests of a picture
FINISHED = ("done", "gone")  # of pictures that are there, and that have left their folder
# The kinds of what a stopped run noted.
BITS = {"batch_size": int, "compiled": bool, "decoder": str, "engine": str, "memory_format": str}

Entry = dict[str, Any]


@dataclass
class Contents:
    """What a ledger says: the last word on each picture, how stopped runs round by key, where the pictures lie."""

    entries: dict[str, Entry] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)  # picture → image_dir of its line, "" before any was noted
    bits: dict[str, dict[str, Any]] = field(default_factory=dict)
    earlier: dict[str, list[str]] = field(default_factory=dict)  # picture → digests of JSONs that runs wrote before
    image_dir: str = ""
    lines: int = 0

    @property
    def many_times_needed(self) -> bool:
        """Returns whether there are so many more lines than are needed that a new ledger pays."""
        needed = len(self.entries) + len(self.bits) + sum(map(len, self.earlier.values())) + 1
        return self.lines >= COMPACT_ABOVE and self.lines >= COMPACT_TIMES * needed

    def needed(self) -> Iterator[Mapping[str, Any]]:
        """Yields the lines that say the same, without what was said before."""
        for key, choices in self.bits.items():
            yield {"key": key, "choices": choices}
        for image, digests in self.earlier.items():
            for digest in digests:
                yield {"image": image, "writing": digest}
        place = ""
        for image in sorted(self.entries, key=lambda image: self.places[image]):
            if self.places[image] != place:
                place = self.places[image]
                yield {"image_dir": place}
            yield self.entries[image]
        if self.image_dir != place:
            yield {"image_dir": self.image_dir}


def done_line(tagged: "Tagged", key: str, size: int, written: int, digest: str) -> Entry:
    """Returns the line of a picture whose JSON, of so many bytes, is in place since `written`.

    >>> done_line(tagged, key, 812, 1764150000000000000, "44136fa355b3678a")["status"]
    'done'
    """
    line = _line_of(tagged, key, "done")
    line |= {"objects": Counter(tagged.detections.names), "invalid": tagged.invalid}
    line |= {"bytes": size, "written": written, "json": digest}
    if tagged.damaged:
        line["damaged"] = True
    return line


def failed_line(failed: "Failed", key: str) -> Entry:
    """Returns the line of a picture that failed.

    >>> failed_line(failed, key)["reason"]
    'not a picture'
    """
    line = _line_of(failed, key, "failed") | {"stage": failed.stage, "reason": failed.reason}
    if failed.ended_process:
        line["ended_process"] = True
    return line


def _line_of(result: "Tagged | Failed", key: str, status: str) -> Entry:
    """As far as all have it."""
    version = result.version
    size = version.size if version else None
    mtime = version.mtime_ns if version else None
    return {"image": result.image, "size": size, "mtime": mtime, "key": key, "status": status}


def read_ledger(path: Path) -> Contents:
    """Returns what the ledger says, an empty one where there is none.

    Lines that a kill tore, and lines of another shape, are passed over.

    >>> read_ledger(Path("runs/tags/ledger.jsonl")).entries["a.jpg"]["status"]
    'done'
    """
    contents = Contents()
    for line in read_lines(path):
        contents.lines += 1
        if line.record is not None:
            _take(contents, line.record)
    return contents


def _take(contents: Contents, line: Entry) -> None:
    if _is_of_a_picture(line):
        _note_earlier(contents, line["image"], contents.entries.get(line["image"], {}).get("json"))
        contents.entries[line["image"]] = line
        contents.places[line["image"]] = contents.image_dir
    elif _are_bits(line):
        contents.bits[line["key"]] = line["choices"]
    elif isinstance(line.get("image"), str):
        _note_earlier(contents, line["image"], line.get("writing"))
    elif isinstance(line.get("image_dir"), str):
        contents.image_dir = line["image_dir"]
    elif line.get("complete") is True:
        contents.bits.clear()  # nothing is left to go on with


def _note_earlier(contents: Contents, image: str, digest: object) -> None:
    """Any of the last few may be in place still: a kill comes between two lines, and again in the next run."""
    if isinstance(digest, str):
        digests = contents.earlier.setdefault(image, [])
        if digest not in digests:
            digests.append(digest)
            del digests[:-EARLIER]


def _is_of_a_picture(line: Mapping[str, Any]) -> bool:
    """Whether a line has all that is read of one: the picture's name, key and status; of a result, what it counts."""
    texts = [line.get(name) for name in ("image", "key", "status")]
    if not all(isinstance(text, str) for text in texts):
        return False
    if line["status"] == "failed":
        return True
    if line["status"] not in FINISHED:
        return False
    numbers = [line.get(name) for name in ("size", "mtime", "bytes", "invalid")]
    if "json" in line:
        numbers.append(line.get("written"))
    return _are_counts(numbers) and _is_count_of_labels(line.get("objects"))


def _is_count_of_labels(objects: object) -> bool:
    return isinstance(objects, dict) and _are_counts(objects.values())


def _are_counts(values: Iterable[object]) -> bool:
    return all(type(value) is int for value in values)  # True is an int, too


def _are_bits(line: Mapping[str, Any]) -> bool:
    """Whether a line notes what a run chose, each of the kind that Plan.bits gives."""
    choices = line.get("choices")
    if not isinstance(choices, dict) or not isinstance(line.get("key"), str):
        return False
    return all(type(choices[name]) is kind for name, kind in BITS.items() if name in choices)


def compact(path: Path, contents: Contents) -> bool:
    """Write a ledger anew that is many times what it needs. Returns whether it was; a kill leaves the old one.

    >>> compact(path, read_ledger(path))
    False
    """
    if not contents.many_times_needed:
        return False
    partial = path.with_name(f"{path.name}.compact")
    with open(partial, "wb") as file:
        for line in contents.needed():
            file.write(to_json(line))
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
    return True
