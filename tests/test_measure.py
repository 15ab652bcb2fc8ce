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

from wanwu_nb import measure
from wanwu_nb.measure import Monitor, Spread, StageClock, busy, diagnose, peak_memory, stage_table
from wanwu_nb.trial import in_own_process


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


def test_the_monitor_counts_from_its_first_sample_on():
    with Monitor() as monitor:
        until = time.perf_counter() + 0.5
        while time.perf_counter() < until:
            pass
    assert monitor.table["cpu"].iloc[0] > 0


def test_the_monitor_survives_the_shortest_run():
    with Monitor() as monitor:
        pass
    assert len(monitor.table) == 0 and busy(monitor.table, "cpu") is None


def test_the_monitor_has_a_column_for_each_of_several_cards_and_none_without_nvml(monkeypatch):
    pynvml = pytest.importorskip("pynvml")
    monkeypatch.setattr(measure, "find_gpus", lambda: ["one", "another"])
    monkeypatch.setattr(pynvml, "nvmlDeviceGetUtilizationRates", lambda _: SimpleNamespace(gpu=40))
    monkeypatch.setattr(pynvml, "nvmlDeviceGetMemoryInfo", lambda _: SimpleNamespace(used=2**30))
    monkeypatch.setattr(pynvml, "nvmlDeviceGetPowerUsage", lambda _: 300_000)
    with Monitor() as monitor:
        time.sleep(0.3)
    first = monitor.table.iloc[0]
    assert (first["gpu 0"], first["gpu 1 MB"], first["gpu 1 W"]) == (40, 1024, 300)
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "pynvml", None)  # as if it were not installed
    assert measure.find_gpus() == []


def test_the_monitor_survives_a_card_that_tells_nothing_of_its_power(monkeypatch):
    pynvml = pytest.importorskip("pynvml")

    def refuse(_):
        raise pynvml.NVMLError(3)

    for name in ("nvmlDeviceGetUtilizationRates", "nvmlDeviceGetMemoryInfo", "nvmlDeviceGetPowerUsage"):
        monkeypatch.setattr(pynvml, name, refuse)
    assert measure.gpu_sample(["a card"]) == {}


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
            time.sleep(0.3)
    finally:
        os.sched_setaffinity(0, usable)
    assert (
        list(monitor.table)[1:3] == ["cpu", f"cpu {min(usable)}"]
        and f"cpu {max(usable)}" not in list(monitor.table)[3:]
    )
    assert (monitor.table["cpu"] == monitor.table[f"cpu {min(usable)}"]).all()


def test_a_measurement_ends_with_the_process_that_asked_for_it(tmp_path):
    """As where a kernel is killed in the middle of a step."""
    script = "import sys; from test_measure import note_and_sleep; from wanwu_nb.trial import in_own_process; "
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


def wait_for(happened) -> None:
    until = time.perf_counter() + 60
    while not happened():
        assert time.perf_counter() < until
        time.sleep(0.1)


def test_how_busy_is_read_from_the_column_of_the_device(monkeypatch):
    table = pd.DataFrame({"cpu": [10.0, 30.0], "gpu 0": [50.0, 70.0], "gpu 1": [90.0, 100.0]})
    assert busy(table, "cpu") == 0.2 and busy(table, "cuda") == 0.6 and busy(table, "cuda:1") == 0.95
    assert busy(table[["cpu"]], "cuda") is None


def test_a_card_is_found_by_its_number_where_torch_sees_only_some(monkeypatch):
    """CUDA_VISIBLE_DEVICES=1: torch's first card is NVML's second."""
    pynvml = pytest.importorskip("pynvml")
    monkeypatch.setattr(measure, "find_gpus", lambda: [0, 1])
    monkeypatch.setattr(pynvml, "nvmlDeviceGetUUID", lambda i: f"GPU-{'ab'[i]}", raising=False)
    monkeypatch.setattr("torch.cuda.get_device_properties", lambda i: SimpleNamespace(uuid="b"))
    assert measure.gpu_column("cuda") == "gpu 1"


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
