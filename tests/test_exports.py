"""Exports as a whole: which there are, what they refuse, and that one which fails costs the others nothing."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from exported import TAGS, WITHOUT_PICTURES, detections, finished, lamp, left_behind
from filelock import FileLock

from wanwu_nb import read_results
from wanwu_nb.errors import MissingFile, NotAFolder, OutputBusy, OutputError, ResultsError, SettingsError
from wanwu_nb.exports import KINDS, export, read_kinds
from wanwu_nb.exports.jsonl import JsonlWriter
from wanwu_nb.exports.writer import MARK
from wanwu_nb.results import json_path
from wanwu_nb.results.locking import FolderLock


@pytest.fixture
def output(tmp_path) -> Path:
    return finished(tmp_path / "tags", TAGS, failures={"d.jpg": "file is empty (0 bytes)"})


def command(*arguments: object) -> subprocess.CompletedProcess:
    words = [sys.executable, "-m", "wanwu_nb.exports", *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True)


# --- which ------------------------------------------------------------------------------------------------------------


def test_exports_are_read_as_people_write_them():
    assert read_kinds(" csv, COCO，csv,") == ["csv", "coco"]
    assert read_kinds(["xlsx"]) == ["xlsx"]
    assert read_kinds("") == []


def test_an_unknown_export_says_what_was_meant(output):
    with pytest.raises(SettingsError, match=r"^unknown export xslx: did you mean xlsx\?$"):
        export(output, "csv,xslx")
    assert not (output / "tags.csv").exists()


def test_an_unknown_orientation_is_refused(output):
    with pytest.raises(SettingsError, match="orientation='sideways' is not valid"):
        export(output, "coco", orientation="sideways")


def test_all_exports_leave_their_files_and_nothing_else(output):
    before = {path.name for path in output.iterdir()}
    exports = export(output, ",".join(KINDS))
    exports.check()
    written = {path.name for paths in exports.files.values() for path in paths}
    assert list(exports.files) == list(KINDS)
    assert {path.name for path in output.iterdir()} - before == written | {"export_notes.csv", "thumbs"}
    assert written == {
        "tags.csv",
        "tags_objects.csv",
        "tags.xlsx",
        "coco.json",
        "yolo",
        "voc",
        "label_studio.json",
        "label_studio.xml",
        "tags.parquet",
        "tags.jsonl",
        "gallery.html",
    }
    assert left_behind(output) == []


def test_exports_go_where_they_are_asked_to(output, tmp_path):
    to_dir = tmp_path / "new" / "folder"
    exports = export(output, "csv", to_dir)
    assert exports.files == {"csv": [to_dir / "tags.csv", to_dir / "tags_objects.csv"]}
    assert not (output / "tags.csv").exists()


def test_exporting_again_gives_the_same(output):
    def contents() -> dict[Path, bytes]:
        paths = [path for path in output.rglob("*") if path.is_file()]
        others = [path for path in paths if path.suffix != ".xlsx" and path.name != MARK]  # which hold the time
        return {path: path.read_bytes() for path in others}

    export(output, ",".join(KINDS))
    first = contents()
    export(output, ",".join(KINDS))
    assert contents() == first


# --- folders that cannot be exported, or only just --------------------------------------------------------------------


def test_a_folder_without_results_is_one_sentence(tmp_path):
    with pytest.raises(MissingFile, match=r"ledger\.jsonl does not exist: .* is no output folder of a run$"):
        export(tmp_path, "csv")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_a_run_writes_to_is_refused(output):
    with FileLock(output / ".lock"), pytest.raises(OutputBusy, match=r"a run is writing to .*: export when it is done"):
        export(output, "csv")
    assert not (output / "tags.csv").exists()


def test_runs_are_kept_out_meanwhile_and_let_in_afterwards(output, monkeypatch):
    def add(*_):
        with pytest.raises(OutputBusy):
            finished(output, {"late.jpg": []})

    monkeypatch.setattr(JsonlWriter, "add", add)
    export(output, "jsonl").check()
    finished(output, {"late.jpg": []})


def test_a_folder_in_which_no_picture_is_done_gives_empty_tables(tmp_path):
    output = finished(tmp_path / "tags", {}, failures={"a.jpg": "file is empty (0 bytes)"})
    exports = export(output, WITHOUT_PICTURES)
    exports.check()
    assert json.loads((output / "coco.json").read_bytes()) == {"images": [], "annotations": [], "categories": []}
    assert json.loads((output / "label_studio.json").read_bytes()) == []


def test_a_folder_of_the_first_version_is_exported(output):
    """It has no labels.json, no folder of pictures in its ledger, and a summary of another form."""
    (output / "labels.json").unlink()
    ledger = output / "ledger.jsonl"
    lines = [line for line in ledger.read_text().splitlines() if "image_dir" not in line]
    ledger.write_text("\n".join(lines) + "\n")
    (output / "summary.json").write_text(json.dumps({"settings": {"image_dir": str(output.parent)}, "model": "demo"}))
    exports = export(output, ",".join(KINDS))
    exports.check()
    assert len((output / "tags.jsonl").read_text().splitlines()) == len(TAGS)
    assert f"left out where files are needed: 3 pictures not in {output.parent} any more" in exports.notes[0]


def test_a_broken_result_is_one_sentence_and_nothing_is_half_written(output, tmp_path):
    json_path(output, "c.jpg").write_text("{")
    with pytest.raises(ResultsError, match="is broken"):
        export(output, ",".join(KINDS), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_file_where_the_folder_should_be_is_refused(output, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(NotAFolder, match=r"to_dir .*file is a file: give a folder"):
        export(output, "csv", tmp_path / "file")
    with pytest.raises(OutputError, match=r"to_dir .* cannot be made"):
        export(output, "csv", tmp_path / "file" / "below")


def test_a_folder_that_may_only_be_read_is_exported_elsewhere(output, tmp_path, monkeypatch):
    def refuse(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(FolderLock, "acquire", refuse)
    export(output, "csv", tmp_path / "out").check()
    assert (tmp_path / "out" / "tags.csv").exists()


# --- pictures that are gone -------------------------------------------------------------------------------------------


def test_pictures_that_are_gone_are_listed_once_and_exports_go_on(output):
    exports = export(output, "csv,yolo,voc,coco", orientation="file")
    exports.check()
    about_them = [note for note in exports.notes if "a.jpg" in note]
    assert len(about_them) == 1
    rows = list(csv.reader((output / "export_notes.csv").read_text(encoding="utf-8-sig").splitlines()))
    assert [row[1] for row in rows[1:]] == sorted(TAGS)
    assert len((output / "tags.csv").read_text(encoding="utf-8").splitlines()) == 1 + len(TAGS)


def test_a_picture_that_is_another_one_by_now_is_left_out_of_what_needs_its_file(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"before")
    output = finished(tmp_path / "tags", {"a.jpg": [lamp()]}, tmp_path)
    (tmp_path / "a.jpg").write_bytes(b"afterwards")
    exports = export(output, "coco,voc", orientation="file")
    exports.check()
    about = "left out where files are needed: 1 picture changed since tagging: run again (a.jpg)"
    assert exports.notes[0] == about
    assert json.loads((output / "coco.json").read_bytes())["images"] == []


def test_a_file_that_is_no_picture_by_now_says_why(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"<html>")
    output = finished(tmp_path / "tags", {"a.jpg": [lamp()]}, tmp_path)
    exports = export(output, "voc,xlsx", copy=True, thumbnails=True, to_dir=tmp_path / "tags")
    exports.check()
    assert exports.notes[0].startswith("left out where files are needed: 1 picture unreadable by now (a.jpg (")


def test_a_list_of_such_pictures_goes_when_there_are_none(output):
    export(output, "yolo")
    assert (output / "export_notes.csv").exists()
    export(output, "csv")
    assert not (output / "export_notes.csv").exists()


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_exports_and_says_where(output, tmp_path):
    run = command(output, "--to", "csv,jsonl", "--to-dir", tmp_path / "out")
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1] == f"jsonl: {tmp_path / 'out' / 'tags.jsonl'}"
    assert (tmp_path / "out" / "tags.csv").exists()


def test_the_command_fails_in_one_sentence_after_the_others_were_written(output):
    (output / "yolo").mkdir()
    run = command(output, "--to", "yolo,csv")
    assert run.returncode == 1
    assert len(run.stderr.splitlines()) == 1
    assert "not exported: yolo: " in run.stderr
    assert (output / "tags.csv").exists()


def test_the_command_wants_a_format(output):
    run = command(output, "--to", " ,")
    assert run.returncode == 1
    assert run.stderr.startswith("--to names no format: known are csv, xlsx, ")


WITHOUT_TORCH = """
import sys

from wanwu_nb import read_results
from wanwu_nb.exports import export

export("tags", "{kinds}").check()
print([name for name in ("torch", "torchvision", "torchcodec", "matplotlib") if name in sys.modules])
"""


def test_results_are_read_and_exported_without_torch(output):
    command = [sys.executable, "-c", WITHOUT_TORCH.format(kinds=WITHOUT_PICTURES)]
    run = subprocess.run(command, cwd=output.parent, capture_output=True, text=True)
    assert run.stdout.strip() == "[]", run.stderr


def test_results_are_as_they_were(output):
    before = [(tagged.image, tagged.objects) for tagged in read_results(output)]
    export(output, ",".join(KINDS))
    assert [(tagged.image, tagged.objects) for tagged in read_results(output)] == before
    assert before[0] == ("a.jpg", detections([lamp()]).tags)
