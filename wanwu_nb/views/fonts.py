"""What pictures and charts have in common: the Chinese font, which comes with a dependency, and the colours."""

import importlib.util
from functools import cache
from pathlib import Path

from ..errors import MissingFile

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe and Ito: colour-blind safe


@cache
def chinese_font() -> Path:
    """Find a font for Chinese text, which would be drawn as empty boxes without one.

    Returns the path of Noto Sans SC (OFL), which the package zhplot carries.
    Raises MissingFile where it is not installed.

    Example: `ImageFont.truetype(str(chinese_font()), 18)`
    """
    package = importlib.util.find_spec("zhplot")  # located, not imported: importing it changes matplotlib's settings
    if package is not None:
        for folder in package.submodule_search_locations or []:
            path = Path(folder) / "fonts" / "NotoSansSC-Regular.ttf"
            if path.is_file():
                return path
    raise MissingFile("the Chinese font NotoSansSC-Regular.ttf is missing: run `pip install zhplot`")
