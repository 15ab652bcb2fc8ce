"""JPEGs decoded by the GPU itself (nvJPEG): a round of pictures in one call, where that is faster than CPU threads."""

import io
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torchcodec.decoders import decode_jpeg

from .images import InputSpec, Picture, fit, read, stat_of
from .tuning import Choice, first_line

CPU_THREADS, NVJPEG = "CPU threads", "nvJPEG"
SAMPLE = 32  # pictures that both ways are tried on
FASTER = 1.1
LEVELS_APART = 2.0  # of 256, in the mean: two JPEG decoders round differently, and no more than that
ORIENTATION = 274  # EXIF's tag


def choose_decoder(begun: str, folder: Path, spec: InputSpec, device: str, names: list[str], threads: int) -> Choice:
    """What decodes for a network on `device`; on a GPU both ways read a sample, are compared and timed."""
    if not device.startswith("cuda"):
        return Choice(CPU_THREADS, f"the network runs on {device}, not on a CUDA GPU")
    if begun:
        return Choice(begun, "as the run that was stopped: the other would round differently")
    return compare_decoders(Path(folder), spec, device, tuple(names[:SAMPLE]), threads)


@cache  # a second run of these pictures in one process need not measure again
def compare_decoders(folder: Path, spec: InputSpec, device: str, sample: tuple[str, ...], threads: int) -> Choice:
    on_cpu = partial(read, folder, spec)
    with ThreadPoolExecutor(threads) as pool:
        expected, cpu = timed(lambda: list(pool.map(on_cpu, sample)), device)
    try:
        read_on_gpu(folder, spec, device, sample[:4])  # the first call starts nvJPEG up
        found, gpu = timed(lambda: read_on_gpu(folder, spec, device, sample), device)
    except Exception as error:  # a driver without nvJPEG, a full GPU: whatever it is, the CPU can do it
        return Choice(CPU_THREADS, f"nvJPEG failed: {first_line(error)}")
    measured = {"cpu_pictures_per_second": len(sample) / cpu, "gpu_pictures_per_second": len(sample) / gpu}
    if (apart := levels_apart(expected, found)) > LEVELS_APART:
        return Choice(CPU_THREADS, f"nvJPEG's pictures differ from the CPU's by {apart:.1f} of 256 levels", measured)
    if cpu < FASTER * gpu:
        return Choice(CPU_THREADS, f"nvJPEG is {cpu / gpu:.2f} times as fast", measured)
    return Choice(NVJPEG, f"{cpu / gpu:.2f} times as fast as {threads} threads", measured)


def read_on_gpu(folder: str | Path, spec: InputSpec, device: str, names: Sequence[str]) -> list[Picture]:
    """What `images.read` gives for each name, with the inputs on the device. What nvJPEG cannot take, the CPU reads."""
    stats = {name: stat_of(folder, name) for name in names}
    jpegs = {name: content for name in names if (content := upright_jpeg(Path(folder) / name))}
    decoded = dict(zip(jpegs, decode_all(list(jpegs.values()), device), strict=True))
    return [
        read(folder, spec, name)
        if (image := decoded.get(name)) is None
        else Picture(name, stats[name], *fit(image, spec))
        for name in names
    ]


def upright_jpeg(path: Path) -> bytes | None:
    """The file's content if it is an RGB JPEG that wants no turning."""
    try:
        content = path.read_bytes()
        with Image.open(io.BytesIO(content)) as header:
            plain = header.format == "JPEG" and header.mode == "RGB" and header.getexif().get(ORIENTATION, 1) == 1
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None  # images.read says what is wrong with it
    return content if plain else None


def decode_all(contents: list[bytes], device: str) -> list[Tensor | None]:
    """All in one call; where that fails, one by one, with None for the one that is broken."""
    if not contents:
        return []
    try:
        return decode_jpeg(contents, mode="RGB", device=device)
    except RuntimeError:
        return [None] if len(contents) == 1 else [image for one in contents for image in decode_all([one], device)]


def timed(work, device: str) -> tuple[list[Picture], float]:
    started = time.perf_counter()
    found = work()
    torch.cuda.synchronize(device)
    return found, time.perf_counter() - started


def levels_apart(expected: list[Picture], found: list[Picture]) -> float:
    """The largest mean difference of a picture's input between the two ways."""
    pairs = [(a.image, b.image.cpu()) for a, b in zip(expected, found, strict=True) if a.image is not None]
    return max(((a.float() - b.float()).abs().mean().item() for a, b in pairs), default=0.0)
