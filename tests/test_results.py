"""Results on disk: the ledger, resume, and files that are whole or not there."""

import json
import os

import numpy as np
import pytest

from wanwu_nb.detections import Detections, Selection
from wanwu_nb.results import OutputFolder, run_key

FOUND = Detections(200, 100, np.array([[1.0, 2, 30.123456, 40]]), np.array([0.93]), np.array([10]), ["台灯"])


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"picture")
    return path


def output(tmp_path, key="key") -> OutputFolder:
    return OutputFolder(tmp_path / "out", key)


def test_a_result_reads_as_promised(tmp_path, picture):
    with output(tmp_path) as out:
        out.write("鞋/a.jpg", os.stat(picture), FOUND)
    content = (tmp_path / "out/images/鞋/a.jpg.json").read_bytes()
    assert "台灯".encode() in content and content.endswith(b"\n")
    objects = [{"label": "台灯", "label_id": 10, "confidence": 0.93, "bbox": [1.0, 2.0, 30.12, 40.0]}]
    assert json.loads(content) == {"image": "鞋/a.jpg", "width": 200, "height": 100, "objects": objects, "key": "key"}


def test_finished_means_same_key_same_file_and_a_whole_json(tmp_path, picture):
    stat = os.stat(picture)
    with output(tmp_path) as out:
        out.write("a.jpg", stat, FOUND)
    with output(tmp_path) as out:
        assert out.resume("a.jpg", stat) and out.labels == {"台灯": 1}
        assert not out.resume("b.jpg", stat)
    with output(tmp_path, key="other") as out:
        assert not out.resume("a.jpg", stat)
    os.utime(picture, ns=(1, 1))
    with output(tmp_path) as out:
        assert not out.resume("a.jpg", os.stat(picture))
    (tmp_path / "out/images/a.jpg.json").write_bytes(b"{")
    with output(tmp_path) as out:
        assert not out.resume("a.jpg", stat)


def test_failed_pictures_are_tried_again_and_leave_no_old_result(tmp_path, picture):
    stat = os.stat(picture)
    with output(tmp_path) as out:
        out.write("a.jpg", stat, FOUND)
        out.fail("a.jpg", stat, "file is empty (0 bytes)")
    assert not (tmp_path / "out/images/a.jpg.json").exists()
    with output(tmp_path) as out:
        assert not out.resume("a.jpg", stat)


def test_a_torn_last_line_costs_one_picture_only(tmp_path, picture):
    stat, ledger = os.stat(picture), tmp_path / "out/ledger.jsonl"
    with output(tmp_path) as out:
        out.write("a.jpg", stat, FOUND)
        out.write("b.jpg", stat, FOUND)
    ledger.write_bytes(ledger.read_bytes()[:-20])
    with output(tmp_path) as out:
        assert out.resume("a.jpg", stat) and not out.resume("b.jpg", stat)
        out.write("b.jpg", stat, FOUND)
    with output(tmp_path) as out:
        assert out.resume("a.jpg", stat) and out.resume("b.jpg", stat)


def test_the_ledger_notes_the_choices_of_each_key_once(tmp_path):
    for key, size in (("old", 8), ("new", 16), ("new", 16)):
        with output(tmp_path, key) as out:
            out.begin({"batch_size": size})
    lines = (tmp_path / "out/ledger.jsonl").read_text().splitlines()
    assert json.loads(lines[0]) == {"format": 1, "key": "old", "choices": {"batch_size": 8}}
    assert len(lines) == 2
    for key, size in (("old", 8), ("new", 16)):
        with output(tmp_path, key) as out:
            assert out.choices == {"batch_size": size}


def test_two_runs_do_not_write_to_one_folder(tmp_path):
    with output(tmp_path), pytest.raises(BlockingIOError, match="another run is writing"):
        output(tmp_path)


def test_an_output_folder_that_cannot_be_one_is_refused(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OSError, match="cannot be written"):
        output(tmp_path)
    assert (tmp_path / "out").read_text() == "a file"


@pytest.mark.parametrize("name", ["x" * 252 + ".jpg", "bytes_\udcff.jpg", "new\nline.jpg", 'quote".jpg'])
def test_strange_names_are_written_or_recorded(tmp_path, picture, name):
    with output(tmp_path) as out:
        out.write(name, os.stat(picture), FOUND)
        assert out.processed + len(out.failures) == 1
        assert (out.processed == 1) == (len(name) < 250)
    with output(tmp_path) as out:
        assert out.resume(name, os.stat(picture)) == (len(name) < 250)


def test_the_key_follows_everything_that_decides_a_result():
    keys = {
        run_key(fingerprint, precision, selection)
        for fingerprint in ("a", "b")
        for precision in ("fp32", "bf16")
        for selection in (Selection(), Selection(0.4), Selection(nms_iou=0.6), Selection(top_k=5))
    }
    assert len(keys) == 16
