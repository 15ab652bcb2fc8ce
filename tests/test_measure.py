"""The stage clock, the monitor, and what they say together."""

import time

import pandas as pd
import pytest

from wanwu_nb import measure
from wanwu_nb.measure import Monitor, StageClock, diagnose, stage_table


def test_each_second_counts_for_the_innermost_stage():
    clock = StageClock()
    started = time.perf_counter()
    with clock.stage("outer"):
        time.sleep(0.05)
        with clock.stage("inner"):
            time.sleep(0.1)
        time.sleep(0.05)
    with clock.stage("inner"):
        time.sleep(0.02)
    wall = time.perf_counter() - started
    assert sum(clock.seconds.values()) == pytest.approx(wall, rel=0.02)
    assert clock.seconds["inner"] > clock.seconds["outer"] > 0.1


def test_a_stage_that_raises_is_closed():
    clock = StageClock()
    with pytest.raises(KeyError), clock.stage("a"), clock.stage("b"):
        raise KeyError
    assert clock.open == [] and set(clock.seconds) == {"a", "b"}


def test_a_clock_that_is_off_measures_nothing():
    clock = StageClock(on=False)
    with clock.stage("a"):
        pass
    assert clock.seconds == {}


def test_the_monitor_samples_ten_times_a_second_without_a_gpu():
    with Monitor() as monitor:
        time.sleep(1)
    assert len(monitor.table) >= 10 and list(monitor.table)[:3] == ["seconds", "cpu", "cpu 0"]
    assert monitor.table["memory MB"].min() > 10
    assert monitor.table["cpu"].between(0, 100).all()


def test_the_monitor_survives_the_shortest_run():
    with Monitor() as monitor:
        pass
    assert len(monitor.table) == 0 and diagnose({"forward": 1.0}, monitor.table)


def test_the_monitor_survives_a_card_that_tells_nothing_of_its_power(monkeypatch):
    pynvml = pytest.importorskip("pynvml")

    def refuse(_):
        raise pynvml.NVMLError(3)

    for name in ("nvmlDeviceGetUtilizationRates", "nvmlDeviceGetMemoryInfo", "nvmlDeviceGetPowerUsage"):
        monkeypatch.setattr(pynvml, name, refuse)
    assert measure.gpu_sample(["a card"]) == {}


def busy(percent: float, column: str = "cpu") -> pd.DataFrame:
    return pd.DataFrame({"seconds": [0.1, 0.2], "cpu": [10.0, 10.0], column: [percent, percent]})


@pytest.mark.parametrize(
    ("seconds", "table", "says"),
    [
        (
            {"load": 8.3, "forward": 1.7},
            busy(12, "gpu 0"),
            "load is 83% of the time; the GPU is busy 12%: load",
        ),
        ({"load": 0.1, "forward": 9.9}, busy(97, "gpu 0"), "the GPU is busy 97%: the hardware is used"),
        (
            {"forward": 6, "preprocess": 4},
            busy(30, "gpu 0"),
            "forward is 60% of the time; the GPU is busy 30%: give",
        ),
        ({"forward": 1, "preprocess": 4}, busy(50), "preprocess is 80% of the time; the CPU is busy 50%: do it while"),
    ],
)
def test_the_bottleneck_is_named_in_one_sentence(seconds, table, says):
    assert says in diagnose(seconds, table)


def test_the_table_says_what_is_gained_at_most_without_a_stage():
    rows = stage_table({"load": 6.0, "forward": 2.0}, pictures=4)
    assert rows.loc["load"].tolist() == [1.5, 0.75, 4.0]
    assert rows["share"].sum() == 1
