"""What people look at: boxes in the right place and in Chinese, the sheet of a run, headings, charts that draw."""

import json
import subprocess
import sys
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from conftest import papermill
from matplotlib.ft2font import FT2Font
from PIL import Image

from wanwu_nb.decoding import decode
from wanwu_nb.demo.products import PRODUCTS
from wanwu_nb.detections import Detections, Tag, shared_area
from wanwu_nb.measure import STAGE_NAMES_ZH
from wanwu_nb.quality import Share
from wanwu_nb.tagged import Tagged
from wanwu_nb.text import clean_label
from wanwu_nb.versions import version_of
from wanwu_nb.views import charts
from wanwu_nb.views.drawing import drawing_never_decides, shown
from wanwu_nb.views.fonts import COLOURS, chinese_font
from wanwu_nb.views.headings import HEADINGS, in_two_languages
from wanwu_nb.views.labels import Labels, ink_on
from wanwu_nb.views.pictures import (
    FOOTER,
    GREY,
    LEAST_LETTERS,
    SHEET_LETTERS,
    SHEET_WIDTH,
    annotate,
    contact_sheet,
    words_of,
)

WIDTH, HEIGHT = 400, 300
TILE = SHEET_WIDTH // 3, 320


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour.removeprefix("#")))


def blank(colour: str = "white", size: tuple[int, int] = (WIDTH, HEIGHT)) -> Image.Image:
    return Image.new("RGB", size, colour)


def tagged(image: str, *scores: float) -> Tagged:
    """A picture with one box an object."""
    count = len(scores)
    boxes = np.array([[20.0, 20.0, 100.0, 100.0]] * count).reshape(count, 4)
    class_ids = np.zeros(count, np.int64)
    return Tagged(image, None, Detections(WIDTH, HEIGHT, boxes, np.array(scores), class_ids, ["台灯"] * count))


def tile(sheet: Image.Image, position: int) -> Image.Image:
    row, column = divmod(position, 3)
    left, top = column * TILE[0], row * TILE[1]
    return sheet.crop((left, top, left + TILE[0], top + TILE[1]))


def middle_of(picture: Image.Image) -> tuple[int, ...]:
    return picture.getpixel((picture.width // 2, picture.height // 2 - 16))


def has_text_below(picture: Image.Image) -> bool:
    caption = picture.crop((0, picture.height - 28, picture.width, picture.height))
    darkest, _ = caption.convert("L").getextrema()
    return darkest < 100


@pytest.fixture
def folder(tmp_path):
    """Pictures that can be told from each other."""
    for colour in ("red", "green", "blue"):
        blank(colour).save(tmp_path / f"{colour}.png")
    return tmp_path


def test_a_box_lies_where_the_object_is_in_the_colour_of_its_label():
    picture = annotate(blank(), [Tag("台灯", 3, 0.93, (100.0, 120.0, 200.0, 220.0))])
    for corner in ((100, 120), (200, 120), (100, 220), (200, 220)):
        assert picture.getpixel(corner) == rgb(COLOURS[3])
    assert picture.getpixel((150, 170)) == rgb("ffffff")
    assert picture.getpixel((90, 170)) == rgb("ffffff")


def test_the_label_stays_in_the_picture():
    picture = annotate(blank(), [Tag("台灯", 0, 0.93, (390.0, 0.0, 400.0, 10.0))])
    bar = np.array(picture)[: round(1.25 * 14), :380]
    assert (bar == rgb(COLOURS[0])).all(-1).any()
    assert not (bar[:, :200] == rgb(COLOURS[0])).all(-1).any()


def test_tags_of_the_whole_picture_stand_in_a_caption_and_not_on_it():
    photo = blank("red")
    picture = annotate(photo, [Tag("台灯", 0, 0.9, None), Tag("椅子", 1, 0.5, None)])
    assert picture.width == photo.width
    assert picture.crop((0, 0, *photo.size)).tobytes() == photo.tobytes()
    caption = picture.crop((0, photo.height, *picture.size))
    assert caption.height > LEAST_LETTERS
    assert caption.convert("L").getextrema()[0] < 50


def caption_width(tag: Tag) -> int:
    picture = annotate(blank(), [tag])
    return (np.array(picture.convert("L")) < 128).any(0).sum()


def test_a_tag_that_is_unsure_is_drawn_as_a_question():
    sure, unsure = (caption_width(Tag("导弹", 0, 0.2, None, unsure)) for unsure in (False, True))
    assert unsure > sure


def test_names_on_one_place_avoid_each_other_and_all_can_be_read():
    place = (100.0, 120.0, 260.0, 220.0)
    tags = [Tag("台灯", 0, 0.9, place), Tag("花瓶", 1, 0.8, place), Tag("椅子", 2, 0.7, place)]
    picture = Image.new("RGB", (WIDTH, HEIGHT), "white")
    labels = Labels(picture, 18)
    for tag in tags:
        labels.write(f"{tag.label} {tag.confidence:.2f}", tag.bbox, COLOURS[tag.label_id])
    assert all(shared_area(one, other) == 0 for one in labels.bars for other in labels.bars if one is not other)
    for bar in labels.bars:
        assert 0 <= bar.left < bar.right <= WIDTH
        assert 0 <= bar.top < bar.bottom <= HEIGHT


@pytest.mark.parametrize("colour", COLOURS)
def test_ink_is_read_on_every_colour(colour):
    """At least 4.5 to 1, as WCAG 2 wants of text."""
    red, green, blue = (value / 255 for value in rgb(colour))
    luminance = 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2
    ink = 1.0 if ink_on(colour) == "white" else 0.0
    lighter, darker = max(ink, luminance), min(ink, luminance)
    assert (lighter + 0.05) / (darker + 0.05) >= 4.5


@pytest.mark.parametrize("size", [(400, 300), (6000, 4000), (500, 6000)])
def test_letters_on_the_sheet_are_as_large_whatever_the_photo(tmp_path, size):
    Image.new("RGB", size, "white").save(tmp_path / "a.png")
    box = np.array([[size[0] * 0.2, size[1] * 0.3, size[0] * 0.7, size[1] * 0.8]])
    found = Detections(*size, box, np.array([0.5]), np.array([0]), ["台灯"])
    cell = tile(contact_sheet(tmp_path, [Tagged("a.png", None, found)]), 0)
    rows = np.flatnonzero((np.array(cell) == rgb(COLOURS[0])).all(-1).sum(1) > 8)
    first_run = np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1)[0]
    assert first_run.size >= SHEET_LETTERS


def test_the_sheet_says_what_it_left_out(folder):
    pictures = [tagged("red.png", 0.9), tagged("green.png", 0.8), tagged("blue.png")]
    said = words_of(1, 2, 1)
    assert said.startswith("1 of 2 with tags, least sure first  有标签的 2 张中最不确定的 1 张")
    assert said.endswith("1 without tags left out  另有 1 张无标签")
    sheet = contact_sheet(folder, pictures, count=1)
    assert has_text_below(sheet)


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "I;16", "P"])
def test_annotate_draws_on_a_copy_of_any_picture(mode):
    photo = Image.new(mode, (WIDTH, HEIGHT))
    before = photo.tobytes()
    picture = annotate(photo, [Tag("台灯", 1, 0.93, (100.0, 120.0, 200.0, 220.0))])
    assert photo.tobytes() == before
    assert photo.mode == mode
    assert picture is not photo
    assert picture.getpixel((100, 120)) == rgb(COLOURS[1])


def test_annotate_without_an_object_gives_a_copy_too():
    photo = blank()
    picture = annotate(photo, [])
    assert picture is not photo
    assert picture.tobytes() == photo.tobytes()


def test_annotate_turns_a_photo_upright():
    photo = blank()
    photo.getexif()[0x0112] = 6
    assert annotate(photo, []).size == (HEIGHT, WIDTH)


def test_the_sheet_begins_with_the_least_sure(folder):
    pictures = [tagged("red.png", 0.9), tagged("green.png", 0.95, 0.4), tagged("blue.png", 0.5)]
    sheet = contact_sheet(folder, iter(pictures))
    shown = [middle_of(tile(sheet, position)) for position in range(3)]
    assert sheet.size == (SHEET_WIDTH, TILE[1] + FOOTER)
    assert shown == [(0, 128, 0), (0, 0, 255), (255, 0, 0)]


def test_the_sheet_has_the_pictures_it_is_given_and_no_others(folder):
    sheet = contact_sheet(folder, [tagged("red.png", 0.9)])
    shown = {colour for _, colour in sheet.getcolors(2**24)}
    assert (255, 0, 0) in shown
    assert (0, 128, 0) not in shown
    assert (0, 0, 255) not in shown


def test_the_sheet_leaves_pictures_without_an_object_out(folder):
    sheet = contact_sheet(folder, [tagged("red.png"), tagged("blue.png", 0.9)])
    assert middle_of(tile(sheet, 0)) == (0, 0, 255)
    assert middle_of(tile(sheet, 1)) == rgb("ffffff")


def test_the_sheet_has_room_for_count_pictures(folder):
    pictures = (tagged("red.png", 0.5) for _ in range(50))
    assert contact_sheet(folder, pictures, count=4).size == (SHEET_WIDTH, 2 * TILE[1] + FOOTER)


def test_a_sheet_of_nothing_is_white_and_says_so(folder):
    sheet = contact_sheet(folder, [])
    assert sheet.crop((0, 0, SHEET_WIDTH, TILE[1])).getcolors() == [(SHEET_WIDTH * TILE[1], (255, 255, 255))]
    assert has_text_below(sheet)


def test_a_photo_that_is_gone_is_a_grey_tile_with_its_name(folder):
    sheet = contact_sheet(folder, [tagged("gone.png", 0.4), tagged("red.png", 0.9)])
    assert middle_of(tile(sheet, 0)) == rgb(GREY)
    assert has_text_below(tile(sheet, 0))
    assert middle_of(tile(sheet, 1)) == (255, 0, 0)


def test_a_photo_that_is_broken_by_now_is_a_grey_tile(folder):
    (folder / "red.png").write_bytes(b"no picture")
    (folder / "green.png").unlink()
    (folder / "green.png").mkdir()
    sheet = contact_sheet(folder, [tagged("red.png", 0.4), tagged("green.png", 0.5)])
    assert middle_of(tile(sheet, 0)) == rgb(GREY)
    assert middle_of(tile(sheet, 1)) == rgb(GREY)


def test_a_photo_that_is_another_one_by_now_is_a_grey_tile_and_is_not_opened(folder, monkeypatch):
    versions = {name: version_of(folder, name) for name in ("red.png", "green.png", "blue.png")}
    pictures = []
    for name, version in versions.items():
        picture = tagged(name, 0.5)
        pictures.append(Tagged(name, version, picture.detections))
    with open(folder / "red.png", "ab") as file:
        file.write(b"more")
    (folder / "green.png").unlink()
    opened = []

    def noting(path):
        opened.append(path.name)
        return decode(path)

    monkeypatch.setattr("wanwu_nb.views.pictures.decode", noting)
    sheet = contact_sheet(folder, pictures)
    shown_tiles = [middle_of(tile(sheet, position)) for position in range(3)]
    assert shown_tiles == [(0, 0, 255), rgb(GREY), rgb(GREY)]
    assert opened == ["blue.png"]


def test_a_photo_that_became_a_bomb_is_a_grey_tile(folder):
    """400 megapixels in a few hundred bytes."""
    Image.new("1", (20_000, 20_000)).save(folder / "red.png")
    sheet = contact_sheet(folder, [tagged("red.png", 0.4), tagged("blue.png", 0.5)])
    assert middle_of(tile(sheet, 0)) == rgb(GREY)
    assert middle_of(tile(sheet, 1)) == (0, 0, 255)


def test_a_result_whose_box_cannot_be_drawn_is_a_grey_tile(folder):
    inverted = Detections(9, 9, np.array([[90.0, 90, 10, 10]]), np.array([0.5]), np.array([0]), ["台灯"])
    sheet = contact_sheet(folder, [Tagged("red.png", None, inverted)])
    assert middle_of(tile(sheet, 0)) == rgb(GREY)


# --- text from outside ------------------------------------------------------------------------------------------------

HOSTILE = {
    "dollars": "$\\frac{",
    "lines": "two\nlines\r\nand\ttabs",
    "control": "\x00\x1b[31mred\x7f",
    "bidirectional": "\u202egpj.exe\u2066",
    "surrogate": "lone \ud800",
    "long": "长" * 100_000,
    "nothing": "\n\u200e",
    "accents": "e\u0301" * 50_000,
}
hostile = pytest.mark.parametrize("label", HOSTILE.values(), ids=HOSTILE)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("two\nlines\r\nand\ttabs", "two lines and tabs"),
        ("\x00a\x1b[31m b\x7f\x85", "a[31m b"),
        ("\u202egpj\u2069.\u200eexe\u061c", "gpj.exe"),
        ("lone \ud800 \udfff", "lone"),
        ("a  b \u3000 c\u2028d", "a b c d"),
        ("\ufeff台灯 ", "台灯"),
        ("a \u200e b", "a b"),
        ("\n\t\u200e", ""),
    ],
)
def test_a_label_is_cleaned(text, cleaned):
    assert clean_label(text) == cleaned


@pytest.mark.parametrize(
    "label",
    ["T恤", "Ångström 椅", "红　茶", "10\xa0kg", "👩‍🚀", "قهوة عربية", "नमस्ते", "$5", "a_b/c", "e\u0301", "x" * 100_000],
)
def test_a_normal_label_stays_as_it_is(label):
    assert clean_label(label) == label


def test_a_long_text_is_shown_shortened():
    assert shown("台灯") == "台灯"
    assert shown("x" * 40) == "x" * 40
    assert shown("x" * 41) == "x" * 39 + "…"
    assert shown("one two three", 5) == "one…"
    assert shown("\x00" * 1000 + "x") == "…"
    assert shown("new\nline") == "new line"


@hostile
def test_a_hostile_label_is_drawn_on_a_picture(label):
    tags = [Tag(label, 0, 0.9, (100.0, 120.0, 200.0, 220.0)), Tag(label, 1, 0.5, None)]
    picture = annotate(blank(), tags)
    assert (picture.width, picture.height > HEIGHT) == (WIDTH, True)  # with a caption
    assert picture.getpixel((200, 220)) == rgb(COLOURS[0])


def test_a_long_label_begins_in_the_picture():
    label = "W" + "." * 1000
    bar = np.array(annotate(blank(), [Tag(label, 0, 0.9, (300.0, 120.0, 390.0, 220.0))]))[103:119]
    upper_half = bar[:8, :40]
    assert (upper_half > 200).all(-1).any(), "a letter stands there, not the dots"


@pytest.mark.parametrize(
    "name",
    ["new\nline $x$.png", "bytes_\udcff.png", "x" * 240 + ".png", "长名" * 30 + ".png"],
    ids=["two lines", "no UTF-8", "long", "long in Chinese"],
)
def test_a_hostile_name_stands_below_its_picture(folder, name):
    blank("red").save(folder / name)
    sheet = contact_sheet(folder, [tagged(name, 0.4), tagged("blue.png", 0.5)])
    assert middle_of(tile(sheet, 0)) == (255, 0, 0)
    assert has_text_below(tile(sheet, 0))
    rim = np.array(tile(sheet, 0))[-28:, :4]
    assert (rim == 255).all(), "the name leaves its tile"


def test_hostile_labels_are_drawn_in_a_chart():
    """Each has a bar of its own, though two be shortened to the same."""
    labels = {label: 9 for label in HOSTILE.values()} | {"长" * 50: 3}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        axes = charts.label_chart(labels)
        axes.figure.canvas.draw()
    names = [label.get_text() for label in axes.get_yticklabels()]
    parsed = [label.get_parse_math() for label in axes.get_yticklabels()]
    bars = len(axes.patches)
    plt.close("all")
    assert max(map(len, names)) <= 40
    assert not any(parsed)
    assert bars == len(labels)


# --- drawing never decides --------------------------------------------------------------------------------------------


def test_what_cannot_be_drawn_is_one_line_and_leaves_no_figure_open(capsys):
    with drawing_never_decides():
        plt.subplots()
        raise OSError("No space left on device\nand more")
    assert capsys.readouterr().out == "not drawn 未绘制: No space left on device\n"
    assert plt.get_fignums() == []


def test_what_can_be_drawn_says_nothing_and_stays(capsys):
    with drawing_never_decides():
        plt.subplots()
    figures = plt.get_fignums()
    plt.close("all")
    assert len(figures) == 1
    assert capsys.readouterr().out == ""


def test_a_person_can_stop_a_drawing():
    with pytest.raises(KeyboardInterrupt), drawing_never_decides():
        raise KeyboardInterrupt


def test_the_exit_code_of_notebook_03_comes_from_its_pictures_alone(scenes, tmp_path):
    """No charts, since matplotlib is set up wrongly; no sheet, since a folder has its name."""
    (tmp_path / "runs/tags/contact_sheet.jpg").mkdir(parents=True)
    arguments = "-p", "image_dir", scenes, "-p", "limit", 2
    run = papermill(tmp_path, *arguments, environment={"MPLBACKEND": "nonsense"})
    assert run.returncode == 0, run.stderr[-3000:]
    cells = json.loads((tmp_path / "out.ipynb").read_text(encoding="utf-8"))["cells"]
    printed = "".join("".join(output.get("text", "")) for cell in cells for output in cell.get("outputs", []))
    lines = [line for line in printed.splitlines() if line.startswith("not drawn 未绘制: ")]
    assert len(lines) == 3
    assert "backend" in lines[0]
    assert "contact_sheet.jpg" in lines[1]
    assert "backend" in lines[2]


def test_the_font_is_found_and_holds_every_character_that_is_drawn():
    characters = set(FT2Font(str(chinese_font())).get_charmap())
    texts = [product.name for product in PRODUCTS] + list(STAGE_NAMES_ZH.values())
    missing = {character for text in texts for character in text if ord(character) not in characters}
    assert missing == set()


def test_a_label_is_drawn_with_the_glyphs_of_its_own_characters():
    drawn = [annotate(blank(), [Tag(label, 0, 0.5, None)]).tobytes() for label in ("台灯", "椅子", "\uffff\uffff")]
    assert len(set(drawn)) == 3


def test_headings_are_put_over_a_table_at_the_last_moment():
    table = pd.DataFrame({"seconds": [0.1], "image": ["a.jpg"], "note": ["x"]}, index=["default"])
    shown = in_two_languages(table)
    assert list(shown) == ["s/picture 秒/张", "image", "note 备注"]
    assert list(table) == ["seconds", "image", "note"]
    assert shown.index.tolist() == ["default"]


def test_every_heading_is_another():
    assert len(set(HEADINGS.values())) == len(HEADINGS)


CURVE = pd.DataFrame(
    {"pictures/s": [5.0, 8.0], "latency ms": [200.0, 250.0], "memory MB": [500.0, 600.0]}, index=[1, 2]
)
BUSY = pd.DataFrame({"seconds": [0.0, 1.0], "cpu": [50.0, 70.0], "gpu 0": [10.0, 90.0], "gpu 0 memory": [1.0, 2.0]})
AGREED = Share(99, 100, 0.946, 0.998)
RIGHT = Share(90, 100, 0.826, 0.945)
MEASURED = {"default": (1.0, None, RIGHT), "batched": (5.0, AGREED, RIGHT)}


@pytest.mark.parametrize(
    "draw",
    [
        lambda: charts.label_chart({"台灯": 12, "椅子": 7}),
        lambda: charts.label_chart({}),
        lambda: charts.stage_bars({"default": {"load": 1.8, "decode": 0.6}, "resident": {"decode": 0.6}}),
        lambda: charts.utilisation(BUSY),
        lambda: charts.waterfall({"default": 1.0, "resident": 0.5, "batched": 4.0}),
        lambda: charts.waterfall({}),
        lambda: charts.speed_against_tags(MEASURED, 0.95),
        lambda: charts.speed_against_tags({}, 0.95),
        lambda: charts.batch_curve(CURVE),
    ],
    ids=["labels", "no label", "stages", "busy", "steps", "no step", "tags", "no tags", "batches"],
)
def test_a_chart_draws_without_a_warning(draw):
    """A character that the font lacks would be one."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = draw()
        drawn.figure.canvas.draw()
    plt.close("all")


def test_the_label_chart_has_the_most_frequent_on_top():
    axes = charts.label_chart({"杯": 1, "台灯": 12, "椅子": 7}, top=2)
    names = [label.get_text() for label in axes.get_yticklabels()]
    plt.close("all")
    assert names == ["椅子", "台灯"]


def test_the_stages_of_a_row_fill_it_and_have_names_in_both_languages():
    axes = charts.stage_bars({"default": {"load": 3.0, "decode": 1.0}, "resident": {"decode": 1.0}})
    titles = [text.get_text() for text in axes.get_legend().get_texts()]
    texts = [text.get_text() for text in axes.texts]
    names = [label.get_text() for label in axes.get_yticklabels()]
    plt.close("all")
    assert titles == [f"load {STAGE_NAMES_ZH['load']}", f"decode {STAGE_NAMES_ZH['decode']}"]
    assert texts == ["100%", "1 s", "75%", "25%", "4 s"]
    assert names == ["resident", "default"]


def test_the_waterfall_compares_with_the_fastest_before():
    axes = charts.waterfall({"default": 1.0, "resident": 0.5, "batched": 4.0, "compiled": 0.25})
    texts = [text.get_text().split() for text in axes.texts]
    caption = axes.get_xlabel()
    plt.close("all")
    assert texts == [["1", "s"], ["0.5", "s", "×", "2.00"], ["4", "s", "×", "0.12"], ["0.25", "s", "×", "2.00"]]
    assert "cut off" in caption


def test_speed_stands_against_what_there_is_to_judge():
    figure = charts.speed_against_tags(MEASURED, 0.95)
    titles = [panel.get_title(loc="left") for panel in figure.axes]
    legend = [text.get_text() for text in figure.axes[-1].get_legend().get_texts()]
    alone = charts.speed_against_tags({"batched": (5.0, AGREED, None)}, 0.95)
    panels = len(alone.axes)
    plt.close("all")
    assert titles == ["agreement 一致率, 95 % interval 区间", "accuracy 准确率, 95 % interval 区间"]
    assert legend == ["default", "batched", "min_agreement 0.95"]
    assert panels == 1


def test_drawing_pictures_needs_neither_matplotlib_nor_the_method():
    code = "import sys, wanwu_nb.views.pictures; print({'matplotlib', 'wanwu_nb.method'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout.strip() == "set()", run.stderr
