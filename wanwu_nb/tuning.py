"""Choices by the hardware: device, precision, batch size, compilation, threads.

Each comes with its reason and, where it was measured, with the figures. Nothing falls back silently.
"""

import math
import os
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import NamedTuple

import torch

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}

MEMORY_TABLE = ((20, 8), (10, 4), (0, 2))  # GB of GPU memory → the article's batch size, where measuring starts
CPU_START = 4
LARGEST = {"cpu": 32, "cuda": 256}  # tried; a CPU's memory is also everybody else's
WORTH_MEASURING = 1000  # pictures: fewer are done before a better size has paid for its measurement
GAIN = 1.05  # what twice the size must bring
FREE_SHARE = 0.85  # of the free GPU memory, that a batch may take
COMPILE_SAVES, COMPILE_COSTS = 0.5, 40.0  # a share of the forward; seconds: measured by benchmarks/choices.py
DECODED_TOGETHER = 8  # pictures a thread: with fewer, threads idle at the end of every round


class Choice(NamedTuple):
    """A setting's value, why it is what it is, and what was measured to decide it."""

    value: object
    reason: str
    measured: dict | None = None

    def record(self) -> dict:
        """As it stands in summary.json."""
        return {name: value for name, value in self._asdict().items() if value is not None}


def choose_device(asked: str = "auto") -> Choice:
    """The first CUDA GPU where there is one, for "auto". Raises ValueError for a device that is not there."""
    if asked == "auto":
        if torch.cuda.is_available():
            return Choice("cuda", f"a GPU is there: {torch.cuda.get_device_name()}")
        return Choice("cpu", "no CUDA GPU is visible to torch")
    try:
        device = torch.device(asked)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = first_line(error)
        raise ValueError(f'device {asked!r} cannot be used ({reason}): use "auto", "cpu" or "cuda"') from None
    return Choice(asked, "as asked")


def choose_precision(asked: str, device: str) -> Choice:
    """For "auto": fp16 on a GPU, bf16 on a CPU with instructions for it, else fp32."""
    if asked != "auto":
        if asked not in DTYPES:
            raise ValueError(f'precision {asked!r} is not known: use "auto", {", ".join(map(repr, DTYPES))}')
        return Choice(asked, "as asked")
    if device.startswith("cuda"):
        return Choice("fp16", "GPUs run half precision at least twice as fast")
    if device == "cpu":
        able = [name for name in ("amx_bf16", "avx512_bf16") if torch.cpu.get_capabilities().get(name)]
        if able:
            return Choice("bf16", f"the CPU has {able[0].upper()}")
        return Choice("fp32", "the CPU has no bfloat16 instructions (AMX, AVX512-BF16): half would be slower")
    return Choice("fp32", f"half precision is not tried on {device}")


def choose_workers(asked: int) -> Choice:
    """Threads that decode: as asked, or one a core, sixteen at most."""
    if asked:
        return Choice(asked, "as asked")
    cores = usable_cores()
    return Choice(min(16, cores), f"{cores} cores" if cores <= 16 else f"{cores} cores, 16 of which outrun one device")


def choose_ahead(device: str, batch_size: int, threads: int) -> Choice:
    """How many pictures are decoded in one round; and how many rounds ahead of the network, in `measured`."""
    if device == "cpu":
        together = math.ceil(DECODED_TOGETHER * threads / batch_size) * batch_size
        return Choice(together, "decoding and the network take turns on the CPU: each has all cores", {"ahead": 0})
    return Choice(batch_size, "decoding runs two batches ahead of the device", {"ahead": 2})


def choose_batch_size(asked: int, begun: int, pictures: int, model) -> Choice:
    """As asked, or as the run that was stopped had it, or measured: doubled while that pays."""
    if asked:
        return Choice(asked, "as asked")
    if begun:
        return Choice(begun, "as the run that was stopped: another size would round differently")
    start, reason = CPU_START, f"{CPU_START} on a CPU"
    if model.device.value.startswith("cuda"):
        gigabytes = torch.cuda.get_device_properties(model.device.value).total_memory / 1e9
        start = next(size for more_than, size in MEMORY_TABLE if gigabytes > more_than)
        reason = f"{start} for {gigabytes:.0f} GB of GPU memory"
    if pictures < WORTH_MEASURING:
        return Choice(start, f"{reason}; under {WORTH_MEASURING:,} pictures, measuring does not pay")
    return measure_sizes(model, start)


def measure_sizes(model, start: int) -> Choice:
    """Double the size while it brings 5 % and the memory holds. `measured` is the curve: size → pictures a second."""
    best, curve, size, reason = 0, {}, start, ""
    largest = LARGEST["cuda" if model.device.value.startswith("cuda") else "cpu"]
    while not reason:
        try:
            rate = size / forward_seconds(model, size)
        except (RuntimeError, MemoryError) as error:
            reason = f"{size} failed: {first_line(error)}"
            break
        curve[str(size)] = round(rate, 2)
        if best and rate < GAIN * curve[str(best)]:
            reason = f"{size} is less than {GAIN - 1:.0%} faster"
        elif (share := memory_share(model.device.value)) > FREE_SHARE:
            reason = f"{size} takes {share:.0%} of the free GPU memory"
        else:
            best, size = size, 2 * size
            reason = f"larger than {largest} was not tried" if size > largest else ""
    return Choice(best or max(1, start // 2), f"measured: {reason}", {"pictures_per_second": curve})


def choose_compile(
    asked: bool | str, begun: bool | None, pictures: int, batch_size: int, model, say: Callable[[str], None] = print
) -> Choice:
    """Compile `model` or not: as asked, as the run that was stopped, or where it pays.

    "auto" compiles when the forwards of all `pictures`, times the share that compiling saves, exceed what it costs.
    What fails to compile, or is no faster then, runs as it is. `measured`: seconds of compiling, and a batch's. `say`
    tells whoever is waiting.
    """
    if model.compiled_for != batch_size:
        model.undo_compile()
    if asked == "auto" and begun is None:
        wanted, reason = compiling_pays(pictures, batch_size, model)
    else:
        wanted = begun if asked == "auto" else asked
        reason = "as the run that was stopped" if asked == "auto" else "as asked"
    if not wanted:
        model.undo_compile()
        return Choice(False, reason)
    if model.compiled_for:
        return Choice(True, f"{reason}; compiled by an earlier run of this process")
    say("compiling the network, which takes seconds to minutes")
    eager = forward_seconds(model, batch_size)
    started = time.perf_counter()
    problem = model.compile(batch_size)
    if problem:
        return Choice(False, f"torch.compile failed: {problem}")
    cost, compiled = time.perf_counter() - started, forward_seconds(model, batch_size)
    measured = {"compiling": round(cost, 2), "batch_eager": round(eager, 4), "batch_compiled": round(compiled, 4)}
    if compiled > eager:
        model.undo_compile()
        return Choice(False, "compiled code proved slower", measured)
    return Choice(True, f"{reason}: a batch takes {1 - compiled / eager:.0%} less", measured)


def compiling_pays(pictures: int, batch_size: int, model) -> tuple[bool, str]:
    if pictures < WORTH_MEASURING:
        return False, f"does not pay for fewer than {WORTH_MEASURING:,} pictures"
    saved = pictures * forward_seconds(model, batch_size) / batch_size * COMPILE_SAVES
    said = f"compiling costs about {COMPILE_COSTS:.0f} s and would save about {saved:.0f} s"
    return saved > COMPILE_COSTS, said


def forward_seconds(model, batch_size: int) -> float:
    """Median time of a batch of noise, results on the CPU, after one to warm up."""
    spec = model.checkpoint.spec
    noise = torch.randint(0, 256, (batch_size, 3, spec.height, spec.width), dtype=torch.uint8)
    times = []
    for _ in range(4):
        started = time.perf_counter()
        model.forward(noise)
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])


def memory_share(device: str) -> float:
    """What the largest batch so far took of the GPU memory that was there for it; 0 where there is no GPU."""
    if not device.startswith("cuda"):
        return 0.0
    free, peak = torch.cuda.mem_get_info(device)[0], torch.cuda.max_memory_allocated(device)
    return peak / (free + torch.cuda.memory_reserved(device))


def first_line(error: BaseException) -> str:
    """What an error says, as a reason to give: its first line, or its name where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def environment(device: str = "cpu") -> dict[str, str | int]:
    """The machine and the versions a result was made with; of several GPUs, the one of `device`, or the first."""
    packages = ("torch", "torchvision", "torchcodec", "pillow", "wanwu_nb")
    cpu, gpu = torch.cpu.get_capabilities(), torch.cuda.is_available()
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
        "platform": platform.platform(terse=True),
        "cpu": cpu.get("cpu_name", platform.machine()),
        "cores": usable_cores(),
        "gpu": torch.cuda.get_device_name(device if device.startswith("cuda") else None) if gpu else "",
    }


def usable_cores() -> int:
    return len(core_numbers())


def core_numbers() -> list[int]:
    """Which cores this process may run on: in a container, or under taskset, not all there are."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
