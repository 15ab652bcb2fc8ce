"""What every export has: a job to do, pictures one after another, and files that appear whole or not at all."""

import hashlib
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from ..errors import OutputError
from ..tagged import Tagged
from .notes import Notes
from .options import ExportOptions
from .originals import Originals
from .source import Source

MARK = ".wanwu_nb"  # in a folder that an export wrote: what was in it then
OF_TRAINERS = ".cache"  # they leave such files beside labels


class Target:
    """Where one export goes: files are written under temporary names, and moved into place together at the end.

    >>> target = Target(Path("runs/tags"))
    >>> with target.open("tags.jsonl") as file:
    ...     file.write(b"{}")
    >>> target.publish()
    [PosixPath('runs/tags/tags.jsonl')]
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._partials: dict[Path, Path] = {}  # temporary → final, in the order of writing
        self._scratch: list[Path] = []
        self._closing: list[tuple[Callable[[], Any], Callable[[], Any]]] = []  # at the end, and when given up
        self._stale: list[Path] = []

    def path(self, name: str) -> Path:
        """Returns the temporary path of a file that will be `name`.

        >>> Target(Path("runs/tags")).path("tags.csv")
        PosixPath('runs/tags/.tags.csv.partial')
        """
        return self._partial_of(name)

    def open(self, name: str) -> IO[bytes]:
        """Returns a file to write bytes into, that will be `name`.

        >>> Target(Path("runs/tags")).open("tags.csv").write(b"image")
        5
        """
        file = open(self.path(name), "wb")  # noqa: SIM115 (open as long as the export)
        self.close_at_end(file.close)
        return file

    def make_folder(self, name: str) -> Path:
        """Returns a new folder under a temporary name that will be `name`. Raises OutputError for one that is in use.

        A folder that is there already is replaced only as an export left it: nobody's work is lost.

        >>> Target(Path("runs/tags")).make_folder("yolo")
        PosixPath('runs/tags/.yolo.partial')
        """
        _check_is_ours(self.folder / name)
        partial = self._partial_of(name)
        _remove(partial)
        partial.mkdir()
        return partial

    def scratch(self, name: str) -> Path:
        """Returns an empty folder for what is needed meanwhile.

        >>> Target(Path("runs/tags")).scratch("coco")
        PosixPath('runs/tags/.coco.scratch')
        """
        path = self.folder / f".{name}.scratch"
        _remove(path)
        path.mkdir()
        self._scratch.append(path)
        return path

    def close_at_end(self, close: Callable[[], Any], give_up: Callable[[], Any] | None = None) -> None:
        """Have something closed before files are moved; `give_up` instead where they are removed.

        >>> target.close_at_end(file.close)
        """
        self._closing.append((close, give_up or close))

    def remove_at_end(self, name: str) -> None:
        """Have a file of an earlier export removed once this one is in place.

        >>> target.remove_at_end("label_studio_2.json")
        """
        self._stale.append(self.folder / name)

    def publish(self) -> list[Path]:
        """Move everything into place. Returns the paths, in the order in which they were begun.

        >>> Target(Path("runs/tags")).publish()
        []
        """
        while self._closing:
            close, _ = self._closing.pop()
            close()
        for partial, path in self._partials.items():
            if partial.is_dir():
                _replace_folder(partial, path)
            else:
                os.replace(partial, path)
        for path in self._stale:
            path.unlink(missing_ok=True)
        paths = list(self._partials.values())
        self._partials.clear()
        self.discard()
        return paths

    def discard(self) -> None:
        """Remove what is not in place; never raises for what the file system says.

        >>> target.discard()
        """
        while self._closing:
            _, give_up = self._closing.pop()
            with suppress(Exception):
                give_up()
        for path in (*self._partials, *self._scratch):
            with suppress(OSError):
                _remove(path)

    def _partial_of(self, name: str) -> Path:
        partial = self.folder / f".{name}.partial"
        self._partials[partial] = self.folder / name
        return partial


@dataclass(frozen=True)
class Job:
    """What one export is to do: results from where, files to where, asked for how; and what whoever asked should know.

    Example: `Job("coco", source, target, originals, notes, options)`
    """

    kind: str
    source: Source
    target: Target
    originals: Originals
    notes: Notes
    options: ExportOptions

    def note(self, what: str, image: str, detail: str = "") -> None:
        """Note what happened to a picture in this export.

        >>> job.note("left out: turned by EXIF", "a.jpg")
        """
        self.notes.add(self.kind, what, image, detail)


class Writer(Protocol):
    """One export at work: made for a job, given every picture, finished."""

    def add(self, tagged: Tagged) -> None:
        """Take one picture's result; they come by name."""
        ...

    def finish(self) -> None:
        """Write what is known only when all pictures are."""
        ...


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _replace_folder(partial: Path, path: Path) -> None:
    """The old one goes aside first: a folder cannot be moved onto another."""
    _check_is_ours(path)
    (partial / MARK).write_text(_digest(partial), encoding="ascii")
    aside = path.with_name(f".{path.name}.old")
    _remove(aside)
    if path.exists():
        os.replace(path, aside)
    os.replace(partial, path)
    _remove(aside)


def _check_is_ours(path: Path) -> None:
    if not os.path.lexists(path):
        return
    mark = path / MARK
    if not mark.is_file():
        raise OutputError(f"{path} is there and no export wrote it: move it away, or choose another to_dir")
    if mark.read_text(encoding="ascii", errors="replace") != _digest(path):
        raise OutputError(f"{path} was changed since it was exported: move it away, or choose another to_dir")


def _digest(folder: Path) -> str:
    """Of all names, sizes and times in a folder."""
    lines = []
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            if name == MARK or name.endswith(OF_TRAINERS):
                continue
            status = os.lstat(path)
            lines.append(f"{os.path.relpath(path, folder)} {status.st_size} {status.st_mtime_ns}")
    text = "\n".join(sorted(lines))
    return hashlib.sha256(os.fsencode(text)).hexdigest()
