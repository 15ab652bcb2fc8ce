"""Finished output folders made by hand, as a run leaves them, for tests of exports."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from wanwu_nb.detections import Detections, Tag
from wanwu_nb.results import OutputFolder
from wanwu_nb.tagged import Failed, Tagged
from wanwu_nb.versions import FileVersion, version_of

LABELS = {0: "T恤", 1: "台灯", 2: "花瓶", 3: "苹果"}
KEY = "0123456789abcdef"
SIZE = 400, 300


def detections(tags: Sequence[Tag], size: tuple[int, int] = SIZE) -> Detections:
    """What would be found in a picture, best first."""
    boxes = None
    if not tags or tags[0].bbox is not None:
        boxes = np.array([tag.bbox for tag in tags], np.float64).reshape(-1, 4)
    scores = np.array([tag.confidence for tag in tags], np.float64)
    class_ids = np.array([tag.label_id for tag in tags], np.int64)
    names = [tag.label for tag in tags]
    categories = [tag.category for tag in tags]
    english = [tag.english for tag in tags]
    unsure = any(tag.unsure for tag in tags)
    return Detections(*size, boxes, scores, class_ids, names, 0, unsure, categories, english)


def finished(
    output: Path,
    tags: Mapping[str, Sequence[Tag]],
    image_dir: Path | str = "",
    failures: Mapping[str, str] | None = None,
    damaged: Sequence[str] = (),
    sizes: Mapping[str, tuple[int, int]] | None = None,
) -> Path:
    """An output folder in which each of these pictures has these tags."""
    with OutputFolder(output, KEY, image_dir) as results:
        results.begin({}, LABELS)
        for name, each in tags.items():
            version = version_of(image_dir, name) or FileVersion(1, 1)
            size = (sizes or {}).get(name, SIZE)
            results.put(Tagged(name, version, detections(each, size), damaged=name in damaged))
        for name, reason in (failures or {}).items():
            results.put(Failed(name, None, "decode", reason))
    return output


def lamp(confidence: float = 0.9, box: tuple[float, float, float, float] | None = (100.0, 50.0, 200.0, 150.0)) -> Tag:
    return Tag("台灯", 1, confidence, box)


def left_behind(folder: Path) -> list[str]:
    """Temporary names of ours."""
    return [path.name for path in folder.rglob(".*") if path.name.endswith((".partial", ".scratch", ".old"))]


WITHOUT_PICTURES = "csv,xlsx,coco,labelstudio,parquet,jsonl"
TAGS = {"a.jpg": [lamp()], "shoes/b.jpg": [lamp(0.8), lamp(0.7)], "c.jpg": []}
