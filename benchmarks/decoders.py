"""What feeds a GPU fastest? CPU threads, at full size and scaled, nvJPEG, and both sharing the pictures.

    python -m benchmarks.decoders [--record benchmarks/results/decoders.json]

Decoding alone, as a run would; then whole runs, as `tag_folder` does them, with each of the two decoders that it
chooses from; in turns, medians. The network alone, in both memory formats, is what no decoder can make faster. It needs
a CUDA GPU.
"""

import tempfile
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from wanwu_nb import ResidentModel
from wanwu_nb.deciding import Decision
from wanwu_nb.decoder_choice import read_alone
from wanwu_nb.finding import find_images
from wanwu_nb.hardware import Choice, usable_cores
from wanwu_nb.images import read
from wanwu_nb.measure import Spread
from wanwu_nb.memory_format import CHANNELS_LAST, CONTIGUOUS, pictures_a_second
from wanwu_nb.progress import Progress
from wanwu_nb.reading import CPU_THREADS, NVJPEG, Opened, PictureReader
from wanwu_nb.results import OutputFolder, run_key
from wanwu_nb.running import run_plan
from wanwu_nb.settings import TagSettings
from wanwu_nb.tuning import Plan, make_plan

from . import harness
from .scaled_decoding import read_scaled
from .workloads import USUAL, WORKLOADS, pictures

ALONE, COUNT, REPEATS = 640, 3_200, 3  # pictures that are decoded, and that are tagged
IN_FIVE = 4  # of five pictures, those that the GPU decodes where both share them
Figures = dict[str, Any]


class Scaled(PictureReader):
    """CPU threads that decode at a fraction of the size."""

    def open(self, name: str) -> Opened:
        return read_scaled(self.folder, self.spec, name)


class Shared(PictureReader):
    """Most pictures for nvJPEG, the others for the CPU: by their names, so that each has the same bits in every run."""

    def open(self, name: str) -> Opened:
        if zlib.crc32(name.encode()) % 5 >= IN_FIVE:
            return read(self.folder, self.spec, name, self.limits)
        return super().open(name)


Reader = Callable[[ResidentModel, Path], PictureReader]


def reader(kind: type[PictureReader], decoder: str, model: ResidentModel, folder: Path) -> PictureReader:
    return kind(folder, model.checkpoint.spec, model.device.value, decoder)


READERS: Mapping[str, Reader] = {
    "CPU threads": partial(reader, PictureReader, CPU_THREADS),
    "CPU threads, scaled": partial(reader, Scaled, CPU_THREADS),
    "nvJPEG": partial(reader, PictureReader, NVJPEG),
    "nvJPEG for 4 in 5, CPU threads": partial(reader, Shared, NVJPEG),
}


def main() -> None:
    parser = harness.command_line(__doc__)
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=USUAL)
    options = parser.parse_args()
    check_gpu()
    figures = compare(options.workloads)
    if options.record:
        harness.write_record(options.record, figures)


def check_gpu() -> None:
    """Raise SystemExit where there is none."""
    if not torch.cuda.is_available():
        raise SystemExit("no CUDA GPU is visible to torch: what feeds one cannot be measured here")


def compare(workloads: Sequence[str]) -> Figures:
    """All ways on each workload."""
    return {"workloads": {workload: measure(workload) for workload in workloads}}


def measure(workload: str) -> Figures:
    """Pictures a second of each way: medians, from, to."""
    model = ResidentModel.load(str(WORKLOADS[workload].folder()))
    folder = pictures(COUNT)[0].parent
    names = find_images(folder, COUNT)
    settings = TagSettings(image_dir=str(folder), compile=False)
    plan = make_plan(settings, model, names, {}, print)
    figures: Figures = {"batch_size": plan.batch_size.value, "memory_format": plan.memory_format.value}
    figures["network"] = network_alone(model, plan)
    readers = {name: partial(rate_alone, make(model, folder), names[:ALONE]) for name, make in READERS.items()}
    figures["alone"] = in_turns(workload, "decoding", readers)
    runs = {decoder: partial(rate_of_run, model, plan, decoder, folder, names) for decoder in (CPU_THREADS, NVJPEG)}
    figures["runs"] = in_turns(workload, "run", runs)
    return figures


def network_alone(model: ResidentModel, plan: Plan) -> dict[str, float]:
    """Pictures a second in each memory format; the model is left as it was planned."""
    rates = {}
    for memory_format in (CHANNELS_LAST, CONTIGUOUS):
        rates[memory_format] = pictures_a_second(model, memory_format, plan.batch_size.value)
    model.use_memory_format(plan.memory_format.value)
    return rates


def in_turns(workload: str, what: str, ways: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(REPEATS):
        for name, rate in ways.items():
            rates[name].append(rate())
    spreads = {}
    for name, values in rates.items():
        spreads[name] = list(Spread.of(values))
        median, low, high = spreads[name]
        print(f"{workload} · {what} · {name}: {median:,.0f} pictures/s ({low:,.0f} to {high:,.0f})", flush=True)
    return spreads


def rate_alone(reader: PictureReader, names: list[str]) -> float:
    _, seconds = read_alone(reader, names, usable_cores())
    return len(names) / seconds


def rate_of_run(model: ResidentModel, plan: Plan, decoder: str, folder: Path, names: list[str]) -> float:
    """A run into an empty folder, from its first picture to its last JSON."""
    decision = Decision()
    key = run_key(model.checkpoint.fingerprint, model.precision.value, decision.selection)
    as_asked = replace(plan, decoder=Choice(decoder, "for comparison"))
    with (
        tempfile.TemporaryDirectory() as parent,
        OutputFolder(Path(parent) / "tags", key) as output,
        Progress(len(names), 0) as progress,
    ):
        started = time.perf_counter()
        run_plan(as_asked, model, folder, names, decision, output, progress)
        return len(names) / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
