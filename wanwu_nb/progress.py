"""How far a run is: a bar where somebody watches, plain lines where nobody does."""

import sys
import time
from datetime import timedelta
from types import TracebackType

from tqdm import tqdm

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
        self._last_line = time.monotonic()
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
            self._line()

    def start(self) -> None:
        """Count time from here on: what was measured or compiled before is no picture's."""
        self._last_line = time.monotonic()
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
        text = f"{finished} of {self.total} pictures · {self.failed} failed · {rate:.1f} pictures/s"
        if rate > 0 and remaining > 0:
            seconds_left = round(remaining / rate)
            left = timedelta(seconds=seconds_left)
            text += f" · {left} left"
        self.say(text)


def watched() -> bool:
    """Returns whether somebody is looking: a terminal, or a notebook whose front end can ask questions.

    papermill and nbval cannot.

    >>> watched()  # under papermill
    False
    """
    kernel = _kernel()
    if kernel is not None:
        return bool(getattr(kernel, "_allow_stdin", False))
    return sys.stdout.isatty()


def _kernel() -> object:
    """The notebook's kernel; None outside notebooks, where IPython need not be installed."""
    ipython = sys.modules.get("IPython")
    if ipython is None:
        return None
    shell = ipython.get_ipython()
    return getattr(shell, "kernel", None)
