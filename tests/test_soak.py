"""The small form of `make soak`: damaged files and kills, a few of each; and that both would notice."""

import json
import re
import sys
from pathlib import Path

import fuzz
import kills
import pytest
import soak
from mutations import MUTATIONS, mutated
from served_formats import whole_files

from benchmarks import memory
from wanwu_nb.decoding import decode_content
from wanwu_nb.results.lines import LineFile

SEED = 12
FILES, KILLS = 200, 4


@pytest.fixture(scope="module")
def whole() -> dict[str, bytes]:
    return whole_files()


def test_damaged_files_become_results_or_failures_with_a_reason(tmp_path):
    print(f"seed {SEED}")
    report = fuzz.fuzz(tmp_path, FILES, SEED)
    assert report.crashes == []
    assert report.faults == []
    assert report.results + sum(report.reasons.values()) == FILES
    assert report.results > FILES / 10
    assert report.slowest < fuzz.SECONDS
    assert report.peak_mb < fuzz.PEAK_MB


def test_a_run_that_is_killed_and_run_again_ends_as_if_never_stopped(tmp_path):
    print(f"seed {SEED}")
    report = kills.kill(tmp_path, KILLS, SEED)
    assert report.differences == []
    assert len(report.places) + report.at_random == KILLS
    assert report.places_known > 30


# --- would it notice? -------------------------------------------------------------------------------------------------


def test_whole_files_are_whole_and_of_every_served_format(whole):
    for name, content in whole.items():
        assert not decode_content(content).damaged, name
    suffixes = {name.rsplit(".", 1)[1] for name in whole}
    assert suffixes >= {"jpg", "png", "gif", "webp", "avif", "bmp", "tif"}


def test_a_file_is_made_again_by_its_seed_and_number(whole):
    again = whole_files()
    for number in range(200):
        assert mutated(whole, SEED, number) == mutated(again, SEED, number)
    assert mutated(whole, SEED, 3) != mutated(whole, SEED + 1, 3)


def test_every_kind_of_damage_is_done(whole):
    recipes = " ".join(mutated(whole, SEED, number).recipe for number in range(300))
    for name in MUTATIONS:
        assert name in recipes


def test_a_crash_a_hang_a_lost_file_and_a_reason_that_says_nothing_are_counted_and_the_files_kept(
    tmp_path, monkeypatch
):
    deaths = ["000000: a child ended with -6", ""]
    reasons = {3: "reading it ends the process (SIGABRT)", 4: "reading it takes over 30 s", 5: "decoder error -2"}

    def run_child(folder: Path, output: Path, *_) -> str:
        (output / "images").mkdir(parents=True, exist_ok=True)
        with LineFile(output / "ledger.jsonl") as ledger:
            for path in folder.iterdir():
                number = int(path.name[:6])
                line = {"image": path.name, "key": "k", "status": "failed", "stage": "decode"}
                line["reason"] = reasons.get(number, fuzz.reasons.DAMAGED)
                line["ended_process"] = number == 3
                if number != 6:  # it is not recorded at all
                    ledger.note(line)
        return deaths.pop(0)

    monkeypatch.setattr(fuzz, "run_child", run_child)
    report = fuzz.fuzz(tmp_path, 10, SEED)
    assert report.crashes == ["000000: a child ended with -6"]
    assert [fault[:6] for fault in report.culprits] == ["000003"]
    assert [fault[:6] for fault in report.hangs] == ["000004"]
    assert [fault[-16:] for fault in report.not_understood] == ["decoder error -2"]
    assert report.unrecorded[0].endswith("not in the ledger")
    assert sorted(path.name[:6] for path in (tmp_path / "faults").iterdir()) == ["000003", "000004", "000005", "000006"]


RECORD = {"image": "a.jpg", "width": 9, "height": 9, "key": "k"}
TAG = {"label": "灯", "label_id": 1, "confidence": 0.5, "bbox": [0, 0, 9, 9]}


@pytest.mark.parametrize(
    ("record", "fault"),
    [
        (RECORD | {"objects": [TAG]}, ""),
        (RECORD | {"objects": [TAG | {"bbox": [0, 0, 10, 9]}]}, "an object that cannot be"),
        (RECORD | {"objects": [TAG | {"confidence": float("nan")}]}, "an object that cannot be"),
        (RECORD | {"objects": [], "image": "b.jpg"}, "another picture's JSON"),
        (RECORD, "no whole JSON: KeyError"),
    ],
)
def test_a_result_that_cannot_be_is_seen(record, fault, tmp_path):
    path = tmp_path / "a.jpg.json"
    path.write_text(json.dumps(record), encoding="utf-8")
    assert fuzz.fault_of_result(path, "a.jpg").startswith(fault)
    assert bool(fuzz.fault_of_result(path, "a.jpg")) == bool(fault)


def test_what_is_printed_is_the_record_and_a_figure_beyond_its_bound_is_an_error(tmp_path, monkeypatch, capsys):
    report = fuzz.Report(files=2, results=1, crashes=["000001_a.png (cut)"], slowest=0.5, slowest_file="x", peak_mb=700)
    monkeypatch.setattr(fuzz, "fuzz", lambda parent, count, seed: report)
    record = tmp_path / "soak.txt"
    words = ["soak", "--files", "2", "--kills", "0", "--pictures", "0", "--finished", "0", "--record", str(record)]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as left:
        soak.main()
    assert left.value.code == 1
    text = record.read_text(encoding="utf-8")
    assert re.search(r"crashes +1  \(bound: 0\)  BEYOND IT\n +000001_a.png \(cut\)", text)
    assert "BEYOND THEIR BOUNDS: crashes" in text
    assert "700 MB  (bound: 2,048 MB)\n" in text
    assert set(text.splitlines()) <= set(capsys.readouterr().out.splitlines())


def test_the_record_of_the_full_form_is_within_its_bounds():
    text = (soak.ROOT / "docs" / "soak.txt").read_text(encoding="utf-8")
    assert "Every figure is within its bound." in text
    assert "10,000 damaged files" in text
    assert re.search(r"outcomes as of a run never stopped +(\d+) of \1 ", text)
    assert re.search(r"peak memory over 50,000 pictures", text)


def test_the_memory_of_a_resuming_process_is_counted_above_its_loaded_model(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "RESUMES", 1)
    memory.make_model(tmp_path)
    resumed = memory.resume(tmp_path, 24)
    assert 0 < resumed["resume_above_mb"] < soak.RESUME_MB
    assert resumed["resume_seconds"] > 0
