"""What people read exports with, in a process of its own: no such library ever shares one with torch and the tests.

    python tests/consumers.py supervision < requests.json

A list of requests in, a list of answers out, so that a library is loaded once for many.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# Compiled code that brings threads and hooks of its own along. conftest.py lets none of it into the tests' process.
KEPT_OUT = ("av", "duckdb", "supervision")

Request = dict[str, str]


def read_by(consumer: str, requests: Sequence[Request]) -> list[Any]:
    """What a consumer makes of some files, in order."""
    command = [sys.executable, __file__, consumer]
    run = subprocess.run(command, input=json.dumps(requests), capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    answers = json.loads(run.stdout.splitlines()[-1])
    assert len(answers) == len(requests)
    return answers


def data_set(output: Path, kind: str, pictures: Path) -> Request:
    """What `supervision` is asked for: an export of pictures that lie in no sub-folder."""
    if kind == "coco":
        return {"kind": kind, "images": str(pictures), "labels": str(output / "coco.json")}
    folder = output / kind
    if kind == "yolo":
        labels, names = folder / "labels", folder / "data.yaml"
        return {"kind": kind, "images": str(folder / "images"), "labels": str(labels), "names": str(names)}
    return {"kind": kind, "images": str(folder / "JPEGImages"), "labels": str(folder / "Annotations")}


def by_supervision(request: Request) -> dict[str, Any]:
    """The classes, and of each picture by name its path, labels and boxes."""
    import supervision

    images, labels = request["images"], request["labels"]
    if request["kind"] == "coco":
        read = supervision.DetectionDataset.from_coco(images, labels)
    elif request["kind"] == "yolo":
        read = supervision.DetectionDataset.from_yolo(images, labels, request["names"])
    else:
        read = supervision.DetectionDataset.from_pascal_voc(images, labels)
    pictures = {}
    for path, _, detections in read:
        names = [read.classes[class_id] for class_id in detections.class_id]
        pictures[Path(path).name] = {"path": path, "labels": names, "boxes": detections.xyxy.tolist()}
    return {"classes": read.classes, "pictures": pictures}


def by_pycocotools(request: Request) -> dict[str, Any]:
    """The least of all ids, and the pictures with their annotations, whose categories are named."""
    from pycocotools.coco import COCO

    coco = COCO(request["path"])
    images = coco.loadImgs(coco.getImgIds())
    for image in images:
        image["annotations"] = coco.loadAnns(coco.getAnnIds(imgIds=image["id"]))
        for annotation in image["annotations"]:
            annotation["category"] = coco.cats[annotation["category_id"]]["name"]
    ids = [*coco.getImgIds(), *coco.getAnnIds(), *coco.getCatIds()]
    return {"images": images, "least id": min(ids)}


def by_duckdb(request: Request) -> list[Any]:
    """The rows of a query."""
    import duckdb

    return duckdb.sql(request["query"]).fetchall()


READERS = {"supervision": by_supervision, "pycocotools": by_pycocotools, "duckdb": by_duckdb}


if __name__ == "__main__":
    reader = READERS[sys.argv[1]]
    print(json.dumps([reader(request) for request in json.load(sys.stdin)]))
