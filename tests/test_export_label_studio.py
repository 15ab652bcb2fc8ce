"""Tasks for Label Studio: its own rules, restated from its documentation, since its SDK pins older packages.

The SDK itself is asked where there is one, in a virtual environment of its own (0.5 GB):

    python -m venv label_studio && label_studio/bin/pip install label-studio-sdk==2.1.2
    WANWU_NB_LABEL_STUDIO=$PWD/label_studio/bin/python pytest tests/test_export_label_studio.py
"""

import json
import os
import subprocess
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import pytest
from exported import SIZE, finished, lamp

from wanwu_nb.detections import Tag
from wanwu_nb.exports import export, label_studio

HOSTILE = ["灯, 大", '他说"灯"', "=1+1", "<img src=x onerror=alert(1)>", "a & b", "💡灯", "مصباح", "it's"]
TAGS_OF_TYPES = {
    "rectanglelabels": "RectangleLabels",
    "choices": "Choices",
    "taxonomy": "Taxonomy",
    "rectangle": "Rectangle",
}


def problems(tasks: list[dict], configuration: str) -> list[str]:
    """What Label Studio would refuse or not show, of tasks and their labelling configuration."""
    controls = {each.get("name"): each for each in ElementTree.fromstring(configuration).iter() if each.get("name")}
    wrong = []
    ids: set[str] = set()
    for task in tasks:
        if controls["image"].get("value") != "$image" or not isinstance(task["data"]["image"], str):
            wrong.append("no picture")
        for prediction in task["predictions"]:
            if not isinstance(prediction["model_version"], str) or not 0 <= prediction["score"] <= 1:
                wrong.append("no version or score")
            for result in prediction["result"]:
                wrong += problems_of_result(result, controls)
                if result["id"] in ids and result["type"] != "taxonomy":
                    wrong.append(f"id {result['id']} twice")
                ids.add(result["id"])
    return wrong


def problems_of_result(result: dict, controls: dict[str, ElementTree.Element]) -> list[str]:
    wrong = []
    control = controls.get(result["from_name"])
    if control is None or control.tag != TAGS_OF_TYPES[result["type"]]:
        return [f"no control for {result}"]
    if control.get("toName") != result["to_name"] or result["to_name"] != "image":
        wrong.append("of nothing")
    if not 0 <= result["score"] <= 1:
        wrong.append("score")
    value = result["value"]
    if result["type"] == "rectanglelabels" and not inside(value):
        wrong.append(f"no percent: {value}")
    known = {each.get("value") for each in control}
    labels = value.get(result["type"], [])
    for label in labels:
        if (label[0] if result["type"] == "taxonomy" else label) not in known:
            wrong.append(f"label {label} is not in the configuration")
    return wrong


def inside(value: dict) -> bool:
    right, bottom = value["x"] + value["width"], value["y"] + value["height"]
    return min(value["x"], value["y"]) >= 0 and max(right, bottom) <= 100.001


def exported(output: Path, **options) -> tuple[list[dict], str]:
    export(output, "labelstudio", **options).check()
    tasks = json.loads((output / "label_studio.json").read_bytes())
    return tasks, (output / "label_studio.xml").read_text(encoding="utf-8")


def test_boxes_are_percent_of_the_picture(tmp_path):
    output = finished(tmp_path / "tags", {"shoes/a b.jpg": [lamp(0.9), lamp(0.5)], "b.jpg": []}, tmp_path / "photos")
    (output / "summary.json").write_text(json.dumps({"model": {"name": "demo", "fingerprint": "0123456789"}}))
    tasks, configuration = exported(output)
    assert problems(tasks, configuration) == []
    without, task = tasks
    assert without["predictions"] == []
    (prediction,) = task["predictions"]
    assert prediction["score"] == 0.5
    assert prediction["model_version"] == "demo 01234567"
    first = prediction["result"][0]
    assert first["value"] == {
        "x": 25.0,
        "y": pytest.approx(100 / 6, abs=1e-3),
        "width": 25.0,
        "height": pytest.approx(100 / 3, abs=1e-3),
        "rotation": 0,
        "rectanglelabels": ["台灯"],
    }
    assert (first["original_width"], first["original_height"]) == SIZE
    assert task["data"]["path"] == "shoes/a b.jpg"
    assert parse_qs(urlsplit(task["data"]["image"]).query) == {"d": ["photos/shoes/a b.jpg"]}


def test_whole_picture_tags_are_choices(tmp_path):
    output = finished(tmp_path / "tags", {"a.jpg": [lamp(0.9, None), Tag("桌", 3, 0.5, None)]})
    tasks, configuration = exported(output)
    assert problems(tasks, configuration) == []
    results = tasks[0]["predictions"][0]["result"]
    assert [(each["type"], each["value"]) for each in results] == [
        ("choices", {"choices": ["台灯"]}),
        ("choices", {"choices": ["桌"]}),
    ]


@pytest.mark.parametrize("label", HOSTILE)
def test_labels_and_names_of_any_kind_are_in_the_configuration(tmp_path, label):
    name = f"{label}.jpg".replace("/", "_")
    output = finished(tmp_path / "tags", {name: [lamp()._replace(label=label)]}, tmp_path / "photos")
    tasks, configuration = exported(output)
    assert problems(tasks, configuration) == []
    assert label in [each.get("value") for each in ElementTree.fromstring(configuration).iter("Label")]
    assert parse_qs(urlsplit(tasks[0]["data"]["image"]).query) == {"d": [f"photos/{name}"]}


@pytest.mark.parametrize("box", [lamp().bbox, None], ids=["boxes", "whole pictures"])
def test_many_labels_are_a_tree_to_search(tmp_path, monkeypatch, box):
    monkeypatch.setattr(label_studio, "MAX_BUTTONS", 1)
    output = finished(tmp_path / "tags", {"a.jpg": [lamp(0.9, box), Tag("桌", 3, 0.5, box)]})
    tasks, configuration = exported(output)
    assert problems(tasks, configuration) == []
    assert "<Taxonomy " in configuration
    assert {"taxonomy": [["桌"]]}.items() <= tasks[0]["predictions"][0]["result"][-1]["value"].items()


def test_more_tasks_than_a_project_bears_go_on_in_another_file(tmp_path, monkeypatch):
    monkeypatch.setattr(label_studio, "MAX_TASKS", 2)
    output = finished(tmp_path / "tags", {f"{i}.jpg": [lamp()] for i in range(5)})
    files = export(output, "labelstudio").files["labelstudio"]
    assert [path.name for path in files][:3] == ["label_studio.json", "label_studio_2.json", "label_studio_3.json"]
    tasks = [json.loads(path.read_bytes()) for path in files[:3]]
    assert [len(each) for each in tasks] == [2, 2, 1]
    monkeypatch.undo()
    export(output, "labelstudio").check()
    assert sorted(path.name for path in output.glob("label_studio*")) == ["label_studio.json", "label_studio.xml"]


# --- its SDK ----------------------------------------------------------------------------------------------------------

SDK = os.environ.get("WANWU_NB_LABEL_STUDIO", "")
VALIDATE = """
import json, sys
from pathlib import Path
from label_studio_sdk.label_interface import LabelInterface

folder = Path(sys.argv[1])
interface = LabelInterface((folder / "label_studio.xml").read_text(encoding="utf-8"))
errors = []
for task in json.loads((folder / "label_studio.json").read_bytes()):
    for prediction in task["predictions"]:
        errors += interface.validate_prediction(prediction, return_errors=True)
print(json.dumps(errors))
"""


def refused(folder: Path) -> list[str]:
    run = subprocess.run([SDK, "-c", VALIDATE, folder], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


@pytest.mark.skipif(not SDK, reason="Label Studio's SDK is not there: the docstring of this file says how to get it")
@pytest.mark.parametrize("most", [200, 1], ids=["buttons", "a tree"])
@pytest.mark.parametrize("box", [lamp().bbox, None], ids=["boxes", "whole pictures"])
def test_its_sdk_refuses_nothing(tmp_path, monkeypatch, most, box):
    monkeypatch.setattr(label_studio, "MAX_BUTTONS", most)
    tags = {f"{i}.jpg": [Tag(label, i, 0.9, box), lamp(0.3, box)] for i, label in enumerate(HOSTILE)}
    output = finished(tmp_path / "tags", {**tags, "empty.jpg": []}, tmp_path / "photos")
    export(output, "labelstudio").check()
    assert refused(output) == []
    configuration = output / "label_studio.xml"
    configuration.write_text(configuration.read_text(encoding="utf-8").replace("💡灯", "别的"), encoding="utf-8")
    assert refused(output) != [], "else it would refuse nothing at all"


def test_the_restated_rules_can_refuse():
    """Else every test above would pass."""
    configuration = label_studio.configuration(["台灯"], [])
    value = {"x": 1, "y": 1, "width": 5, "height": 5, "rotation": 0, "rectanglelabels": ["桌"]}
    result = {
        "id": "a",
        "type": "rectanglelabels",
        "from_name": "label",
        "to_name": "image",
        "score": 1,
        "value": value,
    }
    prediction = {"model_version": "x", "score": 1, "result": [result]}
    task = {"data": {"image": "x"}, "predictions": [prediction]}
    assert problems([task], configuration) == ["label 桌 is not in the configuration"]
