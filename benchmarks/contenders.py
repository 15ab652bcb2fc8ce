"""Ways of tagging the same pictures with the same weights: what people use, and ours. Each writes one JSON a picture.

A contender is given the workload's folder, pictures and an output folder; it loads and warms up what is not to be
timed, and returns what is.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from wanwu_nb import ResidentModel, tag_folder
from wanwu_nb.fitting import Placement
from wanwu_nb.hardware import usable_cores
from wanwu_nb.method.job import Job
from wanwu_nb.method.limits import bound, seconds_of
from wanwu_nb.method.script import load, prepare, save
from wanwu_nb.method.steps import STEPS
from wanwu_nb.reading import DECODER_SAMPLE
from wanwu_nb.summary import Summary

from .jobs import BATCH_SIZE, Ready, dtype_of, first_batch, job_of
from .pipelines import modelscope_way, transformers_pipeline

BOUND_PICTURES = 64  # that the limits are measured on
Item = tuple[Tensor, Placement, str]
Prepare = Callable[[Path, list[Path], Path], Ready]


@dataclass(frozen=True)
class Contender:
    """`prepare` makes it ready. Some can only name whole pictures; some prepare pictures in processes of their own."""

    prepare: Prepare
    names_whole_pictures_only: bool = False
    has_worker_processes: bool = False


def step(name: str, folder: Path, pictures: list[Path], output: Path) -> Ready:
    """A step of the method; all but the default load the model apart from the clock."""
    job = job_of(folder, pictures, output)
    if not STEPS[name].loads_each_time:
        job = replace(job, open_network=cache(job.open_network))
    STEPS[name].tag(first_batch(job))
    return Ready(partial(STEPS[name].tag, job))


class PreparedPictures(Dataset[Item]):
    """The job's pictures, each prepared as the scripts do."""

    def __init__(self, job: Job):
        self.job = job

    def __len__(self) -> int:
        return len(self.job.names)

    def __getitem__(self, i: int) -> Item:
        name = self.job.names[i]
        image, placement = prepare(self.job, name)
        return image, placement, name


def stack(items: list[Item]) -> tuple[Tensor, list[Placement], list[str]]:
    images = [image for image, _, _ in items]
    placements = [placement for _, placement, _ in items]
    names = [name for _, _, name in items]
    return torch.stack(images), placements, names


def dataloader(precision: str, folder: Path, pictures: list[Path], output: Path) -> Ready:
    """PyTorch's own way: a DataLoader whose worker processes prepare, a resident network, channels last."""
    job = job_of(folder, pictures, output)
    dtype = dtype_of(precision, job)
    network = load(job).to(dtype).to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def run(job: Job) -> None:
        loader = DataLoader(
            PreparedPictures(job),
            BATCH_SIZE,
            num_workers=usable_cores(),
            collate_fn=stack,
            pin_memory=job.device != "cpu",
        )
        for images, placements, names in loader:
            batch = images.to(job.device, dtype, memory_format=torch.channels_last, non_blocking=True)
            save(job, names, network(batch), placements)

    run(first_batch(job))
    return Ready(partial(run, job))


def ours(compile: bool, folder: Path, pictures: list[Path], output: Path) -> Ready:
    """`tag_folder` on the pictures; loading, compiling and comparing decoders apart from the clock."""
    model = ResidentModel.load(str(folder))
    image_dir = pictures[0].parent
    batch_size = 0
    if model.device.value == "cpu":
        batch_size = BATCH_SIZE

    def run(count: int) -> Summary:
        return tag_folder(model, image_dir, output, batch_size=batch_size, compile=compile, resume=False, limit=count)

    summary = run(DECODER_SAMPLE)  # what is measured once in a process, decoders too, is measured here
    if compile and not summary.compiled.value:
        raise RuntimeError(summary.compiled.reason)
    limit = partial(limit_of, model, image_dir, [path.name for path in pictures[:BOUND_PICTURES]], summary)
    return Ready(partial(run, len(pictures)), limit)


def limit_of(model: ResidentModel, image_dir: Path, names: list[str], summary: Summary) -> dict[str, float]:
    """Seconds a picture of decoding alone, of the network alone, and what they come to together."""
    parts = bound(model, image_dir, names, summary.batch_size.value, summary.workers.value)
    return {**parts, "bound": seconds_of(parts, model.device.value)}


CONTENDERS = {
    "default script": Contender(partial(step, "default")),
    "article's final script": Contender(partial(step, "half precision")),
    "DataLoader, FP32": Contender(partial(dataloader, "fp32"), has_worker_processes=True),
    "DataLoader, half": Contender(partial(dataloader, "half"), has_worker_processes=True),
    "transformers pipeline, FP32": Contender(partial(transformers_pipeline, "fp32"), names_whole_pictures_only=True),
    "transformers pipeline, half": Contender(partial(transformers_pipeline, "half"), names_whole_pictures_only=True),
    "ModelScope's way, FP32": Contender(modelscope_way, names_whole_pictures_only=True),
    "ours": Contender(partial(ours, False)),
    "ours, compiled": Contender(partial(ours, True)),
}
DEFAULT = "default script"
REFERENCE = {"resident step": Contender(partial(step, "resident"))}  # tags as the default script does, in less time
