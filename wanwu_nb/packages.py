"""torch, torchvision and torchcodec hold compiled code that belongs together, and cannot be mixed."""

from importlib import import_module
from importlib.metadata import version
from types import ModuleType

TOGETHER = "torch", "torchvision", "torchcodec"


def import_of_torch(name: str) -> ModuleType:
    """Import a module of torchvision's or torchcodec's where it is needed: torchvision alone takes a second.

    Returns the module. Raises ImportError, with what to do, where its package was built for another torch.

    >>> nms = import_of_torch("torchvision.ops").nms
    """
    try:
        return import_module(name)
    except (RuntimeError, OSError) as error:
        versions = ", ".join(f"{package} {version(package)}" for package in TOGETHER)
        command = f"pip install --upgrade --force-reinstall {' '.join(TOGETHER)}"
        raise ImportError(f"{versions} do not fit together: run `{command}`") from error
