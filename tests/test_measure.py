"""The stage clock, the monitor, and what they say together."""

import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import psutil
import pytest

from wanwu_nb import gpus
from wanwu_nb.hardware import core_numbers
from wanwu_nb.measure import (
    SECONDS_BETWEEN_SAMPLES,
    Monitor,
    Spread,
    StageClock,
    busy,
    diagnose,
    peak_memory,
    stage_table,
)
from wanwu_nb.method.trial import in_own_process


def clock_that_shows(*seconds: float) -> StageClock:
    """Each time it is asked for the time, the next of these."""
    return StageClock(now=iter(seconds).__next__)


def test_each_second_counts_for_the_innermost_stage():
    clock = clock_that_shows(100, 105, 115, 120, 120, 122)
    with clock.stage("outer"):  # from 100
        with clock.stage("inner"):  # from 105
            pass
        assert clock.seconds == {"outer": 5, "inner": 10}
    with clock.stage("inner"):  # from 120
        pass
    assert clock.seconds == {"outer": 10, "inner": 12}


def test_time_between_stages_counts_for_none():
    clock = clock_that_shows(0, 1, 50, 51)
    for _ in range(2):
        with clock.stage("forward"):
            pass
    assert clock.seconds == {"forward": 2}


def test_a_clock_never_counts_more_than_passed():
    clock = StageClock()
    started = time.perf_counter()
    with clock.stage("outer"), clock.stage("inner"):
        time.sleep(0.01)
    assert 0.01 <= clock.seconds["inner"] <= sum(clock.seconds.values()) <= time.perf_counter() - started


def test_a_stage_that_raises_is_closed():
    clock = clock_that_shows(0, 1, 2, 3, 50, 51)
    with pytest.raises(KeyError), clock.stage("a"), clock.stage("b"):
        raise KeyError
    with clock.stage("c"):
        pass
    assert clock.seconds == {"a": 2, "b": 1, "c": 1}


def test_a_clock_that_is_off_measures_nothing():
    clock = StageClock(on=False)
    with clock.stage("a"):
        pass
    assert clock.seconds == {}


@pytest.fixture
def monitored() -> Monitor:
    """A monitor that has taken three samples at least, however slow the machine."""
    with Monitor(every=0.02) as monitor:
        wait_for(lambda: len(monitor.samples) >= 3, work=True)
    return monitor


def test_the_monitor_takes_a_row_a_sample_while_the_block_runs(monitored):
    assert len(monitored.table) == len(monitored.samples)
    assert list(monitored.table)[:3] == ["seconds", "cpu", f"cpu {min(core_numbers())}"]
    assert monitored.table["seconds"].is_monotonic_increasing


def test_the_monitor_samples_memory_and_cpu(monitored):
    assert monitored.table["memory MB"].min() > 10
    assert monitored.table["cpu"].between(0, 100).all()


def test_the_monitor_asks_for_more_than_ten_samples_a_second():
    assert SECONDS_BETWEEN_SAMPLES < 0.1


def test_the_monitor_counts_from_its_first_sample_on():
    with Monitor() as monitor:
        wait_for(lambda: monitor.samples, work=True)
    assert monitor.table["cpu"].iloc[0] > 0


def test_the_monitor_survives_the_shortest_run():
    with Monitor() as monitor:
        pass
    assert len(monitor.table) == 0
    assert busy(monitor.table, "cpu") is None


def test_the_monitor_has_a_column_for_each_of_several_cards(monkeypatch):
    pynvml = pytest.importorskip("pynvml")
    monkeypatch.setattr(gpus, "find_gpus", lambda: ["one", "another"])
    monkeypatch.setattr(pynvml, "nvmlDeviceGetUtilizationRates", lambda _: SimpleNamespace(gpu=40))
    monkeypatch.setattr(pynvml, "nvmlDeviceGetMemoryInfo", lambda _: SimpleNamespace(used=2**30))
    monkeypatch.setattr(pynvml, "nvmlDeviceGetPowerUsage", lambda _: 300_000)
    with Monitor() as monitor:
        wait_for(lambda: monitor.samples)
    first = monitor.table.iloc[0]
    assert (first["gpu 0"], first["gpu 1 MB"], first["gpu 1 W"]) == (40, 1024, 300)


def test_without_nvml_there_are_no_cards(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)  # as if it were not installed
    assert gpus.find_gpus() == []


def test_the_monitor_survives_a_card_that_tells_nothing_of_its_power(monkeypatch):
    pynvml = pytest.importorskip("pynvml")

    def refuse(_):
        raise pynvml.NVMLError(3)

    for name in ("nvmlDeviceGetUtilizationRates", "nvmlDeviceGetMemoryInfo", "nvmlDeviceGetPowerUsage"):
        monkeypatch.setattr(pynvml, name, refuse)
    assert gpus.gpu_sample(["a card"]) == {}


@pytest.mark.parametrize(
    ("seconds", "share", "device", "says"),
    [
        (
            {"load": 8.3, "forward": 1.7},
            0.12,
            "cuda",
            "load is 83% of the time; the GPU is busy 12%: load the model once",
        ),
        ({"load": 0.1, "forward": 9.9}, 0.97, "cuda:1", "the GPU is busy 97%: the hardware is used"),
        (
            {"forward": 6, "preprocess": 4},
            0.3,
            "cuda",
            "forward is 60% of the time; the GPU is busy 30%: give the network",
        ),
        (
            {"forward": 6, "preprocess": 4},
            0.8,
            "cpu",
            "forward is 60% of the time; the CPU is busy 80%: a leaner network",
        ),
        (
            {"forward": 1, "preprocess": 4},
            0.5,
            "cpu",
            "preprocess is 80% of the time; the CPU is busy 50%: do it while",
        ),
        ({"forward": 1, "decode": 4}, 0.5, "cuda", "decode is 80% of the time; the GPU is busy 50%: more cores"),
        ({"forward": 6, "load": 4}, 0.8, "cpu", "load is 40% of the time; the CPU is busy 80%: load the model once"),
        ({"forward": 1, "load": 4}, None, "cuda", "load is 80% of the time: load the model once"),
    ],
)
def test_the_bottleneck_is_named_in_one_sentence(seconds, share, device, says):
    assert says in diagnose(seconds, share, device)


def test_the_bottleneck_is_named_in_chinese_too():
    assert diagnose({"load": 3.0, "forward": 7.0}, 0.5).splitlines()[1] == (
        "加载占总耗时 30%，CPU 占用 50%：只加载一次，让模型常驻内存"
    )


def test_the_clock_waits_for_its_own_card(monkeypatch):
    waited = []
    monkeypatch.setattr("torch.cuda.synchronize", waited.append)
    with StageClock("cuda:1").stage("forward"):
        pass
    assert waited == ["cuda:1", "cuda:1"]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux")
def test_cpu_busy_is_of_the_cores_that_may_be_used():
    usable = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(usable)})
        with Monitor() as monitor:
            wait_for(lambda: monitor.samples)
    finally:
        os.sched_setaffinity(0, usable)
    cores = [name for name in monitor.table if name.startswith("cpu ")]
    assert cores == [f"cpu {min(usable)}"]
    assert (monitor.table["cpu"] == monitor.table[f"cpu {min(usable)}"]).all()


def test_a_measurement_ends_with_the_process_that_asked_for_it(tmp_path):
    """As where a kernel is killed in the middle of a step."""
    script = "import sys; from test_measure import note_and_sleep; from wanwu_nb.method.trial import in_own_process; "
    script += "in_own_process(note_and_sleep, sys.argv[1])"
    command = [sys.executable, "-c", script, str(tmp_path / "pid")]
    asking = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)})
    wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    measuring = int((tmp_path / "pid").read_text())
    assert psutil.pid_exists(measuring)
    asking.kill()
    asking.wait()
    wait_for(lambda: not psutil.pid_exists(measuring))


def note_and_sleep(path: str) -> None:
    Path(path).write_text(str(os.getpid()))
    time.sleep(600)


def wait_for(happened, work: bool = False) -> None:
    """Until something has happened, five minutes at most; `work` keeps a core busy meanwhile."""
    until = time.perf_counter() + 300
    while not happened():
        assert time.perf_counter() < until
        if not work:
            time.sleep(0.02)


@pytest.mark.parametrize(("device", "share"), [("cpu", 0.2), ("cuda", 0.6), ("cuda:1", 0.95)])
def test_how_busy_is_read_from_the_column_of_the_device(device, share):
    table = pd.DataFrame({"cpu": [10.0, 30.0], "gpu 0": [50.0, 70.0], "gpu 1": [90.0, 100.0]})
    assert busy(table, device) == share


def test_how_busy_a_card_was_is_not_known_without_its_column():
    assert busy(pd.DataFrame({"cpu": [10.0, 30.0]}), "cuda") is None


def test_a_card_is_found_by_its_number_where_torch_sees_only_some(monkeypatch):
    """CUDA_VISIBLE_DEVICES=1: torch's first card is NVML's second."""
    pynvml = pytest.importorskip("pynvml")
    monkeypatch.setattr(gpus, "find_gpus", lambda: [0, 1])
    monkeypatch.setattr(pynvml, "nvmlDeviceGetUUID", lambda i: f"GPU-{'ab'[i]}", raising=False)
    monkeypatch.setattr("torch.cuda.get_device_properties", lambda i: SimpleNamespace(uuid="b"))
    assert gpus.gpu_column("cuda") == "gpu 1"


def test_repeats_are_told_with_their_spread():
    assert Spread.of([3.0, 1.0, 2.0]) == (2.0, 1.0, 3.0)


def hold_and_free() -> tuple[float, float]:
    before = peak_memory()
    held = bytearray(200 * 2**20)
    held[::4096] = b"x" * len(held[::4096])
    del held
    return before, peak_memory()


def test_peak_memory_keeps_what_was_freed_and_is_each_processs_own():
    for _ in range(2):
        before, after = in_own_process(hold_and_free)
        assert before + 190 < after < before + 250


def test_the_table_says_what_is_gained_at_most_without_a_stage():
    rows = stage_table({"load": 6.0, "forward": 2.0}, pictures=4)
    assert rows.loc["load"].tolist() == [1.5, 0.75, 4.0]
    assert rows["share"].sum() == 1
