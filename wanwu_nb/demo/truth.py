"""The ground truth beside drawn pictures: what is in each of them, as one COCO file. Needs nothing that draws."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..settings import DEMO_TRUTH

TRUTH = DEMO_TRUTH


@dataclass(frozen=True)
class Drawn:
    """One drawn file: its upright size in pixels, and the box [x, y, width, height] and class id of each product."""

    file_name: str
    width: int
    height: int
    products: list[tuple[list[float], int]]


def write_truth(folder: Path, pictures: Iterable[Drawn], categories: list[dict[str, Any]]) -> Path:
    """Write what is in the pictures of `folder` beside them. Returns the file's path."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, picture in enumerate(pictures, start=1):
        images.append(
            {"id": image_id, "file_name": picture.file_name, "width": picture.width, "height": picture.height}
        )
        for box, class_id in picture.products:
            annotation = {"id": len(annotations) + 1, "image_id": image_id, "category_id": class_id, "bbox": box}
            annotations.append({**annotation, "area": box[2] * box[3], "iscrowd": 0})
    path = folder / TRUTH
    content = {"images": images, "annotations": annotations, "categories": categories}
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return path
