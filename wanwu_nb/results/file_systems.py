"""What file systems say: of the whole output folder, which ends a run; of one name, which fails that picture."""

import errno
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import OutputError

CONCERNS_ALL = {
    errno.ENOSPC: "the disk is full: make room",
    errno.EDQUOT: "the quota is used up: make room",
    errno.EROFS: "it can only be read now: make it writable",
    errno.EIO: "the disk fails to read or write: check it",
    errno.ESTALE: "its network drive was lost: mount it again",
    errno.ENOENT: "it was removed meanwhile: leave it in place",
    errno.EACCES: "it may no longer be written: check its permissions",
}


class Names:
    """Tells names apart that a file system would not: where it ignores case, A.jpg and a.jpg have one result.

    >>> Names(Path("runs/tags"), ["A.jpg"]).trouble("a.jpg")
    ''
    """

    def __init__(self, folder: Path, taken: Iterable[str]):
        self._ignores_case = _ignores_case(folder)
        self._taken: dict[str, str] = {}
        if self._ignores_case:
            self._taken = {_folded(image): image for image in taken}

    def trouble(self, image: str) -> str:
        """Returns why the picture's result cannot have its name, "" where it can."""
        if not self._ignores_case:
            return ""
        other = self._taken.setdefault(_folded(image), image)
        if other == image:
            return ""
        return f"its result would replace that of {other}: the file system of output_dir ignores case; rename one"


def _ignores_case(folder: Path) -> bool:
    probe = folder / ".case"
    probe.touch()
    ignores = (folder / ".CASE").exists()
    probe.unlink()
    return ignores


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


@contextmanager
def one_sentence(folder: Path, advice: str = "what is finished is kept, and the next run goes on") -> Iterator[None]:
    """Turn what a file system says of the whole `folder` into one sentence: raises OutputError.

    >>> with one_sentence(Path("runs/tags")):
    ...     path.write_bytes(content)
    """
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        number = error.errno or 0
        said = error.strerror or str(error)
        reason = CONCERNS_ALL.get(number, said)
        raise OutputError(f"output folder {folder} cannot be written ({reason}): {advice}") from error


def concerns_one_name(error: OSError) -> bool:
    """Returns whether a file could not be put into place for its name or its sub-folder, and others may be.

    >>> concerns_one_name(OSError(errno.ENAMETOOLONG, "File name too long"))
    True
    """
    return error.errno not in CONCERNS_ALL or error.errno in (errno.ENOENT, errno.EACCES)
