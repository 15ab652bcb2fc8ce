"""Progress that is true: the rate of the last seconds, the time left, the failures so far."""

import sys
from types import SimpleNamespace

import pytest

from wanwu_nb import progress
from wanwu_nb.progress import SECONDS_BETWEEN_LINES, Progress, watched


def test_a_line_tells_the_rate_since_the_last_one_and_the_time_left(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with Progress(total=1000, resumed=100) as shown:
        now[0] = SECONDS_BETWEEN_LINES / 2
        shown.update(50, 0)  # too soon for a line
        now[0] = SECONDS_BETWEEN_LINES
        shown.update(100, 2)
        now[0] = 2 * SECONDS_BETWEEN_LINES
        shown.update(120, 2)  # slower now
    assert capsys.readouterr().out.splitlines()[:3] == [
        "100 of 1000 pictures were done before",
        "200 of 1000 pictures · 2 failed · 10.0 pictures/s · 0:01:20 left",
        "220 of 1000 pictures · 2 failed · 2.0 pictures/s · 0:06:30 left",
    ]


def test_the_last_line_has_the_rate_of_the_whole_run(monkeypatch, capsys):
    """Also where a line was printed a moment before, and where a picture takes a minute."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with Progress(total=2, resumed=0) as shown:
        now[0] = 30.0
        shown.start()  # what was measured before is no picture's
        now[0] = 150.0
        shown.update(2, 0)
    assert capsys.readouterr().out.splitlines() == ["2 of 2 pictures · 0 failed · 0.017 pictures/s"] * 2


def test_where_somebody_watches_a_bar_counts_pictures_and_failures(monkeypatch, capsys):
    monkeypatch.setattr(progress, "watched", lambda: True)
    with Progress(total=10, resumed=4) as shown:
        shown.start()
        shown.update(6, 1)
    printed = capsys.readouterr().out
    assert "4 of 10 pictures were done before" in printed
    assert "10/10" in printed
    assert "failed=1" in printed


@pytest.mark.parametrize("asks", [True, False], ids=["JupyterLab", "papermill"])
def test_a_notebook_is_watched_where_its_front_end_can_ask_questions(monkeypatch, asks):
    shell = SimpleNamespace(kernel=SimpleNamespace(_allow_stdin=asks))
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    assert watched() == asks


@pytest.mark.parametrize("terminal", [True, False])
def test_outside_notebooks_a_terminal_is_watched(monkeypatch, terminal):
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(isatty=lambda: terminal))
    assert watched() == terminal
