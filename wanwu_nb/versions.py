"""Which version of a picture's file was read: another one is another picture."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class FileVersion:
    """Which version of a file was read: its size in bytes and the time of its last change, in nanoseconds.

    `sha256`: of its content, where that was looked at; it then counts alone.
    """

    size: int
    mtime_ns: int
    sha256: str = ""

    def matches(self, line: Mapping[str, Any]) -> bool:
        """Returns whether a line of ours, with its size, mtime and perhaps sha256, is of this version.

        >>> FileVersion(53120, 1764100000000000000).matches({"size": 53120, "mtime": 1764100000000000000})
        True
        """
        if self.sha256:
            return bool(line.get("sha256") == self.sha256)
        return line.get("size") == self.size and line.get("mtime") == self.mtime_ns


def version_of(folder: str | Path, name: str) -> FileVersion | None:
    """Returns the version of the file `name` of `folder` as it is now, or None where there is none.

    >>> version_of("photos", "a.jpg")
    FileVersion(size=53120, mtime_ns=1764100000000000000)
    """
    try:
        stat = os.stat(os.path.join(folder, name))
    except (OSError, ValueError):  # or a name with a zero byte in it
        return None
    return FileVersion(stat.st_size, stat.st_mtime_ns)
