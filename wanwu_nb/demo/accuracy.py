"""How good is the demo detector? `python -m wanwu_nb.demo.accuracy` draws scenes it has never seen, and judges.

Recall and precision at the threshold: IoU > 0.5 and the right label. mAP@0.5 as COCO counts it, over all scores.
Needs pycocotools (the extra `test`).
"""

import argparse
import contextlib
import io
import json
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..hardware import environment, usable_cores
from ..quality import wilson
from ..resident import ResidentModel
from ..results import read_results
from ..tagged import Tagged
from ..tagging import tag_folder
from .scenes import EFFECTS, draw_folder

UNSEEN_SEED = 500_000  # tagging demo: from 0; training: from 1,000,000

Figures = dict[str, Any]


def measure(count: int, threshold: float, effect: str, folder: Path) -> Figures:
    """Draw `count` unseen scenes in `folder`, tag them with every score down to 0.01, compare with the ground truth.

    Returns what `judge` does.

    >>> measure(40, 0.3, "", Path("runs/unseen"))["recall"] > 0.9
    True
    """
    truth = draw_folder(folder / "scenes", count, UNSEEN_SEED, effect, usable_cores())
    model = ResidentModel.load("demo")
    tag_folder(model, folder / "scenes", folder / "tags", conf_threshold=0.01)
    return judge(truth, read_results(folder / "tags"), threshold)


def judge(truth: Path, results: Iterable[Tagged], threshold: float) -> Figures:
    """Compare results with the COCO file `truth` of the same pictures.

    Returns the number of pictures and products, recall and precision at `threshold` with 95 % intervals, mAP@0.5.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        coco = COCO(str(truth))
        evaluation = COCOeval(coco, coco.loadRes(_as_coco(coco, results)), "bbox")
        evaluation.params.iouThrs = np.array([0.5])
        evaluation.evaluate()
        evaluation.accumulate()
    scores, right = _detections(evaluation)
    sure = scores >= threshold
    hits = int((right & sure).sum())
    products = len(coco.anns)
    detected = max(1, int(sure.sum()))
    precision = evaluation.eval["precision"][0, :, :, 0, -1]
    return {
        "pictures": len(coco.imgs),
        "products": products,
        "recall": hits / products,
        "recall_95": wilson(hits, products),
        "precision": hits / detected,
        "precision_95": wilson(hits, detected),
        "mAP@0.5": float(precision[precision > -1].mean()),
    }


def _as_coco(coco: Any, results: Iterable[Tagged]) -> list[dict[str, Any]]:
    """COCO's rows of results, one an object."""
    image_ids = {image["file_name"]: image_id for image_id, image in coco.imgs.items()}
    rows = []
    for tagged in results:
        for tag in tagged.objects:
            if tag.bbox is None:
                raise ValueError(f"{tagged.image} has a whole-picture tag: only boxes can be judged here")
            x1, y1, x2, y2 = tag.bbox
            xywh = [x1, y1, x2 - x1, y2 - y1]
            image_id = image_ids[tagged.image]
            rows.append({"image_id": image_id, "category_id": tag.label_id, "score": tag.confidence, "bbox": xywh})
    return rows


def _detections(evaluation: Any) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Of each detection, of products of any size: its score, and whether it matches one of its class."""
    every_size = evaluation.params.areaRng[0]
    scores = []
    right = []
    for row in evaluation.evalImgs:
        if row is None or row["aRng"] != every_size:
            continue
        scores.append(row["dtScores"])
        right.append(row["dtMatches"][0] > 0)
    return np.concatenate(scores), np.concatenate(right).astype(bool)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200, help="scenes to draw")
    parser.add_argument("--threshold", type=float, default=0.3)
    parser.add_argument("--effect", choices=EFFECTS, default="")
    parser.add_argument("--record", type=Path, help="write the figures to this JSON file")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(asked.count, asked.threshold, asked.effect, Path(folder))
    print(f"{figures['pictures']} unseen scenes, {figures['products']} products, threshold {asked.threshold}")
    for name in ("recall", "precision"):
        low, high = figures[f"{name}_95"]
        print(f"{name:10s} {figures[name]:6.1%}   (95 % interval {low:.1%} to {high:.1%})")
    print(f"{'mAP@0.5':10s} {figures['mAP@0.5']:6.1%}")
    if asked.record:
        settings = {"count": asked.count, "threshold": asked.threshold, "effect": asked.effect}
        record = {**settings, "first_seed": UNSEEN_SEED, **figures, "environment": environment()}
        asked.record.parent.mkdir(parents=True, exist_ok=True)
        asked.record.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
