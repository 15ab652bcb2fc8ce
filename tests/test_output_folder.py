"""What ends a run ends it well; what lies there is never yesterday's by mistake; what is gone is kept apart."""

import errno
import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from conftest import SCENES, contents

from wanwu_nb import concluding, read_results, tag_folder
from wanwu_nb.detections import Detections
from wanwu_nb.errors import OutputBusy, OutputError, SettingsError
from wanwu_nb.results import OutputFolder, file_systems, locking, set_aside_summary
from wanwu_nb.results.ledger import compact, read_ledger
from wanwu_nb.results.lines import LineFile
from wanwu_nb.summary import Summary
from wanwu_nb.tagged import Tagged
from wanwu_nb.versions import FileVersion

VERSION = FileVersion(7, 1)
DETECTIONS = Detections(9, 9, None, np.array([0.5]), np.array([3]), ["花瓶"])


def put(out: OutputFolder, *names: str) -> None:
    for name in names:
        out.put(Tagged(name, VERSION, DETECTIONS))


def names_of(output: Path) -> list[str]:
    return [picture.image for picture in read_results(output)]


@pytest.fixture
def inbox(scenes, tmp_path) -> Path:
    """Four pictures of its own."""
    folder = tmp_path / "inbox"
    folder.mkdir()
    for path in sorted(scenes.glob("*.jpg"))[:4]:
        shutil.copy2(path, folder)
    return folder


# --- never yesterday's ------------------------------------------------------------------------------------------------


def test_a_complete_run_says_so_and_when(model, inbox, tmp_path):
    summary = tag_folder(model, inbox, tmp_path / "out")
    assert summary.complete is True
    assert summary.started.endswith("+00:00")
    assert summary.started <= summary.finished
    assert (tmp_path / "out/ledger.jsonl").read_bytes().splitlines()[-1] == b'{"complete": true}'


def test_a_missing_folder_leaves_no_summary_that_looks_like_todays(model, inbox, tmp_path):
    tag_folder(model, inbox, tmp_path / "out")
    yesterday = (tmp_path / "out/summary.json").read_bytes()
    with pytest.raises(FileNotFoundError, match="does not exist: check image_dir"):
        tag_folder(model, tmp_path / "nowhere", tmp_path / "out")
    assert not (tmp_path / "out/summary.json").exists()
    assert not (tmp_path / "out/failures.csv").exists()
    assert (tmp_path / "out/summary.previous.json").read_bytes() == yesterday


def test_a_run_that_is_refused_for_its_parameters_touches_nothing(model, inbox, tmp_path):
    tag_folder(model, inbox, tmp_path / "out")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.*")}
    with pytest.raises(SettingsError):
        tag_folder(model, inbox, tmp_path / "out", conf_threshold=2)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.*")} == before


def test_a_summary_of_version_0_1_set_aside_still_means_complete(tmp_path):
    (tmp_path / "summary.json").write_text('{"total_images": 3}')
    with LineFile(tmp_path / "ledger.jsonl") as ledger:
        ledger.note({"key": "k", "choices": {"batch_size": 3}})
    set_aside_summary(tmp_path)
    assert read_ledger(tmp_path / "ledger.jsonl").bits == {}
    assert (tmp_path / "summary.previous.json").exists()


def test_setting_aside_that_is_stopped_half_way_is_finished_by_the_next_run(tmp_path, monkeypatch):
    for name in ("summary.json", "failures.csv"):
        (tmp_path / name).write_text('{"complete": true}')
    real, moved = os.replace, []

    def replace_once(*paths) -> None:
        if moved:
            raise KeyboardInterrupt
        moved.append(real(*paths))

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "replace", replace_once)
        set_aside_summary(tmp_path)
    set_aside_summary(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names - {".lock"} == {"summary.previous.json", "failures.previous.csv"}


def test_nothing_is_set_aside_where_there_is_nothing(tmp_path):
    set_aside_summary(tmp_path)
    set_aside_summary(tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []


# --- pictures that are gone -------------------------------------------------------------------------------------------


def test_results_of_pictures_that_are_gone_are_kept_counted_and_not_read(model, inbox, tmp_path):
    output = tmp_path / "out"
    first, *others = sorted(inbox.iterdir())
    tag_folder(model, inbox, output)
    aside = shutil.move(first, tmp_path / first.name)
    for _ in range(2):
        summary = tag_folder(model, inbox, output)
        assert (summary.total_images, summary.resumed, summary.orphaned) == (3, 3, 1)
        assert names_of(output) == [path.name for path in others]
        assert (output / "images" / f"{first.name}.json").exists()
    shutil.move(aside, first)
    summary = tag_folder(model, inbox, output)
    assert (summary.resumed, summary.processed, summary.orphaned) == (4, 0, 0)
    assert len(names_of(output)) == 4


def test_orphans_can_be_put_aside(model, inbox, tmp_path):
    output = tmp_path / "out"
    first = min(inbox.iterdir())
    tag_folder(model, inbox, output)
    shutil.move(first, tmp_path / first.name)
    assert tag_folder(model, inbox, output, orphans="move").orphaned == 1
    assert (output / "orphans" / f"{first.name}.json").exists()
    assert len(contents(output)) == 3
    shutil.move(tmp_path / first.name, first)
    summary = tag_folder(model, inbox, output)
    assert (summary.resumed, summary.processed) == (3, 1)


@pytest.mark.parametrize("stopped_at", [(os, "replace"), (LineFile, "note")], ids=["moving", "noting"])
def test_an_orphan_whose_moving_is_stopped_is_moved_by_the_next_run(tmp_path, monkeypatch, stopped_at):
    with OutputFolder(tmp_path, "key", "photos") as out:
        put(out, "a.jpg", "b.jpg")
    with monkeypatch.context() as patch, OutputFolder(tmp_path, "key", "photos") as out:
        patch.setattr(*stopped_at, _interrupted)
        with pytest.raises(KeyboardInterrupt):
            out.note_orphans(["b.jpg"], move=True)
    with OutputFolder(tmp_path, "key", "photos") as out:
        out.note_orphans(["b.jpg"], move=True)
    assert sorted(contents(tmp_path)) == ["b.jpg.json"]
    assert (tmp_path / "orphans" / "a.jpg.json").exists()
    assert names_of(tmp_path) == ["b.jpg"]


def _interrupted(*_) -> None:
    raise KeyboardInterrupt


def test_a_listing_that_is_not_complete_makes_no_orphan(model, inbox, tmp_path):
    tag_folder(model, inbox, tmp_path / "out")
    assert tag_folder(model, inbox, tmp_path / "out", limit=2).orphaned == 0
    assert len(names_of(tmp_path / "out")) == 4


def test_another_image_dir_is_said_and_makes_no_orphan(model, inbox, tmp_path, capsys):
    other = tmp_path / "other"
    other.mkdir()
    first, second, *_ = sorted(inbox.iterdir())
    shutil.copy2(first, other / "a.jpg")
    output = tmp_path / "out"
    tag_folder(model, inbox, output)
    for _ in range(2):
        assert tag_folder(model, other, output).orphaned == 0
    assert capsys.readouterr().out.count(f"the pictures of the run before lay in {inbox}: its results stay") == 1
    assert len(names_of(output)) == 5
    second.unlink()
    tag_folder(model, inbox, output)
    assert tag_folder(model, inbox, output).orphaned == 1
    assert len(names_of(output)) == 4


def test_a_mount_that_moved_is_resumed_and_its_pictures_may_go_from_there(model, inbox, tmp_path):
    output = tmp_path / "out"
    tag_folder(model, inbox, output)
    moved = inbox.rename(tmp_path / "moved")
    assert tag_folder(model, moved, output).resumed == 4
    min(moved.iterdir()).unlink()
    summary = tag_folder(model, moved, output)
    assert (summary.resumed, summary.orphaned) == (3, 1)


def test_json_that_is_not_ours_is_left_alone(model, inbox, tmp_path):
    output = tmp_path / "out"
    tag_folder(model, inbox, output)
    (output / "images" / "._x.json").write_bytes(b"Mac OS X")
    assert tag_folder(model, inbox, output, orphans="move").orphaned == 0
    assert (output / "images" / "._x.json").read_bytes() == b"Mac OS X"
    assert len(names_of(output)) == 4


# --- the ledger -------------------------------------------------------------------------------------------------------


def test_a_ledger_many_times_what_it_needs_is_written_anew(tmp_path):
    for run in range(500):
        with OutputFolder(tmp_path, f"key {run % 2}", f"folder {run % 2}") as out:
            put(out, "a.jpg", f"{run % 2}.jpg")
            out.begin({"batch_size": run % 2 + 1}, {})
    path = tmp_path / "ledger.jsonl"
    before = read_ledger(path)
    assert before.lines < 1_500
    with OutputFolder(tmp_path, "key 1", "folder 1") as out:
        assert out.bits == {"batch_size": 2}
        assert out.done("1.jpg", VERSION)
    assert sorted(names_of(tmp_path)) == ["0.jpg", "1.jpg", "a.jpg"]


def test_written_anew_it_says_the_same(tmp_path):
    path = tmp_path / "ledger.jsonl"
    ledger = LineFile(path)
    line = {"size": 1, "mtime": 2, "key": "k", "status": "done", "objects": {}, "invalid": 0, "bytes": 3}
    for i in range(2_000):
        ledger.note({"image_dir": f"folder {i % 3}"})
        ledger.note({"image": f"{i % 7}.jpg", **line})
        ledger.note({"key": f"k{i % 2}", "choices": {"batch_size": i}})
    ledger.close()
    before = read_ledger(path)
    assert compact(path, before)
    after = read_ledger(path)
    assert (after.entries, after.places, after.bits) == (before.entries, before.places, before.bits)
    assert after.image_dir == before.image_dir
    assert after.lines < 20
    assert not compact(path, after)


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"[]",
        b"7",
        b'"text"',
        b"null",
        b'{"image": 7, "status": "done"}',
        b'{"image": "a.jpg"}',
        b'{"image": "a.jpg", "size": 1, "mtime": 2, "key": "k", "status": "lost"}',
        b'{"image": "a.jpg", "size": 1, "mtime": 2, "key": "k", "status": "done", "objects": 3}',
        b'{"key": "k", "choices": 7}',
        b'{"image_dir": null}',
        b"\xff\xfe\x00",
    ],
)
def test_a_line_of_another_shape_is_passed_over(tmp_path, line):
    with OutputFolder(tmp_path, "k") as out:
        put(out, "a.jpg", "b.jpg")
    with open(tmp_path / "ledger.jsonl", "ab") as ledger:
        ledger.write(line + b"\n")
    with OutputFolder(tmp_path, "k") as out:
        assert out.done("a.jpg", VERSION)
    assert names_of(tmp_path) == ["a.jpg", "b.jpg"]


def test_compacting_that_is_stopped_half_way_is_done_again_by_the_next_run(tmp_path, monkeypatch):
    with OutputFolder(tmp_path, "key") as out:
        put(out, "a.jpg")
    ledger, raw = tmp_path / "ledger.jsonl", tmp_path / "raw.jsonl"
    ledger.write_bytes(ledger.read_bytes() * 1000)
    raw.write_bytes(b'{"image": "a.jpg"}\n' * 1000)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "replace", _interrupted)
        OutputFolder(tmp_path, "key")
    OutputFolder(tmp_path, "key").__exit__(None, None, None)
    assert raw.read_bytes().count(b"\n") == 1
    assert ledger.read_bytes().count(b"\n") < 5
    assert list(tmp_path.glob("*.compact")) == []


# --- what a killed run leaves -----------------------------------------------------------------------------------------


def test_what_a_killed_run_left_half_written_is_cleared_away(tmp_path):
    names = {".partial", ".in_flight.partial", ".vocabulary.partial"}
    for name in names:
        (tmp_path / name).write_bytes(b"half of it")
    with OutputFolder(tmp_path, "key"):
        pass
    assert names & {path.name for path in tmp_path.iterdir()} == set()


def test_a_run_that_was_stopped_before_the_table_of_labels_leaves_it_to_the_next(model, inbox, tmp_path, monkeypatch):
    output = tmp_path / "out"
    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="stopped"):
        patch.setattr(concluding, "write_vocabulary", _stopped)
        tag_folder(model, inbox, output)
    assert tag_folder(model, inbox, output).processed == 0
    assert (output / "vocabulary.csv").exists()
    assert tag_folder(model, inbox, output).resumed == 4


def _stopped(*_) -> None:
    raise RuntimeError("stopped")


# --- what ends a run --------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    """A file system of one megabyte, and nothing to spare once `fill` was called."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_is_one_sentence_and_the_same_process_goes_on_once_there_is_room(
    model, scenes, tmp_path, small_disk
):
    output, ballast = small_disk / "out", small_disk / "ballast"
    ballast.write_bytes(bytes(216 * 1024))
    with pytest.raises(
        OutputError, match=r"cannot be written \(the disk is full: make room\): what is finished is kept"
    ):
        tag_folder(model, scenes, output, batch_size=2)
    finished = len(contents(output))
    assert finished < SCENES
    assert not (output / "summary.json").exists()
    for content in contents(output).values():
        json.loads(content)
    ballast.unlink()
    summary = tag_folder(model, scenes, output, batch_size=2)
    assert summary.resumed + summary.processed == SCENES
    tag_folder(model, scenes, tmp_path / "plenty", batch_size=2)
    assert contents(output) == contents(tmp_path / "plenty")


@pytest.mark.parametrize("gone", ["out/images", "out"])
def test_an_output_folder_that_is_removed_in_the_middle_ends_the_run(model, inbox, tmp_path, monkeypatch, gone):
    real = model.launch

    def launch(batch):
        shutil.rmtree(tmp_path / gone, ignore_errors=True)
        return real(batch)

    monkeypatch.setattr(model, "launch", launch)
    with pytest.raises(OutputError, match="it was removed meanwhile"):
        tag_folder(model, inbox, tmp_path / "out", batch_size=2)
    monkeypatch.undo()
    assert tag_folder(model, inbox, tmp_path / "out", batch_size=2).processed == 4


@pytest.mark.parametrize(
    ("number", "says"),
    [(errno.EROFS, "it can only be read now"), (errno.EDQUOT, "the quota is used up"), (errno.EIO, "the disk fails")],
)
def test_what_the_file_system_says_of_all_pictures_ends_the_run_and_frees_the_lock(tmp_path, monkeypatch, number, says):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    with pytest.raises(OutputError, match=says), OutputFolder(tmp_path, "k") as out:
        put(out, "a.jpg")
        monkeypatch.setattr(os, "replace", refuse)
        put(out, "b.jpg")
    monkeypatch.undo()
    with OutputFolder(tmp_path, "k") as out:
        assert out.done("a.jpg", VERSION)
        assert not out.done("b.jpg", VERSION)


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOENT, errno.EACCES, errno.EILSEQ, errno.ENAMETOOLONG])
def test_a_name_that_a_file_system_refuses_fails_that_picture_alone(tmp_path, monkeypatch, number):
    real = os.replace

    def refuse_colons(source, target):
        if ":" in str(target):
            raise OSError(number, os.strerror(number))
        real(source, target)

    monkeypatch.setattr(os, "replace", refuse_colons)
    with OutputFolder(tmp_path, "k") as out:
        put(out, "a.jpg", "12:30.jpg", "b.jpg")
        assert out.processed == 2
        assert list(out.failures) == ["12:30.jpg"]
    assert names_of(tmp_path) == ["a.jpg", "b.jpg"]


def test_where_case_is_ignored_the_second_of_two_names_fails_and_the_first_keeps_its_result(tmp_path, monkeypatch):
    monkeypatch.setattr(file_systems, "_ignores_case", lambda folder: True)
    with OutputFolder(tmp_path, "k") as out:
        put(out, "Shoe.jpg", "shoe.jpg", "SHOE.JPG", "hat.jpg")
        assert sorted(out.failures) == ["SHOE.JPG", "shoe.jpg"]
        assert "would replace that of Shoe.jpg" in out.failures["shoe.jpg"]
    with OutputFolder(tmp_path, "k") as out:
        put(out, "HAT.jpg", "Shoe.jpg")
        assert list(out.failures) == ["HAT.jpg"]


# --- locks ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def no_locks(monkeypatch):
    def refuse(self, timeout):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(locking.FileLock, "acquire", refuse)


def test_where_there_are_no_locks_a_file_takes_over_and_that_is_said(model, inbox, tmp_path, no_locks, capsys):
    output = tmp_path / "out"
    tag_folder(model, inbox, output)
    assert "has no locks: .lock.exclusive keeps other runs out" in capsys.readouterr().out
    assert not (output / ".lock.exclusive").exists()
    with OutputFolder(output, "k"):
        assert (output / ".lock.exclusive").exists()
        with pytest.raises(OutputBusy, match=r"process \d+ of .* on .*, since 20.* delete .*\.lock\.exclusive"):
            OutputFolder(output, "k")
    OutputFolder(output, "k").__exit__(None, None, None)


def test_a_lock_file_is_never_taken_away_by_its_age(tmp_path, no_locks):
    path = tmp_path / ".lock.exclusive"
    path.write_text("{")
    os.utime(path, (1, 1))
    with pytest.raises(OutputBusy, match="its owner is not known"):
        OutputFolder(tmp_path, "k")
    assert path.exists()


def test_a_machine_with_locks_minds_the_lock_file_of_one_without(tmp_path):
    (tmp_path / ".lock.exclusive").write_text('{"process": 7, "user": "li", "host": "gpu-2", "since": "2026-11-25"}')
    for _ in range(2):
        with pytest.raises(OutputBusy, match="process 7 of li on gpu-2, since 2026-11-25"):
            OutputFolder(tmp_path, "k")


def test_a_folder_that_cannot_be_opened_frees_its_lock(tmp_path):
    (tmp_path / "ledger.jsonl").mkdir()
    with pytest.raises(OutputError, match="choose another output_dir"):
        OutputFolder(tmp_path, "k")
    (tmp_path / "ledger.jsonl").rmdir()
    with OutputFolder(tmp_path, "k") as out:
        put(out, "a.jpg")


def test_a_summary_of_another_run_is_not_todays(tmp_path):
    with pytest.raises(FileNotFoundError):
        Summary.read(tmp_path)
