"""How far a run is: a bar where somebody watches, plain lines where nobody does."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from importlib import import_module
from types import TracebackType

from tqdm import tqdm

from .notebook import in_brief, shell

SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """Shows pictures done, failures, the rate of the last seconds and the time left; a context manager.

    `update` as often as you like.

    >>> with Progress(total=1000, resumed=0) as progress:
    ...     progress.update(done=8, failed=0)
    """

    def __init__(self, total: int, resumed: int):
        self.total = total
        self.resumed = resumed
        self.done = 0
        self.failed = 0
        self._started = self._last_line = time.monotonic()
        self._done_then = 0
        self._bar = None
        if watched():
            self._bar = tqdm(total=total, initial=resumed, unit="picture", file=sys.stdout)

    def __enter__(self) -> "Progress":
        if self.resumed:
            self.say(f"{self.resumed} of {self.total} pictures were done before")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        elif self.done:
            self._last_line, self._done_then = self._started, 0  # the last line has the rate of the whole run
            self._line()

    def start(self) -> None:
        """Count time from here on: what was measured or compiled before is no picture's."""
        self._started = self._last_line = time.monotonic()
        if self._bar is not None:
            self._bar.unpause()

    def update(self, done: int, failed: int) -> None:
        """Tell that `done` pictures were finished by this run so far, `failed` of them in vain."""
        news = done - self.done
        self.done, self.failed = done, failed
        if self._bar is not None:
            self._bar.set_postfix(failed=failed, refresh=False)
            self._bar.update(news)
            return
        since_last_line = time.monotonic() - self._last_line
        if since_last_line >= SECONDS_BETWEEN_LINES:
            self._line()

    def say(self, text: str) -> None:
        """Print a line, above the bar if there is one."""
        if self._bar is not None:
            self._bar.write(text, file=sys.stdout)
        else:
            print(text, flush=True)

    def _line(self) -> None:
        """The rate is that since the last line; the time left, what the rest takes at this rate."""
        now = time.monotonic()
        seconds = max(now - self._last_line, 1e-9)
        news = self.done - self._done_then
        rate = news / seconds
        self._last_line = now
        self._done_then = self.done
        finished = self.resumed + self.done
        remaining = self.total - finished
        shown_rate = _one_decimal_or_more(rate)
        text = f"{finished} of {self.total} pictures · {self.failed} failed · {shown_rate} pictures/s"
        if rate > 0 and remaining > 0:
            seconds_left = round(remaining / rate)
            left = timedelta(seconds=seconds_left)
            text += f" · {left} left"
        self.say(text)


def _one_decimal_or_more(rate: float) -> str:
    """A picture a minute is 0.017 a second, not 0.0."""
    if rate < 0.1:
        return f"{rate:.2g}"
    return f"{rate:.1f}"


@contextmanager
def tell_how_to_go_on(resume: bool, progress: Progress | None = None) -> Iterator[None]:
    """Gives an interrupt its sentence: how much is done, and how to go on. It stays the KeyboardInterrupt that it is.

    No class of our own: only for KeyboardInterrupt itself does Python end a script as one that was interrupted.

    >>> with tell_how_to_go_on(resume=True, progress=progress):
    ...     run()
    """
    try:
        yield
    except KeyboardInterrupt as error:
        if not error.args:  # else it was told where more was known
            error.args = (_how_to_go_on(resume, progress),)
            error.__dict__["_render_traceback_"] = partial(in_brief, error)
        _import_what_torch_would()
        raise


def _import_what_torch_would() -> None:
    """torch imports tabulate when the process ends, where it is installed: with its import, Python forgets that an
    interrupt ended the script, and whoever started it is told of an error instead.
    """
    with suppress(Exception):
        import_module("tabulate")


def _how_to_go_on(resume: bool, progress: Progress | None) -> str:
    if progress is None:
        state = "stopped: what is done stays so"
    else:
        done = progress.resumed + progress.done - progress.failed
        state = f"stopped: {done:,} of {progress.total:,} pictures are done and stay so"
    if resume:
        return f"{state}; run the same again to go on"
    return f"{state}; run the same again with resume=True to go on"


def watched() -> bool:
    """Returns whether somebody is looking: a terminal, or a notebook whose front end can ask questions.

    papermill and nbval cannot.

    >>> watched()  # under papermill
    False
    """
    kernel = getattr(shell(), "kernel", None)
    if kernel is not None:
        return bool(getattr(kernel, "_allow_stdin", False))
    return sys.stdout.isatty()
