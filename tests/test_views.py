"""What people look at: boxes in the right place and in Chinese, the sheet of a run, headings, charts that draw."""

import subprocess
import sys
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.ft2font import FT2Font
from PIL import Image

from wanwu_nb.demo.products import PRODUCTS
from wanwu_nb.detections import Detections, Tag
from wanwu_nb.measure import STAGE_NAMES_ZH
from wanwu_nb.quality import Share
from wanwu_nb.tagger import Tagged
from wanwu_nb.views import charts
from wanwu_nb.views.fonts import COLOURS, chinese_font
from wanwu_nb.views.headings import HEADINGS, in_two_languages
from wanwu_nb.views.pictures import GREY, SHEET_WIDTH, annotate, contact_sheet

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


def test_tags_without_a_box_stand_below_each_other_the_best_lowest():
    picture = annotate(blank(), [Tag("台灯", 0, 0.9, None), Tag("椅子", 1, 0.5, None)])
    assert picture.getpixel((2, 4)) == rgb(COLOURS[1])
    assert picture.getpixel((2, 4 + round(1.3 * 14))) == rgb(COLOURS[0])


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
    assert sheet.size == (SHEET_WIDTH, TILE[1])
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
    assert contact_sheet(folder, pictures, count=4).size == (SHEET_WIDTH, 2 * TILE[1])


def test_a_sheet_of_nothing_is_white(folder):
    assert contact_sheet(folder, []).getcolors() == [(SHEET_WIDTH * TILE[1], (255, 255, 255))]


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
