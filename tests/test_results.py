"""Results on disk: the ledger, resume, files that are whole or not there, and reading them back."""

import json
import os
import threading

import numpy as np
import pytest

from wanwu_nb import read_results
from wanwu_nb.detections import Detections, Selection, Tag
from wanwu_nb.errors import MissingFile, ResultsError
from wanwu_nb.hardware import Choice
from wanwu_nb.results import OutputFolder, read_result, run_key
from wanwu_nb.results.ledger import read_ledger
from wanwu_nb.summary import Summary
from wanwu_nb.tagged import Failed, Tagged
from wanwu_nb.versions import FileVersion, version_of

BOX = np.array([[1.0, 2, 30.123456, 40]])
DETECTIONS = Detections(200, 100, BOX, np.array([0.93]), np.array([10]), ["台灯"])
EMPTY = "file is empty (0 bytes)"


@pytest.fixture
def version(tmp_path) -> FileVersion:
    (tmp_path / "a.jpg").write_bytes(b"picture")
    return version_of(tmp_path, "a.jpg")


def output(tmp_path, key="key") -> OutputFolder:
    return OutputFolder(tmp_path / "out", key)


def put(out: OutputFolder, image: str, version: FileVersion) -> None:
    out.put(Tagged(image, version, DETECTIONS))


def test_a_result_reads_as_promised(tmp_path, version):
    with output(tmp_path) as out:
        put(out, "鞋/a.jpg", version)
    content = (tmp_path / "out/images/鞋/a.jpg.json").read_bytes()
    assert "台灯".encode() in content
    assert content.endswith(b"\n")
    objects = [{"label": "台灯", "label_id": 10, "confidence": 0.93, "bbox": [1.0, 2.0, 30.12, 40.0]}]
    assert json.loads(content) == {"image": "鞋/a.jpg", "width": 200, "height": 100, "objects": objects, "key": "key"}


def test_damaged_pictures_say_so_and_are_counted_and_others_do_not_mention_it(tmp_path, version):
    with output(tmp_path) as out:
        put(out, "a.jpg", version)
        out.put(Tagged("cut.jpg", version, DETECTIONS, damaged=True))
        assert out.damaged == 1
    records = [json.loads((tmp_path / f"out/images/{name}.json").read_bytes()) for name in ("a.jpg", "cut.jpg")]
    assert list(records[0]) == ["image", "width", "height", "objects", "key"]
    assert list(records[1]) == ["image", "width", "height", "objects", "damaged", "key"]
    assert records[1]["damaged"] is True
    entries = read_ledger(tmp_path / "out/ledger.jsonl").entries
    assert "damaged" not in entries["a.jpg"]
    assert entries["cut.jpg"]["damaged"] is True
    assert [tagged.damaged for tagged in read_results(tmp_path / "out")] == [False, True]
    with output(tmp_path) as out:
        for name in ("a.jpg", "cut.jpg"):
            out.count_resumed(name)
        assert out.damaged == 1


def test_finished_means_same_key_same_file_and_a_whole_json(tmp_path, version):
    with output(tmp_path) as out:
        put(out, "a.jpg", version)
    with output(tmp_path) as out:
        assert out.done("a.jpg", version)
        assert not out.done("b.jpg", version)
        assert not out.done("a.jpg", None)
    with output(tmp_path, key="other") as out:
        assert not out.done("a.jpg", version)
    os.utime(tmp_path / "a.jpg", ns=(1, 1))
    with output(tmp_path) as out:
        assert not out.done("a.jpg", version_of(tmp_path, "a.jpg"))
    (tmp_path / "out/images/a.jpg.json").write_bytes(b"{")
    with output(tmp_path) as out:
        assert not out.done("a.jpg", version)


def test_asking_counts_nothing_and_counting_adds_what_was_found(tmp_path, version):
    with output(tmp_path) as out:
        put(out, "a.jpg", version)
    with output(tmp_path) as out:
        assert out.done("a.jpg", version)
        assert out.resumed == 0
        out.count_resumed("a.jpg")
        assert out.resumed == 1
        assert out.labels == {"台灯": 1}


def test_failed_pictures_are_tried_again_and_leave_no_old_result(tmp_path, version):
    with output(tmp_path) as out:
        put(out, "a.jpg", version)
        out.put(Failed("a.jpg", version, "decode", EMPTY))
    assert not (tmp_path / "out/images/a.jpg.json").exists()
    with output(tmp_path) as out:
        assert not out.done("a.jpg", version)
    entries = read_ledger(tmp_path / "out/ledger.jsonl").entries
    assert entries["a.jpg"]["stage"] == "decode"
    assert entries["a.jpg"]["reason"] == EMPTY


def test_a_torn_last_line_costs_one_picture_only(tmp_path, version):
    ledger = tmp_path / "out/ledger.jsonl"
    with output(tmp_path) as out:
        put(out, "a.jpg", version)
        put(out, "b.jpg", version)
    ledger.write_bytes(ledger.read_bytes()[:-20])
    with output(tmp_path) as out:
        assert out.done("a.jpg", version)
        assert not out.done("b.jpg", version)
        put(out, "b.jpg", version)
    with output(tmp_path) as out:
        assert out.done("a.jpg", version)
        assert out.done("b.jpg", version)


def test_the_ledger_notes_the_bits_of_each_key_once(tmp_path):
    for key, size in (("old", 8), ("new", 16), ("new", 16)):
        with output(tmp_path, key) as out:
            out.begin({"batch_size": size}, {0: "台灯"})
    lines = (tmp_path / "out/ledger.jsonl").read_text().splitlines()
    assert json.loads(lines[0]) == {"format": 1, "key": "old", "choices": {"batch_size": 8}}
    assert len(lines) == 2
    for key, size in (("old", 8), ("new", 16)):
        with output(tmp_path, key) as out:
            assert out.bits == {"batch_size": size}


def test_all_the_models_names_lie_in_the_folder_by_class_id(tmp_path):
    with output(tmp_path) as out:
        out.begin({}, {7: "苹果", 0: "台灯"})
    content = (tmp_path / "out/labels.json").read_text(encoding="utf-8")
    assert content == '{"0": "台灯", "7": "苹果"}\n'
    assert not (tmp_path / "out/ledger.jsonl").read_bytes()


def test_two_runs_do_not_write_to_one_folder(tmp_path):
    with output(tmp_path), pytest.raises(BlockingIOError, match="another run is writing"):
        output(tmp_path)


def test_two_threads_do_not_put_results_at_the_same_time(tmp_path, version, monkeypatch):
    """All files of a run share one temporary name."""
    problems = []
    replace = os.replace

    def put_another_meanwhile(*paths) -> None:
        monkeypatch.setattr(os, "replace", replace)
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        replace(*paths)

    def other() -> None:
        try:
            put(out, "b.jpg", version)
        except AssertionError as error:
            problems.append(str(error))

    with output(tmp_path) as out:
        monkeypatch.setattr(os, "replace", put_another_meanwhile)
        put(out, "a.jpg", version)
        put(out, "c.jpg", version)  # the first was put, and has freed the place
    assert problems == ["one thread at a time puts results: all files share one temporary name"]


def test_an_output_folder_that_cannot_be_one_is_refused(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OSError, match="cannot be written"):
        output(tmp_path)
    assert (tmp_path / "out").read_text() == "a file"


@pytest.mark.parametrize("name", ["x" * 252 + ".jpg", "bytes_\udcff.jpg", "new\nline.jpg", 'quote".jpg'])
def test_strange_names_are_written_or_recorded(tmp_path, version, name):
    can_be_written = len(name) < 250
    with output(tmp_path) as out:
        put(out, name, version)
        assert out.processed == can_be_written
        assert len(out.failures) == 1 - can_be_written
    with output(tmp_path) as out:
        assert out.done(name, version) == can_be_written


def test_the_key_follows_everything_that_decides_a_result():
    keys = {
        run_key(fingerprint, precision, selection)
        for fingerprint in ("a", "b")
        for precision in ("fp32", "bf16")
        for selection in (Selection(), Selection(0.4), Selection(nms_iou=0.6), Selection(top_k=5))
    }
    assert len(keys) == 16


def test_the_demos_key_at_the_defaults_stays(model):
    assert run_key(model.checkpoint.fingerprint, "fp32", Selection()) == "3513a624bf4b25af"


# --- reading back -----------------------------------------------------------------------------------------------------


def test_results_are_read_by_name_as_they_were_put(tmp_path, version):
    tag = Detections(9, 9, None, np.array([0.5]), np.array([3]), ["花瓶"], invalid=2)
    with output(tmp_path) as out:
        out.put(Tagged("b/z.jpg", version, DETECTIONS))
        out.put(Tagged("a.jpg", version, tag))
    one, other = read_results(tmp_path / "out")
    assert (one.image, one.version, one.width, one.height, one.invalid) == ("a.jpg", version, 9, 9, 2)
    assert one.objects == tag.tags
    assert other.image == "b/z.jpg"
    assert other.objects == [Tag("台灯", 10, 0.93, (1.0, 2.0, 30.12, 40.0))]
    assert read_result(tmp_path / "out", "b/z.jpg").objects == other.objects


def test_what_the_ledger_does_not_call_done_is_not_read(tmp_path, version):
    with output(tmp_path) as out:
        for name in ("a.jpg", "failed.jpg", "deleted.jpg"):
            put(out, name, version)
        out.put(Failed("failed.jpg", version, "decode", EMPTY))
    (tmp_path / "out/images/deleted.jpg.json").unlink()
    (tmp_path / "out/images/orphan.jpg.json").write_text("{}")
    assert [picture.image for picture in read_results(tmp_path / "out")] == ["a.jpg"]


def test_of_all_that_was_ever_tagged_only_the_pictures_asked_for_are_read(tmp_path, version):
    with output(tmp_path) as out:
        for name in ("c.jpg", "a.jpg", "b.jpg"):
            put(out, name, version)
    asked = ["c.jpg", "a.jpg", "never tagged.jpg"]
    assert [picture.image for picture in read_results(tmp_path / "out", asked)] == ["a.jpg", "c.jpg"]
    assert list(read_results(tmp_path / "out", [])) == []


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"objects": [{"label": "x"}]}', b'{"image": "a.jpg"}', b"\xff"])
def test_a_broken_result_is_one_sentence_not_nothing(tmp_path, version, content):
    with output(tmp_path) as out:
        put(out, "a.jpg", version)
    (tmp_path / "out/images/a.jpg.json").write_bytes(content)
    with pytest.raises(ResultsError, match=r"a\.jpg\.json is broken .*: delete it, and run again"):
        list(read_results(tmp_path / "out"))


def test_a_folder_without_results_says_so(tmp_path):
    with pytest.raises(MissingFile, match="is no output folder of a run"):
        list(read_results(tmp_path))
    with pytest.raises(MissingFile, match="has no result"):
        read_result(tmp_path, "a.jpg")


# --- the summary ------------------------------------------------------------------------------------------------------


def summary(**more) -> Summary:
    counts = dict.fromkeys(("total_images", "processed", "resumed", "failed", "objects", "invalid"), 0)
    counts |= {"orphaned": 0, "started": "then", "finished": "now", "complete": True}
    counts |= {"left_out": {}, "unreadable": [], "damaged": 0, "redecided": 0, "warnings": []}
    texts = {name: Choice("x", "why") for name in ("device", "precision", "decoder")}
    numbers = {name: Choice(4, "why") for name in ("batch_size", "workers", "round_size", "rounds_ahead")}
    rest = {"labels": {}, "seconds": 1.0, "images_per_second": 0.0, "model": {}, "settings": {}, "environment": {}}
    compiled = Choice(True, "why", {"compiling": 20.5})
    return Summary(**(counts | texts | numbers | rest | {"compiled": compiled} | more))


def test_a_summary_is_read_as_it_was_written(tmp_path):
    written = summary(labels={"台灯": 3}, model={"classes": 54_092})
    with output(tmp_path) as out:
        out.close(written)
    assert Summary.read(tmp_path / "out") == written
    record = json.loads((tmp_path / "out/summary.json").read_text(encoding="utf-8"))
    assert record["compiled"] == {"value": True, "reason": "why", "measured": {"compiling": 20.5}}
    assert record["batch_size"] == {"value": 4, "reason": "why"}
    assert Summary.read(tmp_path / "out/summary.json").choices["workers"] == Choice(4, "why")


@pytest.mark.parametrize(
    ("content", "error", "says"),
    [
        (None, MissingFile, "does not exist: the run there is not complete"),
        ("{", ResultsError, "is broken"),
        ("{}", ResultsError, "is no summary of this version"),
    ],
)
def test_a_summary_that_cannot_be_read_says_why(tmp_path, content, error, says):
    if content is not None:
        (tmp_path / "summary.json").write_text(content)
    with pytest.raises(error, match=says):
        Summary.read(tmp_path)
