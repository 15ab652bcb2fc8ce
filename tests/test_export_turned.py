"""Photographs that EXIF turns: boxes come back on the same products, in all eight orientations."""

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from consumers import data_set, read_by
from exported import SIZE, finished, lamp
from PIL import ExifTags, Image, ImageDraw, ImageOps

from wanwu_nb import read_results, tag_folder
from wanwu_nb.exports import export

ORIENTATIONS = range(1, 9)
FORMATS = ["jpg", "png", "webp", "tif"]
TURNED_BY_PILLOW = ".tif"  # whoever opens it: its own pixels cannot be had from it
BOX = (60.0, 40.0, 200.0, 100.0)
# What a camera does that is held so: the pixels of an upright picture as the file has them.
LYING = {
    2: [Image.Transpose.FLIP_LEFT_RIGHT],
    3: [Image.Transpose.ROTATE_180],
    4: [Image.Transpose.FLIP_TOP_BOTTOM],
    5: [Image.Transpose.TRANSPOSE],
    6: [Image.Transpose.ROTATE_90],
    7: [Image.Transpose.TRANSVERSE],
    8: [Image.Transpose.ROTATE_270],
}


def turned(picture: Image.Image, path: Path, orientation: int) -> None:
    """Save a picture so that EXIF brings it upright."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    for turn in LYING.get(orientation, []):
        picture = picture.transpose(turn)
    picture.save(path, exif=exif, quality=95)


def red(path: Path) -> tuple[float, float, float, float]:
    """Where the red product of a file is, in its pixels as they lie."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    is_red = (pixels[..., 0] > 200) & (pixels[..., 1] < 60)
    rows, columns = np.nonzero(is_red)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """A red product on white, in every orientation and format."""
    folder = tmp_path_factory.mktemp("photos")
    picture = Image.new("RGB", SIZE, "white")
    ImageDraw.Draw(picture).rectangle((60, 40, 199, 99), fill=(255, 0, 0))
    for form in FORMATS:
        for orientation in ORIENTATIONS:
            path = folder / f"{form}{orientation}.{form}"
            turned(picture, path, orientation)
            with Image.open(path) as opened:
                assert ImageOps.exif_transpose(opened).size == SIZE
    return folder


@pytest.fixture
def output(photos, tmp_path) -> Path:
    names = sorted(path.name for path in photos.iterdir())
    return finished(tmp_path / "tags", {name: [lamp(0.9, BOX)] for name in names}, photos)


def test_copies_are_upright_and_boxes_are_on_the_product(output, photos):
    export(output, "yolo,voc", copy=True).check()
    for data in read_by("supervision", [data_set(output, kind, photos) for kind in ("yolo", "voc")]):
        assert len(data["pictures"]) == len(FORMATS) * len(ORIENTATIONS)
        for there in data["pictures"].values():
            path = Path(there["path"])
            with Image.open(path) as picture:
                assert picture.size == SIZE, path
                assert picture.getexif().get(ExifTags.Base.Orientation, 1) == 1, path
            (box,) = there["boxes"]
            assert box == pytest.approx(red(path), abs=2), path


def test_upright_pictures_are_copied_as_they_are(output, photos):
    export(output, "yolo", copy=True).check()
    for form in FORMATS:
        copy = output / "yolo" / "images" / f"{form}1.{form}"
        assert copy.read_bytes() == (photos / copy.name).read_bytes()


def boxes_of(output: Path, kind: str) -> dict[str, tuple[tuple[int, int], list[float]]]:
    """Of each picture its size and box as the labels have them, whatever a reader makes of EXIF."""
    boxes = {}
    if kind == "coco":
        coco = json.loads((output / "coco.json").read_bytes())
        images = {image["id"]: image for image in coco["images"]}
        for annotation in coco["annotations"]:
            image = images[annotation["image_id"]]
            x, y, width, height = annotation["bbox"]
            boxes[image["file_name"]] = (image["width"], image["height"]), [x, y, x + width, y + height]
    if kind == "voc":
        for path in (output / "voc" / "Annotations").iterdir():
            root = ElementTree.parse(path).getroot()
            width, height, _ = (int(each.text) for each in root.find("size"))
            x1, y1, x2, y2 = (int(each.text) for each in root.find("object/bndbox"))
            boxes[root.find("filename").text] = (width, height), [x1 - 1, y1 - 1, x2, y2]
    return boxes


@pytest.mark.parametrize("kind", ["coco", "voc"])
def test_boxes_are_on_the_product_in_the_files_own_pixels(output, photos, kind):
    export(output, kind, orientation="file").check()
    boxes = boxes_of(output, kind)
    assert len(boxes) == len(FORMATS) * len(ORIENTATIONS)
    for name, (size, box) in boxes.items():
        path = photos / name
        if path.suffix == TURNED_BY_PILLOW:
            continue
        with Image.open(path) as picture:
            assert size == picture.size, name
        assert box == pytest.approx(red(path), abs=2), name


def test_yolos_shares_are_those_of_the_file_as_it_lies(output, photos):
    export(output, "yolo", orientation="file").check()
    labels = sorted((output / "yolo" / "labels").iterdir())
    assert len(labels) == len(FORMATS) * len(ORIENTATIONS)
    for path in labels:
        form = path.stem[:-1]
        picture = photos / f"{path.stem}.{form}"
        if picture.suffix == TURNED_BY_PILLOW:
            continue
        x1, y1, x2, y2 = red(picture)
        with Image.open(picture) as opened:
            width, height = opened.size
        shares = [(x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height]
        number, *numbers = path.read_text().split()
        assert number == "0"
        assert [float(each) for each in numbers] == pytest.approx(shares, abs=0.01), path.stem


def test_copies_for_the_files_own_pixels_are_the_files(output, photos):
    export(output, "yolo,voc", copy=True, orientation="file").check()
    for path in photos.iterdir():
        assert (output / "yolo" / "images" / path.name).read_bytes() == path.read_bytes()
        assert (output / "voc" / "JPEGImages" / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("kind", ["yolo", "voc"])
def test_turned_pictures_are_listed_and_left_out_where_they_are_not_copied(output, kind):
    exports = export(output, kind)
    exports.check()
    suffix = {"yolo": ".txt", "voc": ".xml"}[kind]
    labels = {path.stem for path in (output / kind).rglob(f"*{suffix}")} - {"train", "trainval"}
    assert labels == {f"{form}1" for form in FORMATS}
    assert exports.notes[0].startswith(f"{kind}: 28 pictures left out: EXIF turns them, and trainers do not; copy=True")
    assert len((output / "export_notes.csv").read_text(encoding="utf-8").splitlines()) == 1 + 28


def test_coco_is_upright_and_reads_no_picture_unless_it_is_asked_to(output, photos, tmp_path):
    export(output, "coco", image_dir=tmp_path / "elsewhere").check()
    coco = json.loads((output / "coco.json").read_bytes())
    assert {(image["width"], image["height"]) for image in coco["images"]} == {SIZE}
    assert len(coco["annotations"]) == len(FORMATS) * len(ORIENTATIONS)


def test_the_models_boxes_of_turned_scenes_come_back_on_the_same_products(model, scenes, tmp_path):
    """All the way: turned files, tagged, exported, loaded; against the boxes of the upright scene."""
    folder = tmp_path / "photos"
    folder.mkdir()
    with Image.open(sorted(scenes.glob("*.jpg"))[0]) as opened:
        scene = opened.convert("RGB")
    for orientation in ORIENTATIONS:
        turned(scene, folder / f"{orientation}.jpg", orientation)
    tag_folder(model, folder, tmp_path / "tags")
    export(tmp_path / "tags", "yolo", copy=True).check()
    upright = next(tagged for tagged in read_results(tmp_path / "tags") if tagged.image == "1.jpg")
    (data,) = read_by("supervision", [data_set(tmp_path / "tags", "yolo", folder)])
    for name, there in data["pictures"].items():
        assert there["labels"] == [tag.label for tag in upright.objects], name
        assert np.array(there["boxes"]) == pytest.approx(upright.detections.boxes, abs=6), name
    assert len(data["pictures"]) == 8
