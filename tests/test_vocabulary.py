"""The user's own words: a table read, matched with the model's labels, and written ready to be edited."""

import codecs
import csv
import errno
import hashlib
import io
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import openpyxl
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from wanwu_nb.errors import MissingFile, OutputError, VocabularyError
from wanwu_nb.results.vocabulary_file import Seen, write_vocabulary
from wanwu_nb.vocabulary import NO_WORDS, Vocabulary, Word, read_vocabulary
from wanwu_nb.vocabulary.columns import column_of, shielded, unshielded

LABELS = {0: "T恤衫", 1: "长袖T恤", 2: "台灯", 3: "左水印", 4: "右水印", 5: "水印相机", 6: "=SUM(A1)", 7: "3-2"}
HEADING = "label 原标签,name 改为,drop 不要,threshold 阈值,category 类目,english 英文,count 次数,median 置信度中位数"
EXAMPLE = "label 原标签, name 改为, drop 不要, threshold 阈值, category 类目, english 英文"


def some(count: int) -> settings:
    """As many cases, the same ones each time, and no file that remembers them."""
    return settings(max_examples=count, derandomize=True, database=None, deadline=None)


def file_of(folder: Path, content: str | bytes, name: str = "words.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def workbook(folder: Path, *rows: tuple, name: str = "words.xlsx") -> Path:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.create_sheet("notes").append(["not read"])
    path = folder / name
    book.save(path)
    return path


def words(folder: Path, content: str | bytes) -> dict[int, Word]:
    return dict(read_vocabulary(file_of(folder, content), LABELS).words)


def sentence(path: Path, labels: dict[int, str] = LABELS) -> str:
    """What is wrong with a file, without its name in front."""
    with pytest.raises(VocabularyError) as raised:
        read_vocabulary(path, labels)
    text = str(raised.value)
    assert text.startswith(f"vocabulary {path}: ")
    assert "\n" not in text
    return text.removeprefix(f"vocabulary {path}: ")


# --- the table --------------------------------------------------------------------------------------------------------

TABLE = "label 原标签,name 改为,threshold 阈值\n台灯,灯,0.5\n左水印,,30%\n"
ASKED = {2: Word("灯", 2, threshold=0.5), 3: Word("左水印", 3, threshold=0.3)}


@pytest.mark.parametrize(
    "content",
    [
        TABLE,
        TABLE.encode("utf-8-sig"),
        TABLE.encode("gbk"),
        TABLE.replace(",", "\t").encode("utf-16"),
        TABLE.replace(",", ";"),
        TABLE.replace(",", "\t"),
        TABLE.replace("\n", "\r\n"),
        TABLE.replace("\n", "\r"),
        TABLE.replace("\n", "\n,,\n\n"),
        TABLE.replace("台灯,灯", '"台灯","灯"'),
    ],
    ids=["UTF-8", "with BOM", "GBK", "Unicode text", "semicolons", "tabs", "CRLF", "CR", "empty rows", "quotes"],
)
def test_tables_as_spreadsheets_write_them(content, tmp_path):
    assert words(tmp_path, content) == ASKED


def test_decimal_commas_beside_semicolons(tmp_path):
    assert words(tmp_path, "原标签;阈值\n台灯;0,5\n") == {2: Word("台灯", 2, threshold=0.5)}


def test_a_workbook_with_numbers_for_cells(tmp_path):
    path = workbook(tmp_path, ("原标签", "改为", "不要", "阈值"), (2, "灯", 0, 0.5), (), (3, None, True, 1))
    assert dict(read_vocabulary(path, LABELS).words) == {
        2: Word("灯", 2, threshold=0.5),
        3: Word("左水印", 3, drop=True, threshold=1.0),
    }


def rewritten(path: Path, old: str, new: str) -> Path:
    """A workbook whose first sheet's XML says something else, as other programs write it."""
    with zipfile.ZipFile(path) as book:
        parts = {name: book.read(name) for name in book.namelist()}
    sheet = parts["xl/worksheets/sheet1.xml"].decode()
    assert old in sheet
    parts["xl/worksheets/sheet1.xml"] = sheet.replace(old, new).encode()
    with zipfile.ZipFile(path, "w") as book:
        for name, content in parts.items():
            book.writestr(name, content)
    return path


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('<dimension ref="A1:B2" />', '<dimension ref="A1" />'),
        ("<v>2</v>", "<v>2.0</v>"),
        ("<v>0.5</v>", "<f>1/2</f><v>0.5</v>"),
        ("</worksheet>", '<extLst><ext uri="{CCE6A557-97BC-4B89-ADB6-D9C93CAAB3DF}"/></extLst></worksheet>'),
    ],
    ids=["a wrong size", "a whole number with a point", "a formula", "an extension that openpyxl warns of"],
)
def test_workbooks_as_other_programs_write_them(old, new, tmp_path):
    path = rewritten(workbook(tmp_path, ("label", "threshold"), (2, 0.5)), old, new)
    assert dict(read_vocabulary(path, LABELS).words) == {2: Word("台灯", 2, threshold=0.5)}


def test_a_workbook_is_told_by_its_content(tmp_path):
    path = workbook(tmp_path, ("label", "name"), ("台灯", "灯"), name="words.csv")
    assert dict(read_vocabulary(str(path), LABELS).words) == {2: Word("灯", 2)}


def test_a_workbook_without_the_package_is_one_sentence(tmp_path, monkeypatch):
    path = workbook(tmp_path, ("label",))
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    expected = "a workbook needs one package more: run `pip install 'wanwu_nb[tables]'`, or save it as .csv"
    assert sentence(path) == expected


def test_the_package_of_workbooks_is_imported_for_workbooks_alone(tmp_path):
    path = file_of(tmp_path, TABLE)
    code = (
        f"from wanwu_nb.vocabulary import *; read_vocabulary({str(path)!r}, {LABELS}); import sys; print(*sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert {"openpyxl", "torch", "numpy"}.isdisjoint(run.stdout.split())


@pytest.mark.parametrize(
    ("heading", "column"),
    [
        ("label", "label"),
        ("原标签", "label"),
        ("label 原标签", "label"),
        ("原标签 (Label)", "label"),
        ("改为/name", "name"),
        ("DROP", "drop"),
        ("阈值（threshold）", "threshold"),
        ("ｃａｔｅｇｏｒｙ", "category"),
        ("英文", "english"),
        ("次数", "count"),
        ("median confidence", "median"),
        ("置信度中位数", "median"),
        ("label name", None),
        ("备注", None),
    ],
)
def test_headings_in_chinese_english_and_both(heading, column):
    assert column_of(heading) == column


def test_columns_in_any_order_and_those_of_a_run_are_not_read(tmp_path):
    table = "median 置信度中位数,英文,count 次数,类目,label\n0.9,desk lamp,many,家居 ／ 灯具,台灯\n0.9,,3,,\n"
    assert words(tmp_path, table) == {2: Word("台灯", 2, category="家居/灯具", english="desk lamp")}


# --- the first column -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "classes"),
    [
        ("台灯", {2}),
        (" 台灯\u3000", {2}),
        ("*水印*", {3, 4, 5}),
        ("?水印", {3, 4}),
        ("[左右]水印", {3, 4}),
        ("2", {2}),
        ("2-4", {2, 3, 4}),
        ("2 – 4", {2, 3, 4}),
        ("２～４", {2, 3, 4}),
        ("4至4", {4}),
        ("3-2", {7}),
        ("'3-2", {7}),
        ("=SUM(A1)", {6}),
        ("'=SUM(A1)", {6}),
        ("=SUM*", {6}),
    ],
)
def test_a_label_a_pattern_a_class_id_or_a_range_of_them(cell, classes, tmp_path):
    assert set(words(tmp_path, f"label,drop\n{cell},x\n")) == classes


def test_a_label_goes_before_a_pattern_and_before_a_class_id(tmp_path):
    labels = {0: "a*", 1: "ab", 2: "0"}
    path = file_of(tmp_path, "label,name\na*,first\n0,third\n")
    assert dict(read_vocabulary(path, labels).words) == {0: Word("first", 0), 2: Word("third", 2)}


def test_a_label_that_begins_as_a_shielded_one_is_read_as_it_stands(tmp_path):
    path = file_of(tmp_path, "label,drop\n'007,x\n")
    assert set(read_vocabulary(path, {0: "'007"}).words) == {0}


def test_patterns_tell_small_letters_from_capitals(tmp_path):
    path = file_of(tmp_path, "label,drop\nT*,x\n")
    assert set(read_vocabulary(path, {0: "Tee", 1: "tea"}).words) == {0}


def test_the_more_exact_row_wins_cell_by_cell(tmp_path):
    table = "label,drop,threshold\n0-5,,0.1\n*水印*,x,0.2\n?水印,,0.3\n水印相机,否,\n"
    assert words(tmp_path, table) == {
        0: Word("T恤衫", 0, threshold=0.1),
        1: Word("长袖T恤", 1, threshold=0.1),
        2: Word("台灯", 2, threshold=0.1),
        3: Word("左水印", 3, drop=True, threshold=0.3),
        4: Word("右水印", 4, drop=True, threshold=0.3),
        5: Word("水印相机", 5, threshold=0.2),
    }


def test_a_label_wins_over_a_pattern_that_means_it_alone(tmp_path):
    assert words(tmp_path, "label,name\n台*,灯\n台灯,桌灯\n") == {2: Word("桌灯", 2)}


def test_two_rows_of_one_label_may_complete_each_other(tmp_path):
    assert words(tmp_path, "label,name,threshold\n台灯,灯,\n2,,0.4\n台灯,灯,\n") == {2: Word("灯", 2, threshold=0.4)}


def test_a_class_id_tells_labels_of_one_name_apart(tmp_path):
    labels = {0: "crane", 1: "lamp", 2: "crane"}
    path = file_of(tmp_path, "label,name,category\ncrane,鹤,动物\n2,起重机,机械\n")
    assert dict(read_vocabulary(path, labels).words) == {
        0: Word("鹤", 0, category="动物"),
        2: Word("起重机", 2, category="机械"),
    }


# --- the cells --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["x", "X", "ｘ", "是", "1", "１", "yes", "Y", "True", "不要", "√", "✓", "✔", "drop"])
def test_what_means_drop(cell, tmp_path):
    assert words(tmp_path, f"label,drop\n台灯,{cell}\n") == {2: Word("台灯", 2, drop=True)}


@pytest.mark.parametrize("cell", ["", "否", "0", "no", "N", "FALSE", "要", "keep"])
def test_what_means_keep(cell, tmp_path):
    assert words(tmp_path, f"label,drop\n台灯,{cell}\n") == {}


@pytest.mark.parametrize(
    ("cell", "threshold"),
    [
        ("0", 0.0),
        ("1", 1.0),
        ("0.35", 0.35),
        (".35", 0.35),
        ("1.", 1.0),
        ("1E-05", 1e-05),
        ("30%", 0.3),
        ("7%", 0.07),
        ("0.7%", 0.007),
        ("30 %", 0.3),
        ("３０％", 0.3),
        ("０．３５", 0.35),
        ("0。35", 0.35),
        ('"0,35"', 0.35),
        ('"0,125"', 0.125),
        ('"30,5%"', 0.305),
    ],
)
def test_thresholds_as_people_write_them(cell, threshold, tmp_path):
    assert words(tmp_path, f"label,threshold\n台灯,{cell}\n") == {2: Word("台灯", 2, threshold=threshold)}


def test_words_are_cleaned(tmp_path):
    table = 'label,name,category,english\n台灯," 灯\u202e\n具 ",家居//\u200f灯具/,desk  lamp\n'
    assert words(tmp_path, table) == {2: Word("灯 具", 2, category="家居/灯具", english="desk lamp")}


@pytest.mark.parametrize("table", ["label,name\n", "label,name\n台灯,\n右水印,右水印\n,,\n", "原标签\n台灯\n"])
def test_rows_that_ask_nothing_are_no_words(table, tmp_path):
    vocabulary = read_vocabulary(file_of(tmp_path, table), LABELS)
    assert vocabulary == NO_WORDS
    assert vocabulary.meaning() == []


# --- many labels become one name --------------------------------------------------------------------------------------


def test_the_smallest_class_id_is_the_label_id_of_all(tmp_path):
    assert words(tmp_path, "label,name\n长袖T恤,上衣\n右水印,上衣\n") == {1: Word("上衣", 1), 4: Word("上衣", 1)}


def test_a_label_that_has_the_name_already_is_merged_too(tmp_path):
    assert words(tmp_path, "label,name\n长袖T恤,T恤衫\n") == {0: Word("T恤衫", 0), 1: Word("T恤衫", 0)}


def test_a_label_that_gave_its_name_away_is_not_merged(tmp_path):
    assert words(tmp_path, "label,name\n长袖T恤,T恤衫\nT恤衫,短袖\n") == {0: Word("短袖", 0), 1: Word("T恤衫", 1)}


def test_a_dropped_label_is_not_merged_and_keeps_what_is_written(tmp_path):
    table = "label,name,drop,category\nT恤衫,上衣,x,旧\n长袖T恤,上衣,,服装\n右水印,上衣,,\n"
    assert words(tmp_path, table) == {
        0: Word("上衣", 0, drop=True, category="旧"),
        1: Word("上衣", 1, category="服装"),
        4: Word("上衣", 1, category="服装"),
    }


def test_category_and_english_are_shared_and_thresholds_are_not(tmp_path):
    table = "label,name,threshold,category,english\n长袖T恤,T恤衫,0.5,服装,\n台灯,T恤衫,,,tee\n"
    assert words(tmp_path, table) == {
        0: Word("T恤衫", 0, category="服装", english="tee"),
        1: Word("T恤衫", 0, threshold=0.5, category="服装", english="tee"),
        2: Word("T恤衫", 0, category="服装", english="tee"),
    }


def test_labels_of_one_name_from_the_start_are_not_merged_unless_one_becomes_it(tmp_path):
    labels = {3: "crane", 5: "crane", 9: "lamp"}
    path = file_of(tmp_path, "label,threshold\n5,0.5\n")
    assert dict(read_vocabulary(path, labels).words) == {5: Word("crane", 5, threshold=0.5)}
    path = file_of(tmp_path, "label,name\nlamp,crane\n")
    assert dict(read_vocabulary(path, labels).words) == {each: Word("crane", 3) for each in labels}


# --- what is wrong, each in one sentence ------------------------------------------------------------------------------


def test_a_vocabulary_that_is_not_there(tmp_path):
    path = tmp_path / "words.csv"
    with pytest.raises(MissingFile) as raised:
        read_vocabulary(path, LABELS)
    assert str(raised.value) == f"vocabulary {path} does not exist"


EMPTY = "it is empty: its first row is the heading, a label stands in each row below"
LIBRARY = "the model's labels are in labels.json of an output folder"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", EMPTY),
        ("\ufeff", EMPTY),
        ("\n,,\n  \n", EMPTY),
        ("name,drop\n灯,\n", f"it has no column label 原标签: its first row must be a heading, such as {EXAMPLE}"),
        ("台灯,灯\n左水印,右水印\n", f"its first row must be a heading, such as {EXAMPLE}"),
        ("label,treshold\n", "its column 'treshold' is not known: did you mean threshold?"),
        ("原标签,阀值\n", "its column '阀值' is not known: did you mean 阈值?"),
        ("lable,name\n", "its column 'lable' is not known: did you mean label?"),
        ("label,remark\n", f"its column 'remark' is not known: known are {EXAMPLE}"),
        ("label,name,改为\n", "two of its columns are name 改为: leave one"),
        ("label,\n台灯,灯\n", "row 2 has '灯' in a column without a heading: quote cells that hold a comma"),
        ("label\n\na, b\n", "row 3 has 'b' in a column without a heading: quote cells that hold a comma"),
        (
            "label,name\n台灯,\n,灯\n",
            "row 3 names no label: write one into its column label 原标签, or empty the row",
        ),
        (
            "label,drop\n\n台灯,maybe\n",
            "in row 3, drop 不要 is 'maybe': write x or 是 to leave the label out, nothing or 否 to keep it",
        ),
        (
            "label,threshold\n台灯,high\n",
            "in row 2, threshold 阈值 is 'high', which is no number: write one in 0…1, as 0.3, or as 30%",
        ),
        (
            'label,threshold\n台灯,"1,000"\n',
            "in row 2, threshold 阈值 is '1,000', which is no number: write one in 0…1, as 0.3, or as 30%",
        ),
        (
            "label,threshold\n台灯,-0.3\n",
            "in row 2, threshold 阈值 is '-0.3', which is no number: write one in 0…1, as 0.3, or as 30%",
        ),
        (
            "label,threshold\n台灯,nan\n",
            "in row 2, threshold 阈值 is 'nan', which is no number: write one in 0…1, as 0.3, or as 30%",
        ),
        (
            "label,threshold\n台灯,30\n",
            "in row 2, threshold 阈值 is '30', and thresholds lie in 0…1: write 0.3 or 30%",
        ),
        (
            "label,threshold\n台灯,130%\n",
            "in row 2, threshold 阈值 is '130%', and thresholds lie in 0…1: write 0.3 or 30%",
        ),
        (
            "label,name\n台灯,灯\n左水印,\n台灯,桌灯\n",
            "rows 2 and 4 ask different things of 台灯, name 改为 灯 and 桌灯: leave one",
        ),
        (
            "label,drop\n台灯,x\n2,否\n",
            "rows 2 and 3 ask different things of 台灯, drop 不要 yes and no: leave one",
        ),
        (
            "label,threshold\n*水印,0.2\n[右台]*,0.3\n",
            "rows 2 and 3 ask different things of 右水印, threshold 阈值 0.2 and 0.3: give 右水印 a row of its own",
        ),
        (
            "label,name,category\n台灯,灯,家居\n左水印,,\n右水印,灯,水印\n",
            "rows 2 and 4 both become 灯, with category 类目 家居 and 水印: give both the same",
        ),
        (
            "label,name,english\n台灯,灯,lamp\n右水印,灯,light\n",
            "rows 2 and 3 both become 灯, with english 英文 lamp and light: give both the same",
        ),
        ("label\n合灯\n", f"no label of the model is meant by '合灯' in row 2: {LIBRARY}"),
        (
            "label\n长袖Ｔ恤衫\n",
            f"no label of the model is meant by '长袖Ｔ恤衫' in row 2 (did you mean 长袖T恤?): {LIBRARY}",
        ),
        ("label,drop\n*logo*,x\n", f"no label of the model is meant by '*logo*' in row 2: {LIBRARY}"),
        (
            "label\n5-2\n",
            "no label of the model is meant by '5-2' in row 2 (class ids go from 0 to 7, the smaller one first): "
            f"{LIBRARY}",
        ),
        (
            "label\n5-8\n",
            "no label of the model is meant by '5-8' in row 2 (class ids go from 0 to 7, the smaller one first): "
            f"{LIBRARY}",
        ),
        (
            "label\n1月2日\n",
            "no label of the model is meant by '1月2日' in row 2 (if a spreadsheet made a date of class ids, write "
            f"them as 1~12): {LIBRARY}",
        ),
        (
            "label\na\nb\n台灯\nc\nd\ne\nf\ng\n",
            "no label of the model is meant by 'a' in row 2, 'b' in row 3, 'c' in row 5, 'd' in row 6, 'e' in row 7 "
            f"and 2 more: {LIBRARY}",
        ),
        (
            'label,name\n台灯,灯\n"左水印,\n',
            "row 3 is no CSV (unexpected end of data): save the table anew",
        ),
        (b"label\n\0\0", "it is no text in UTF-8, UTF-16 or GBK: save it as CSV UTF-8"),
        ("label\n檯燈\n".encode("big5"), "it is no text in UTF-8, UTF-16 or GBK: save it as CSV UTF-8"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1",
            "it is a workbook of an old Excel, or has a password: save it as .xlsx or .csv without one",
        ),
        (
            b"PK\x03\x04 cut off",
            "it is no workbook that can be read (File is not a zip file): save it as .xlsx or .csv",
        ),
    ],
)
def test_what_is_wrong_is_one_sentence(content, expected, tmp_path):
    assert sentence(file_of(tmp_path, content)) == expected


def test_a_folder_is_no_vocabulary(tmp_path):
    assert sentence(tmp_path) == "it is no file: give a table, .csv or .xlsx"


def test_an_empty_sheet(tmp_path):
    assert sentence(workbook(tmp_path, (None,))) == EMPTY


def test_a_file_that_is_no_table_at_all(tmp_path):
    path = tmp_path / "words.csv"
    with path.open("wb") as file:
        file.truncate(64_000_001)
    assert sentence(path) == "it has 64,000,001 bytes, and a table of words has at most 64,000,000"


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    path = file_of(tmp_path, TABLE)
    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert sentence(path) == "it cannot be read: Permission denied"


def test_the_table_of_the_page_is_read(tmp_path):
    """docs/vocabulary.md begins with one."""
    page = (Path(__file__).parent.parent / "docs" / "vocabulary.md").read_text(encoding="utf-8")
    lines = [line for line in page.splitlines() if line.startswith("|")][:8]
    rows = [line.replace("\\", "").strip("|").replace("|", ",") for line in lines if "---" not in line]
    labels = LABELS | dict.fromkeys(range(120, 181), "其他")
    vocabulary = read_vocabulary(file_of(tmp_path, "\n".join(rows)), labels)
    assert vocabulary.words[1] == Word("上衣", 0, category="服装/上衣", english="top")
    assert vocabulary.words[2] == Word("台灯", 2, threshold=0.6, category="家居/灯具", english="desk lamp")
    assert [class_id for class_id, word in vocabulary.words.items() if word.drop] == [3, 4]
    assert vocabulary.words[180].threshold == 0.5


# --- what it asks -----------------------------------------------------------------------------------------------------

SAME = [
    "label,name,drop,threshold\n左水印,,x,\n右水印,,x,\n水印相机,,x,\n台灯,灯,,30%\n",
    "阈值,不要,改为,原标签\n0.3,,灯,台灯\n,,,\n,是,,*水印*\n,,,T恤衫\n,否,长袖T恤,长袖T恤\n",
    "label,drop,name,threshold\n0-7,否,,\n*水印*,1,标记,0.7\n2,,灯,0.30\n",
]


@pytest.mark.parametrize("table", SAME[1:])
def test_files_that_ask_the_same_have_one_meaning(table, tmp_path):
    meaning = read_vocabulary(file_of(tmp_path, SAME[0]), LABELS).meaning()
    assert meaning == read_vocabulary(file_of(tmp_path, table.encode("gbk")), LABELS).meaning()


def test_the_meaning_names_what_is_asked_and_no_more(tmp_path):
    table = "label,name,drop,threshold,category,english\n长袖T恤,T恤衫,,0.5,服装/上衣,tee\n台灯,灯,x,0.1,,\n"
    shared = {"name": "T恤衫", "label_id": 0, "category": "服装/上衣", "english": "tee"}
    assert read_vocabulary(file_of(tmp_path, table), LABELS).meaning() == [
        {"class": 0, **shared},
        {"class": 1, **shared, "threshold": 0.5},
        {"class": 2, "drop": True},
    ]


def test_the_lowest_threshold_is_that_of_a_class_that_is_kept():
    dropped = Word("a", 0, drop=True, threshold=0.1)
    vocabulary = Vocabulary({0: dropped, 1: Word("b", 1, threshold=0.2), 2: Word("c", 2)})
    assert vocabulary.lowest(0.3) == 0.2
    assert vocabulary.lowest(0.15) == 0.15
    assert NO_WORDS.lowest(0.3) == 0.3


def test_a_vocabulary_can_be_sent_to_another_process(tmp_path):
    vocabulary = read_vocabulary(file_of(tmp_path, TABLE), LABELS)
    assert pickle.loads(pickle.dumps(vocabulary)) == vocabulary


# --- the table that a run leaves --------------------------------------------------------------------------------------

SEEN = {2: Seen(3, 0.51239), 7: Seen(12, 0.9), 6: Seen(3, 0.5)}


def table_of(path: Path) -> str:
    return path.read_bytes().decode("utf-8-sig")


def test_the_table_of_a_run(tmp_path):
    vocabulary = read_vocabulary(file_of(tmp_path, SAME[0]), LABELS)
    path = write_vocabulary(tmp_path, LABELS, SEEN, vocabulary)
    assert path == tmp_path / "vocabulary.csv"
    assert path.read_bytes().startswith(codecs.BOM_UTF8)
    assert table_of(path).split("\r\n") == [
        HEADING,
        "'3-2,,,,,,12,0.9000",
        "台灯,灯,,0.3,,,3,0.5124",
        "'=SUM(A1),,,,,,3,0.5000",
        "左水印,,x,,,,0,",
        "右水印,,x,,,,0,",
        "水印相机,,x,,,,0,",
        "",
    ]


def test_no_text_of_the_table_is_computed_by_a_spreadsheet(tmp_path):
    words = {2: Word("+灯", 2, category="@home", english="1-2"), 6: Word("=B1", 6)}
    path = write_vocabulary(tmp_path, LABELS, {}, Vocabulary(words))
    assert table_of(path).splitlines()[1:] == ["台灯,'+灯,,,'@home,'1-2,0,", "'=SUM(A1),'=B1,,,,,0,"]


def test_passed_back_it_asks_the_same(tmp_path):
    vocabulary = read_vocabulary(file_of(tmp_path, SAME[2]), LABELS)
    path = write_vocabulary(tmp_path, LABELS, SEEN, vocabulary)
    assert read_vocabulary(path, LABELS) == vocabulary


def test_labels_of_one_name_are_told_apart_by_class_id(tmp_path):
    labels = {0: "crane", 1: "1", 2: "crane"}
    vocabulary = read_vocabulary(file_of(tmp_path, "label,threshold\n2,0.5\n1,0.4\n"), labels)
    path = write_vocabulary(tmp_path, labels, {0: Seen(5, 0.5)}, vocabulary)
    assert [line.split(",")[0] for line in table_of(path).splitlines()[1:]] == ["0", "'1", "2"]
    assert read_vocabulary(path, labels) == vocabulary


def test_a_class_id_that_is_a_label_too_is_written_as_a_range(tmp_path):
    labels = {0: "crane", 1: "2", 2: "crane"}
    vocabulary = Vocabulary({2: Word("crane", 2, threshold=0.5)})
    path = write_vocabulary(tmp_path, labels, {}, vocabulary)
    assert table_of(path).splitlines()[1:] == ["2~2,,,0.5,,,0,"]
    assert read_vocabulary(path, labels) == vocabulary


ALPHABET = "台灯ab'=+-@*?[]0123/,;\t\"\n .eE%~"
TEXTS = st.text(st.sampled_from(ALPHABET), max_size=4).map(lambda text: " ".join(text.split()))
PLACES = st.one_of(st.integers(0, 5), st.integers(0, 5), st.sampled_from(["*", "[台ab]*", "0", "0~1", "1"]))
CELLS = st.tuples(
    st.one_of(st.just(""), st.sampled_from(["灯", "'=a", "1"]), TEXTS),
    st.sampled_from(["", "", "", "x", "否"]),
    st.sampled_from(["", "", "0.3", "7%", "0,5"]),
    st.one_of(st.just(""), st.just(""), TEXTS),
    st.sampled_from(["", "", "lamp"]),
)


@some(300)
@example(["=a", "'=a", "''=a", "1", "1", "0"], [(0, ("'=a", "", "", "", "")), ("3", ("", "", "0.3", "'1", ""))])
@given(st.lists(TEXTS.filter(bool), min_size=1, max_size=6), st.lists(st.tuples(PLACES, CELLS), max_size=6))
def test_whatever_is_asked_comes_back(names, table):
    """Of labels as models have them, asked for by label, pattern or class id; sorted anew, the rows ask the same."""
    labels = dict(enumerate(names))
    rows = []
    for place, cells in table:
        label = shielded(names[place % len(names)]) if isinstance(place, int) else place
        rows.append((label, *cells))
    with tempfile.TemporaryDirectory() as folder:
        try:
            vocabulary = read_vocabulary(_csv(folder, rows), labels)
        except VocabularyError:
            assume(False)
        back = read_vocabulary(write_vocabulary(Path(folder), labels, {0: Seen(1, 0.5)}, vocabulary), labels)
        assert back.words == vocabulary.words
        assert back.meaning() == vocabulary.meaning()
        assert read_vocabulary(_csv(folder, rows[::-1]), labels).meaning() == vocabulary.meaning()


def _csv(folder: str, rows: list[tuple]) -> Path:
    file = io.StringIO(newline="")
    table = csv.writer(file)
    table.writerow(HEADING.split(",")[:6])
    table.writerows(rows)
    return file_of(Path(folder), file.getvalue())


@some(500)
@given(st.text(st.sampled_from(ALPHABET), max_size=6))
def test_no_spreadsheet_computes_or_converts_a_text(text):
    written = shielded(text)
    assert unshielded(written) == text
    assert not written.startswith(("=", "+", "-", "@"))
    assert written.startswith("'") or not written.replace(".", "").isdigit()


@pytest.mark.parametrize("text", ["＝1", "007", "1-2", "1E5", "TRUE", "30%", "0.5", "'=1"])
def test_what_a_spreadsheet_would_write_back_otherwise_is_shielded(text):
    assert shielded(text) == f"'{text}"


@pytest.mark.parametrize("text", ["T恤", "3D眼镜", "a-b", "O'Neill", "'a'", "e", ""])
def test_other_texts_stay_as_they_are(text):
    assert shielded(text) == text


# --- nobody's work is written over ------------------------------------------------------------------------------------


def write(folder: Path, count: int = 1, vocabulary: Vocabulary = NO_WORDS) -> str:
    """The name of the table that a run wrote in which 台灯 occurred so often."""
    path = write_vocabulary(folder, LABELS, {2: Seen(count, 0.5)}, vocabulary)
    assert f"台灯,,,,,,{count},0.5000" in table_of(path)
    return path.name


def test_the_table_of_the_run_before_is_written_over(tmp_path):
    assert write(tmp_path, 1) == "vocabulary.csv"
    assert write(tmp_path, 2) == "vocabulary.csv"
    assert sorted(os.listdir(tmp_path)) == [".vocabulary.sha256", "vocabulary.csv"]


def test_an_edited_table_stays(tmp_path):
    write(tmp_path, 1)
    table = tmp_path / "vocabulary.csv"
    edited = table.read_bytes() + "左水印,,x,,,,,\r\n".encode()
    table.write_bytes(edited)
    assert write(tmp_path, 2) == "vocabulary.new.csv"
    assert write(tmp_path, 3) == "vocabulary.new.csv"
    assert table.read_bytes() == edited


def test_an_edited_new_table_stays_too(tmp_path):
    file_of(tmp_path, "mine", "vocabulary.csv")
    file_of(tmp_path, "mine too", "vocabulary.new.csv")
    assert write(tmp_path, 1) == "vocabulary.new2.csv"
    assert write(tmp_path, 2) == "vocabulary.new2.csv"


def test_a_table_without_our_note_of_it_is_not_ours(tmp_path):
    write(tmp_path, 1)
    (tmp_path / ".vocabulary.sha256").unlink()
    assert write(tmp_path, 2) == "vocabulary.new.csv"


def test_an_older_table_that_was_put_back_is_not_ours(tmp_path):
    write(tmp_path, 1)
    older = (tmp_path / "vocabulary.csv").read_bytes()
    write(tmp_path, 2)
    file_of(tmp_path, older, "vocabulary.csv")
    assert write(tmp_path, 3) == "vocabulary.new.csv"


def test_a_table_in_place_that_says_the_same_is_left_alone(tmp_path):
    write(tmp_path, 1)
    (tmp_path / ".vocabulary.sha256").unlink()
    table = tmp_path / "vocabulary.csv"
    os.utime(table, ns=(1, 1))
    assert write(tmp_path, 1) == "vocabulary.csv"
    assert table.stat().st_mtime_ns == 1


@pytest.mark.parametrize("place", ["vocabulary.csv", "link.csv"])
def test_the_vocabulary_of_the_run_is_never_written_over(place, tmp_path):
    write(tmp_path, 1)
    (tmp_path / "link.csv").symlink_to("vocabulary.csv")
    before = (tmp_path / "vocabulary.csv").read_bytes()
    vocabulary = read_vocabulary(tmp_path / place, LABELS)
    assert write(tmp_path, 2, vocabulary) == "vocabulary.new.csv"
    assert (tmp_path / "vocabulary.csv").read_bytes() == before


def test_a_vocabulary_that_was_the_new_table_is_not_written_over(tmp_path):
    file_of(tmp_path, "mine", "vocabulary.csv")
    write(tmp_path, 1)
    vocabulary = read_vocabulary(tmp_path / "vocabulary.new.csv", LABELS)
    assert write(tmp_path, 2, vocabulary) == "vocabulary.new2.csv"


def test_the_table_is_written_over_where_the_vocabulary_lies_elsewhere(tmp_path):
    vocabulary = read_vocabulary(file_of(tmp_path, "label\n"), LABELS)
    write(tmp_path, 1, vocabulary)
    assert write(tmp_path, 2, vocabulary) == "vocabulary.csv"


def test_a_vocabulary_that_is_gone_meanwhile_does_not_matter(tmp_path):
    path = file_of(tmp_path, "label\n")
    vocabulary = read_vocabulary(path, LABELS)
    path.unlink()
    write(tmp_path, 1, vocabulary)
    assert write(tmp_path, 2, vocabulary) == "vocabulary.csv"


@pytest.mark.parametrize("ends_at", [1, 2, 3])
def test_a_run_that_ends_while_it_writes_leaves_a_table_that_is_known(ends_at, tmp_path, monkeypatch):
    """Before the note of both, before the table, before the note of the new one alone."""
    write(tmp_path, 1)
    replace = os.replace
    calls = iter(range(1, 9))

    def ends(source, target):
        if next(calls) == ends_at:
            raise KeyboardInterrupt
        replace(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", ends)
        with pytest.raises(KeyboardInterrupt):
            write(tmp_path, 2)
    assert write(tmp_path, 3) == "vocabulary.csv"
    assert sorted(os.listdir(tmp_path)) == [".vocabulary.sha256", "vocabulary.csv"]


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="no sha256sum")
def test_the_note_is_what_sha256sum_checks(tmp_path):
    write(tmp_path, 1)
    run = subprocess.run(["sha256sum", "--check", ".vocabulary.sha256"], cwd=tmp_path, capture_output=True, text=True)
    assert run.stdout == "vocabulary.csv: OK\n"


def test_a_torn_note_is_none(tmp_path):
    write(tmp_path, 1)
    digest = hashlib.sha256((tmp_path / "vocabulary.csv").read_bytes()).hexdigest()
    (tmp_path / ".vocabulary.sha256").write_bytes(digest[:40].encode() + b"\xff")
    assert write(tmp_path, 2) == "vocabulary.new.csv"


def test_folders_and_dead_links_of_the_name_stay(tmp_path):
    (tmp_path / "vocabulary.csv").mkdir()
    (tmp_path / "vocabulary.new.csv").symlink_to("gone.csv")
    vocabulary = read_vocabulary(file_of(tmp_path, "label\n"), LABELS)
    assert write(tmp_path, 1, vocabulary) == "vocabulary.new2.csv"
    assert (tmp_path / "vocabulary.new.csv").is_symlink()


def test_a_full_disk_is_one_sentence(tmp_path, monkeypatch):
    def full(path, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError) as raised:
        write_vocabulary(tmp_path, LABELS, SEEN, NO_WORDS)
    reason = "the disk is full: make room"
    advice = "what is finished is kept, and the next run goes on"
    assert str(raised.value) == f"output folder {tmp_path} cannot be written ({reason}): {advice}"
