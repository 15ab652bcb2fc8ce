"""Packages that only some exports need."""

from importlib import import_module
from typing import Any

from ..errors import WanwuError


class MissingPackage(WanwuError, ImportError):
    """A package that an export needs and that is not installed."""


def package(name: str) -> Any:
    """Returns a module that an export needs. Raises MissingPackage, which says what brings it.

    >>> package("xlsxwriter").__name__
    'xlsxwriter'
    """
    try:
        return import_module(name)
    except ImportError:
        top, _, _ = name.partition(".")
        raise MissingPackage(f"{top} is not installed: run `pip install 'wanwu_nb[exports]'`") from None
