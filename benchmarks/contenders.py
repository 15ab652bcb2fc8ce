"""Ways of tagging the same pictures with the same weights: what people use, and ours. Each writes one JSON a picture.

A contender is given the workload's folder, pictures and an output folder; it loads what is not to be timed, and returns
what warms it up and what does the job.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from wanwu_nb.engines import EAGER, OPENVINO
from wanwu_nb.fitting import Placement
from wanwu_nb.hardware import usable_cores
from wanwu_nb.method.job import Job
from wanwu_nb.method.script import load, prepare, save
from wanwu_nb.method.steps import STEPS

from . import openvino_loops
from .jobs import dtype_of, first_batch, job_of
from .ours import NOTHING_SET, WAYS, nothing_set, ours, runs_here
from .pipelines import modelscope_way, transformers_pipeline
from .ready import BATCH_SIZE, Prepare, Ready

TAGGERS = ("resnest101", "everyday")  # workloads that name whole pictures
WITHOUT_BRANCHES = (*TAGGERS, "demo")  # those that torch.export takes
Item = tuple[Tensor, Placement, str]


def everywhere() -> bool:
    return True


@dataclass(frozen=True)
class Contender:
    """`prepare` loads it. Some can run a few `workloads` alone ((): all), some machines cannot run some.

    `worker_processes`: it prepares pictures in processes of its own. `keeps`: something for the next process, which
    then begins sooner.
    """

    prepare: Prepare
    workloads: tuple[str, ...] = ()
    possible: Callable[[], bool] = everywhere
    worker_processes: bool = False
    keeps: bool = False

    def can_run(self, workload: str) -> bool:
        named = not self.workloads or workload in self.workloads
        return named and self.possible()


def step(name: str, folder: Path, pictures: list[Path], output: Path) -> Ready:
    """A step of the method; all but the default load the model apart from the clock."""
    job = job_of(folder, pictures, output)
    if not STEPS[name].loads_each_time:
        job = replace(job, open_network=cache(job.open_network))
    return Ready(partial(STEPS[name].tag, job), partial(STEPS[name].tag, first_batch(job)))


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

    return Ready(partial(run, job), partial(run, first_batch(job)))


def openvino_loop(loop: Prepare) -> Contender:
    return Contender(loop, WITHOUT_BRANCHES, possible=partial(runs_here, "fp32", OPENVINO), keeps=True)


def ours_with(precision: str, engine: str) -> Contender:
    """Ours in one precision with one engine."""
    prepare = partial(ours, precision, engine)
    return Contender(prepare, possible=partial(runs_here, precision, engine), keeps=engine != EAGER)


OTHERS = {
    "default script": Contender(partial(step, "default")),
    "article's final script": Contender(partial(step, "lower precision")),
    "DataLoader, FP32": Contender(partial(dataloader, "fp32"), worker_processes=True),
    "DataLoader, half": Contender(partial(dataloader, "half"), worker_processes=True),
    "transformers pipeline, FP32": Contender(partial(transformers_pipeline, "fp32"), TAGGERS),
    "transformers pipeline, half": Contender(partial(transformers_pipeline, "half"), TAGGERS),
    "ModelScope's way, FP32": Contender(modelscope_way, ("resnest101",)),
    "OpenVINO, one by one": openvino_loop(openvino_loops.one_by_one),
    "OpenVINO, AsyncInferQueue": openvino_loop(openvino_loops.queue),
}
OURS = {name: ours_with(*way) for name, way in WAYS.items()}
CONTENDERS = OTHERS | OURS
DEFAULT, OURS_IN_FP32 = "default script", "ours, FP32"
REFERENCE = {"resident step": Contender(partial(step, "resident"))}  # tags as the default script does, in less time
AS_IT_COMES = {NOTHING_SET: Contender(nothing_set, keeps=True)}
