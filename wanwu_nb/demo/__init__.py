"""The embedded demo: drawn product pictures with ground truth, and how the detector of the package was trained."""

import os
import shutil
import tempfile
from pathlib import Path

from platformdirs import user_cache_path

from ..errors import WanwuError
from ..progress import Progress
from .truth import TRUTH

__all__ = ["TRUTH", "demo_folder"]

EDITION = 1  # of the drawings: raise it when they change, so that nobody's finished folder is drawn over


def demo_folder(count: int = 24) -> Path:
    """The folder of the first `count` demo pictures, drawn when first asked for and never again.

    It lies in the user's cache: a picture drawn anew would have a new time stamp, and undo resuming. The ground truth
    lies in it too, as `TRUTH`. Drawing takes seconds, and shows how far it is. Raises WanwuError where pictures are to
    be drawn and the extra that draws is missing.

    >>> summary = tag_folder(model, demo_folder(24), "runs/tags")
    """
    folder = user_cache_path("wanwu_nb") / f"demo-{EDITION}-{count}"
    if not folder.exists():
        _draw(folder, count)
    return folder


def _draw(folder: Path, count: int) -> None:
    """Draw in a folder beside it and move that into place: nobody meets a half-drawn one."""
    from ..hardware import usable_cores  # it imports torch, which the processes that draw need not

    try:
        from .scenes import draw_folder
    except ModuleNotFoundError as error:
        if error.name != "resvg_py":
            raise
        raise WanwuError("drawing demo pictures needs an extra: run `pip install 'wanwu_nb[demo]'`") from error
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(dir=folder.parent, prefix="drawing-"))
    with Progress(count, resumed=0) as progress:
        progress.say("demo pictures are drawn, once for all runs")
        draw_folder(unfinished, count, processes=usable_cores(), tell=lambda done: progress.update(done, failed=0))
    try:
        os.rename(unfinished, folder)
    except OSError:  # another process was first
        shutil.rmtree(unfinished)
