"""A picture of a run, and the version of its file: read as a network's input, or why it cannot be."""

import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image
from torch import Tensor

from .decoding import DEFAULT_LIMITS, Limits, UnreadableImage, decode, decode_content, read_file, reason_of
from .fitting import InputSpec, Placement, fit
from .paths import local_path
from .versions import FileVersion, version_of


def version_with_content(folder: str | Path, name: str, limits: Limits = DEFAULT_LIMITS) -> FileVersion | None:
    """Returns the version of a file by its content, which is read for that; None where it cannot be read.

    >>> version_with_content("photos", "a.jpg").sha256[:8]
    'b5bb9d80'
    """
    version = version_of(folder, name)  # before the bytes are read
    try:
        content = read_file(os.path.join(folder, name), limits)
    except UnreadableImage:
        return None
    if version is None:
        return None
    return replace(version, sha256=hashlib.sha256(content).hexdigest())


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture of a run: its input uint8 [3,H,W] and placement once read, or the `stage` that failed and its `reason`.

    `image` and `placement` are None exactly where there is a reason. `damaged`: the file lacks its end, or few rows.
    """

    name: str
    version: FileVersion | None
    image: Tensor | None = None
    placement: Placement | None = None
    stage: str = ""
    reason: str = ""
    damaged: bool = False


def read(folder: str | Path, spec: InputSpec, name: str, limits: Limits = DEFAULT_LIMITS) -> Picture:
    """Decode the picture `name` of `folder` and fit it to the input. Returns one that says why, if it cannot be read.

    Never raises for what is the picture's own: whatever its file, a decoder or its size may be.

    >>> picture = read("photos", model.checkpoint.spec, "a.jpg")
    """
    version = version_of(folder, name)  # before the bytes are read: a change meanwhile shows at the next run
    try:
        content = read_file(os.path.join(folder, name), limits)
        decoded = decode_content(content, limits)
        image, placement = fit(decoded.image, spec)
    except UnreadableImage as error:
        return Picture(name, version, stage=error.stage, reason=str(error))
    except Exception as error:  # of fitting
        return Picture(name, version, stage="decode", reason=reason_of(error))
    return Picture(name, version, image, placement, damaged=decoded.damaged)


def fit_now(picture: str | Path | Image.Image, spec: InputSpec) -> Picture:
    """Returns a picture of no run: a path, or one in memory, fitted to the input. Raises UnreadableImage.

    >>> fit_now("photo.jpg", model.checkpoint.spec).image.shape
    torch.Size([3, 640, 640])
    """
    if not isinstance(picture, Image.Image):
        picture = local_path(picture)
    image, placement = fit(decode(picture), spec)
    return Picture("", None, image, placement)
