"""The embedded demo: drawn product pictures with ground truth, and a small detector trained on them."""

import os
import shutil
import tempfile
from pathlib import Path

from platformdirs import user_cache_path

EDITION = 1  # of the drawings: raise it when they change, so that nobody's finished folder is drawn over
TRUTH = "truth.coco.json"  # beside the pictures: what is in them


def demo_folder(count: int = 24) -> Path:
    """The folder of the first `count` demo pictures, drawn when first asked for and never again.

    It lies in the user's cache: a picture drawn anew would have a new time stamp, and undo resuming.
    """
    folder = user_cache_path("wanwu_nb") / f"demo-{EDITION}-{count}"
    if not folder.exists():
        from .scenes import draw_folder

        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(dir=folder.parent, prefix="drawing-"))
        draw_folder(unfinished, count)
        try:
            os.rename(unfinished, folder)
        except OSError:  # another process was first
            shutil.rmtree(unfinished)
    return folder
