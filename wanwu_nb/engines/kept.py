"""What engines built, kept in the user's cache: the next process opens it at once.

One folder an entry, put in place whole by one rename: two runs that prepare at once do not meet. Only what this user
wrote, nobody else may write, and has the digest that was noted is ever opened.

    engines/<what it was built from>-b<batch size>/built.bin
                                                   entry.json
"""

import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from platformdirs import user_cache_path

from ..errors import first_line
from ..hardware import instruction_sets

FORMAT = 1
FOLDER = "WANWU_NB_ENGINES"  # environment variable: where they are kept, instead of the user's cache
LARGEST = 2 * 2**30  # bytes of all entries together; those that were not used for longest go
PACKAGES = ("wanwu_nb", "torch", "torchvision", "timm", "openvino")  # what builds a network, or runs it
HELD_BACK = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY")  # environment: fewer instructions
BUILT, ENTRY = "built.bin", "entry.json"
UNFINISHED = "unfinished-"
DAY = 24 * 3600.0
OTHERS_MAY_WRITE = 0o022


@dataclass(frozen=True)
class Entry:
    """What was built; the digest of its answers to the fixed batch; and what was measured when it was prepared.

    `faster`: than the network as it was loaded. Where it is not, nothing was kept of what was built, only that.
    """

    built: bytes
    answers: str
    faster: bool
    measured: Mapping[str, float]


class Refused(Exception):
    """An entry that is there and is not used; its text says why."""


def folder_of_engines() -> Path:
    """Returns where engines are kept.

    >>> folder_of_engines().name
    'engines'
    """
    asked = os.environ.get(FOLDER, "")
    if asked:
        return Path(asked).absolute()
    return user_cache_path("wanwu_nb") / "engines"


def identity(engine: str, fingerprint: str, spec: Mapping[str, Any], precision: str) -> str:
    """Returns the name of what is built from these weights for this input, on this machine with these packages.

    >>> len(identity("OpenVINO", "93b0…", spec.to_dict(), "fp32"))
    32
    """
    parts = {
        "format": FORMAT,
        "engine": engine,
        "fingerprint": fingerprint,
        "spec": sorted(spec.items()),
        "precision": precision,
        "cpu": torch.cpu.get_capabilities().get("cpu_name", ""),
        "instructions": instruction_sets(),
        "held back": [os.environ.get(name, "") for name in HELD_BACK],
        "packages": [_version_of(name) for name in PACKAGES],
    }
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def sizes_kept(name: str) -> Sequence[int]:
    """Returns the batch sizes that something of this identity is kept for, the one used last first.

    >>> sizes_kept(identity("OpenVINO", fingerprint, spec.to_dict(), "fp32"))
    [4]
    """
    folders = []
    with suppress(OSError):
        for path in folder_of_engines().glob(f"{name}-b*/{ENTRY}"):
            folders.append((path.stat().st_mtime, path.parent.name))
    folders.sort(reverse=True)
    return [int(folder.rpartition("-b")[2]) for _, folder in folders]


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
        note = json.loads(_bytes_of(folder / ENTRY))
        built = b""
        if note["faster"]:
            built = _bytes_of(folder / BUILT)
        if hashlib.sha256(built).hexdigest() != note["sha256"]:
            raise Refused("it is not as it was written")
        entry = Entry(built, str(note["answers"]), bool(note["faster"]), dict(note["measured"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Refused(f"it cannot be read ({first_line(error)})") from None
    with suppress(OSError):
        os.utime(folder / ENTRY)  # used now: others go before it
    return entry


def _place(name: str, batch_size: int) -> Path:
    return folder_of_engines() / f"{name}-b{batch_size}"


def _check_owner(path: Path) -> None:
    """Raise Refused for what another user wrote or may write, and for links, which lead elsewhere."""
    status = path.lstat()
    if path.is_symlink():
        raise Refused(f"{path.name} is a link")
    if not hasattr(os, "getuid"):
        return
    if status.st_uid != os.getuid() or status.st_mode & OTHERS_MAY_WRITE:
        raise Refused(f"others may have written {path.name}")


def _bytes_of(path: Path) -> bytes:
    _check_owner(path)
    return path.read_bytes()


def keep(name: str, batch_size: int, entry: Entry) -> None:
    """Put an entry in place, in one step; where another process was first, its entry stays. Raises OSError where the
    cache cannot be written: nothing is left there then.

    >>> keep(name, 4, Entry(built, answers, True, {}))
    """
    parent = folder_of_engines()
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _make_room(parent, len(entry.built))
    unfinished = Path(tempfile.mkdtemp(dir=parent, prefix=UNFINISHED))  # for this user alone
    try:
        note = asdict(entry)
        del note["built"]
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


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def forget(name: str, batch_size: int) -> None:
    """Take an entry away; nothing where there is none, or where it cannot be.

    >>> forget(name, 4)
    """
    shutil.rmtree(_place(name, batch_size), ignore_errors=True)


def clear() -> int:
    """Take all entries away. Returns how many there were.

    >>> clear()
    3
    """
    entries = _entries(folder_of_engines())
    for entry in entries:
        shutil.rmtree(entry, ignore_errors=True)
    return len(entries)


def _entries(parent: Path) -> list[Path]:
    """The folders that are ours by their names, and nothing else that may lie there."""
    ours = re.compile(rf"[0-9a-f]{{32}}-b\d+|{UNFINISHED}.*")
    if not parent.is_dir():
        return []
    return sorted(path for path in parent.iterdir() if ours.fullmatch(path.name) and path.is_dir())


def _make_room(parent: Path, wanted: int) -> None:
    """Take away what a kill left unfinished, and the oldest entries until `wanted` bytes more fit."""
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
    return sum(file.stat().st_size for file in path.iterdir())
