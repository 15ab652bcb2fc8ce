"""Data sets: COCO, YOLO and Pascal VOC, each loaded by what people load it with."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml
from consumers import data_set, read_by
from exported import SIZE, finished, lamp
from PIL import Image

from wanwu_nb import read_results, tag_folder
from wanwu_nb.errors import SettingsError
from wanwu_nb.exports import export
from wanwu_nb.exports.stems import Stems

KINDS = ["coco", "yolo", "voc"]
LABELS = ["灯, 大", '他说"灯"', "两\n行", "=1+1", "<img src=x onerror=alert(1)>&", "💡灯", "مصباح", "yes", "null", "1"]
FILE_NAMES = ["a,b.jpg", '"quoted".jpg', "=1+1.jpg", "<b>.jpg", "💡.jpg", "مصباح.jpg", "spaced name.jpg"]


def photographs(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", SIZE, "red").save(path)
    return folder


def looked_for(picture: Path) -> Path:
    """Where Ultralytics looks for the labels of a picture: its own rule, restated."""
    parts = str(picture).rsplit("/images/", 1)
    return Path("/labels/".join(parts).rsplit(".", 1)[0] + ".txt")


# --- the same boxes ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tagged_scenes(model, scenes, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("tags")
    tag_folder(model, scenes, output)
    export(output, "coco,yolo,voc", copy=True).check()
    return output


@pytest.fixture(scope="module")
def loaded_scenes(tagged_scenes, scenes) -> dict[str, Any]:
    """What supervision makes of each data set."""
    answers = read_by("supervision", [data_set(tagged_scenes, kind, scenes) for kind in KINDS])
    return dict(zip(KINDS, answers, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_supervision_reads_the_same_boxes_within_one_pixel(tagged_scenes, loaded_scenes, kind):
    objects = 0
    for tagged in read_results(tagged_scenes):
        there = loaded_scenes[kind]["pictures"][tagged.image]
        assert there["labels"] == [tag.label for tag in tagged.objects]
        assert np.array(there["boxes"]) == pytest.approx(tagged.detections.boxes, abs=1)
        objects += len(there["boxes"])
    assert objects > 20


def test_pycocotools_reads_every_object_with_its_score(tagged_scenes):
    (coco,) = read_by("pycocotools", [{"path": str(tagged_scenes / "coco.json")}])
    results = {tagged.image: tagged for tagged in read_results(tagged_scenes)}
    assert len(coco["images"]) == len(results)
    assert coco["least id"] == 1
    for image in coco["images"]:
        tagged = results[image["file_name"]]
        annotations = image["annotations"]
        assert [each["category"] for each in annotations] == [tag.label for tag in tagged.objects]
        assert [each["score"] for each in annotations] == pytest.approx([tag.confidence for tag in tagged.objects])
        assert (image["width"], image["height"]) == (tagged.width, tagged.height)


def ultralytics_problems(folder: Path) -> list[str]:
    """What Ultralytics would refuse of a data set: its own rules, restated, since its licence forbids to link it."""
    content = yaml.safe_load((folder / "data.yaml").read_text(encoding="utf-8"))
    classes = len(content["names"])
    wrong = [] if sorted(content["names"]) == list(range(classes)) else ["names are not numbered from 0"]
    for picture in (Path(content["path"]) / content["train"]).rglob("*.*"):
        rows = [line.split() for line in looked_for(picture).read_text().splitlines()]
        for row in rows:
            values = [float(value) for value in row[1:]]
            if len(row) != 5 or min(values) < 0 or max(values) > 1:
                wrong.append(f"{picture.name}: {row}")
            if not 0 <= int(row[0]) < classes:
                wrong.append(f"{picture.name}: class {row[0]}")
        if len({tuple(row) for row in rows}) < len(rows):
            wrong.append(f"{picture.name}: a row twice")
    return wrong


def test_ultralytics_would_refuse_nothing(tagged_scenes):
    assert ultralytics_problems(tagged_scenes / "yolo") == []


# --- all of them ------------------------------------------------------------------------------------------------------


def test_whole_picture_tags_have_no_place_and_that_is_told(tmp_path):
    pictures = photographs(tmp_path / "photos", "a.jpg")
    output = finished(tmp_path / "tags", {"a.jpg": [lamp(0.9, None), lamp(0.8, None)]}, pictures)
    exports = export(output, "coco,yolo,voc", copy=True)
    exports.check()
    others = "csv, xlsx, parquet, jsonl and labelstudio have one"
    assert f"coco: 2 whole-picture tags have no place in it: {others}" in exports.notes
    consequence = "and pictures that have no others are left out"
    assert f"yolo: 2 whole-picture tags have no place in it, {consequence}: {others}" in exports.notes
    assert list((output / "yolo" / "labels").iterdir()) == [], "an empty file would say that nothing is in it"
    assert list((output / "voc" / "Annotations").iterdir()) == []
    assert len(json.loads((output / "coco.json").read_bytes())["images"]) == 1


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> dict[tuple[str, str], tuple[Path, dict[str, Any]]]:
    """By a label and the name of the picture that it is in: the folder, and what supervision makes of each data set."""
    cases = [(label, "a.jpg") for label in LABELS] + [("台灯", name) for name in FILE_NAMES]
    outputs, requests = [], []
    for label, name in cases:
        parent = tmp_path_factory.mktemp("hostile")
        pictures = photographs(parent / "photos", name)
        output = finished(parent / "tags", {name: [lamp()._replace(label=label)]}, pictures)
        export(output, ",".join(KINDS), copy=True).check()
        requests += [data_set(output, kind, pictures) for kind in ("coco", "voc", "yolo")]
        outputs.append(output)
    answers = iter(read_by("supervision", requests))
    in_threes = zip(answers, answers, answers, strict=True)
    loaded = [dict(zip(("coco", "voc", "yolo"), three, strict=True)) for three in in_threes]
    return dict(zip(cases, zip(outputs, loaded, strict=True), strict=True))


@pytest.mark.parametrize("label", LABELS)
def test_labels_come_back_as_they_are(hostile, label):
    output, loaded = hostile[label, "a.jpg"]
    assert loaded["coco"]["classes"] == [label]
    assert yaml.safe_load((output / "yolo" / "data.yaml").read_text(encoding="utf-8"))["names"] == {0: label}
    assert loaded["voc"]["classes"] == [label.replace("\n", " ")]


@pytest.mark.parametrize("name", FILE_NAMES)
def test_file_names_come_back_as_they_are(hostile, name):
    output, loaded = hostile["台灯", name]
    for kind in KINDS:
        assert list(loaded[kind]["pictures"]) == [name]
        assert np.array(loaded[kind]["pictures"][name]["boxes"]) == pytest.approx(np.array([lamp().bbox]), abs=1)
    root = ElementTree.parse(output / "voc" / "Annotations" / f"{Path(name).stem}.xml").getroot()
    assert root.find("filename").text == name


# --- YOLO and VOC -----------------------------------------------------------------------------------------------------


def test_labels_lie_where_a_trainer_looks_for_them(tmp_path):
    names = ["a.jpg", "shoes/b.jpg", "shoes/images/c.jpg", "v1.2/d.e.jpg"]
    pictures = photographs(tmp_path / "photos", *names)
    output = finished(tmp_path / "tags", {name: [lamp()] for name in names}, pictures)
    export(output, "yolo", copy=True).check()
    for name in names:
        labels = looked_for(output / "yolo" / "images" / name)
        assert labels.read_text() == "0 0.375000 0.333333 0.250000 0.333333\n", name
    content = yaml.safe_load((output / "yolo" / "data.yaml").read_text(encoding="utf-8"))
    assert content == {"path": str(output / "yolo"), "train": "images", "val": "images", "names": {0: "台灯"}}


def test_without_copies_a_list_names_the_pictures_where_they_have_to_lie(tmp_path):
    pictures = photographs(tmp_path / "photos", "shoes/a.jpg")
    output = finished(tmp_path / "tags", {"shoes/a.jpg": [lamp()]}, pictures)
    exports = export(output, "yolo")
    (listed,) = (output / "yolo" / "train.txt").read_text().splitlines()
    assert listed == str(output / "yolo" / "images" / "shoes" / "a.jpg")
    assert looked_for(Path(listed)).exists()
    assert list((output / "yolo" / "images").iterdir()) == []
    assert exports.notes == [f"yolo: labels alone; put the pictures into {output / 'yolo'}/images, or use copy=True"]


def test_pixels_of_voc_count_from_one_and_are_inclusive(tmp_path):
    pictures = photographs(tmp_path / "photos", "a.jpg")
    whole, corner, thin = (0.0, 0.0, 400.0, 300.0), (399.0, 299.0, 400.0, 300.0), (10.2, 20.0, 10.4, 30.0)
    output = finished(tmp_path / "tags", {"a.jpg": [lamp(0.9, whole), lamp(0.8, corner), lamp(0.7, thin)]}, pictures)
    export(output, "voc").check()
    root = ElementTree.parse(output / "voc" / "Annotations" / "a.xml").getroot()
    boxes = [[int(edge.text) for edge in box] for box in root.iter("bndbox")]
    assert boxes == [[1, 1, 400, 300], [400, 300, 400, 300], [11, 21, 11, 30]]
    assert [each.text for each in root.iter("confidence")] == ["0.9000", "0.8000", "0.7000"]
    assert (output / "voc" / "ImageSets" / "Main" / "trainval.txt").read_text() == "a\n"


def test_the_first_of_two_stems_keeps_it_and_the_other_gets_its_suffix():
    stems = Stems(["a.JPG", "a.jpg", "a.png", "a_png.png", "b.jpg"])
    assert [stems.of(name) for name in ("a.JPG", "a.jpg", "a.png", "a_png.png", "b.jpg")] == [
        "a",
        "a_jpg",
        "a_png_2",
        "a_png",
        "b",
    ]
    assert stems.rival("a.png") == "a.JPG"
    assert stems.rival("b.jpg") == ""


def test_copies_of_pictures_that_share_a_stem_are_renamed_and_both_are_named(tmp_path):
    pictures = photographs(tmp_path / "photos", "a.jpg", "a.png")
    output = finished(tmp_path / "tags", {"a.jpg": [lamp()], "a.png": []}, pictures)
    exports = export(output, "yolo,voc", copy=True)
    exports.check()
    assert sorted(path.name for path in (output / "yolo" / "labels").iterdir()) == ["a.txt", "a_png.txt"]
    assert sorted(path.name for path in (output / "voc" / "JPEGImages").iterdir()) == ["a.jpg", "a_png.png"]
    renamed = "1 picture renamed, since another has the same label file (a.png is a_png.png, beside a.jpg)"
    assert exports.notes[:2] == [f"yolo: {renamed}", f"voc: {renamed}"]


def test_without_copies_the_second_is_left_out_and_both_are_named(tmp_path):
    pictures = photographs(tmp_path / "photos", "a.jpg", "a.png")
    output = finished(tmp_path / "tags", {"a.jpg": [lamp()], "a.png": []}, pictures)
    exports = export(output, "yolo")
    assert [path.name for path in (output / "yolo" / "labels").iterdir()] == ["a.txt"]
    assert exports.notes[0].startswith("yolo: 1 picture left out, since another has the same label file")
    assert "(a.png beside a.jpg)" in exports.notes[0]


def test_a_suffix_that_ultralytics_does_not_know_is_told(tmp_path):
    pictures = photographs(tmp_path / "photos", "a.gif", "b.jpg")
    output = finished(tmp_path / "tags", {"a.gif": [lamp()], "b.jpg": []}, pictures)
    (note,) = export(output, "yolo", copy=True).notes[:1]
    assert note == "yolo: 1 picture copied, though Ultralytics passes over what has such a suffix (a.gif)"


def test_copies_that_the_next_run_would_tag_are_refused(tmp_path):
    pictures = photographs(tmp_path / "photos", "a.jpg")
    outside = finished(tmp_path / "tags", {"a.jpg": [lamp()]}, pictures)
    with pytest.raises(SettingsError, match="would be tagged as pictures by the next run: give a to_dir outside"):
        export(outside, "yolo", pictures / "sub", copy=True)
    assert not (pictures / "sub").exists()
    inside = finished(pictures / "tags", {"a.jpg": [lamp()]}, pictures)
    export(inside, "yolo", copy=True).check()
