"""Train the demo detector on drawn scenes alone: `python -m wanwu_nb.demo.train`.

Scenes are drawn on the fly, small first (384 pixels wide), then at the input's own 640. A cell of the grid near a
product's centre is asked for the IoU of its own box as its class score (quality focal loss, Li et al., 2020,
"Generalized Focal Loss"), and for the box (GIoU loss, Rezatofighi et al., 2019).
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, pad
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset
from torchvision.ops import generalized_box_iou_loss
from torchvision.transforms.v2.functional import pil_to_tensor

from ..checkpoints import DEMO_FOLDER
from .detector import STRIDE, DemoDetector, cell_centres
from .products import PRODUCTS
from .scenes import EFFECTS, draw_scene

FIRST_TRAINING_SEED = 1_000_000  # scenes for tagging and judging use seeds below this
BATCH = 16
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PAD = 114


class Scenes(Dataset):
    """Batches of drawn scenes, each batch on one canvas: landscape, portrait or square, as letterboxing makes them."""

    def __init__(self, batches: int, width: int, first_seed: int):
        self.batches, self.width, self.first_seed = batches, width, first_seed

    def __len__(self) -> int:
        return self.batches

    def __getitem__(self, index: int) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        rng = np.random.default_rng(self.first_seed + index)
        long, short = self.width, self.width * 5 // 8 // 32 * 32
        canvas = [(long, short), (short, long), (long, long)][rng.choice(3, p=[0.75, 0.2, 0.05])]
        seeds = self.first_seed + index * BATCH + np.arange(BATCH)
        drawn = [self.on_canvas(rng, int(seed), canvas) for seed in seeds]
        images, boxes, class_ids = zip(*drawn, strict=True)
        return torch.stack(images), list(boxes), list(class_ids)

    def on_canvas(self, rng, seed: int, canvas: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
        width, height = canvas
        ratio = 16 / 9 if width > height else 9 / 16 if width < height else rng.choice([1.0, 4 / 3, 3 / 4])
        size = (width, min(height, round(width / ratio))) if ratio >= 1 else (min(width, round(height * ratio)), height)
        scene = draw_scene(seed, size, EFFECTS[rng.choice(4, p=[0.82, 0.06, 0.06, 0.06])])
        spare_x, spare_y = width - size[0], height - size[1]
        left, top = rng.integers(spare_x + 1), rng.integers(spare_y + 1)
        image = pad(pil_to_tensor(scene.image), [left, spare_x - left, top, spare_y - top], value=PAD)
        boxes = torch.from_numpy(scene.boxes).float() + torch.tensor([left, top, left, top])
        return image, boxes, torch.from_numpy(scene.class_ids)


def train(folder: Path, minutes: float, workers: int) -> None:
    """Train for about `minutes` of wall time, and leave the averaged weights in `folder` as a model folder."""
    torch.manual_seed(0)
    net = DemoDetector(len(PRODUCTS)).to(memory_format=torch.channels_last)
    average = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(0.998), use_buffers=True)
    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=0.02)
    started, step, seed = time.monotonic(), 0, FIRST_TRAINING_SEED
    for width, share in ((384, 0.55), (640, 1.0)):
        loader = DataLoader(Scenes(10**6, width, seed), batch_size=None, num_workers=workers, prefetch_factor=4)
        for images, boxes, class_ids in loader:
            spent = (time.monotonic() - started) / 60 / minutes
            if spent > share:
                break
            for group in optimizer.param_groups:
                group["lr"] = 2e-3 * min(1, (step + 1) / 100) * (0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * spent)))
            loss_class, loss_box = losses(net, normalise(images), boxes, class_ids)
            optimizer.zero_grad(set_to_none=True)
            (loss_class + 2 * loss_box).backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 10.0)
            optimizer.step()
            average.update_parameters(net)
            if step % 50 == 0:
                at = f"{spent * minutes:5.1f} min  step {step:5d}  width {width}"
                print(f"{at}  class {loss_class.item():.3f}  box {loss_box.item():.3f}", flush=True)
            step += 1
            seed += BATCH
        seed += BATCH * 1000
    save_model_folder(average.module, folder)
    print(f"{step} steps of {BATCH} scenes in {(time.monotonic() - started) / 60:.1f} min")


def normalise(images: Tensor) -> Tensor:
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) * 255 for v in (MEAN, STD))
    return ((images.float() - mean) / std).contiguous(memory_format=torch.channels_last)


def losses(net: DemoDetector, images: Tensor, boxes: list[Tensor], class_ids: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Class loss and box loss of a batch, each a mean over the positive cells."""
    logits, found = net.dense(images)
    height, width = images.shape[2] // STRIDE, images.shape[3] // STRIDE
    centres = cell_centres(images.new_empty(1, 1, height, width), STRIDE)
    matches = [match(centres, b) for b in boxes]
    picture = torch.cat([torch.full_like(cells, i) for i, (cells, _) in enumerate(matches)])
    cell = torch.cat([cells for cells, _ in matches])
    wanted = torch.cat([b[owner] for b, (_, owner) in zip(boxes, matches, strict=True)])
    class_id = torch.cat([c[owner] for c, (_, owner) in zip(class_ids, matches, strict=True)])
    positives = max(1, len(cell))
    predicted = found[picture, cell]
    quality = paired_iou(predicted.detach(), wanted)
    target = torch.zeros_like(logits)
    target[picture, cell, class_id] = quality.clamp(0, 1).to(target.dtype)
    focal = (target - logits.detach().sigmoid()).abs().pow(2)
    loss_class = (focal * binary_cross_entropy_with_logits(logits, target, reduction="none")).sum() / positives
    return loss_class, generalized_box_iou_loss(predicted, wanted, reduction="sum") / positives


def match(centres: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Cells within 1.5 strides of a box's centre and inside it, and the (smallest such) box each belongs to."""
    if not len(boxes):
        return torch.empty(0, dtype=torch.long), torch.empty(0, dtype=torch.long)
    x, y = centres[:, None, 0], centres[:, None, 1]
    inside = (x > boxes[:, 0]) & (x < boxes[:, 2]) & (y > boxes[:, 1]) & (y < boxes[:, 3])
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    near = (centres[:, None] - middle).abs().amax(2) < 1.5 * STRIDE
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1).expand(len(centres), -1).masked_fill(~(inside & near), torch.inf)
    smallest, owner = area.min(1)
    cells = torch.isfinite(smallest).nonzero()[:, 0]
    return cells, owner[cells]


def paired_iou(a: Tensor, b: Tensor) -> Tensor:
    """IoU of a[i] with b[i]; both [N,4] xyxy."""
    overlap = (torch.min(a[:, 2:], b[:, 2:]) - torch.max(a[:, :2], b[:, :2])).clamp(min=0).prod(1)
    return overlap / ((a[:, 2:] - a[:, :2]).prod(1) + (b[:, 2:] - b[:, :2]).prod(1) - overlap)


def save_model_folder(net: DemoDetector, folder: Path) -> None:
    """Weights in half precision (they are cast back at loading), the input they expect, and the labels."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: t.half() if t.is_floating_point() else t for name, t in net.state_dict().items()}
    save_file({name: t.contiguous() for name, t in state.items()}, folder / "model.safetensors")
    spec = {"width": 640, "height": 640, "fit": "letterbox", "pad": PAD, "mean": MEAN, "std": STD}
    model = {"name": "demo detector", "architecture": "wanwu_nb/demo_detector", "input": spec}
    (folder / "model.json").write_text(json.dumps(model, indent=1) + "\n")
    labels = {str(i): product.name for i, product in enumerate(PRODUCTS)}
    (folder / "labels_zh.json").write_text(json.dumps(labels, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=DEMO_FOLDER)
    parser.add_argument("--minutes", type=float, default=80)
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    train(given.out, given.minutes, given.workers)
