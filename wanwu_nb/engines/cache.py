"""What engines built, in the user's cache: the next process opens it at once.

One folder an entry, put in place whole by one rename: two runs that prepare at once do not meet. Only what this user
wrote, nobody else may write, and has the digest that was noted is ever opened.

    engines/<what it was built from>-b<batch size>/built.bin
                                                   entry.json
"""

import hashlib
import json
import mmap
import os
import re
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path

from ..errors import first_line
from .identity import DIGITS

FOLDER = "WANWU_NB_ENGINES"  # environment variable: where they are, instead of the user's cache
LARGEST = 2 * 2**30  # bytes of all entries together; those that were not used for longest go
BUILT, ENTRY = "built.bin", "entry.json"
UNFINISHED = "unfinished-"
OURS = re.compile(rf"[0-9a-f]{{{DIGITS}}}-b(\d+)|{UNFINISHED}.*")  # names of folders in the cache, and the batch size
DAY = 24 * 3600.0
OTHERS_MAY_WRITE = 0o022


@dataclass(frozen=True)
class Entry:
    """What was built; the digest of its answers to the fixed batch; and what was measured when it was prepared.

    `faster`: than the network as it was loaded. Where it is not, nothing is stored of what was built, only that.
    """

    built: memoryview
    answers: str
    faster: bool
    measured: Mapping[str, float]


class Refused(Exception):
    """An entry that is there and is not used; its text says why."""


def folder_of_engines() -> Path:
    """Returns where engines are stored.

    >>> folder_of_engines().name
    'engines'
    """
    asked = os.environ.get(FOLDER, "")
    if asked:
        return Path(asked).absolute()
    return user_cache_path("wanwu_nb") / "engines"


def sizes(name: str) -> Sequence[int]:
    """Returns the batch sizes that there is something of this identity for, the one used last first.

    >>> sizes(identity("OpenVINO", fingerprint, spec.to_dict(), "fp32"))
    [4]
    """
    by_use = []
    for path in _entries(folder_of_engines()):
        match = OURS.fullmatch(path.name)
        with suppress(OSError):
            if match and path.name.startswith(name) and (path / BUILT).stat().st_size:
                by_use.append((_used(path), int(match[1])))
    by_use.sort(reverse=True)
    return [size for _, size in by_use]


def read(name: str, batch_size: int) -> Entry | None:
    """Returns the entry, None where there is none. Raises Refused for one that is not as it was written.

    >>> read(name, 4).faster
    True
    """
    folder = _place(name, batch_size)
    try:
        if not folder.exists():
            return None
        _check_owner(folder.parent)
        _check_owner(folder)
        entry = _entry_in(folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Refused(f"it cannot be read ({first_line(error)})") from None
    with suppress(OSError):
        os.utime(folder / ENTRY)  # used now: others go before it
    return entry


def _place(name: str, batch_size: int) -> Path:
    folder = folder_of_engines()
    return folder / f"{name}-b{batch_size}"


def _check_owner(path: Path) -> None:
    """Raise Refused for what another user wrote or may write, and for links, which lead elsewhere."""
    status = path.lstat()
    if path.is_symlink():
        raise Refused(f"{path.name} is a link")
    if not hasattr(os, "getuid"):
        return
    if status.st_uid != os.getuid() or status.st_mode & OTHERS_MAY_WRITE:
        raise Refused(f"others may have written {path.name}")


def _entry_in(folder: Path) -> Entry:
    note = json.loads(_bytes_of(folder / ENTRY))
    built = memoryview(b"")
    if note["faster"]:
        built = _in_memory(folder / BUILT)
    if hashlib.sha256(built).hexdigest() != note["sha256"]:
        raise Refused("it is not as it was written")
    measured = {str(key): float(value) for key, value in note["measured"].items()}
    return Entry(built, str(note["answers"]), bool(note["faster"]), measured)


def _bytes_of(path: Path) -> bytes:
    _check_owner(path)
    return path.read_bytes()


def _in_memory(path: Path) -> memoryview:
    """All of a file, in memory of its own, which the system has back when it is let go; of what malloc frees, the
    process keeps the most (see `process.keep_freed_memory`)."""
    _check_owner(path)
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size == 0:
            return memoryview(b"")
        memory = mmap.mmap(-1, size)
        if file.readinto(memory) != size:
            raise OSError(f"{path.name} has become shorter")
        return memoryview(memory)


def keep(name: str, batch_size: int, entry: Entry) -> None:
    """Put an entry in place, in one step; where another process was first, its entry stays.

    Raises OSError where the cache cannot be written, and Refused where it could not be believed later, or is too small:
    nothing is left there then.

    >>> keep(name, 4, Entry(built, answers, True, {}))
    """
    parent = folder_of_engines()
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _check_owner(parent)
    _make_room(parent, len(entry.built))
    unfinished = Path(tempfile.mkdtemp(dir=parent, prefix=UNFINISHED))  # for this user alone
    try:
        note = {"answers": entry.answers, "faster": entry.faster, "measured": dict(entry.measured)}
        note["sha256"] = hashlib.sha256(entry.built).hexdigest()
        _write(unfinished / BUILT, entry.built)
        _write(unfinished / ENTRY, json.dumps(note).encode())
        _rename(unfinished, _place(name, batch_size))
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _rename(unfinished: Path, place: Path) -> None:
    try:
        os.rename(unfinished, place)
    except OSError:
        if not place.is_dir():
            raise


def _write(path: Path, content: bytes | memoryview) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def forget(name: str, batch_size: int) -> bool:
    """Take an entry away, if there is one. Returns whether none is left.

    >>> forget(name, 4)
    True
    """
    place = _place(name, batch_size)
    shutil.rmtree(place, ignore_errors=True)
    return not place.exists()


def clear() -> int:
    """Take all entries away. Returns how many are gone.

    >>> clear()
    3
    """
    parent = folder_of_engines()
    before = len(_entries(parent))
    for path in _entries(parent):
        shutil.rmtree(path, ignore_errors=True)
    return before - len(_entries(parent))


def _entries(parent: Path) -> list[Path]:
    """The folders that are ours by their names, and nothing else that may lie there."""
    entries: list[Path] = []
    with suppress(OSError):
        for path in sorted(parent.iterdir()):
            if OURS.fullmatch(path.name) and path.is_dir():
                entries.append(path)
    return entries


def _make_room(parent: Path, wanted: int) -> None:
    """Take away what a kill left unfinished, and the oldest entries until `wanted` bytes more fit."""
    if wanted > LARGEST:
        raise Refused(f"it is larger than all that may be kept, {LARGEST:,} bytes")
    by_age = []
    for path in _entries(parent):
        with suppress(OSError):
            by_age.append((_used(path), _size(path), path))
    by_age.sort()
    total = wanted + sum(size for _, size, _ in by_age)
    for used, size, path in by_age:
        abandoned = path.name.startswith(UNFINISHED) and used < time.time() - DAY
        if abandoned or total > LARGEST:
            shutil.rmtree(path, ignore_errors=True)
            total -= size


def _used(path: Path) -> float:
    entry = path / ENTRY
    if entry.exists():
        return entry.stat().st_mtime
    return path.stat().st_mtime


def _size(path: Path) -> int:
    total = 0
    for file in path.iterdir():
        total += file.stat().st_size
    return total
