"""How far a run is: a bar where somebody watches, plain lines where nobody does."""

import sys
import time

from tqdm import tqdm

SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """Shows pictures done, failures and the rate. `update` as often as you like; use as a context manager."""

    def __init__(self, total: int, resumed: int):
        self.total, self.resumed, self.done, self.failed = total, resumed, 0, 0
        self.started = self.last_line = time.monotonic()
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

    def update(self, done: int, failed: int) -> None:
        """`done` pictures were finished by this run so far, `failed` of them in vain."""
        news, self.done, self.failed = done - self.done, done, failed
        if self.bar is not None:
            self.bar.set_postfix(failed=failed, refresh=False)
            self.bar.update(news)
        elif time.monotonic() - self.last_line >= SECONDS_BETWEEN_LINES:
            self.line()

    def line(self) -> None:
        self.last_line = time.monotonic()
        rate = self.done / (self.last_line - self.started)
        self.say(f"{self.resumed + self.done} of {self.total} pictures · {self.failed} failed · {rate:.1f} pictures/s")

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
