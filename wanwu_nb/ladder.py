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

from .checkpoints import Checkpoint
from .detections import Selection, detect
from .images import InputSpec, Placement, place
from .measure import StageClock
from .results import objects


@dataclass(frozen=True)
class Job:
    """Pictures to tag and how. `open` gives the network in FP32, as from its file; `output` holds the JSONs."""

    pictures: Sequence[Path]
    output: Path
    open: Callable[[], nn.Module]
    spec: InputSpec
    labels: dict[int, str]
    device: str = "cpu"
    half: torch.dtype = torch.bfloat16
    batch_size: int = 8
    selection: Selection = field(default_factory=Selection)
    clock: StageClock = field(default_factory=lambda: StageClock(on=False))


@torch.no_grad()
def default(job: Job) -> None:
    """Load the model again for every picture."""
    for path in job.pictures:
        network = load(job)
        image, placement = prepare(job, path)
        raw = forward(job, network, image[None])
        save(job, [path], raw, [placement])


@torch.no_grad()
def resident(job: Job) -> None:
    """Load the model once."""
    network = load(job)
    for path in job.pictures:
        image, placement = prepare(job, path)
        raw = forward(job, network, image[None])
        save(job, [path], raw, [placement])


@torch.no_grad()
def batched(job: Job) -> None:
    """One forward for several pictures."""
    network = load(job)
    for paths in batches(job):
        images, placements = zip(*[prepare(job, path) for path in paths], strict=True)
        raw = forward(job, network, torch.stack(images))
        save(job, paths, raw, placements)


@torch.no_grad()
def half_precision(job: Job) -> None:
    """Weights and input in half precision: the article's final script."""
    network = load(job).to(job.half)
    for paths in batches(job):
        images, placements = zip(*[prepare(job, path) for path in paths], strict=True)
        raw = forward(job, network, torch.stack(images).to(job.half))
        save(job, paths, raw, placements)


ARTICLE_SECONDS = {"load": 1.8, "preprocess": 0.6, "forward": 1.5, "postprocess": 0.3}  # a picture, on an RTX 4090
STEPS = {"default": default, "resident": resident, "batched": batched, "half precision": half_precision}


def load(job: Job) -> nn.Module:
    with job.clock.stage("load"):
        return job.open().to(job.device).eval()


def batches(job: Job) -> list[Sequence[Path]]:
    return [job.pictures[start : start + job.batch_size] for start in range(0, len(job.pictures), job.batch_size)]


def prepare(job: Job, path: Path) -> tuple[Tensor, Placement]:
    """One picture with Pillow and torchvision, in the loop, as most scripts do: float32 [3,H,W], normalised."""
    with job.clock.stage("preprocess"):
        spec = job.spec
        with Image.open(path) as file:
            image = ImageOps.exif_transpose(file).convert("RGB")
        placement = place(image.width, image.height, spec)
        canvas = Image.new("RGB", (spec.width, spec.height), (spec.pad,) * 3)
        canvas.paste(image.resize(placement.scaled, Image.Resampling.BILINEAR), placement.offset)
        return normalize(to_tensor(canvas), spec.mean, spec.std), placement


def forward(job: Job, network: nn.Module, images: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
    with job.clock.stage("forward"):
        return network(images.to(job.device))


def save(job: Job, paths: Sequence[Path], raw: tuple, placements: Sequence[Placement]) -> None:
    """Threshold, NMS and names; then a JSON a picture, in threads, waiting for all, as the article's script does."""
    with job.clock.stage("postprocess"):
        boxes, scores, class_ids = raw
        on_cpu = (None if boxes is None else boxes.float().cpu(), scores.float().cpu(), class_ids.long().cpu())
        found = detect(on_cpu, list(placements), job.labels, job.selection)
    with job.clock.stage("write"), ThreadPoolExecutor(4) as threads:
        records = [{"image": path.name, "objects": objects(each)} for path, each in zip(paths, found, strict=True)]
        list(threads.map(lambda record: write(job.output, record), records))


def write(output: Path, record: dict) -> None:
    content = json.dumps(record, ensure_ascii=False, indent=2)
    (output / f"{record['image']}.json").write_text(content, encoding="utf-8")


def job_of(checkpoint: Checkpoint, pictures: Sequence[Path], output: Path, **more) -> Job:
    """A job for any model: its network is pickled whole into `output`, and opened from there as scripts do it."""
    output.mkdir(parents=True, exist_ok=True)
    path = output / "module.pth"
    torch.save(checkpoint.network.float(), path)

    def open_module() -> nn.Module:
        return torch.load(path, map_location="cpu", weights_only=False)  # our own file, written a moment ago

    return Job(pictures, output, open_module, checkpoint.spec, checkpoint.labels, **more)
