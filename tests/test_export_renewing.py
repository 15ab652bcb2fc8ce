"""A night with nothing new leaves exports as they are; whatever is new has them written; links that open."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from exported import TAGS, finished, lamp
from PIL import Image

from wanwu_nb.exports import Exports, export
from wanwu_nb.exports.renewing import NOTED
from wanwu_nb.results import json_path

KINDS = "csv,coco"
LONG_AGO = 1_000_000_000


@pytest.fixture
def output(tmp_path) -> Path:
    """Exported long ago."""
    output = finished(tmp_path / "tags", TAGS, failures={"d.jpg": "file is empty (0 bytes)"})
    export(output, KINDS).check()
    make_old(output)
    return output


def make_old(output: Path) -> None:
    for path in (output / "tags.csv", output / "tags_objects.csv", output / "coco.json"):
        os.utime(path, (LONG_AGO, LONG_AGO))


def renewed(output: Path, kinds: str = KINDS, **options) -> bool:
    """Whether asking again writes the tables again."""
    exports = export(output, kinds, if_changed=True, **options)
    exports.check()
    written = (output / "tags.csv").stat().st_mtime != LONG_AGO
    assert exports.unchanged != written
    return written


def test_with_nothing_new_they_stay_as_they_are_and_are_named(output):
    assert not renewed(output)
    assert export(output, "coco,csv", if_changed=True).files == {
        "coco": [output / "coco.json"],
        "csv": [output / "tags.csv", output / "tags_objects.csv"],
    }


def test_a_run_that_finds_nothing_new_changes_nothing(output):
    """It fails with the same picture again, and notes that it is complete."""
    finished(output, {}, failures={"d.jpg": "file is empty (0 bytes)"})
    with open(output / "ledger.jsonl", "a") as ledger:
        ledger.write('{"complete": true}\n')
    assert not renewed(output)


def another_picture(output: Path) -> None:
    finished(output, {"new.jpg": [lamp()]})


def another_result(output: Path) -> None:
    finished(output, {"c.jpg": [lamp()]})


def another_failure(output: Path) -> None:
    finished(output, {}, failures={"e.jpg": "file is empty (0 bytes)"})


def no_longer_there(output: Path) -> None:
    finished(output, {}, failures={"a.jpg": "file is empty (0 bytes)"})


def edited(output: Path) -> None:
    path = json_path(output, "a.jpg")
    path.write_bytes(path.read_bytes().replace("台灯".encode(), "吊灯".encode()))


def other_settings(output: Path) -> None:
    (output / "summary.json").write_text(json.dumps({"settings": {"conf_threshold": 0.5}}))


def other_names(output: Path) -> None:
    (output / "labels.json").write_text('{"0": "T恤"}', encoding="utf-8")


def deleted_table(output: Path) -> None:
    (output / "tags_objects.csv").unlink()


def broken_note(output: Path) -> None:
    (output / NOTED).write_text("[1]")


NEWS = [
    another_picture,
    another_result,
    another_failure,
    no_longer_there,
    edited,
    other_settings,
    other_names,
    deleted_table,
    broken_note,
]


@pytest.mark.parametrize("news", NEWS, ids=lambda news: news.__name__)
def test_whatever_is_new_has_them_written(output, news: Callable[[Path], None]):
    news(output)
    assert renewed(output)
    make_old(output)
    assert not renewed(output)


def test_another_kind_or_option_has_them_written(output):
    assert renewed(output, "csv,jsonl")
    make_old(output)
    assert renewed(output, thumbnails=True)


def test_whoever_asks_for_them_gets_them_written(output):
    exports = export(output, KINDS)
    assert not exports.unchanged
    assert (output / "tags.csv").stat().st_mtime != LONG_AGO


def test_an_export_of_other_kinds_in_between_does_not_count(output):
    export(output, "jsonl").check()
    assert not renewed(output, "csv,coco,jsonl")


def test_one_that_failed_is_tried_again(output):
    (output / "yolo").mkdir()
    assert set(export(output, "csv,yolo").failed) == {"yolo"}
    make_old(output)
    (output / "yolo").rmdir()
    assert renewed(output, "csv,yolo")


def test_pictures_that_were_missing_are_looked_for_again(tmp_path):
    picture, elsewhere = tmp_path / "a.jpg", tmp_path / "elsewhere.jpg"
    Image.new("RGB", (400, 300)).save(picture)
    output = finished(tmp_path / "tags", {"a.jpg": [lamp()]}, tmp_path)
    picture.rename(elsewhere)
    assert "left out where files are needed: 1 picture" in export(output, "voc", if_changed=True).notes[0]
    elsewhere.rename(picture)
    assert not export(output, "voc", if_changed=True).unchanged
    assert (output / "voc" / "Annotations" / "a.xml").exists()
    assert export(output, "voc", if_changed=True).unchanged


# --- as a notebook shows them -----------------------------------------------------------------------------------------


def test_links_are_relative_and_open_files_of_any_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "a & b" / "100%"
    shown = Exports({"csv": [folder / "tags.csv"]}, [], {})._repr_html_()
    assert '<th>csv</th><td><a href="a%20%26%20b/100%25/tags.csv">tags.csv</a></td>' in shown


def test_what_is_shown_is_escaped():
    shown = Exports({}, ["yolo: left out (<img src=x>.jpg)"], {"coco": "<b> cannot be written"})._repr_html_()
    assert "<img" not in shown
    assert "not exported 未导出</b>: &lt;b&gt; cannot be written" in shown


def test_that_nothing_is_new_is_said():
    assert "nothing new 无变化" in Exports({}, [], {}, unchanged=True)._repr_html_()
    assert "nothing new" not in Exports({}, [], {})._repr_html_()
