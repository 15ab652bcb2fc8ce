"""Tag folders of pictures with a resident model, in batches.

    from wanwu_nb import ResidentModel, read_results, tag_folder

The names are loaded when they are first used: importing `wanwu_nb.settings`, say, or reading results costs no torch.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from .collector import torch_never_searched
from .packages import import_of_torch

if TYPE_CHECKING:
    from .resident import ResidentModel
    from .results import read_results
    from .tagging import tag_folder

__version__ = version("wanwu_nb")
__all__ = ["ResidentModel", "__version__", "read_results", "tag_folder"]

_ROOMS = {"ResidentModel": ".resident", "tag_folder": ".tagging", "read_results": ".results"}


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name != "read_results":
        with torch_never_searched():
            import_of_torch("torchcodec.decoders")
    return getattr(import_module(_ROOMS[name], __name__), name)


def __dir__() -> list[str]:
    return __all__
