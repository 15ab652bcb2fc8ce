"""Pictures in: which ones a folder holds, and what else lies there and is left out, counted by reason.

Folders that really lie there come first, linked ones after them: a new link gives no picture another name.
"""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from .errors import MissingFile, NotAFolder, PicturesError
from .left_out import OURS, PICTURE, SUFFIXES, judge_file, judge_folder, ledger_lines, tagged_in_place
from .paths import local_path
from .results import LEDGER

Identity = tuple[int, int] | str


@dataclass(frozen=True)
class Listing:
    """What a folder holds: the `names` of its pictures, sorted, relative to it, with forward slashes.

    `left_out` counts by reason, in words, what looks like a picture or a folder and is not taken. `unreadable`: the
    sub-folders, and links that lead nowhere, whose pictures are not known. `complete`: all pictures are in `names`,
    with nothing unreadable and nothing cut off by a limit; `beyond`: the names that a limit cut off.
    """

    names: list[str]
    left_out: dict[str, int]
    unreadable: list[str]
    complete: bool
    beyond: list[str] = field(default_factory=list)


def find_images(folder: str | Path, limit: int = 0) -> list[str]:
    """Returns the names of all pictures below `folder`, or of the first `limit`: see list_pictures.

    >>> find_images("photos")
    ['a.jpg', 'shoes/b.PNG']
    """
    return list_pictures(folder, limit).names


def list_pictures(folder: str | Path, limit: int = 0, own: Sequence[str | Path] = ()) -> Listing:
    """List the pictures below `folder`: by suffix, in any case, in all sub-folders and linked folders, each once.

    Hidden files and folders, those of the system, output folders of runs (`own`: those that no ledger tells yet) and
    formats that are not served are left out, and counted. Returns the listing; only the first `limit` names if that is
    not 0. Raises MissingFile or NotAFolder where there is no such folder, and PicturesError where it cannot be read or
    holds no picture.

    >>> list_pictures("photos", own=["photos/tags"]).left_out
    {'format not served: .psd': 2, 'output folder': 1}
    """
    root = _readable(folder)
    walk = _Walk(root, own)
    walk.run()
    names = sorted(walk.names)
    unreadable = sorted(walk.unreadable)
    by_reason = sorted(walk.left_out.items())
    left_out = dict(by_reason)
    if not names:
        raise _no_picture(root, left_out, unreadable)
    beyond = names[limit:] if limit else []
    if beyond:
        names = names[:limit]
    complete = not unreadable and not beyond
    return Listing(names, left_out, unreadable, complete, beyond)


def _readable(folder: str | Path) -> Path:
    path = local_path(folder)
    root = Path(path).absolute()
    try:
        with os.scandir(root):
            return root
    except FileNotFoundError:
        raise MissingFile(f"picture folder {root} does not exist: check image_dir") from None
    except NotADirectoryError:
        raise NotAFolder(f"picture folder {root} is not a folder: give the folder the pictures are in") from None
    except OSError as error:
        reason = error.strerror
        raise PicturesError(
            f"picture folder {root} cannot be read ({reason}): check image_dir and its rights"
        ) from None


def _no_picture(root: Path, left_out: dict[str, int], unreadable: list[str]) -> PicturesError:
    suffixes = " ".join(SUFFIXES)
    looked_for = f"no picture in {root} or below: files ending in {suffixes} are looked for"
    parts = [f"{reason} ({count})" for reason, count in left_out.items()]
    if unreadable:
        count = len(unreadable)
        parts.append(f"cannot be read: {unreadable[0]} ({count})")
    if not parts:
        return PicturesError(looked_for)
    instead = ", ".join(parts)
    return PicturesError(f"{looked_for}, and what is there was left out: {instead}")


class _Folder(NamedTuple):
    name: str  # relative to the top, which has none
    path: str


class _Walk:
    """All there is below a folder: what really lies there first, then what links lead to, each real folder once."""

    def __init__(self, root: Path, own: Sequence[str | Path]):
        self.names: list[str] = []
        self.unreadable: list[str] = []
        self.left_out: Counter[str] = Counter()
        self._top = _Folder("", str(root))
        self._own = {_identity(folder) for folder in own}
        self._seen: set[Identity] = set()
        self._links: list[_Folder] = []

    def run(self) -> None:
        self._walk(self._top)
        while self._links:  # level by level: a link inside a linked folder comes after all links beside that
            links = sorted(self._links)
            self._links = []
            for link in links:
                self._follow(link)

    def _follow(self, link: _Folder) -> None:
        if self._leads_into_results(link):
            self.left_out["output folder"] += 1
        else:
            self._walk(link, linked=True)

    def _walk(self, top: _Folder, linked: bool = False) -> None:
        """A folder and all below it; behind a link, only what was not seen elsewhere."""
        waiting = [top]
        while waiting:
            folder = waiting.pop()
            identity = _identity(folder.path)
            if identity is None:
                self._cannot_read(folder)
            elif linked and identity in self._seen:
                self.left_out["linked folder that is listed already"] += 1
            else:
                self._seen.add(identity)
                waiting += self._open(folder, identity)

    def _open(self, folder: _Folder, identity: Identity) -> list[_Folder]:
        """Note a folder's pictures. Returns its sub-folders."""
        try:
            with os.scandir(folder.path) as iterator:
                entries = list(iterator)
        except OSError:
            self._cannot_read(folder)
            return []
        lines = []
        if any(entry.name == LEDGER for entry in entries):
            lines = ledger_lines(folder.path)
        if not lines and identity not in self._own:
            return self._sort(entries, folder)
        if folder.name and not tagged_in_place(folder.path, lines):
            self.left_out["output folder"] += 1
            return []
        return self._sort(self._without_ours(entries), folder)

    def _cannot_read(self, folder: _Folder) -> None:
        self.unreadable.append(folder.name or ".")

    def _without_ours(self, entries: Sequence[os.DirEntry[str]]) -> list[os.DirEntry[str]]:
        others = []
        for entry in entries:
            if entry.name in OURS:
                self.left_out["written by a run"] += 1
            else:
                others.append(entry)
        return others

    def _sort(self, entries: Sequence[os.DirEntry[str]], folder: _Folder) -> list[_Folder]:
        """Note pictures and links. Returns the sub-folders."""
        prefix = f"{folder.name}/" if folder.name else ""
        sub_folders = []
        for entry in entries:
            name = prefix + entry.name
            kind = _kind(entry)
            if kind == "folder":
                if self._may_be_entered(entry.name):
                    sub_folders.append(_Folder(name, entry.path))
            elif kind == "link" and os.path.isdir(entry.path):
                if self._may_be_entered(entry.name):
                    self._links.append(_Folder(name, entry.path))
            else:
                self._note(entry, name, kind)
        return sub_folders

    def _may_be_entered(self, name: str) -> bool:
        reason = judge_folder(name)
        if reason:
            self.left_out[reason] += 1
        return not reason

    def _note(self, entry: os.DirEntry[str], name: str, kind: str) -> None:
        verdict = judge_file(entry.name)
        if verdict == PICTURE:
            self.names.append(name)
        elif verdict:
            self.left_out[verdict] += 1
        elif kind == "link" and not os.path.exists(entry.path):
            self.unreadable.append(name)  # a folder that is not mounted, say

    def _leads_into_results(self, link: _Folder) -> bool:
        """Whether a link's target lies inside an output folder; walking tells of the target itself."""
        top = os.path.realpath(self._top.path)
        target = os.path.realpath(link.path)
        for folder in Path(target).parents:
            if Path(top).is_relative_to(folder):
                return False
            path = str(folder)
            lines = ledger_lines(path)
            is_output = bool(lines) or _identity(path) in self._own
            if is_output and not tagged_in_place(path, lines):
                return True
        return False


def _kind(entry: os.DirEntry[str]) -> str:
    try:
        if entry.is_dir(follow_symlinks=False):
            return "folder"
        if entry.is_symlink():
            return "link"
    except OSError:  # gone meanwhile, or a file system that does not tell: reading it says what is wrong
        pass
    return "file"


def _identity(path: str | Path) -> Identity | None:
    """What tells a folder from all others, whatever it is called; None where there is none to see."""
    try:
        stat = os.stat(path)
    except OSError:
        return None
    if not stat.st_ino:  # a file system that numbers nothing
        return os.path.realpath(path)
    return stat.st_dev, stat.st_ino
