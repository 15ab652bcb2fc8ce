"""What no loop can exceed: decoding alone, the network alone, also by batch size, and what they come to together."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter

import pandas as pd
from torch import Tensor

from ..decoder_choice import choose_decoder, read_alone
from ..gpus import peak_gpu_memory
from ..images import Picture
from ..measure import peak_memory
from ..reading import PictureReader
from ..resident import ResidentModel
from ..tagger import full_batch
from ..timing import forward_seconds
from ..tuning import LARGEST, choose_workers

Stages = dict[str, float]  # seconds a picture, by stage


def seconds_of(stages: Stages, device: str) -> float:
    """Returns seconds a picture, all stages together: one after the other.

    But beside a GPU, what is decoded in threads is hidden, or hides the network.

    >>> seconds_of({"decode": 1.0, "forward": 2.0}, "cpu"), seconds_of({"decode": 1.0, "forward": 2.0}, "cuda")
    (3.0, 2.0)
    """
    at_the_same_time = device.startswith("cuda") and "decode" in stages
    if at_the_same_time:
        return max(stages.values())
    return sum(stages.values())


def bound(model: ResidentModel, image_dir: Path, names: Sequence[str], batch_size: int, workers: int = 0) -> Stages:
    """Measures decoding alone, on all cores, and the network alone; no loop around them can be faster.

    A CPU does both with the same cores: their sum is its limit. A GPU leaves decoding to the CPU: the larger is (see
    `seconds_of`). Returns seconds a picture of "decode" and "forward".

    >>> parts = bound(model, Path("photos"), ["a.jpg", "b.jpg"], batch_size=2)
    >>> limit = seconds_of(parts, model.device.value)
    """
    threads = choose_workers(workers)
    decode, pictures = _decode_alone(model, image_dir, names, threads.value)
    images = [picture.image for picture in pictures if picture.image is not None]
    batch = full_batch(images[:batch_size], batch_size)
    rounds = math.ceil(len(names) / batch_size)
    forward = _network_alone(model, batch, rounds)
    run = rounds * batch_size
    return {"decode": decode / len(names), "forward": forward / run}


def batch_size_curve(open_resident: Callable[[], ResidentModel]) -> pd.DataFrame:
    """Run the package's model, alone and on noise, on batches of 1, 2, 4, … until one fails or is too large to try.

    Returns a row a size, its index, with pictures a second, the milliseconds of a batch, and the peak of memory in MB:
    a GPU's, or on a CPU the process's.

    >>> batch_size_curve(job.open_resident).loc[8, "pictures_per_second"]
    24.1
    """
    model = open_resident()
    device = model.device.value
    largest = LARGEST["cuda"] if device.startswith("cuda") else LARGEST["cpu"]
    rows = {}
    size = 1
    while size <= largest:
        try:
            seconds = forward_seconds(model, size)
        except (RuntimeError, MemoryError):
            break
        memory = peak_gpu_memory(device) or peak_memory()
        rows[size] = {"pictures_per_second": size / seconds, "latency_ms": 1000 * seconds, "memory": memory}
        size *= 2
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("batch size")


def _decode_alone(
    model: ResidentModel, folder: Path, names: Sequence[str], threads: int
) -> tuple[float, list[Picture]]:
    """Seconds until all pictures are read, and the pictures."""
    device = model.device.value
    spec = model.checkpoint.spec
    decoder = choose_decoder("", folder, spec, device, names, threads)
    reader = PictureReader(folder, spec, device, decoder.value)
    pictures, seconds = read_alone(reader, names, threads)
    return seconds, pictures


def _network_alone(model: ResidentModel, batch: Tensor, rounds: int) -> float:
    """Seconds until a batch has run so many times."""
    started = perf_counter()
    for _ in range(rounds):
        output = model.launch(batch)
    output.cpu()  # waits for the device
    return perf_counter() - started
