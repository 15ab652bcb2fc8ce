"""Threads that read pictures, and can be given up: a decoder that hangs must not hang the run."""

import faulthandler
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from .process import torch_threads_kept

PATIENCE = 10.0  # seconds that what is being read may still take when all is over
BEATS = 4  # a heart beats so many times in the time that a picture may take


@dataclass
class _Work:
    call: Callable[[], Any]
    future: Future[Any] = field(default_factory=Future)
    began: float = 0.0  # 0: waits for a thread
    thread: threading.Thread | None = None


class ReadingThreads(Executor):
    """A pool of threads, one core each, as torch counts them. A call that takes too long is given up, with its thread.

    Unlike those of ThreadPoolExecutor, nobody waits for a thread that hangs: neither this pool nor the interpreter.

    >>> threads = ReadingThreads(2, seconds=120)
    >>> future = threads.submit(read, folder, spec, "a.jpg")
    >>> threads.result(future)
    """

    def __init__(self, count: int, seconds: float, one_core_each: bool = True):
        self.seconds = seconds
        self._one_core_each = one_core_each
        self._waiting: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._running: dict[Future[Any], _Work] = {}
        self._threads: set[threading.Thread] = set()  # without those that were given up
        for _ in range(count):
            self._start_thread()

    def _start_thread(self) -> None:
        thread = threading.Thread(target=self._work, name="decode", daemon=True)
        self._threads.add(thread)
        thread.start()

    def _work(self) -> None:
        if self._one_core_each:
            torch.set_num_threads(1)
        while True:
            work = self._waiting.get()
            if work is None:
                return
            if not work.future.set_running_or_notify_cancel():
                continue
            work.thread = threading.current_thread()
            work.began = time.monotonic()
            try:
                result = work.call()
            except BaseException as error:
                _settle(work.future, error)
            else:
                _settle(work.future, None, result)
            if self._running.pop(work.future, None) is None:
                return  # it was given up meanwhile, and another thread took its place

    def submit(self, call: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> Future[Any]:
        """Returns the future of a call."""
        work = _Work(lambda: call(*arguments, **keywords))
        self._running[work.future] = work
        self._waiting.put(work)
        return work.future

    def result(self, future: Future[Any]) -> Any:
        """Returns what the call gave. Raises TimeoutError where it took too long: another thread takes over."""
        while True:
            try:
                return future.result(timeout=self._seconds_left(future))
            except TimeoutError:
                if future.done():
                    raise
                late = self._seconds_left(future) <= 0
                work = self._running.pop(future, None) if late else None
                if work is not None:
                    self._replace(work.thread)
                    raise

    def _replace(self, thread: threading.Thread | None) -> None:
        if thread is not None:
            self._threads.discard(thread)
        self._start_thread()

    def _seconds_left(self, future: Future[Any]) -> float:
        work = self._running.get(future)
        if work is None or not work.began:
            return self.seconds
        return work.began + self.seconds - time.monotonic()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let the threads end when they are done; what has not begun is not.

        They are waited for, but not for long: one that hangs must not hang the process, and one that is inside a
        decoder when the interpreter ends would abort it.
        """
        for work in list(self._running.values()):
            work.future.cancel()
        for _ in self._threads:
            self._waiting.put(None)
        deadline = time.monotonic() + min(self.seconds, PATIENCE)
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))


@contextmanager
def reading_threads(count: int, seconds: float, one_core_each: bool = True) -> Iterator[ReadingThreads]:
    """ReadingThreads for as long as the `with` block runs; torch's number of threads is then what it was.

    >>> with reading_threads(2, seconds=120) as threads:
    ...     future = threads.submit(read, folder, spec, "a.jpg")
    """
    with torch_threads_kept():
        threads = ReadingThreads(count, seconds, one_core_each)
        try:
            yield threads
        finally:
            threads.shutdown()


def _settle(future: Future[Any], error: BaseException | None, result: Any = None) -> None:
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)


@contextmanager
def heartbeat(seconds: float) -> Iterator[None]:
    """End the process where the interpreter stands still for twice `seconds`: a decoder hangs, and holds its lock.

    Only then: whatever else takes long lets the heart beat. The next run finds the picture at fault (see alone.py).
    """
    stop = threading.Event()
    stderr = sys.__stderr__
    if stderr is None:  # a process without a console has nowhere to say it
        yield
        return

    def beat() -> None:
        still_beating = True
        while still_beating:
            faulthandler.dump_traceback_later(2 * seconds, exit=True, file=stderr)
            still_beating = not stop.wait(seconds / BEATS)

    heart = threading.Thread(target=beat, name="heartbeat", daemon=True)
    heart.start()
    try:
        yield
    finally:
        stop.set()
        heart.join()
        faulthandler.cancel_dump_traceback_later()
