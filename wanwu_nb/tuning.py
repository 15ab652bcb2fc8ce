"""How a folder is run: batch size, memory format, engine, decoder, threads, rounds; each with its reason, and with its
figures where it was measured.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from .decoder_choice import ROUND_SIZE, ROUNDS_AHEAD, choose_decoder
from .engine_choice import choose_engine
from .engines import BY_OPENVINO, COMPILED, EAGER, INT8
from .errors import first_line
from .hardware import Choice, usable_cores
from .memory_format import CHANNELS_LAST, choose_memory_format
from .preparing import sizes_prepared
from .reading import CPU_THREADS
from .resident import ResidentModel
from .settings import TagSettings
from .timing import forward_seconds

MEMORY_TABLE = ((20, 8), (10, 4), (0, 2))  # GB of GPU memory → the article's batch size, where measuring starts
CPU_START = 4
LARGEST = {"cpu": 32, "cuda": 256}  # tried; a CPU's memory is also everybody else's
WORTH_MEASURING = 1000  # pictures: fewer are done before a better size has paid for its measurement
GAIN = 1.05  # what twice the size must bring
SAVED_AT_MOST = 0.5  # of the network's time: twice the size costs as much as one, at best
FREE_SHARE = 0.85  # of the free GPU memory, that a batch may take
MOST_WORKERS = 32  # beyond, they wait for Python's lock
DECODED_TOGETHER = 8  # pictures a thread: with fewer, threads idle at the end of every round

Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """How a run is to go. `round_size` pictures are decoded in one round, `rounds_ahead` rounds before the network."""

    batch_size: Choice[int]
    memory_format: Choice[str]
    engine: Choice[str]
    decoder: Choice[str]
    workers: Choice[int]
    round_size: Choice[int]
    rounds_ahead: Choice[int]

    def bits(self) -> dict[str, Any]:
        """Returns what decides how a result is rounded: a run that goes on from a stopped one takes it over."""
        bits: dict[str, Any] = {
            "batch_size": self.batch_size.value,
            "compiled": self.compiled.value,
            "decoder": self.decoder.value,
        }
        if self.engine.value in BY_OPENVINO:  # torch's two are told by `compiled`
            bits["engine"] = self.engine.value
        if self.memory_format.value != CHANNELS_LAST:
            bits["memory_format"] = self.memory_format.value
        return bits

    @property
    def compiled(self) -> Choice[bool]:
        """Returns whether torch.compile's code runs the network: the engine, as ledger and summary have told it before.

        >>> plan.compiled.value
        False
        """
        engine = self.engine
        if engine.value in BY_OPENVINO:
            return Choice(False, "OpenVINO runs the network")
        return Choice(engine.value == COMPILED, engine.reason, engine.measured)


def make_plan(
    settings: TagSettings, model: ResidentModel, names: Sequence[str], earlier: Mapping[str, Any], say: Say = print
) -> Plan:
    """Decide how the pictures `names` will be run; the network's engine is prepared here, where it is to be.

    `earlier`: the bits of a stopped run that this one goes on from, empty if there is none. `say` tells whoever waits.
    Returns the plan.

    >>> plan = make_plan(settings, model, ["a.jpg", "b.jpg"], earlier={})
    """
    device, spec = model.device.value, model.checkpoint.spec
    count = len(names)
    size_then = earlier.get("batch_size", 0)
    prepared = sizes_prepared(model) if settings.compile == "auto" else ()
    batch_size = choose_batch_size(settings.batch_size, size_then, count, model, prepared)
    workers = choose_workers(settings.workers)
    memory_format = Choice(CHANNELS_LAST, "there is nothing to do")
    engine = Choice(EAGER, "there is nothing to do")
    decoder = Choice(CPU_THREADS, "there is nothing to do")
    if names:
        memory_format = choose_memory_format(earlier, count, batch_size, model)
        engine = choose_engine(settings.compile, earlier, count, batch_size.value, model, say)
        if engine.value not in BY_OPENVINO:
            model.load_network()
        decoder_then = earlier.get("decoder", "")
        folder = Path(settings.image_dir)
        decoder = choose_decoder(decoder_then, folder, spec, device, names, workers.value)
    round_size, rounds_ahead = choose_rounds(device, batch_size.value, workers.value)
    return Plan(batch_size, memory_format, engine, decoder, workers, round_size, rounds_ahead)


def choose_workers(asked: int) -> Choice[int]:
    """Returns how many threads decode: as asked, or one a core, 32 at most.

    >>> choose_workers(4).reason
    'as asked'
    """
    if asked:
        return Choice(asked, "as asked")
    cores = usable_cores()
    if cores <= MOST_WORKERS:
        return Choice(cores, f"{cores} cores")
    return Choice(MOST_WORKERS, f"{cores} cores, and more than {MOST_WORKERS} threads would wait for one another")


def choose_rounds(device: str, batch_size: int, threads: int) -> tuple[Choice[int], Choice[int]]:
    """Returns how many pictures are decoded in one round, and how many rounds ahead of the network.

    >>> [choice.value for choice in choose_rounds("cpu", 4, 2)]
    [16, 0]
    """
    if device != "cpu":
        batches = math.ceil(ROUND_SIZE / batch_size)
        size = Choice(batches * batch_size, f"whole batches, at least {ROUND_SIZE} pictures for a decoder on the GPU")
        return size, Choice(ROUNDS_AHEAD, "decoding runs two rounds ahead of the device")
    batches = math.ceil(DECODED_TOGETHER * threads / batch_size)
    size = Choice(batches * batch_size, f"whole batches, about {DECODED_TOGETHER} pictures a thread")
    ahead = Choice(0, "decoding and the network take turns on the CPU: each has all cores")
    return size, ahead


def choose_batch_size(
    asked: int, earlier: int, pictures: int, model: ResidentModel, prepared: Sequence[int] = ()
) -> Choice[int]:
    """Returns the size as asked, or as the run that was stopped had it, or the first of those that an engine was
    `prepared` for, or measured: doubled while that pays.

    >>> choose_batch_size(8, 0, 100, model).value
    8
    """
    if asked:
        return Choice(asked, "as asked")
    if model.engine == INT8:
        cores = usable_cores()
        return Choice(max(CPU_START, 2 * cores), "INT8 runs one picture a request: no size would round differently")
    if earlier:
        return Choice(earlier, "as the run that was stopped: another size would round differently")
    if prepared:
        return Choice(prepared[0], "an engine was prepared for it")
    start = _size_to_start_with(model.device.value)
    if pictures >= WORTH_MEASURING:
        return _measure_sizes(model, start.value, pictures)
    reason = f"{start.reason}; under {WORTH_MEASURING:,} pictures, measuring does not pay"
    return Choice(start.value, reason)


def _size_to_start_with(device: str) -> Choice[int]:
    if not device.startswith("cuda"):
        return Choice(CPU_START, f"{CPU_START} on a CPU")
    card = torch.cuda.get_device_properties(device)
    gigabytes = card.total_memory / 1e9
    sizes = [size for more_than, size in MEMORY_TABLE if gigabytes > more_than]
    largest = sizes[0]
    return Choice(largest, f"{largest} for {gigabytes:.0f} GB of GPU memory")


def _measure_sizes(model: ResidentModel, start: int, pictures: int) -> Choice[int]:
    """Double the size while it brings 5 %, the memory holds, and the next try costs less than it can save: some
    networks take seconds to run a size for the first time. `measured` is the curve: size → pictures a second.
    """
    device = model.device.value
    largest = _largest_size(device)
    rates: dict[int, float] = {}
    best = max(1, start // 2)  # where not even `start` can run
    size = start
    reason = f"larger than {largest} was not tried"
    while size <= largest:
        started = time.perf_counter()
        try:
            rate = size / forward_seconds(model, size)
        except (RuntimeError, MemoryError) as error:
            reason = f"{size} failed: {first_line(error)}"
            break
        cost = time.perf_counter() - started
        rates[size] = round(rate, 2)
        if best in rates and rate < GAIN * rates[best]:
            reason = f"{size} is less than {GAIN - 1:.0%} faster"
            break
        share = _memory_share(device)
        if share > FREE_SHARE:
            reason = f"{size} takes {share:.0%} of the free GPU memory"
            break
        best = size
        size *= 2
        if cost > SAVED_AT_MOST * pictures / rate:
            reason = f"trying {size} would cost more than it could save"
            break
    curve = {str(tried): rate for tried, rate in rates.items()}
    return Choice(best, f"measured: {reason}", {"pictures_per_second": curve})


def _largest_size(device: str) -> int:
    if device.startswith("cuda"):
        return LARGEST["cuda"]
    return LARGEST["cpu"]


def _memory_share(device: str) -> float:
    """What the largest batch so far took of the GPU memory that was there for it; 0 where there is no GPU."""
    if not device.startswith("cuda"):
        return 0.0
    free, _ = torch.cuda.mem_get_info(device)
    peak = torch.cuda.max_memory_allocated(device)
    available = free + torch.cuda.memory_reserved(device)
    return peak / available
