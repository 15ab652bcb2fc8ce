"""What IPython is asked and told, where there is one: it need not be installed."""

import os
import sys
import traceback
from typing import Any

TRACEBACK = "WANWU_NB_TRACEBACK"  # set to 1, an error is shown with its traceback at once


def shell() -> Any:
    """Returns IPython's shell, which runs a notebook's cells; None outside of it.

    >>> shell()  # in a script
    """
    ipython = sys.modules.get("IPython")
    if ipython is None:
        return None
    return ipython.get_ipython()


def in_brief(error: BaseException) -> list[str]:
    """How IPython shows an error that a person can mend: its sentence alone, as a method `_render_traceback_` gives it.

    Returns lines: the whole traceback where a later cell asks again (`%tb`), and where WANWU_NB_TRACEBACK is 1.

    >>> in_brief(SettingsError("limit=-1 is not valid"))
    ['SettingsError: limit=-1 is not valid']
    """
    running = shell()
    cell = getattr(running, "execution_count", None)
    first_cell = error.__dict__.setdefault("_first_shown_by", cell)  # one cell asks twice: to show it, and to keep it
    if cell != first_cell or os.environ.get(TRACEBACK) == "1":
        return _in_full(error, running)
    return [f"{type(error).__name__}: {error}"]


def _in_full(error: BaseException, running: Any) -> list[str]:
    if running is None:
        return traceback.format_exception(error)
    lines: list[str] = running.InteractiveTB.structured_traceback(type(error), error, error.__traceback__)
    return lines
