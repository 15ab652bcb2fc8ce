"""Files that crash a decoder, hang it, or take all memory: found, failed, and the night goes on."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from conftest import SCENES, contents

from wanwu_nb.alone import find_culprits
from wanwu_nb.fitting import InputSpec
from wanwu_nb.threads import ReadingThreads, heartbeat, reading_threads

SPEC = InputSpec(64, 64, "stretch", (0.5,) * 3, (0.5,) * 3)

# Imported by every process at its start: a decoder that does what a file says.
DEADLY = """
import ctypes, os, signal, sys, time

def install():
    import wanwu_nb.images as images
    real = images.read_file

    def read_file(path, *arguments):
        content = real(path, *arguments)
        if content.startswith(b"abort"):
            os.abort()
        if content.startswith(b"segfault"):
            signal.raise_signal(signal.SIGSEGV)
        if content.startswith(b"hang"):
            time.sleep(3600)
        if content.startswith(b"hold"):  # and keeps the interpreter's lock
            ctypes.PyDLL(None).sleep(3600)
        return content

    images.read_file = read_file

class Hook:
    def find_spec(self, name, path=None, target=None):
        if name == "wanwu_nb.resident" or name == "wanwu_nb.alone":
            sys.meta_path.remove(self)
            install()
        return None

sys.meta_path.insert(0, Hook())
"""

RUN = """
import sys
from wanwu_nb import ResidentModel, tag_folder
model = ResidentModel.load("demo", device="cpu", precision="fp32")
summary = tag_folder(model, sys.argv[1], sys.argv[2], batch_size=2, picture_timeout=float(sys.argv[3]))
print(summary.processed, summary.resumed, summary.failed)
"""


@pytest.fixture
def deadly(tmp_path) -> dict[str, str]:
    """The environment of processes whose decoder does what a file says."""
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(DEADLY)
    places = [str(tmp_path / "hook"), str(Path(__file__).parent.parent)]
    return os.environ | {"PYTHONPATH": os.pathsep.join(places)}


@pytest.fixture
def folder(scenes, tmp_path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for path in scenes.glob("*.jpg"):
        os.link(path, folder / path.name)
    return folder


def tag(folder: Path, output: Path, environment: dict[str, str], timeout: float = 60) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", RUN, folder, output, str(timeout)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


def last_line(run: subprocess.CompletedProcess) -> str:
    assert run.returncode == 0, run.stderr[-2000:]
    return run.stdout.splitlines()[-1]


def reasons(output: Path) -> dict[str, str]:
    lines = (output / "failures.csv").read_text(encoding="utf-8-sig").splitlines()[1:]
    return dict(line.split(",", 1) for line in lines)


@pytest.mark.parametrize(("content", "code"), [(b"abort", signal.SIGABRT), (b"segfault", signal.SIGSEGV)])
def test_a_picture_that_kills_the_process_is_found_by_the_next_run_and_costs_its_neighbours_nothing(
    model, folder, tmp_path, deadly, content, code
):
    (folder / "scene_700004_deadly.jpg").write_bytes(content)
    output = tmp_path / "out"
    died = tag(folder, output, deadly)
    assert died.returncode == -code
    assert json.loads((output / ".in_flight.json").read_text())["names"]
    finished = len(contents(output))
    second = tag(folder, output, deadly)
    assert last_line(second) == f"{SCENES - finished} {finished} 1"
    assert "pictures that were being read when a run ended are tried apart" in second.stdout
    assert reasons(output) == {"scene_700004_deadly.jpg": f"reading it ends the process ({code.name})"}
    assert len(contents(output)) == SCENES
    third = tag(folder, output, deadly)  # tried apart again, not in the process
    assert last_line(third) == f"0 {SCENES} 1"


def test_a_picture_that_hangs_fails_after_its_time_and_the_run_goes_on(folder, tmp_path, deadly):
    for name in ("a", "scene_700003_x", "z"):
        (folder / f"{name}.jpg").write_bytes(b"hang")
    started = time.monotonic()
    run = tag(folder, tmp_path / "out", deadly, timeout=3)
    assert last_line(run) == f"{SCENES} 0 3"
    assert set(reasons(tmp_path / "out").values()) == {"reading it takes over 3 s"}
    assert time.monotonic() - started < 120  # it neither waits for the threads that hang nor an hour


def test_one_that_holds_the_interpreter_ends_the_process_and_the_next_run_finds_it(folder, tmp_path, deadly):
    (folder / "scene_700002_hold.jpg").write_bytes(b"hold")
    died = tag(folder, tmp_path / "out", deadly, timeout=2)
    assert died.returncode == 1
    assert "Timeout (0:00:04)!" in died.stderr
    run = tag(folder, tmp_path / "out", deadly, timeout=2)
    assert run.returncode == 0
    assert reasons(tmp_path / "out") == {"scene_700002_hold.jpg": "reading it takes over 2 s"}
    assert len(contents(tmp_path / "out")) == SCENES


def test_after_a_kill_that_no_picture_is_to_blame_for_all_are_tagged(folder, tmp_path, deadly):
    output = tmp_path / "out"
    output.mkdir()
    (output / ".in_flight.json").write_text(json.dumps({"names": ["scene_700001.jpg", "gone.jpg"]}))
    assert last_line(tag(folder, output, deadly)) == f"{SCENES} 0 0"
    assert not (output / ".in_flight.json").exists()


def test_each_culprit_is_told_from_its_neighbours(folder, deadly, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", deadly["PYTHONPATH"])
    for name, content in (("a", b"abort"), ("m", b"hold"), ("z", b"segfault")):
        (folder / f"{name}.jpg").write_bytes(content)
    names = sorted(path.name for path in folder.iterdir())
    assert find_culprits(folder, SPEC, names, seconds=3) == {
        "a.jpg": "reading it ends the process (SIGABRT)",
        "m.jpg": "reading it takes over 3 s",
        "z.jpg": "reading it ends the process (SIGSEGV)",
    }
    assert find_culprits(folder, SPEC, ["scene_700001.jpg", "gone.jpg"], seconds=30) == {}


# --- threads that can be given up -------------------------------------------------------------------------------------


def test_a_call_that_takes_too_long_is_given_up_and_its_thread_replaced():
    hanging = threading.Event()
    with reading_threads(1, seconds=0.2) as threads:
        stuck, next_one = threads.submit(hanging.wait), threads.submit(str, 7)
        with pytest.raises(TimeoutError):
            threads.result(stuck)
        assert threads.result(next_one) == "7"
        hanging.set()


def test_waiting_for_a_free_thread_is_no_ones_fault():
    """Only the time that a call itself takes counts."""
    with reading_threads(1, seconds=0.5) as threads:
        futures = [threads.submit(time.sleep, 0.2) for _ in range(6)]
        assert [threads.result(future) for future in futures] == [None] * 6


def test_what_a_call_raises_is_raised_where_its_result_is_asked_for():
    with reading_threads(2, seconds=60) as threads:
        future = threads.submit(int, "x")
        with pytest.raises(ValueError, match="invalid literal"):
            threads.result(future)
        timed_out = threads.submit(_raise_timeout)
        with pytest.raises(TimeoutError, match="of its own"):
            threads.result(timed_out)


def _raise_timeout() -> None:
    raise TimeoutError("of its own")


def test_nobody_waits_for_what_has_not_begun():
    began = []
    threads = ReadingThreads(1, seconds=60)
    threads.submit(time.sleep, 0.2)
    for i in range(100):
        threads.submit(began.append, i)
    threads.shutdown()
    time.sleep(0.4)
    assert began == []


def test_the_heart_beats_only_as_long_as_it_is_needed():
    before = threading.active_count()
    with heartbeat(seconds=60):
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
