"""Our own ways: `tag_folder` in one precision with one engine, or with nothing set."""

import shutil
from functools import partial
from pathlib import Path

from wanwu_nb import ResidentModel, tag_folder
from wanwu_nb.decoder_choice import sample_size
from wanwu_nb.engines import COMPILED, EAGER, INT8, OPENVINO, openvino_cpu
from wanwu_nb.hardware import choose_device, choose_precision
from wanwu_nb.int8_folder import FOLDER as INT8_FOLDER
from wanwu_nb.preparing import prepare, sizes_prepared
from wanwu_nb.quantising import as_tagged
from wanwu_nb.remembering import MEMORY, load_or_recall
from wanwu_nb.results import LABELS
from wanwu_nb.summary import Summary
from wanwu_nb.tuning import choose_batch_size, choose_workers

from .harness import held_to_avx2
from .ready import BATCH_SIZE, Ready

BOUND_PICTURES = {"cpu": 64, "cuda": 640}  # that the limits are measured on
LARGE_FOLDER = 10_000  # pictures that a GPU's batch size is chosen for: choosing it is not timed
HALF = "half"  # fp16 or bf16: what "auto" takes where the machine has instructions for one
# One line a precision and engine; which of them a machine has is decided below.
WAYS = {
    "ours, FP32": ("fp32", EAGER),
    "ours, FP32, compiled": ("fp32", COMPILED),
    "ours, FP32, OpenVINO": ("fp32", OPENVINO),
    "ours, INT8": ("int8", INT8),
    "ours, half": (HALF, EAGER),
    "ours, half, compiled": (HALF, COMPILED),
}
NOTHING_SET = "ours, nothing set"
COMPILE = {EAGER: False, COMPILED: True, OPENVINO: "auto", INT8: "auto"}  # the parameter that asks for an engine


def runs_here(precision: str, engine: str) -> bool:
    """Whether this machine can run ours so. Half without instructions for it is nothing that ours would take."""
    from wanwu_nb.method.job import why_no_int8  # here: a process that is timed imports what a run does

    device = choose_device().value
    precision = precision_here(precision, device)
    if not precision:
        return False
    if engine == OPENVINO:
        return not openvino_cpu.why_not(device, precision)
    if engine == INT8:
        return not why_no_int8(device)
    return True


def precision_here(precision: str, device: str) -> str:
    """The name of a precision for `ResidentModel.load`; of half, "" where the machine has no instructions for it."""
    if precision != HALF:
        return precision
    taken = choose_precision("auto", device).value
    if device == "cpu" and held_to_avx2():
        return ""
    if taken in ("fp16", "bf16"):
        return taken
    return ""


def ours(precision: str, engine: str, folder: Path, pictures: list[Path], output: Path) -> Ready:
    """`tag_folder` with one engine. In a process that times the loop, what prepares it belongs to the warm-up."""
    device = choose_device().value
    model = load_or_recall(output, model=str(folder), precision=precision_here(precision, device))
    image_dir = pictures[0].parent
    batch_size = BATCH_SIZE
    if device != "cpu":
        batch_size = choose_batch_size(0, 0, LARGE_FOLDER, model).value
    sizes: list[int] = []  # of the batches that were run

    def run(count: int) -> Summary:
        if model.engine != engine:
            make_ready(model, engine, batch_size)
        compile = COMPILE[engine]
        summary = tag_folder(
            model,
            image_dir,
            output,
            batch_size=batch_size,
            compile=compile,
            resume=False,
            limit=count,
            int8_agreement=0,  # the table shows what it is
        )
        if summary.engine.value != engine:
            raise RuntimeError(f"{engine} was asked for, and {summary.engine.value} ran: {summary.engine.reason}")
        sizes.append(summary.batch_size.value)
        return summary

    def limit() -> dict[str, float]:
        names = [path.name for path in pictures[: BOUND_PICTURES[device]]]
        with as_tagged(model, output):
            return limit_of(model, image_dir, names, sizes[-1])

    warm_up = partial(run, _decoders_sample())  # what is measured once in a process, decoders too, is measured here
    return Ready(partial(run, len(pictures)), warm_up, limit)


def make_ready(model: ResidentModel, engine: str, batch_size: int) -> None:
    """Prepare an engine even where it would not be chosen: that it is no faster is what the table is to show.

    Where an earlier process prepared it, `tag_folder` opens it.
    """
    if engine == COMPILED:
        problem = model.compile(batch_size)
        if problem:
            raise RuntimeError(problem)
    if engine == OPENVINO and batch_size not in sizes_prepared(model):
        prepare(model, batch_size, must_be_faster=False)


def carry(earlier: Path, output: Path) -> None:
    """Let a new output folder begin with what an earlier one's runs made once for all: the network in INT8, and what
    they know of the model.
    """
    for name in (MEMORY, LABELS):
        if (earlier / name).is_file():
            output.mkdir(parents=True, exist_ok=True)
            shutil.copy(earlier / name, output / name)
    if (earlier / INT8_FOLDER).is_dir():
        shutil.copytree(earlier / INT8_FOLDER, output / INT8_FOLDER)


def nothing_set(folder: Path, pictures: list[Path], output: Path) -> Ready:
    """`tag_folder` as somebody calls it who sets nothing."""
    model = load_or_recall(output, model=str(folder))
    image_dir = pictures[0].parent
    run = partial(tag_folder, model, image_dir, output, resume=False)
    return Ready(partial(run, limit=len(pictures)), partial(run, limit=_decoders_sample()))


def _decoders_sample() -> int:
    return sample_size(choose_workers(0).value)


def limit_of(model: ResidentModel, image_dir: Path, names: list[str], batch_size: int) -> dict[str, float]:
    """Seconds a picture of decoding alone, of the network alone, and what they come to together."""
    from wanwu_nb.method.limits import bound, seconds_of

    parts = bound(model, image_dir, names, batch_size)
    return {**parts, "bound": seconds_of(parts, model.device.value)}
