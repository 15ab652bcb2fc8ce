"""COCO: which ids a user's names have, and that all exports speak in the user's words."""

import json

import pandas as pd
import yaml
from exported import LABELS, finished, lamp

from wanwu_nb import read_results, tag_folder
from wanwu_nb.detections import Tag
from wanwu_nb.exports import export
from wanwu_nb.exports.categories import Categories


def numbered(*tags: tuple[str, int], labels=LABELS) -> tuple[dict[str, int], list[str]]:
    categories = Categories()
    for label, label_id in tags:
        categories.number(Tag(label, label_id, 0.9, None))
    ids, new = categories.ids(labels)
    return dict(zip([category.name for category in categories.all], ids, strict=True)), new


def test_a_category_has_the_smallest_of_the_merged_ids_counted_from_one():
    assert numbered(("水果", 3), ("灯", 1), ("水果", 2)) == ({"水果": 3, "灯": 2}, [])


def test_a_model_that_counts_from_one_keeps_its_ids():
    assert numbered(("人", 1), ("车", 3), labels={1: "人", 3: "车"}) == ({"人": 1, "车": 3}, [])


def test_a_new_label_takes_the_next_free_id():
    assert numbered(("T恤", 0), ("新", -1), ("也新", 0)) == ({"T恤": 1, "新": 6, "也新": 5}, ["也新", "新"])


def test_a_name_of_two_classes_is_one_category_and_pictures_without_objects_stay(tmp_path):
    tags = {"a/1.jpg": [lamp()], "a/2.jpg": [], "b.jpg": [lamp()._replace(label_id=3), lamp(0.5)]}
    output = finished(tmp_path / "tags", tags)
    export(output, "coco").check()
    coco = json.loads((output / "coco.json").read_bytes())
    assert [each["file_name"] for each in coco["images"]] == ["a/1.jpg", "a/2.jpg", "b.jpg"]
    assert coco["categories"] == [{"id": 2, "name": "台灯", "supercategory": "", "label_id": 1}]
    assert [each["image_id"] for each in coco["annotations"]] == [1, 3, 3]


def test_merged_and_renamed_labels_are_one_category_with_the_users_words(model, scenes, tmp_path):
    words = tmp_path / "words.csv"
    words.write_text(
        "label,name,category,english\n面包,食品,吃的,food\n甜甜圈,食品,吃的,food\n苹果,食品,吃的,food\n", "utf-8"
    )
    output = tmp_path / "tags"
    tag_folder(model, scenes, output, vocabulary=str(words))
    export(output, "coco,csv,yolo", orientation="file").check()
    coco = json.loads((output / "coco.json").read_bytes())
    (food,) = [each for each in coco["categories"] if each["name"] == "食品"]
    smallest = min(class_id for class_id, name in model.labels.items() if name in ("面包", "甜甜圈", "苹果"))
    assert food == {"id": smallest + 1, "name": "食品", "supercategory": "吃的", "label_id": smallest}
    tags = [tag for tagged in read_results(output) for tag in tagged.objects if tag.label == "食品"]
    assert len([each for each in coco["annotations"] if each["category_id"] == food["id"]]) == len(tags)
    names = yaml.safe_load((output / "yolo" / "data.yaml").read_text(encoding="utf-8"))["names"]
    assert list(names.values()).count("食品") == 1
    objects = pd.read_csv(output / "tags_objects.csv")
    rows = objects[objects["label 标签"] == "食品"]
    assert set(rows["english 英文"]) == {"food"}
    assert len(rows) == len(tags)
