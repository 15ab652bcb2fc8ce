"""Tag folders of pictures with a resident model, in batches.

    from wanwu_nb import ResidentModel, read_results, tag_folder

The names are loaded when they are first used: importing `wanwu_nb.settings`, say, or reading results costs no torch.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

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
        _check_torch()
    return getattr(import_module(_ROOMS[name], __name__), name)


def __dir__() -> list[str]:
    return __all__


def _check_torch() -> None:
    """torch, torchvision and torchcodec hold compiled code that belongs together."""
    try:
        import_module("torchvision")
        import_module("torchcodec.decoders")
    except (RuntimeError, OSError) as error:
        packages = "torch", "torchvision", "torchcodec"
        versions = ", ".join(f"{name} {version(name)}" for name in packages)
        command = "pip install --upgrade --force-reinstall torch torchvision torchcodec"
        raise ImportError(f"{versions} do not fit together: run `{command}`") from error
