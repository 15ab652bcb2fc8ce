"""What decodes for a network on a GPU: CPU threads or nvJPEG, as a sample of the folder shows."""

import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import torch

from .errors import first_line
from .fitting import InputSpec
from .hardware import Choice
from .images import Picture
from .reading import CPU_THREADS, NVJPEG, PictureReader, read_rounds
from .settings import PICTURE_TIMEOUT
from .threads import reading_threads

SAMPLE_A_THREAD = 8  # pictures that both ways to decode are tried on; with fewer, threads idle at the end
LEAST_SAMPLE = 32
ROUND_SIZE, ROUNDS_AHEAD = 32, 2  # as in a run
FASTER = 1.1
LEVELS_APART = 2.0  # of 256, in the mean: two JPEG decoders round differently, and no more than that


def choose_decoder(
    earlier: str, folder: Path, spec: InputSpec, device: str, names: Sequence[str], threads: int
) -> Choice[str]:
    """Returns what decodes for a network on `device`; on a GPU both ways read a sample, are compared and timed.

    >>> choose_decoder("", Path("photos"), spec, "cpu", ["a.jpg"], threads=2).value
    'CPU threads'
    """
    if not device.startswith("cuda"):
        return Choice(CPU_THREADS, f"the network runs on {device}, not on a CUDA GPU")
    if earlier:
        return Choice(earlier, "as the run that was stopped: the other would round differently")
    sample = tuple(names[: sample_size(threads)])
    return _compare_decoders(Path(folder), spec, device, sample, threads)


def sample_size(threads: int) -> int:
    """Returns how many pictures both ways are tried on.

    >>> sample_size(16)
    128
    """
    return max(LEAST_SAMPLE, SAMPLE_A_THREAD * threads)


@cache  # a second run of these pictures in one process need not measure again
def _compare_decoders(folder: Path, spec: InputSpec, device: str, sample: tuple[str, ...], threads: int) -> Choice[str]:
    by_cpu, cpu_seconds = _read_again(PictureReader(folder, spec, device, CPU_THREADS), sample, threads)
    try:
        by_gpu, gpu_seconds = _read_again(PictureReader(folder, spec, device, NVJPEG), sample, threads)
    except Exception as error:  # a driver without nvJPEG, a full GPU: whatever it is, the CPU can do it
        return Choice(CPU_THREADS, f"nvJPEG failed: {first_line(error)}")
    measured = {
        "cpu_pictures_per_second": len(sample) / cpu_seconds,
        "gpu_pictures_per_second": len(sample) / gpu_seconds,
    }
    times = cpu_seconds / gpu_seconds
    apart = _levels_apart(by_cpu, by_gpu)
    if apart > LEVELS_APART:
        return Choice(CPU_THREADS, f"nvJPEG's pictures differ from the CPU's by {apart:.1f} of 256 levels", measured)
    if times < FASTER:
        return Choice(CPU_THREADS, f"nvJPEG is {times:.2f} times as fast", measured)
    return Choice(NVJPEG, f"{times:.2f} times as fast as {threads} threads", measured)


def read_alone(reader: PictureReader, names: Sequence[str], threads: int) -> tuple[list[Picture], float]:
    """Read pictures as a run would, without a network. Returns them, and the seconds that they took.

    >>> pictures, seconds = read_alone(reader, ["a.jpg", "b.jpg"], threads=2)
    """
    with reading_threads(threads, PICTURE_TIMEOUT) as pool:
        started = time.perf_counter()
        rounds = list(read_rounds(reader, pool, names, ROUND_SIZE, ROUNDS_AHEAD))
        if reader.device.startswith("cuda"):
            torch.cuda.synchronize(reader.device)
        seconds = time.perf_counter() - started
    return [picture for pictures in rounds for picture in pictures], seconds


def _read_again(reader: PictureReader, sample: Sequence[str], threads: int) -> tuple[list[Picture], float]:
    """The second time: the first starts decoders up, and has the files read."""
    read_alone(reader, sample, threads)
    return read_alone(reader, sample, threads)


def _levels_apart(by_cpu: Sequence[Picture], by_gpu: Sequence[Picture]) -> float:
    """The largest mean difference of a picture's input between the two ways."""
    largest = 0.0
    for one, other in zip(by_cpu, by_gpu, strict=True):
        if one.image is None or other.image is None:
            continue
        on_cpu = other.image.cpu()
        difference = one.image.float() - on_cpu.float()
        mean = difference.abs().mean().item()
        largest = max(largest, mean)
    return largest
