"""How good is the demo detector? `python -m wanwu_nb.demo.accuracy` draws scenes it has never seen, and judges.

Recall and precision at the threshold: IoU > 0.5 and the right label. mAP@0.5 as COCO counts it, over all scores.
Needs pycocotools (the extra `test`).
"""

import argparse
import contextlib
import io
import json
import tempfile
from pathlib import Path

import numpy as np

from .. import ResidentModel, tag_folder
from ..quality import wilson
from ..tuning import environment
from .scenes import EFFECTS, draw_folder

UNSEEN_SEED = 500_000  # tagging demo: from 0; training: from 1,000,000


def measure(count: int, threshold: float, effect: str, folder: Path) -> dict[str, float]:
    """Draw `count` unseen scenes, tag them with every score down to 0.01, and compare with the ground truth."""
    truth = draw_folder(folder / "scenes", count, UNSEEN_SEED, effect)
    tag_folder(ResidentModel.load("demo"), folder / "scenes", folder / "tags", conf_threshold=0.01)
    return judge(truth, folder / "tags" / "images", threshold)


def judge(truth: Path, results: Path, threshold: float) -> dict[str, float]:
    """Recall and precision at `threshold`, with 95 % intervals, and mAP@0.5 of per-picture JSONs against COCO truth."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        coco = COCO(str(truth))
        evaluation = COCOeval(coco, coco.loadRes(as_coco(coco, results)), "bbox")
        evaluation.params.iouThrs = np.array([0.5])
        evaluation.evaluate()
        evaluation.accumulate()
    everything = evaluation.params.areaRng[0]
    rows = [row for row in evaluation.evalImgs if row and row["aRng"] == everything]
    scores = np.concatenate([row["dtScores"] for row in rows])
    right = np.concatenate([row["dtMatches"][0] for row in rows]) > 0
    products, kept = len(coco.anns), scores >= threshold
    found = int((right & kept).sum())
    precision = evaluation.eval["precision"][0, :, :, 0, -1]
    return {
        "pictures": len(coco.imgs),
        "products": products,
        "recall": found / products,
        "recall_95": wilson(found, products),
        "precision": found / max(1, int(kept.sum())),
        "precision_95": wilson(found, max(1, int(kept.sum()))),
        "mAP@0.5": float(precision[precision > -1].mean()),
    }


def as_coco(coco, results: Path) -> list[dict]:
    rows = []
    for image_id, image in coco.imgs.items():
        found = json.loads((results / f"{image['file_name']}.json").read_text(encoding="utf-8"))
        for each in found["objects"]:
            x1, y1, x2, y2 = each["bbox"]
            row = {"image_id": image_id, "category_id": each["label_id"], "score": each["confidence"]}
            rows.append({**row, "bbox": [x1, y1, x2 - x1, y2 - y1]})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200, help="scenes to draw")
    parser.add_argument("--threshold", type=float, default=0.3)
    parser.add_argument("--effect", choices=EFFECTS, default="")
    parser.add_argument("--record", type=Path, help="write the figures to this JSON file")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(given.count, given.threshold, given.effect, Path(folder))
    print(f"{figures['pictures']} unseen scenes, {figures['products']} products, threshold {given.threshold}")
    for name in ("recall", "precision"):
        low, high = figures[f"{name}_95"]
        print(f"{name:10s} {figures[name]:6.1%}   (95 % interval {low:.1%} to {high:.1%})")
    print(f"{'mAP@0.5':10s} {figures['mAP@0.5']:6.1%}")
    if given.record:
        settings = {
            "count": given.count,
            "threshold": given.threshold,
            "effect": given.effect,
            "first_seed": UNSEEN_SEED,
        }
        given.record.parent.mkdir(parents=True, exist_ok=True)
        given.record.write_text(json.dumps({**settings, **figures, "environment": environment()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
