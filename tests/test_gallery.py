"""gallery.html in a real browser: what it shows, finds and leaves behind; and the small pictures beside it."""

import csv
import io
import re
from pathlib import Path

import numpy as np
import pytest
from browser import opened_browser, opened_page, until
from exported import SIZE, finished, lamp
from PIL import Image, ImageDraw
from test_export_turned import BOX, ORIENTATIONS, turned

from wanwu_nb.detections import Tag
from wanwu_nb.errors import SettingsError
from wanwu_nb.exports import export
from wanwu_nb.exports.gallery import NAME
from wanwu_nb.exports.thumbnails import FOLDER, place_of
from wanwu_nb.exports.thumbnails import SIZE as LONGER

MUG = Tag("马克杯", 4, 0.62, (10.0, 10.0, 90.0, 90.0), category="厨房", english="mug")
CUP = Tag("杯子", 5, 0.58, (12.0, 10.0, 90.0, 92.0), category="厨房", english="cup")
VASE = Tag("花瓶", 2, 0.97, (200.0, 100.0, 300.0, 280.0), category="家居", english="vase")
WHOLE = Tag("浓缩咖啡", 6, 0.31, None, unsure=True, english="espresso")
EVIL = "<img src=x onerror=document.title='hacked'></script><script>document.title='hacked'</script>"
TAGS = {
    "a mug & a cup.jpg": [MUG, CUP],
    "shoes/vase.jpg": [VASE],
    "coffee.jpg": [WHOLE],
    "nothing.jpg": [],
    '"><img src=x onerror=alert(1)>.jpg': [Tag(EVIL, 7, 0.8, (50.0, 50.0, 100.0, 100.0))],
    "=1+1, 图.jpg": [lamp(0.55)],
}


def photos_of(names, folder: Path) -> Path:
    """A red product on white in each."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = Image.new("RGB", SIZE, "white")
        ImageDraw.Draw(picture).rectangle((60, 40, 199, 99), fill=(255, 0, 0))
        picture.save(path, quality=95)
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    return photos_of(TAGS, tmp_path_factory.mktemp("photos #1 图"))


@pytest.fixture
def output(photos, tmp_path) -> Path:
    output = finished(tmp_path / "tags", TAGS, photos)
    export(output, "gallery").check()
    return output


@pytest.fixture(scope="module")
def browser():
    with opened_browser() as browser:
        yield browser


@pytest.fixture
def page(browser, output):
    with opened_page(browser, output / NAME) as page:
        yield page


def names_shown(page) -> list[str]:
    return page.locator(".tile .file").all_text_contents()


# --- the file ---------------------------------------------------------------------------------------------------------


def test_the_page_is_one_file_and_fetches_nothing(output):
    text = (output / NAME).read_text(encoding="utf-8")
    assert "{{" not in text
    assert re.findall(r"(?:src|href)=[\"']?(?!\")[^\s>]*", text.split('<script id="data"')[0]) == []
    assert text.count("<script") == text.count("</script>") == 2
    assert "default-src 'none'" in text


def test_small_pictures_are_made_once_and_of_a_changed_picture_anew(photos, tmp_path):
    names = ["a.jpg", "b.jpg"]
    folder = photos_of(names, tmp_path / "photos")
    output = finished(tmp_path / "tags", {name: [lamp()] for name in names}, folder)
    export(output, "gallery").check()
    small = {name: place_of(output / FOLDER, name) for name in names}
    before = {name: path.stat().st_ino for name, path in small.items()}
    with Image.open(small["a.jpg"]) as image:
        assert image.size == (LONGER, LONGER * SIZE[1] // SIZE[0])
    Image.new("RGB", SIZE, "blue").save(folder / "b.jpg")
    export(output, "gallery").check()
    after = {name: path.stat().st_ino for name, path in small.items()}
    assert after["a.jpg"] == before["a.jpg"]
    assert after["b.jpg"] != before["b.jpg"]
    with Image.open(small["b.jpg"]) as image:
        assert image.getpixel((9, 9))[2] > 200
    assert not list(output.rglob("*.partial"))


@pytest.mark.parametrize("form", ["jpg", "png", "tif"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_small_pictures_are_upright(tmp_path, form, orientation):
    folder = tmp_path / "photos"
    folder.mkdir()
    picture = Image.new("RGB", SIZE, "white")
    ImageDraw.Draw(picture).rectangle((60, 40, 199, 99), fill=(255, 0, 0))
    turned(picture, folder / f"a.{form}", orientation)
    output = finished(tmp_path / "tags", {f"a.{form}": [lamp(0.9, BOX)]}, folder)
    export(output, "gallery").check()
    with Image.open(place_of(output / FOLDER, f"a.{form}")) as small:
        pixels = np.asarray(small.convert("RGB")).astype(int)
        scale = SIZE[0] / small.width
    rows, columns = np.nonzero((pixels[..., 0] > 180) & (pixels[..., 1] < 90))
    found = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    assert np.array(found) * scale == pytest.approx(BOX, abs=5)


def test_pictures_that_are_gone_or_broken_are_told_once_and_the_page_is_written(photos, tmp_path):
    folder = photos_of(["a.jpg", "b.jpg", "c.jpg"], tmp_path / "photos")
    output = finished(tmp_path / "tags", {name: [lamp()] for name in ("a.jpg", "b.jpg", "c.jpg")}, folder)
    (folder / "b.jpg").unlink()
    (folder / "c.jpg").write_bytes(b"no picture")
    exports = export(output, "gallery")
    exports.check()
    (note, _) = exports.notes
    assert note.startswith("gallery: 2 pictures without a small picture in the gallery (b.jpg ")
    assert (output / NAME).exists()
    assert [path.name for path in (output / FOLDER).iterdir()] == ["a.jpg.jpg"]


def test_small_pictures_are_not_put_where_the_next_run_would_tag_them(photos, output):
    with pytest.raises(SettingsError, match="would be tagged as pictures by the next run"):
        export(output, "gallery", photos / "gallery")


def test_a_folder_without_results_has_a_page_too(tmp_path):
    export(finished(tmp_path / "tags", {}, tmp_path), "gallery").check()
    assert (tmp_path / "tags" / NAME).exists()


# --- in the browser ---------------------------------------------------------------------------------------------------


def test_labels_and_file_names_run_nothing(page):
    assert EVIL in page.locator(".tile figcaption").all_text_contents()[0] + "".join(
        page.locator(".tile figcaption").all_text_contents()
    )
    page.locator(".tile", has_text="onerror=alert").first.click()
    assert EVIL in page.locator("#objects .words").first.text_content()
    page.fill("#missing", "<b onclick=alert(1)>x</b>")
    page.click("#add")
    assert page.locator("#objects b").count() == 0
    assert page.title() != "hacked"


def test_all_pictures_are_there_with_their_small_ones(page):
    assert sorted(names_shown(page)) == sorted(TAGS)
    until(page, "[...document.querySelectorAll('.tile img')].every((image) => image.complete)")
    widths = page.evaluate("[...document.querySelectorAll('.tile img')].map((image) => image.naturalWidth)")
    assert widths == [LONGER] * len(TAGS)
    assert "6 / 6 pictures" in page.text_content("#count")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("花瓶", {"shoes/vase.jpg"}),
        ("ESPRESSO", {"coffee.jpg"}),
        ("shoes/", {"shoes/vase.jpg"}),
        ("厨房", {"a mug & a cup.jpg"}),
        ("no such thing", set()),
    ],
)
def test_text_finds_labels_in_both_languages_categories_and_files(page, text, names):
    page.fill("#text", text)
    assert set(names_shown(page)) == names
    assert page.locator("#nothing").is_visible() is not bool(names)


def test_filters_narrow_and_their_counts_change(page):
    assert "厨房 (1)" in page.locator("#category option").all_text_contents()
    page.select_option("#category", "厨房")
    assert names_shown(page) == ["a mug & a cup.jpg"]
    assert set(page.locator("#label option").all_text_contents()) == {"all 全部", "马克杯 (1)", "杯子 (1)"}
    page.select_option("#label", "杯子")
    page.fill("#confidence", "0.6")
    assert names_shown(page) == []
    assert "杯子 (0)" in page.locator("#label option").all_text_contents()
    page.click("#clear")
    assert len(names_shown(page)) == len(TAGS)


def test_what_needs_review_says_why(page):
    page.check("#review")
    assert set(names_shown(page)) == {"a mug & a cup.jpg", "coffee.jpg"}
    titles = page.locator(".badge").evaluate_all("(badges) => badges.map((badge) => badge.title)")
    assert any(title.startswith("two labels 两可: 马克杯 0.62 / 杯子 0.58") for title in titles)


def test_the_surest_or_the_least_sure_come_first(page):
    page.select_option("#sort", "surest")
    assert names_shown(page)[0] == "shoes/vase.jpg"
    page.select_option("#sort", "unsurest")
    assert names_shown(page)[0] == "coffee.jpg"


def test_boxes_lie_on_the_products_and_are_drawn_on_request(browser, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    picture = Image.new("RGB", SIZE, "white")
    ImageDraw.Draw(picture).rectangle((60, 40, 199, 99), fill=(255, 0, 0))
    turned(picture, folder / "a.jpg", 6)
    output = finished(tmp_path / "tags", {"a.jpg": [lamp(0.9, BOX)]}, folder)
    export(output, "gallery").check()
    with opened_page(browser, output / NAME) as page:
        assert not page.locator(".photo svg").is_visible()
        page.check("#boxes")
        assert page.locator(".photo svg").is_visible()
        page.locator(".tile").click()
        until(page, "document.getElementById('photo').naturalWidth > 300")
        box = page.locator("#drawing rect").bounding_box()
        shot = np.asarray(Image.open(io.BytesIO(page.locator("#stage").screenshot())).convert("RGB")).astype(int)
        stage = page.locator("#stage").bounding_box()
    rows, columns = np.nonzero((shot[..., 0] > 200) & (shot[..., 1] < 60) & (shot[..., 2] < 60))
    product = columns.min() + stage["x"], rows.min() + stage["y"], columns.max() + 1, rows.max() + 1
    assert (box["x"], box["y"]) == pytest.approx(product[:2], abs=6)
    assert box["width"] == pytest.approx(columns.max() - columns.min(), abs=8)
    assert box["height"] == pytest.approx(rows.max() - rows.min(), abs=8)


def test_the_full_picture_is_shown_and_where_it_is_gone_the_small_one(browser, tmp_path):
    folder = photos_of(["a.jpg", "b.jpg"], tmp_path / "photos")
    output = finished(tmp_path / "tags", {"a.jpg": [lamp()], "b.jpg": [lamp()]}, folder)
    export(output, "gallery").check()
    (folder / "b.jpg").unlink()
    with opened_page(browser, output / NAME) as page:
        page.locator(".tile").first.click()
        until(page, f"document.getElementById('photo').naturalWidth === {SIZE[0]}")
        assert page.locator("#gone").is_hidden()
        page.keyboard.press("n")
        until(page, f"document.getElementById('photo').naturalWidth === {LONGER}")
        assert page.locator("#gone").is_visible()


def test_a_page_of_ten_thousand_holds_only_what_is_in_sight(browser, tmp_path):
    tags = {f"{number:05}.jpg": [lamp()] for number in range(10_000)}
    output = finished(tmp_path / "tags", tags, tmp_path)
    export(output, "gallery").check()
    with opened_page(browser, output / NAME) as page:
        assert 0 < page.locator(".tile").count() < 100
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        page.get_by_text("09999.jpg", exact=True).wait_for()
        assert page.locator(".tile").count() < 100


# --- verdicts ---------------------------------------------------------------------------------------------------------


def downloaded(page) -> list[dict[str, str]]:
    with page.expect_download() as download:
        page.click("#download")
    assert download.value.suggested_filename == "corrections.csv"
    content = Path(download.value.path()).read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def test_keys_judge_and_corrections_leave_as_a_table(page):
    page.fill("#text", "mug")
    page.locator(".tile").click()
    page.keyboard.press("r")
    page.keyboard.press("w")
    page.locator("#objects input").fill("茶杯")
    page.locator("#objects input").press("Enter")
    page.fill("#missing", "托盘")
    page.press("#missing", "Enter")
    assert downloaded_in_viewer(page) == [
        {"image": "a mug & a cup.jpg", "box": "10 10 90 90", "verdict": "right", "label": "", "was": "马克杯"},
        {"image": "a mug & a cup.jpg", "box": "12 10 90 92", "verdict": "wrong", "label": "茶杯", "was": "杯子"},
        {"image": "a mug & a cup.jpg", "box": "picture", "verdict": "missing", "label": "托盘", "was": ""},
    ]


def downloaded_in_viewer(page) -> list[dict[str, str]]:
    page.keyboard.press("Escape")
    return downloaded(page)


def test_a_whole_picture_is_judged_and_no_cell_becomes_a_formula(page):
    page.fill("#text", "=1+1")
    page.locator(".tile").click()
    page.keyboard.press("w")
    page.keyboard.press("Escape")
    page.fill("#text", "coffee")
    page.locator(".tile").click()
    page.keyboard.press("r")
    rows = downloaded_in_viewer(page)
    assert [(row["image"], row["box"], row["verdict"]) for row in rows] == [
        ("'=1+1, 图.jpg", "100 50 200 150", "wrong"),
        ("coffee.jpg", "picture", "right"),
    ]


def test_a_verdict_is_taken_back_and_outlives_a_reload(page):
    page.fill("#text", "vase")
    page.locator(".tile").click()
    page.keyboard.press("r")
    page.keyboard.press("Escape")
    page.reload()
    assert "1 verdicts" in page.text_content("#judged")
    page.fill("#text", "vase")
    page.locator(".tile").click()
    assert page.locator("#objects .right").get_attribute("aria-pressed") == "true"
    page.click("#objects .right")
    page.keyboard.press("Escape")
    assert page.locator("#verdicts").is_hidden()


def test_arrows_go_through_the_pictures_as_they_are_filtered(page):
    page.select_option("#sort", "surest")
    page.locator(".tile").first.click()
    seen = [page.text_content("#name")]
    for key in ("n", "ArrowRight", "ArrowLeft"):
        page.keyboard.press(key)
        seen.append(page.text_content("#name"))
    order = sorted(TAGS, key=lambda name: -max([tag.confidence for tag in TAGS[name]], default=0))
    assert seen == [order[0], order[1], order[2], order[1]]
