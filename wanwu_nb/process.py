"""What is changed for the whole process, all in one place: each with its reason, and undone where it can be."""

import ctypes
import logging
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import torch
from platformdirs import user_cache_path
from torch import Tensor, nn

KEEP_FREED_MEMORY = "WANWU_NB_KEEP_FREED_MEMORY"  # environment variable; 0 leaves glibc's allocator as it is
INDUCTOR_CACHE = "TORCHINDUCTOR_CACHE_DIR"
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h


def keep_freed_memory() -> None:
    """Ask glibc to keep what is freed instead of giving it back to the system, where glibc is. Not undone.

    It returns large tensors at once, so that every batch's activations come as new pages, to be zeroed and mapped: up
    to half of a forward's time on the CPU. With WANWU_NB_KEEP_FREED_MEMORY=0 in the environment nothing is changed.

    >>> keep_freed_memory()
    """
    if os.environ.get(KEEP_FREED_MEMORY) == "0":
        return
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(M_MMAP_THRESHOLD, 2**30)
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def keep_compiled_code() -> None:
    """Keep what torch.compile's C++ compiler made in the user's cache, where the next process finds it. Not undone.

    To be called before torch._inductor is imported, which reads the variable then.

    >>> keep_compiled_code()
    """
    folder = user_cache_path("wanwu_nb") / "inductor"
    os.environ.setdefault(INDUCTOR_CACHE, str(folder))


@contextmanager
def without_initialisation() -> Iterator[None]:
    """No random weights while the `with` block runs, which the file's replace at once.

    They take two thirds of the time of building a large network.

    >>> with without_initialisation():
    ...     network = timm.create_model("resnest101e")
    """
    originals = {name: value for name, value in vars(nn.init).items() if _initialises(name)}
    for name in originals:
        setattr(nn.init, name, _leave_as_it_is)
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(nn.init, name, original)


def _initialises(name: str) -> bool:
    """torch's initialisers work in place: their names end in an underscore."""
    if name.startswith("_"):
        return False
    return name.endswith("_")


def _leave_as_it_is(tensor: Tensor, *_: Any, **__: Any) -> Tensor:
    return tensor


@contextmanager
def variable(name: str, value: str) -> Iterator[None]:
    """An environment variable set for as long as the `with` block runs.

    >>> with variable("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "1"):
    ...     torch.export.load(path)
    """
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


@contextmanager
def module_hidden(name: str) -> Iterator[None]:
    """A module cannot be imported while the `with` block runs, whether it is installed or not.

    >>> with module_hidden("openvino_telemetry"):
    ...     import openvino
    """
    before = sys.modules.get(name)
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]
        if before is not None:
            sys.modules[name] = before


@contextmanager
def no_warnings_logged() -> Iterator[None]:
    """No library's loggers say anything below an error while the `with` block runs.

    >>> with no_warnings_logged():
    ...     import nncf
    """
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


@contextmanager
def signal_stack_restored() -> Iterator[None]:
    """The stack that this thread handles signals on is its own again after the `with` block, where that is Linux.

    A library may put another in its place and unmap it later: the next Ctrl-C then ends the process without a word.

    >>> with signal_stack_restored():
    ...     compiled = openvino.Core().import_model(content, "CPU")
    """
    if sys.platform != "linux":
        yield
        return
    libc = ctypes.CDLL(None)
    before = _SignalStack()
    libc.sigaltstack(None, ctypes.byref(before))
    try:
        yield
    finally:
        libc.sigaltstack(ctypes.byref(before), None)


class _SignalStack(ctypes.Structure):
    """`stack_t` of signal.h, as Linux has it."""

    _fields_ = (("address", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


@contextmanager
def single_core_threads(name: str, count: int) -> Iterator[ThreadPoolExecutor]:
    """A pool of `count` threads in which torch keeps to one core each, for as long as the `with` block runs.

    With teams of their own they would hinder the network's.

    >>> with single_core_threads("decode", 2) as pool:
    ...     futures = reader.start(pool, names)
    """
    with torch_threads_kept(), ThreadPoolExecutor(count, name, torch.set_num_threads, (1,)) as pool:
        yield pool


@contextmanager
def torch_threads_kept() -> Iterator[None]:
    """torch's number of threads is afterwards what it was, whatever threads of a pool set for themselves.

    >>> with torch_threads_kept():
    ...     torch.set_num_threads(1)
    """
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)
