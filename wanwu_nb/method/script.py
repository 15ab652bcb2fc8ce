"""What the article's steps share: opening, reading, running and writing as most scripts do it, stage by stage."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..deciding import Decision
from ..detecting import RawOutput, detect
from ..engines import Run
from ..fitting import Placement
from ..hardware import DTYPES
from ..results import json_path, result_record, to_json
from ..settings import INT8
from ..tagged import Tagged
from .job import Job
from .pictures import prepared

WRITERS = 4  # the article's


def load(job: Job) -> nn.Module:
    """Returns the network in FP32, on the job's device.

    >>> network = load(job)
    """
    with job.clock.stage("load"):
        network = job.open_network()
        return network.to(job.device).eval()


def load_lower(job: Job) -> Run:
    """Returns the network in the job's lower precision: its weights halved, or INT8.

    >>> network = load_lower(job)
    """
    if job.lower != INT8:
        return load(job).to(DTYPES[job.lower])
    with job.clock.stage("load"):
        return job.open_in_int8()


def batches(job: Job) -> list[Sequence[str]]:
    """Returns the job's names, `batch_size` at a time.

    >>> batches(replace(job, names=["a", "b", "c"], batch_size=2))
    [['a', 'b'], ['c']]
    """
    parts = []
    for start in range(0, len(job.names), job.batch_size):
        stop = start + job.batch_size
        parts.append(job.names[start:stop])
    return parts


def prepare(job: Job, name: str) -> tuple[Tensor, Placement]:
    """Read one picture with Pillow and torchvision, in the loop.

    Returns float32 [3,H,W], normalised, and where the photo lies in it.

    >>> image, placement = prepare(job, job.names[0])
    """
    with job.clock.stage("preprocess"):
        return prepared(job.image_dir / name, job.spec)


def prepare_all(job: Job, names: Sequence[str]) -> tuple[list[Tensor], list[Placement]]:
    """Returns what `prepare` gives for several pictures, one after the other.

    >>> images, placements = prepare_all(job, job.names[:8])
    """
    images, placements = [], []
    for name in names:
        image, placement = prepare(job, name)
        images.append(image)
        placements.append(placement)
    return images, placements


def forward(job: Job, network: Run, images: Sequence[Tensor], precision: str = "fp32") -> RawOutput:
    """Returns what the network says of one batch: boxes [B,K,4] or None, scores [B,K], class ids [B,K].

    `precision`: the network's; one in INT8 takes pictures in FP32.

    >>> boxes, scores, class_ids = forward(job, network, images)
    """
    with job.clock.stage("forward"):
        batch = torch.stack(list(images))
        dtype = DTYPES.get(precision, torch.float32)
        batch = batch.to(job.device, dtype)
        return network(batch)


def save(job: Job, names: Sequence[str], raw: RawOutput, placements: Sequence[Placement]) -> None:
    """Threshold, NMS and names; then a JSON a picture, in threads, waiting for all, as the article's script does.

    >>> save(job, names, forward(job, network, images), placements)
    """
    with job.clock.stage("postprocess"):
        detections = detect(_on_cpu(raw), placements, job.labels, job.selection)
        decision = Decision(job.selection)
    with job.clock.stage("write"), ThreadPoolExecutor(WRITERS) as threads:
        writing = []
        for name, detected in zip(names, detections, strict=True):
            tagged = Tagged(name, None, decision.decide(detected))
            record = result_record(tagged)
            writing.append(threads.submit(write, job.output, record))
        for each in writing:
            each.result()


def _on_cpu(raw: RawOutput) -> RawOutput:
    boxes, scores, class_ids = raw
    scores = scores.float().cpu()
    class_ids = class_ids.long().cpu()
    if boxes is None:
        return None, scores, class_ids
    return boxes.float().cpu(), scores, class_ids


def write(output: Path, record: dict[str, Any]) -> None:
    """Write one picture's JSON, see `results.result_record`, below `output`/images.

    >>> write(Path("tags"), {"image": "a.jpg", "width": 640, "height": 480, "objects": []})
    """
    path = json_path(output, record["image"])
    content = to_json(record, indent=2)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
