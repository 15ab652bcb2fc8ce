"""How long a batch takes: as the model runs it now, or two ways of running it side by side."""

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from .resident import ResidentModel

ROUNDS = 3

Call = Callable[[Tensor], object]


def forward_seconds(model: ResidentModel, batch_size: int) -> float:
    """Returns the median time of a batch of noise, results on the CPU, after one to warm up.

    >>> pictures_a_second = 8 / forward_seconds(model, 8)
    """
    spec = model.checkpoint.spec
    picture = torch.randint(0, 256, (1, 3, spec.height, spec.width), dtype=torch.uint8)
    noise = picture.repeat(batch_size, 1, 1, 1)  # drawing each apart would take longer than a GPU takes to run them
    times = []
    for _ in range(1 + ROUNDS):
        seconds = _seconds(model.forward, noise)
        times.append(seconds)
    return statistics.median(times[1:])


@torch.inference_mode()
def seconds_in_turn(first: Call, second: Call, batch: Tensor) -> tuple[float, float]:
    """Returns the median times of a batch, both ways in turn: what else the machine does meets both alike.

    >>> eager, prepared = seconds_in_turn(model.normalised, run, batch)
    """
    first(batch)
    second(batch)
    of_first, of_second = [], []
    for _ in range(ROUNDS):
        of_first.append(_seconds(first, batch))
        of_second.append(_seconds(second, batch))
    return statistics.median(of_first), statistics.median(of_second)


def _seconds(run: Call, batch: Tensor) -> float:
    started = time.perf_counter()
    run(batch)
    return time.perf_counter() - started
