"""Runs of one folder killed by SIGKILL, at random times and at exact places, and run again until they complete.

    report = kill(Path("work"), count=30, seed=1)

The folder holds drawn scenes, whole and damaged files of other formats; the output folder is that of a complete run
over another state of it: pictures have come, changed and gone since, and its ledger wants compacting. Every outcome is
compared with that of a run that was never stopped.
"""

import random
import shutil
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from conftest import FIRST_SEED, contents
from killed_run import Run
from mutations import mutated
from served_formats import whole_files

from wanwu_nb import read_results
from wanwu_nb.demo.scenes import draw_folder
from wanwu_nb.results.lines import read_lines
from wanwu_nb.results.raw import RAW

AT_ONCE = 2  # kills, each with a folder of its own
RUNS = 6  # until one completes
SCENES, WHOLE, DAMAGED = 8, 8, 16  # pictures
TABLES = "labels.json", "failures.csv", "vocabulary.csv"
PADDING = 60  # how many times the old ledger says all it says
RANDOM_SHARE = 1 / 3  # of the kills; the others are at exact places


@dataclass
class Report:
    """What came of the kills: where each was, and how the outcomes differ from that of a run never stopped."""

    at_random: int = 0
    places: list[str] = field(default_factory=list)
    places_known: int = 0
    differences: list[str] = field(default_factory=list)


def kill(parent: Path, count: int, seed: int) -> Report:
    """Kill `count` runs, run each again, and compare."""
    chance = random.Random(seed)
    inbox, yesterday = _prepare(parent, seed)
    events, seconds, expected = _never_stopped(inbox, yesterday, parent / "never stopped")
    report = Report(places_known=len(events))
    report.at_random = round(count * RANDOM_SHARE)
    plans = [("", chance.uniform(0, seconds)) for _ in range(report.at_random)]
    while len(plans) < count:
        names = sorted(events)
        chance.shuffle(names)  # each place once before any comes again
        plans += [(event, chance.randint(1, events[event])) for event in names]
    plans = plans[:count]
    report.places = sorted({event for event, _ in plans if event})

    def outcome_differs(number: int) -> str:
        event, when = plans[number]
        output = shutil.copytree(yesterday, parent / f"killed {number}")
        _run_and_kill(inbox, output, event, when)
        fault = _run_until_complete(inbox, output) or _difference(outcome(output), expected)
        if fault:
            return f"kill {number}, at {event or 'random'} {when:g}: {fault}"
        shutil.rmtree(output)
        return ""

    with ThreadPoolExecutor(AT_ONCE) as pool:
        faults = list(pool.map(outcome_differs, range(count)))
    report.differences = [fault for fault in faults if fault]
    return report


def outcome(output: Path) -> dict[str, object]:
    """All that must be the same: images/ and what was put aside, byte for byte, the tables, and what readers see."""
    results = [(each.image, each.version, each.width, each.height, each.objects) for each in read_results(output)]
    return {
        "images": contents(output),
        "orphans": {path.name: path.read_bytes() for path in (output / "orphans").rglob("*.json")},
        **{name: (output / name).read_bytes() for name in TABLES},
        "raw": _raw(output, {each.image for each in read_results(output)}),
        "results": results,
        "files": sorted(path.name for path in output.iterdir()),
    }


def _raw(output: Path, images: set[str]) -> dict[str, object]:
    """What the network said last of each picture that is done."""
    records = [line.record for line in read_lines(output / RAW) if line.record]
    return {record["image"]: record for record in records if record["image"] in images}


def _difference(actual: dict[str, object], expected: dict[str, object]) -> str:
    return ", ".join(f"other {name}" for name in expected if actual[name] != expected[name])


# --- the folders ------------------------------------------------------------------------------------------------------


def _prepare(parent: Path, seed: int) -> tuple[Path, Path]:
    """The folder as it is today, and the output folder as yesterday's run left it."""
    inbox, yesterday = parent / "inbox", parent / "yesterday"
    draw_folder(inbox, SCENES, FIRST_SEED)
    whole = whole_files()
    for name in sorted(whole)[:: len(whole) // WHOLE]:
        (inbox / "others").mkdir(exist_ok=True)
        (inbox / "others" / name).write_bytes(whole[name])
    for number in range(DAMAGED):
        file = mutated(whole, seed, number)
        (inbox / file.name).write_bytes(file.content)
    today = parent / "today"
    shutil.copytree(inbox, today)
    pictures = [path for path in sorted(inbox.rglob("*")) if path.is_file() and path.suffix != ".json"]
    for path in pictures[::3]:  # they came today
        path.unlink()
    scene, *_ = sorted(inbox.glob("scene*.jpg"))
    (inbox / "gone.jpg").write_bytes(scene.read_bytes())
    (inbox / "others" / "gone too.jpg").write_bytes(whole["progressive.jpg"])
    (inbox / "others" / "changed.png").write_bytes(whole["colours.png"])
    fault = _run_until_complete(inbox, yesterday)
    assert not fault, fault
    shutil.rmtree(inbox)
    today.rename(inbox)
    (inbox / "others" / "changed.png").write_bytes(whole["colours.png"][:3000])  # no picture any more
    ledger = yesterday / "ledger.jsonl"
    ledger.write_bytes(ledger.read_bytes() * PADDING)
    return inbox, yesterday


def _never_stopped(inbox: Path, yesterday: Path, output: Path) -> tuple[Counter[str], float, dict[str, object]]:
    shutil.copytree(yesterday, output)
    run = Run(inbox, output)
    run.hear()
    events, seconds = run.hear()
    assert run.end() == 0, run.last_words
    return events, seconds, outcome(output)


def _run_until_complete(inbox: Path, output: Path) -> str:
    """What was said last, where no run completes."""
    for _ in range(RUNS):
        run = Run(inbox, output)
        if run.end() == 0:
            return ""
    return f"no run completes: {run.last_words}"


def _run_and_kill(inbox: Path, output: Path, event: str, when: float) -> None:
    if event:
        run = Run(inbox, output, event, int(when))
        assert run.end() == -signal.SIGKILL, f"{event} {when} never came: {run.last_words}"
        return
    before = output.with_name(f"{output.name} before")
    shutil.copytree(output, before)
    while not _killed_after(when, inbox, output):  # it was quicker than the one that was measured
        shutil.rmtree(output)
        shutil.copytree(before, output)
        when /= 2
    shutil.rmtree(before)


def _killed_after(seconds: float, inbox: Path, output: Path) -> bool:
    run = Run(inbox, output)
    run.hear()
    time.sleep(seconds)
    run.process.kill()
    return run.end() == -signal.SIGKILL
