"""How far a run is: a bar where somebody watches, plain lines where nobody does."""

import sys
import time
from datetime import timedelta

from tqdm import tqdm

SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """Shows pictures done, failures, the rate of the last seconds and the time left; a context manager.

    `update` as often as you like.
    """

    def __init__(self, total: int, resumed: int):
        self.total, self.resumed, self.done, self.failed = total, resumed, 0, 0
        self.last_line, self.done_then = time.monotonic(), 0
        self.bar = tqdm(total=total, initial=resumed, unit="picture", file=sys.stdout) if watched() else None

    def __enter__(self):
        if self.resumed:
            self.say(f"{self.resumed} of {self.total} pictures were done before")
        return self

    def __exit__(self, *_):
        if self.bar is not None:
            self.bar.close()
        elif self.done:
            self.line()

    def start(self) -> None:
        """Count time from here on: what was measured or compiled before is no picture's."""
        self.last_line = time.monotonic()
        if self.bar is not None:
            self.bar.unpause()

    def update(self, done: int, failed: int) -> None:
        """`done` pictures were finished by this run so far, `failed` of them in vain."""
        news, self.done, self.failed = done - self.done, done, failed
        if self.bar is not None:
            self.bar.set_postfix(failed=failed, refresh=False)
            self.bar.update(news)
        elif time.monotonic() - self.last_line >= SECONDS_BETWEEN_LINES:
            self.line()

    def line(self) -> None:
        """The rate is that since the last line; the time left, what the rest takes at this rate."""
        now, total = time.monotonic(), self.resumed + self.done
        rate = (self.done - self.done_then) / max(now - self.last_line, 1e-9)
        left = (
            f" · {timedelta(seconds=round((self.total - total) / rate))} left"
            if rate > 0 and total < self.total
            else ""
        )
        self.last_line, self.done_then = now, self.done
        self.say(f"{total} of {self.total} pictures · {self.failed} failed · {rate:.1f} pictures/s{left}")

    def say(self, text: str) -> None:
        if self.bar is not None:
            self.bar.write(text, file=sys.stdout)
        else:
            print(text, flush=True)


def watched() -> bool:
    """Is somebody looking? A terminal, or a notebook whose front end can ask questions (papermill and nbval cannot)."""
    if "IPython" in sys.modules and (shell := sys.modules["IPython"].get_ipython()) is not None:
        kernel = getattr(shell, "kernel", None)
        if kernel is not None:
            return bool(getattr(kernel, "_allow_stdin", False))
    return sys.stdout.isatty()
