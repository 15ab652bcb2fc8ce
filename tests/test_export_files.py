"""Exports appear whole or not at all: one that fails costs the others nothing, and nobody's work is written over."""

import importlib
import sys
from pathlib import Path

import pytest
from consumers import KEPT_OUT
from exported import TAGS, WITHOUT_PICTURES, finished, left_behind

from wanwu_nb.exports import KINDS, ExportsFailed, export
from wanwu_nb.exports.coco import CocoWriter
from wanwu_nb.exports.jsonl import JsonlWriter


@pytest.fixture
def output(tmp_path) -> Path:
    return finished(tmp_path / "tags", TAGS)


# --- one that fails ---------------------------------------------------------------------------------------------------


def fail(*_):
    raise OSError(28, "No space left on device", "somewhere")


@pytest.mark.parametrize("moment", ["__init__", "add", "finish"])
def test_an_export_that_fails_does_not_undo_the_others(output, monkeypatch, moment):
    monkeypatch.setattr(CocoWriter, moment, fail)
    exports = export(output, WITHOUT_PICTURES)
    assert exports.failed == {"coco": "somewhere cannot be written (No space left on device)"}
    assert set(exports.files) == set(WITHOUT_PICTURES.split(",")) - {"coco"}
    assert not (output / "coco.json").exists()
    assert left_behind(output) == []
    with pytest.raises(ExportsFailed, match=r"^not exported: coco: somewhere cannot be written \(No space"):
        exports.check()


def test_the_file_of_an_earlier_export_stays_where_the_new_one_fails(output, monkeypatch):
    export(output, "coco")
    before = (output / "coco.json").read_bytes()
    monkeypatch.setattr(CocoWriter, "finish", fail)
    export(output, "coco")
    assert (output / "coco.json").read_bytes() == before


@pytest.mark.parametrize(("kind", "name"), [("xlsx", "xlsxwriter"), ("parquet", "pyarrow")])
def test_a_missing_package_is_named_with_what_brings_it(output, monkeypatch, kind, name):
    monkeypatch.setitem(sys.modules, name, None)
    exports = export(output, f"csv,{kind}")
    assert exports.failed == {kind: f"{name} is not installed: run `pip install 'wanwu_nb[exports]'`"}
    assert list(exports.files) == ["csv"]


# --- a folder that was exported before --------------------------------------------------------------------------------


def test_a_folder_that_somebody_changed_is_not_replaced(output):
    export(output, "voc").check()
    export(output, "voc").check()
    (output / "voc" / "Annotations" / "mine.xml").touch()
    failed = export(output, "voc").failed["voc"]
    assert failed.endswith("voc was changed since it was exported: move it away, or choose another to_dir")
    assert (output / "voc" / "Annotations" / "mine.xml").exists()


def test_what_trainers_leave_beside_labels_is_no_change(output):
    export(output, "yolo").check()
    (output / "yolo" / "labels.cache").touch()
    export(output, "yolo").check()


def test_a_folder_of_somebody_else_is_not_replaced(output):
    (output / "yolo").mkdir()
    failed = export(output, "yolo").failed["yolo"]
    assert failed.endswith("yolo is there and no export wrote it: move it away, or choose another to_dir")


@pytest.mark.parametrize("library", KEPT_OUT)
def test_what_reads_exports_stays_out_of_the_tests_process(library):
    """Else a crash of theirs at exit, or of a thread, ends all tests without a word."""
    with pytest.raises(ImportError):
        importlib.import_module(library)


def test_an_interrupt_leaves_nothing_half_written(output, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(JsonlWriter, "add", interrupt)
    with pytest.raises(KeyboardInterrupt):
        export(output, ",".join(KINDS))
    assert left_behind(output) == []
    assert not (output / "tags.xlsx").exists()
