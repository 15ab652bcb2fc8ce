"""Progress that is true: the rate of the last seconds, the time left, the failures so far."""

from wanwu_nb import progress
from wanwu_nb.progress import SECONDS_BETWEEN_LINES, Progress


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
