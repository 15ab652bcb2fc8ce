"""Tables: csv, xlsx, parquet and jsonl, each read by what people read them with."""

import csv
import json
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pyarrow.parquet as pq
import pytest
from consumers import read_by
from exported import SIZE, finished, lamp
from PIL import Image

from wanwu_nb import read_results
from wanwu_nb.detections import Tag
from wanwu_nb.exports import export, parquet, workbook

HOSTILE = {
    "comma": "灯, 大",
    "quote": '他说"灯"',
    "line end": "两\n行",
    "formula": "=1+1",
    "link": '=HYPERLINK("http://evil","x")',
    "command": "@SUM(1)",
    "minus": "-2+3",
    "after a tab": "\t=1+1",
    "number": "007",
    "HTML": '<img src=x onerror="alert(1)">',
    "emoji": "💡灯",
    "right to left": "مصباح\u202eabc",
    "address": "http://example.com",
    "long": "灯" * 40_000,
}
WHOLE = None


def read_csv(path: Path) -> list[list[str]]:
    with open(path, encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))


def sheet_of(path: Path, name: str) -> list[tuple]:
    book = openpyxl.load_workbook(path, read_only=True)
    rows = list(book[name].iter_rows(values_only=True))
    book.close()
    return rows


# --- csv --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def output(tmp_path) -> Path:
    shop = Tag("上衣", 0, 0.8, (0.0, 10.0, 300.0, 290.0), category="服装/上衣", english="top")
    tags = {"shoes/a.jpg": [lamp(), shop, lamp(0.7, (5.0, 5.0, 50.25, 50.5))], "b.jpg": [], "c.jpg": [lamp(0.4, WHOLE)]}
    return finished(tmp_path / "tags", tags, failures={"d.jpg": "file is empty (0 bytes)"}, damaged=["b.jpg"])


def test_pandas_reads_a_row_a_picture_and_a_row_an_object(output):
    export(output, "csv").check()
    pictures = pd.read_csv(output / "tags.csv", keep_default_na=False)
    pictures.columns = [heading.split()[0] for heading in pictures]
    row = pictures.set_index("image").loc["shoes/a.jpg"].to_dict()
    assert row == {
        "label": "上衣",
        "confidence": "0.8",
        "category": "服装/上衣",
        "english": "top",
        "chosen": "largest 最大",
        "others": "台灯",
        "objects": 3,
        "width": 400,
        "height": 300,
        "review": "at the rim 贴边",
    }
    objects = pd.read_csv(output / "tags_objects.csv")
    assert len(objects) == 4
    assert objects["x2 右"].tolist()[1:] == [200.0, 300.0, 50.25]
    assert np.isnan(objects["x1 左"].iloc[0])


def test_the_csv_is_what_spreadsheets_open(output):
    export(output, "csv").check()
    content = (output / "tags.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbfimage ")
    assert content.count(b"\r\n") == 4


@pytest.mark.parametrize("label", HOSTILE.values(), ids=HOSTILE)
def test_no_label_or_file_name_is_a_formula_in_a_spreadsheet(tmp_path, label):
    name = f"{label[:50]}.jpg".replace("/", "_")
    output = finished(tmp_path / "tags", {name: [lamp()._replace(label=label)]})
    export(output, "csv,xlsx").check()
    rows = read_csv(output / "tags.csv") + read_csv(output / "tags_objects.csv")
    assert len(rows) == 4
    for image, cell, *_ in (rows[1], rows[3]):
        assert image.removeprefix("'") == name
        assert cell.removeprefix("'") == label
        assert not cell.lstrip().startswith(("=", "+", "-", "@", "\t", "\r"))
        assert not image.lstrip().startswith(("=", "+", "-", "@", "\t", "\r"))
    book = openpyxl.load_workbook(output / "tags.xlsx")
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row]
    assert {cell.data_type for cell in cells} <= {"s", "n", "inlineStr"}
    assert [cell.hyperlink for cell in cells if cell.hyperlink] == []
    assert book["pictures"]["B2"].value == label[: workbook.MAX_TEXT]
    assert book["pictures"]["A2"].value == name


def test_a_name_that_is_no_utf_8_is_shown_escaped(tmp_path):
    name = "caf\udce9.jpg"
    output = finished(tmp_path / "tags", {name: [lamp()]})
    export(output, "csv,xlsx,parquet").check()
    shown = r"caf\udce9.jpg"
    assert read_csv(output / "tags.csv")[1][0] == shown
    assert sheet_of(output / "tags.xlsx", "pictures")[1][0] == shown
    assert pd.read_parquet(output / "tags.parquet")["image"].tolist() == [shown]


# --- xlsx -------------------------------------------------------------------------------------------------------------


def test_the_workbook_has_its_four_sheets(output):
    export(output, "xlsx,csv").check()
    book = openpyxl.load_workbook(output / "tags.xlsx")
    assert book.sheetnames == ["pictures", "objects", "labels", "failures"]
    pictures = sheet_of(output / "tags.xlsx", "pictures")
    as_text = [["" if cell is None else str(cell) for cell in row] for row in pictures]
    assert as_text == read_csv(output / "tags.csv")
    assert len(sheet_of(output / "tags.xlsx", "objects")) == 1 + 4
    assert sheet_of(output / "tags.xlsx", "labels")[1][:3] == ("台灯", 3, 2)
    assert sheet_of(output / "tags.xlsx", "failures")[1] == ("d.jpg", "decode", "file is empty (0 bytes)")
    assert book["pictures"].freeze_panes == "A2"
    assert book["pictures"].auto_filter.ref == "A1:K4"


def test_more_rows_than_a_sheet_holds_go_on_another(output, monkeypatch):
    monkeypatch.setattr(workbook, "MAX_ROWS", 3)
    export(output, "xlsx").check()
    book = openpyxl.load_workbook(output / "tags.xlsx")
    assert {"pictures", "pictures 2"} <= set(book.sheetnames)
    rows = sheet_of(output / "tags.xlsx", "pictures 2")
    assert [row[0] for row in rows] == ["image 图片", "shoes/a.jpg"]


def test_small_pictures_stand_in_the_first_column(tmp_path):
    Image.new("RGB", SIZE, "red").save(tmp_path / "a.jpg")
    output = finished(tmp_path / "tags", {"a.jpg": [lamp()], "gone.jpg": [lamp()]}, tmp_path)
    exports = export(output, "xlsx", thumbnails=True)
    exports.check()
    sheet = openpyxl.load_workbook(output / "tags.xlsx")["pictures"]
    (image,) = sheet._images
    assert (image.anchor._from.row, image.anchor._from.col) == (1, 0)
    assert max(image.width, image.height) == workbook.THUMBNAIL
    assert sheet["B3"].value == "gone.jpg"
    assert "1 picture not in" in exports.notes[0]


# --- parquet and jsonl ------------------------------------------------------------------------------------------------


def test_parquet_is_read_by_pandas_pyarrow_and_duckdb(output):
    export(output, "parquet").check()
    path = output / "tags.parquet"
    table = pq.read_table(path)
    results = list(read_results(output))
    assert table["image"].to_pylist() == [each.image for each in results]
    for each, objects in zip(results, table["objects"].to_pylist(), strict=True):
        assert [item["label"] for item in objects] == [tag.label for tag in each.objects]
    first = table["objects"].to_pylist()[2][1]
    assert first == {
        "label": "上衣",
        "label_id": 0,
        "confidence": pytest.approx(0.8),
        "x1": 0.0,
        "y1": 10.0,
        "x2": 300.0,
        "y2": 290.0,
        "unsure": False,
        "category": "服装/上衣",
        "english": "top",
        "by": "",
    }
    assert table["objects"].to_pylist()[1][0]["x1"] is None
    assert pd.read_parquet(path)["damaged"].tolist() == [True, False, False]
    query = f"SELECT o.label, count(*) FROM '{path}', unnest(objects) AS t(o) GROUP BY 1 ORDER BY 2 DESC"
    assert read_by("duckdb", [{"query": query}]) == [[["台灯", 3], ["上衣", 1]]]


def test_parquet_notes_model_and_settings(output):
    (output / "summary.json").write_text(json.dumps({"model": {"fingerprint": "abc"}, "settings": {"top_k": 100}}))
    export(output, "parquet").check()
    metadata = pq.read_schema(output / "tags.parquet").metadata
    assert metadata[b"fingerprint"] == b"abc"
    assert json.loads(metadata[b"settings"]) == {"top_k": 100}


def test_parquet_is_written_in_groups(output, monkeypatch):
    monkeypatch.setattr(parquet, "GROUP", 2)
    export(output, "parquet").check()
    file = pq.ParquetFile(output / "tags.parquet")
    assert file.num_row_groups == 2
    assert file.metadata.num_rows == 3
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"


def test_jsonl_has_a_line_a_picture_as_its_json_has_it(output):
    export(output, "jsonl").check()
    lines = [json.loads(line) for line in (output / "tags.jsonl").read_text(encoding="utf-8").splitlines()]
    for line in lines:
        record = json.loads((output / "images" / f"{line['image']}.json").read_bytes())
        record.pop("key")
        assert line == record
    assert len(lines) == 3
