"""The steps of the method, each one change to the step before: default, resident, batched, half precision.

Written as the article that this project starts from means them. What follows beyond, decoding in threads, compilation,
is `tag_folder`. One step is one function of a `Job`, writes one JSON a picture, and does nothing else.
"""

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import torch
from PIL import Image, ImageOps
from torch import Tensor, nn
from torchvision.transforms.functional import normalize, to_tensor

from .detections import Detections, Selection, detect
from .images import InputSpec, Placement, place
from .results import objects


@dataclass(frozen=True)
class Job:
    """Pictures to tag and how. `load` gives the network in FP32, as from its file; `output` holds the JSONs."""

    pictures: Sequence[Path]
    output: Path
    load: Callable[[], nn.Module]
    spec: InputSpec
    labels: dict[int, str]
    device: str = "cpu"
    half: torch.dtype = torch.bfloat16
    batch_size: int = 8
    selection: Selection = field(default_factory=Selection)


@torch.no_grad()
def default(job: Job) -> None:
    """Load the model again for every picture."""
    for path in job.pictures:
        network = job.load().to(job.device).eval()
        image, placement = prepare(path, job.spec)
        raw = network(image[None].to(job.device))
        write(job, [path], tags(raw, [placement], job))


@torch.no_grad()
def resident(job: Job) -> None:
    """Load the model once."""
    network = job.load().to(job.device).eval()
    for path in job.pictures:
        image, placement = prepare(path, job.spec)
        raw = network(image[None].to(job.device))
        write(job, [path], tags(raw, [placement], job))


@torch.no_grad()
def batched(job: Job) -> None:
    """One forward for several pictures."""
    network = job.load().to(job.device).eval()
    for paths in batches(job.pictures, job.batch_size):
        images, placements = zip(*[prepare(path, job.spec) for path in paths], strict=True)
        raw = network(torch.stack(images).to(job.device))
        write(job, paths, tags(raw, placements, job))


@torch.no_grad()
def half_precision(job: Job) -> None:
    """Weights and input in half precision: the article's final script."""
    network = job.load().to(job.device, job.half).eval()
    for paths in batches(job.pictures, job.batch_size):
        images, placements = zip(*[prepare(path, job.spec) for path in paths], strict=True)
        raw = network(torch.stack(images).to(job.device, job.half))
        write(job, paths, tags(raw, placements, job))


STEPS = {"default": default, "resident": resident, "batched": batched, "half precision": half_precision}


def batches(pictures: Sequence[Path], size: int) -> list[Sequence[Path]]:
    return [pictures[start : start + size] for start in range(0, len(pictures), size)]


def prepare(path: Path, spec: InputSpec) -> tuple[Tensor, Placement]:
    """One picture with Pillow and torchvision, in the loop, as most scripts do: float32 [3,H,W], normalised."""
    with Image.open(path) as file:
        image = ImageOps.exif_transpose(file).convert("RGB")
    placement = place(image.width, image.height, spec)
    canvas = Image.new("RGB", (spec.width, spec.height), (spec.pad,) * 3)
    canvas.paste(image.resize(placement.scaled, Image.Resampling.BILINEAR), placement.offset)
    return normalize(to_tensor(canvas), spec.mean, spec.std), placement


def tags(raw: tuple[Tensor | None, Tensor, Tensor], placements: Sequence[Placement], job: Job) -> list[Detections]:
    boxes, scores, class_ids = raw
    on_cpu = (None if boxes is None else boxes.float().cpu(), scores.float().cpu(), class_ids.long().cpu())
    return detect(on_cpu, list(placements), job.labels, job.selection)


def write(job: Job, paths: Sequence[Path], found: list[Detections]) -> None:
    """In threads, waiting for all of them, as the article's script does."""
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda path, detections: write_one(job, path, detections), paths, found))


def write_one(job: Job, path: Path, found: Detections) -> None:
    content = json.dumps({"image": path.name, "objects": objects(found)}, ensure_ascii=False, indent=2)
    (job.output / f"{path.name}.json").write_text(content, encoding="utf-8")
