"""What persons said: read from tables, merged into results, kept for every later run; and JSONs edited by hand."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import SCENES, contents
from exported import detections
from small_networks import Colours, tagger

from wanwu_nb import read_results, tag_folder
from wanwu_nb.corrections import KEPT, Correction, Corrections, KnownLabels, corrected, gathered, read_corrections
from wanwu_nb.detections import Tag
from wanwu_nb.errors import CorrectionsError, MissingFile
from wanwu_nb.exports import export
from wanwu_nb.results import json_path
from wanwu_nb.results.ledger import read_ledger
from wanwu_nb.vocabulary import NO_WORDS

CUP = Tag("杯子", 5, 0.58, (10.0, 10.0, 110.0, 110.0))
MUG = Tag("马克杯", 4, 0.62, (12.0, 10.0, 110.0, 112.0))
LAMP = Tag("台灯", 1, 0.9, (200.0, 100.0, 300.0, 280.0))
BOX = (10.0, 10.0, 110.0, 110.0)
LABELS = {1: "台灯", 4: "马克杯", 5: "杯子", 6: "茶杯"}


# --- tables -----------------------------------------------------------------------------------------------------------


def written(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "corrections.csv"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("image,box,verdict,label,was\r\na.jpg,10 10 110 110,wrong,茶杯,杯子\r\n", "utf-8-sig"),
        ("image;box;verdict;label;was\na.jpg;[10, 10, 110, 110];Wrong;茶杯;杯子\n", "utf-8"),
        (
            "image 图\tbox 框\tverdict 判断\tlabel 标签\twas 原\na.jpg\t10 10 110 110\t错误\t茶杯\t杯子\n",
            "utf-16",
        ),
        ('verdict,was,label,image,box\nwrong,杯子,茶杯,a.jpg,"10,10,110,110"\n\n', "gbk"),
    ],
    ids=["gallery", "semicolons", "Chinese", "GBK"],
)
def test_a_table_is_read_as_people_write_it(tmp_path, text, encoding):
    corrections = read_corrections(written(tmp_path, text, encoding))
    assert list(corrections) == [Correction("a.jpg", BOX, "wrong", "茶杯", "杯子")]


def test_what_is_written_is_read_back(tmp_path):
    rows = [
        Correction("a, b.jpg", (1.5, 2.25, 3.0, 4.0), "right", "", '"quoted"'),
        Correction("=1+1.jpg", None, "wrong", "-x", "@y"),
        Correction("shoes/图.jpg", None, "missing", "茶\t杯"),
    ]
    (tmp_path / "table.csv").write_bytes(Corrections(rows).table())
    assert list(read_corrections(tmp_path / "table.csv")) == sorted(rows)
    assert b"'=1+1.jpg" in Corrections(rows).table()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("a.jpg,picture,wrnog,,", "line 2: unknown verdict 'wrnog': did you mean wrong?"),
        ("a.jpg,picture,,,", "line 2: unknown verdict ''"),
        ("a.jpg,1 2 3,right,,", "line 2: '1 2 3' is no box"),
        ("a.jpg,9 2 3 4,right,,", "line 2: '9 2 3 4' is no box"),
        ("a.jpg,1 2 nan 4,right,,", "is no box: give x1 y1 x2 y2 in pixels, or picture"),
        (",picture,right,,", "line 2: no image is named"),
        ("a.jpg,picture,missing,,", "line 2: something is missing in a.jpg, and its label is not given"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence_with_its_line(tmp_path, line, says):
    path = written(tmp_path, f"image,box,verdict,label,was\n{line}\n")
    with pytest.raises(CorrectionsError) as caught:
        read_corrections(path)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\x89PNG\0\0", b"name,verdict\na.jpg,right\n"])
def test_a_file_that_is_no_such_table_is_refused(tmp_path, content):
    (tmp_path / "table.csv").write_bytes(content)
    with pytest.raises(CorrectionsError, match=r"table\.csv"):
        read_corrections(tmp_path / "table.csv")
    with pytest.raises(MissingFile, match="does not exist"):
        read_corrections(tmp_path / "none.csv")


def test_the_last_word_counts(tmp_path):
    first = Correction("a.jpg", None, "right", "", "杯子")
    (tmp_path / KEPT).write_bytes(Corrections([first, Correction("b.jpg", None, "right", "", "台灯")]).table())
    later = Correction("a.jpg", None, "wrong", "茶杯", "杯子")
    (tmp_path / "new.csv").write_bytes(Corrections([later]).table())
    said = gathered(str(tmp_path / "new.csv"), tmp_path)
    assert said.of("a.jpg") == [later]
    assert said.images == ["a.jpg", "b.jpg"]
    assert said.digest("a.jpg") != Corrections([first]).digest("a.jpg") != ""


# --- merged -----------------------------------------------------------------------------------------------------------


def merged(tags: list[Tag], *rows: tuple) -> list[Tag]:
    said = Corrections([Correction("a.jpg", *row) for row in rows])
    known = KnownLabels.of(said, LABELS, NO_WORDS)
    return corrected(detections(tags), said.of("a.jpg"), known).tags


def by_person(label: str, label_id: int, box) -> Tag:
    return Tag(label, label_id, 1.0, box, by="person")


def test_right_is_sure_and_says_by_whom():
    assert merged([LAMP, CUP], (BOX, "right", "", "杯子")) == [by_person("杯子", 5, CUP.bbox), LAMP]


def test_wrong_with_a_label_renames_and_without_drops():
    assert merged([LAMP, CUP], (BOX, "wrong", "茶杯", "杯子")) == [by_person("茶杯", 6, CUP.bbox), LAMP]
    assert merged([LAMP, CUP], (BOX, "wrong", "", "杯子")) == [LAMP]
    assert merged([LAMP], (BOX, "wrong", "", "杯子")) == [LAMP]


def test_a_new_label_has_no_class():
    assert merged([CUP], (BOX, "wrong", "搪瓷杯", "杯子")) == [by_person("搪瓷杯", -1, CUP.bbox)]


def test_of_two_objects_on_one_place_the_one_that_was_judged_is_meant():
    assert merged([MUG, CUP], (BOX, "wrong", "", "杯子")) == [MUG]
    assert merged([MUG, CUP], (MUG.bbox, "wrong", "", "马克杯")) == [CUP]


def test_what_a_person_said_stands_whatever_is_found_now():
    assert merged([], (BOX, "right", "", "杯子")) == [by_person("杯子", 5, BOX)]
    assert merged([LAMP], (BOX, "wrong", "茶杯", "杯子")) == [by_person("茶杯", 6, BOX), LAMP]


def test_what_is_missing_is_added_once_and_a_whole_picture_has_its_place_among_boxes():
    added = [by_person("茶杯", 6, None), LAMP]
    assert merged([LAMP], (None, "missing", "茶杯")) == added
    assert merged([LAMP], (BOX, "missing", "茶杯")) == [by_person("茶杯", 6, BOX), LAMP]
    twice = (None, "missing", "茶杯"), (None, "right", "", "茶杯")
    assert merged([LAMP], *twice) == added


def test_a_whole_picture_that_was_judged_is_not_unsure():
    unsure = Tag("杯子", 5, 0.2, None, unsure=True)
    assert merged([unsure], (None, "right", "", "杯子")) == [by_person("杯子", 5, None)]
    assert merged([unsure], (None, "wrong", "茶杯", "杯子")) == [by_person("茶杯", 6, None)]
    assert merged([unsure], (None, "wrong", "", "杯子")) == []


# --- a run ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def model(tmp_path):
    return tagger(Colours(), tmp_path)


@pytest.fixture
def output(model, scenes, tmp_path) -> Path:
    tag_folder(model, scenes, tmp_path / "tags")
    return tmp_path / "tags"


def first_of(output: Path) -> tuple[str, Tag]:
    tagged = next(iter(read_results(output)))
    return tagged.image, tagged.objects[0]


def tags_of(output: Path, image: str) -> list[Tag]:
    return next(tagged.objects for tagged in read_results(output) if tagged.image == image)


def table_of(folder: Path, *rows: Correction) -> Path:
    path = folder / "said.csv"
    path.write_bytes(Corrections(rows).table())
    return path


def never(*_, **__):
    raise AssertionError("the network ran")


def test_corrections_last_whatever_is_asked_for_later(model, scenes, output, tmp_path, monkeypatch):
    image, tag = first_of(output)
    said = table_of(tmp_path, Correction(image, None, "wrong", "新标签", tag.label))
    with monkeypatch.context() as patch:
        patch.setattr(model, "launch", never)
        summary = tag_folder(model, scenes, output, corrections=said)
        assert (summary.processed, summary.redecided, summary.corrected) == (1, 1, 1)
        assert tags_of(output, image)[0] == by_person("新标签", -1, None)
        again = tag_folder(model, scenes, output)
        assert (again.processed, again.resumed, again.corrected) == (0, SCENES, 1)
        other = tag_folder(model, scenes, output, conf_threshold=0.9)
        assert other.redecided == SCENES
    assert tags_of(output, image)[0] == by_person("新标签", -1, None)
    tag_folder(model, scenes, output, resume=False)
    assert tags_of(output, image)[0] == by_person("新标签", -1, None)
    record = json.loads(json_path(output, image).read_bytes())
    assert record["objects"][0]["by"] == "person"


def test_only_what_was_said_anew_is_decided_anew(model, scenes, output, tmp_path):
    names = [tagged.image for tagged in read_results(output)]
    tag_folder(model, scenes, output, corrections=table_of(tmp_path, Correction(names[0], None, "wrong", "甲", "")))
    more = table_of(tmp_path, Correction(names[1], None, "wrong", "乙", ""))
    summary = tag_folder(model, scenes, output, corrections=more)
    assert (summary.processed, summary.redecided, summary.corrected) == (1, 1, 2)
    assert [row.image for row in read_corrections(output / KEPT)] == names[:2]
    (output / KEPT).unlink()
    summary = tag_folder(model, scenes, output)
    assert (summary.redecided, summary.corrected) == (2, 0)


def test_corrections_of_no_picture_are_told_and_bad_ones_stop_before_anything(model, scenes, output, tmp_path):
    before = contents(output), (output / "summary.json").read_bytes()
    bad = written(tmp_path, "image,box,verdict,label,was\nx.jpg,picture,maybe,,\n")
    with pytest.raises(CorrectionsError, match="unknown verdict 'maybe'"):
        tag_folder(model, scenes, output, corrections=bad)
    assert (contents(output), (output / "summary.json").read_bytes()) == before
    summary = tag_folder(
        model, scenes, output, corrections=table_of(tmp_path, Correction("x.jpg", None, "right", "", "a"))
    )
    assert summary.warnings == ["corrections of 1 picture that is not there: x.jpg"]
    assert (summary.corrected, summary.resumed) == (0, SCENES)


def test_a_corrected_folder_is_that_of_a_run_that_had_them_from_the_start(model, scenes, output, tmp_path):
    image, tag = first_of(output)
    said = table_of(tmp_path, Correction(image, None, "wrong", "新标签", tag.label))
    tag_folder(model, scenes, output, corrections=said)
    tag_folder(model, scenes, tmp_path / "fresh", corrections=said)
    assert contents(output / "images") == contents(tmp_path / "fresh" / "images")


def test_exports_say_what_a_person_said(model, scenes, output, tmp_path):
    image, tag = first_of(output)
    tag_folder(model, scenes, output, corrections=table_of(tmp_path, Correction(image, None, "wrong", "新", tag.label)))
    export(output, "csv,jsonl,gallery").check()
    lines = (output / "tags_objects.csv").read_text(encoding="utf-8-sig").splitlines()
    assert lines[0].endswith(",by 判定者")
    assert [line.endswith(",person 人工") for line in lines[1:]].count(True) == 1


# --- edited by hand ---------------------------------------------------------------------------------------------------


def edit(output: Path, image: str, label: str = "手改") -> bytes:
    """As an editor saves it."""
    path = json_path(output, image)
    record = json.loads(path.read_bytes())
    record["objects"][0]["label"] = label
    content = json.dumps(record, ensure_ascii=False, indent=2).encode()
    path.write_bytes(content)
    return content


@pytest.mark.parametrize("later", [{}, {"conf_threshold": 0.9}, {"resume": False}, {"top_k": 1}])
def test_an_edited_json_stays_whatever_is_asked_for(model, scenes, output, later):
    image, _ = first_of(output)
    content = edit(output, image)
    for _ in range(2):
        summary = tag_folder(model, scenes, output, **later)
        assert (summary.edited, summary.total_images) == (1, SCENES)
        assert json_path(output, image).read_bytes() == content
        assert summary.labels["手改"] == 1
    assert tags_of(output, image)[0].label == "手改"


def test_an_edit_of_the_same_length_and_time_stamps_seconds_apart_is_seen(model, scenes, output):
    image, tag = first_of(output)
    path = json_path(output, image)
    content = path.read_bytes().replace(tag.label.encode(), "甲".encode() * len(tag.label))
    path.write_bytes(content)
    assert tag_folder(model, scenes, output, conf_threshold=0.9).edited == 1
    assert path.read_bytes() == content


def test_what_is_torn_or_of_another_shape_is_done_anew(model, scenes, output):
    names = [tagged.image for tagged in read_results(output)]
    whole = {name: json_path(output, name).read_bytes() for name in names[:3]}
    json_path(output, names[0]).write_bytes(whole[names[0]][:-9])
    json_path(output, names[1]).write_bytes(b'{"objects": [{"label": 1}]}')
    json_path(output, names[2]).unlink()
    summary = tag_folder(model, scenes, output)
    assert (summary.edited, summary.processed) == (0, 3)
    assert {name: json_path(output, name).read_bytes() for name in names[:3]} == whole


def test_a_touched_or_copied_json_is_no_edit(model, scenes, output, tmp_path):
    shutil.copytree(output, tmp_path / "copy", copy_function=shutil.copy)
    for path in (tmp_path / "copy" / "images").rglob("*.json"):
        os.utime(path, ns=(1, 1))
    for _ in range(2):
        summary = tag_folder(model, scenes, tmp_path / "copy")
        assert (summary.edited, summary.resumed) == (0, SCENES)
    entries = read_ledger(tmp_path / "copy" / "ledger.jsonl").entries
    assert {entry["written"] for entry in entries.values()} == {1}


def test_where_the_picture_changed_the_edited_json_goes_aside(model, scenes, output, tmp_path):
    inbox = Path(shutil.copytree(scenes, tmp_path / "inbox"))
    image, _ = first_of(output)
    content = edit(output, image)
    other = next(path for path in sorted(inbox.glob("*.jpg")) if path.name != image)
    shutil.copy(other, inbox / image)
    summary = tag_folder(model, inbox, output)
    assert summary.edited == 0
    assert (output / "edited" / f"{image}.json").read_bytes() == content
    assert "手改" not in summary.labels


def test_folders_without_digests_are_as_they_were(model, scenes, output):
    """Lines of version 0.1: a size that differs is done anew."""
    ledger = output / "ledger.jsonl"
    lines = [json.loads(line) for line in ledger.read_text(encoding="utf-8").splitlines()]
    for line in lines:
        line.pop("json", None)
        line.pop("written", None)
    ledger.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    image, _ = first_of(output)
    edit(output, image)
    summary = tag_folder(model, scenes, output)
    assert (summary.edited, summary.processed, summary.resumed) == (0, 1, SCENES - 1)


KILLED = """
import os, signal, sys
from pathlib import Path
from small_networks import Colours, tagger
from wanwu_nb import tag_folder
from wanwu_nb.results.placing import Placer
right = Placer.put_json

def killed(self, image, content):
    right(self, image, content)
    os.kill(os.getpid(), signal.SIGKILL)

Placer.put_json = killed
folder = Path(sys.argv[1])
tag_folder(tagger(Colours(), folder), sys.argv[2], folder / "tags", conf_threshold=float(sys.argv[3]))
"""


def test_a_kill_between_a_json_and_its_line_leaves_nothing_like_a_persons(model, scenes, output, tmp_path):
    """Twice: what the first killed run put in place is of no line but the one that was noted before."""
    for threshold in (0.9, 0.95):
        command = [sys.executable, "-c", KILLED, tmp_path, scenes, str(threshold)]
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True)
        assert done.returncode == -9, done.stderr
    summary = tag_folder(model, scenes, output)
    assert (summary.edited, summary.resumed) == (0, SCENES - 1)
    fresh = tmp_path / "fresh"
    tag_folder(model, scenes, fresh)
    assert contents(output / "images") == contents(fresh / "images")
