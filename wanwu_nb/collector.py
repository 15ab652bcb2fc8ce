"""Python's search for garbage, kept from where it takes long and finds nothing. Without torch: it is imported here."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """No search for garbage while the `with` block runs.

    Loading makes hundreds of thousands of small objects, none of them garbage: looking for it doubles the time.

    >>> with collector_paused():
    ...     checkpoint = open_checkpoint("demo")
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def torch_never_searched() -> Iterator[None]:
    """No search for garbage goes through torch, if it is the `with` block that imports it. Not undone.

    It is hundreds of thousands of objects that live until the process ends. They are searched while torch is imported,
    with each full collection later, and when Python ends: for half a second, a third of what importing takes.

    >>> with torch_never_searched():
    ...     import torch
    """
    if "torch" in sys.modules:
        yield
        return
    gc.collect()  # what is garbage by now would stay
    with collector_paused():
        yield
        gc.freeze()
