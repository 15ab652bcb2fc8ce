"""Tag folders of pictures with a resident model, in batches: `ResidentModel.load(...)`, then `tag_folder(...)`."""

from importlib.metadata import version

try:
    import torchcodec.decoders  # noqa: F401
    import torchvision  # noqa: F401
except (RuntimeError, OSError):
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "torchvision", "torchcodec"))
    raise ImportError(
        f"{versions} do not fit together: run `pip install --upgrade --force-reinstall torch torchvision torchcodec`"
    ) from None

from .resident import ResidentModel
from .tagging import tag_folder

__all__ = ["ResidentModel", "tag_folder"]
