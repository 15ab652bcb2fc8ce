"""Rounds of pictures, read ahead of the network: by CPU threads, or a round in one call by the GPU (nvJPEG)."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from functools import cache
from pathlib import Path

import torch
from PIL import ImageFile
from torch import Tensor
from torchcodec.decoders import decode_jpeg

from .decoding import DEFAULT_LIMITS, Limits, read_file
from .decoding.headers import open_header
from .decoding.mending import END
from .decoding.pillow_pixels import turn_of
from .errors import first_line
from .fitting import InputSpec, Placement, fit
from .hardware import Choice
from .images import Picture, read
from .process import single_core_threads
from .threads import ReadingThreads
from .versions import version_of

CPU_THREADS, NVJPEG = "CPU threads", "nvJPEG"
DECODER_SAMPLE = 32  # pictures that both ways to decode are tried on
FASTER = 1.1
LEVELS_APART = 2.0  # of 256, in the mean: two JPEG decoders round differently, and no more than that

Names = Sequence[str]
Reading = list[tuple[Names, Future[list[Picture]]]]  # a round that is being read


class PictureReader:
    """Reads the pictures of one folder as inputs of one network, with one of the two decoders.

    >>> reader = PictureReader("photos", model.checkpoint.spec, "cpu", CPU_THREADS)
    >>> pictures = reader.read(["a.jpg", "b.jpg"])
    """

    def __init__(self, folder: str | Path, spec: InputSpec, device: str, decoder: str, limits: Limits = DEFAULT_LIMITS):
        self.folder = Path(folder)
        self.spec = spec
        self.device = device
        self.decoder = decoder
        self.limits = limits

    def read(self, names: Sequence[str]) -> list[Picture]:
        """Returns the pictures `names`, read by the calling thread."""
        folder, spec, limits = self.folder, self.spec, self.limits
        if self.decoder == NVJPEG:
            return read_on_gpu(folder, spec, self.device, names, limits)
        return [read(folder, spec, name, limits) for name in names]

    def start(self, pool: Executor, names: Sequence[str]) -> Reading:
        """Have a round read: a picture a thread, or all of them on the GPU. Returns the futures, in order."""
        if self.decoder == NVJPEG:
            return [(names, pool.submit(self.read, names))]
        return [([name], pool.submit(self.read, [name])) for name in names]


def _ignore(names: Names) -> None:
    pass


def read_rounds(
    reader: PictureReader,
    pool: ReadingThreads,
    names: Names,
    round_size: int,
    rounds_ahead: int,
    note: Callable[[Names], None] = _ignore,
) -> Iterator[list[Picture]]:
    """Yields the pictures in order, `round_size` at a time, while `pool` reads the next `rounds_ahead` rounds.

    With 0 ahead nothing is read meanwhile: on a CPU, decoding and the network take turns. `note` is told the names in
    flight whenever they change, before they are read. A picture that takes too long to read comes as failed.

    >>> for pictures in read_rounds(reader, pool, names, round_size=16, rounds_ahead=0):
    ...     ...
    """
    waiting: deque[Reading] = deque()
    first = 0  # name in flight
    for start in range(0, len(names), round_size):
        end = start + round_size
        note(names[first:end])
        waiting.append(reader.start(pool, names[start:end]))
        if len(waiting) > rounds_ahead:
            pictures = _pictures_of(waiting.popleft(), pool)
            first += len(pictures)
            yield pictures
    for reading in waiting:
        yield _pictures_of(reading, pool)
    note([])


def _pictures_of(reading: Reading, pool: ReadingThreads) -> list[Picture]:
    pictures = []
    for names, future in reading:
        try:
            pictures += pool.result(future)
        except TimeoutError:
            reason = f"reading it takes over {pool.seconds:g} s"
            pictures += [Picture(name, None, stage="decode", reason=reason) for name in names]
    return pictures


def read_on_gpu(
    folder: str | Path, spec: InputSpec, device: str, names: Sequence[str], limits: Limits = DEFAULT_LIMITS
) -> list[Picture]:
    """Returns what `images.read` gives for each name, with the inputs on the device. What nvJPEG cannot take, the CPU
    reads.

    >>> pictures = read_on_gpu("photos", spec, "cuda", ["a.jpg", "b.jpg"])
    """
    versions = {name: version_of(folder, name) for name in names}  # before the bytes are read
    jpegs = _upright_jpegs(Path(folder), names, limits)
    images = _decode_all(list(jpegs.values()), device)
    decoded = dict(zip(jpegs, images, strict=True))
    pictures = []
    for name in names:
        fitted = _fit_on_gpu(decoded.get(name), spec)
        if fitted is None:
            picture = read(folder, spec, name, limits)
        else:
            image, placement = fitted
            picture = Picture(name, versions[name], image, placement)
        pictures.append(picture)
    return pictures


def _fit_on_gpu(image: Tensor | None, spec: InputSpec) -> tuple[Tensor, Placement] | None:
    if image is None:
        return None
    try:
        return fit(image, spec)
    except torch.AcceleratorError:
        raise  # the device is lost
    except RuntimeError:  # its memory is full, say
        return None


def _upright_jpegs(folder: Path, names: Sequence[str], limits: Limits) -> dict[str, bytes]:
    """The content of those files that are RGB JPEGs, have their end and want no turning."""
    jpegs = {}
    for name in names:
        try:
            content = read_file(folder / name, limits)
            header = open_header(content, limits)
        except Exception:  # images.read says what is wrong with it
            continue
        if _is_upright_jpeg(header.image) and content.endswith(END):
            jpegs[name] = content
    return jpegs


def _is_upright_jpeg(header: ImageFile.ImageFile) -> bool:
    if header.format != "JPEG":
        return False
    if header.mode != "RGB":
        return False
    if "mp" in header.info:  # an MPO
        return False
    return turn_of(header) is None


def _decode_all(contents: Sequence[bytes], device: str) -> list[Tensor | None]:
    """All in one call; where that fails, one by one, with None for the one that is broken."""
    if not contents:
        return []
    try:
        return list(decode_jpeg(list(contents), mode="RGB", device=device))
    except RuntimeError:
        return [_decode_one(content, device) for content in contents]


def _decode_one(content: bytes, device: str) -> Tensor | None:
    try:
        (image,) = decode_jpeg([content], mode="RGB", device=device)
    except RuntimeError:
        return None
    return image


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
    sample = tuple(names[:DECODER_SAMPLE])
    return _compare_decoders(Path(folder), spec, device, sample, threads)


@cache  # a second run of these pictures in one process need not measure again
def _compare_decoders(folder: Path, spec: InputSpec, device: str, sample: tuple[str, ...], threads: int) -> Choice[str]:
    by_cpu, cpu_seconds = _time_cpu(folder, spec, device, sample, threads)
    try:
        read_on_gpu(folder, spec, device, sample[:4])  # the first call starts nvJPEG up
        started = time.perf_counter()
        by_gpu = read_on_gpu(folder, spec, device, sample)
        torch.cuda.synchronize(device)
        gpu_seconds = time.perf_counter() - started
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


def _time_cpu(
    folder: Path, spec: InputSpec, device: str, sample: Sequence[str], threads: int
) -> tuple[list[Picture], float]:
    reader = PictureReader(folder, spec, device, CPU_THREADS)
    with single_core_threads("decode", threads) as pool:
        started = time.perf_counter()
        reading = reader.start(pool, sample)
        pictures = [picture for _, future in reading for picture in future.result()]
        return pictures, time.perf_counter() - started


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
