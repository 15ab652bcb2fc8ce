"""What every contender is given and gives: the same job, and what is timed of it."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import nn

from wanwu_nb import ResidentModel
from wanwu_nb.checkpoints import Contract, open_checkpoint
from wanwu_nb.hardware import DTYPES, choose_device
from wanwu_nb.method.int8 import open_in_int8
from wanwu_nb.method.job import Job, half_of

from .ready import BATCH_SIZE


def job_of(folder: Path, pictures: list[Path], output: Path) -> Job:
    """The job with the pickled module, as everybody's script has it: labels and input spec as in our folder."""
    checkpoint = open_checkpoint(str(folder))
    open_network = partial(open_pickled, folder / "pickled" / "module.pth")
    device = choose_device().value
    return Job(
        image_dir=pictures[0].parent,
        names=[path.name for path in pictures],
        output=output,
        open_network=open_network,
        open_in_int8=partial(open_in_int8, open_network, checkpoint.spec, pictures),
        open_resident=partial(ResidentModel.load, str(folder)),
        spec=checkpoint.spec,
        labels=checkpoint.labels,
        device=device,
        lower=half_of(device),
        batch_size=BATCH_SIZE,
    )


def open_pickled(path: Path) -> nn.Module:
    network = torch.load(path, map_location="cpu", weights_only=False)
    return Contract(network)


def first_batch(job: Job) -> Job:
    """What a contender warms up with."""
    return replace(job, names=job.names[:BATCH_SIZE])


def dtype_of(precision: str, job: Job) -> torch.dtype:
    return DTYPES[job.lower] if precision == "half" else torch.float32
