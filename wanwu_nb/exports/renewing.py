"""Which exports are there already, of the results as they are: a night with nothing new leaves them alone."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from .. import __version__
from ..results import to_json
from .options import ExportOptions
from .source import Source

NOTED = ".exports.json"
PARTIAL = ".exports.partial"

Files = dict[str, list[Path]]


def state_of(source: Source, options: ExportOptions) -> str:
    """Returns a digest of all that exports are made of: the same one, the same files.

    >>> state_of(source, ExportOptions())[:8]
    'b5bb9d80'
    """
    about: dict[str, Any] = {"version": __version__, "options": options.model_dump()}
    about["model"] = [source.model.get(name) for name in ("name", "fingerprint")]
    for name in ("image_dir", "places", "labels", "settings", "failures"):
        about[name] = getattr(source, name)
    text = json.dumps(about, sort_keys=True)
    digest = hashlib.sha256(text.encode())
    for line in _lines(source):
        digest.update(os.fsencode(line))
    return digest.hexdigest()


def still_there(folder: Path, state: str, kinds: Iterable[str]) -> Files | None:
    """Returns the files of these exports where all of them were written of this state; None where any was not.

    >>> still_there(Path("runs/tags"), state, ["csv"])
    {'csv': [PosixPath('runs/tags/tags.csv'), PosixPath('runs/tags/tags_objects.csv')]}
    """
    noted = _noted(folder, state)
    files = {}
    for kind in kinds:
        paths = noted.get(kind, [])
        if not paths or not all(path.exists() for path in paths):
            return None
        files[kind] = paths
    return files


def note(folder: Path, state: str, files: Mapping[str, Sequence[Path]]) -> None:
    """Write down which exports were written of which state; those of the same state that were there before stay.

    >>> note(Path("runs/tags"), state, {"csv": [Path("runs/tags/tags.csv")]})
    """
    together = {**_noted(folder, state), **files}
    names = {}
    for kind, paths in together.items():
        names[kind] = [path.name for path in paths]
    partial = folder / PARTIAL
    with suppress(OSError):  # all are written anew then, the next time
        partial.write_bytes(to_json({"state": state, "files": names}))
        os.replace(partial, folder / NOTED)


def _lines(source: Source) -> Iterator[str]:
    """Of each result its size and time: whoever writes one, a run or a person, changes them."""
    images = source.folder / "images"
    for image in source.images:
        try:
            status = os.stat(f"{images}/{image}.json")
        except OSError:
            continue
        yield f"{image} {status.st_size} {status.st_mtime_ns}\n"


def _noted(folder: Path, state: str) -> Files:
    """{} where nothing was, or of another state."""
    files: Files = {}
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        content: dict[str, Any] = json.loads((folder / NOTED).read_bytes())
        if content["state"] != state:
            return {}
        for kind, names in content["files"].items():
            files[kind] = [folder / name for name in names]
    return files
