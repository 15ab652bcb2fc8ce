"""One run an output folder: a lock that the system frees when a process ends, or a lock file where it has none."""

import errno
import getpass
import json
import os
import socket
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import OutputBusy

NOT_SUPPORTED = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}  # some NFS, some SMB
LOCK, LOCK_FILE = ".lock", ".lock.exclusive"


class FolderLock:
    """Held by the one run that writes to `folder`.

    Where the file system has no locks, a file made by exclusive creation takes over, and `note` says so. It outlives a
    killed run, and is never taken away by its age: the error names its owner, its host and the file.

    >>> lock = FolderLock(Path("runs/tags"))
    >>> lock.acquire()
    >>> lock.release()
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.note = ""
        self._lock = FileLock(folder / LOCK, fallback_to_soft=False)
        self._file = folder / LOCK_FILE
        self._owns_file = False

    def acquire(self) -> None:
        """Take the lock, or raise OutputBusy where another run has it; OSError where the folder cannot be written."""
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise OutputBusy(f"another run is writing to {self.folder}: wait, or choose another output_dir") from None
        except OSError as error:
            if error.errno not in NOT_SUPPORTED:
                raise
            self._create_file()
            self.note = f"the file system of {self.folder} has no locks: {self._file.name} keeps other runs out"
        else:
            self._check_file()

    def release(self) -> None:
        """Give the lock back; never raises."""
        with suppress(OSError):
            self._lock.release()
        if self._owns_file:
            self._owns_file = False
            with suppress(OSError):
                self._file.unlink()

    def _create_file(self) -> None:
        owner = {
            "user": _user(),
            "host": socket.gethostname(),
            "process": os.getpid(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        try:
            with open(self._file, "x", encoding="utf-8") as file:
                json.dump(owner, file)
        except FileExistsError:
            raise self._busy() from None
        self._owns_file = True

    def _check_file(self) -> None:
        """A machine whose mount has no locks may be writing there, through its lock file."""
        if self._file.exists():
            self._lock.release()
            raise self._busy()

    def _busy(self) -> OutputBusy:
        owner = _read_owner(self._file)
        return OutputBusy(
            f"another run is writing to {self.folder} ({owner}): wait; if that run is gone, delete {self._file}"
        )


def _read_owner(path: Path) -> str:
    try:
        owner = json.loads(path.read_text(encoding="utf-8"))
        return f"process {owner['process']} of {owner['user']} on {owner['host']}, since {owner['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "its owner is not known"


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # in a container, a user without a name
        return str(os.getuid())
