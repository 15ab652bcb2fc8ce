"""The steps of the method, each one change to the step before: one function each, which tags the pictures of a `Job`.

Default, resident, batched and half precision are written as the article that this project starts from means them.
Overlapped and compiled are the package's own loop. Notebooks show this code, and benchmarks run it.
"""

import difflib
import inspect
import os
import pickle
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from PIL import Image, ImageOps
from torch import Tensor, nn
from torchvision.transforms.functional import normalize, to_pil_image, to_tensor

from .checkpoints import open_checkpoint
from .demo import demo_folder
from .detections import Selection, detect
from .images import InputSpec, Placement, find_images, from_pillow, place
from .measure import StageClock
from .resident import ResidentModel
from .results import objects, to_json
from .settings import ProfileSettings
from .tagging import tag_folder
from .tuning import choose_device, first_line


@dataclass(frozen=True)
class Job:
    """Pictures to tag (`names` below `image_dir`, sorted) and how; JSONs go below `output`/images.

    `open` gives the network in FP32, as scripts open it; `open_resident` the package's own model.
    """

    image_dir: Path
    names: Sequence[str]
    output: Path
    open: Callable[[], nn.Module]
    open_resident: Callable[[], ResidentModel]
    spec: InputSpec
    labels: dict[int, str]
    device: str = "cpu"
    half: torch.dtype = torch.bfloat16
    batch_size: int = 8
    selection: Selection = field(default_factory=Selection)
    clock: StageClock = field(default_factory=lambda: StageClock(on=False))
    left_out: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        what = (
            f"{len(self.names)} pictures 图片 · {self.spec.width} x {self.spec.height}, {self.spec.fit} · {self.device}"
        )
        return "\n".join([what, *(f"left out 略过: {name}: {reason}" for name, reason in self.left_out.items())])


@torch.no_grad()
def default(job: Job) -> None:
    """Load the model again for every picture."""
    for name in job.names:
        network = load(job)
        image, placement = prepare(job, name)
        raw = forward(job, network, [image])
        save(job, [name], raw, [placement])
        del network  # or two are in memory while the next is loaded


@torch.no_grad()
def resident(job: Job) -> None:
    """Load the model once."""
    network = load(job)
    for name in job.names:
        image, placement = prepare(job, name)
        raw = forward(job, network, [image])
        save(job, [name], raw, [placement])


@torch.no_grad()
def batched(job: Job) -> None:
    """One forward for several pictures."""
    network = load(job)
    for names in batches(job):
        images, placements = zip(*[prepare(job, name) for name in names], strict=True)
        raw = forward(job, network, images)
        save(job, names, raw, placements)


@torch.no_grad()
def half_precision(job: Job) -> None:
    """Weights and input in half precision: the article's final script."""
    network = load(job).to(job.half)
    for names in batches(job):
        images, placements = zip(*[prepare(job, name) for name in names], strict=True)
        raw = forward(job, network, images, job.half)
        save(job, names, raw, placements)


def overlapped(job: Job) -> None:
    """The package's own loop: threads decode and write, no tensor is copied twice, precision by the hardware."""
    run_package(job, compile=False)


def compiled(job: Job) -> None:
    """The same loop around a compiled network."""
    run_package(job, compile=True)


STEPS = {
    "default": default,
    "resident": resident,
    "batched": batched,
    "half precision": half_precision,
    "overlapped": overlapped,
    "compiled": compiled,
}
PACKAGE = ("overlapped", "compiled")  # the package's own loop, not a script's


def run_package(job: Job, compile: bool) -> None:
    with job.clock.stage("load"):
        model = job.open_resident()
    options = {"batch_size": job.batch_size, "compile": compile, "resume": False, "limit": len(job.names)}
    selection = {"conf_threshold": job.selection.conf_threshold, "nms_iou": job.selection.nms_iou}
    summary = tag_folder(model, job.image_dir, job.output, top_k=job.selection.top_k, **selection, **options)
    summary.check(max_failed=0)
    if compile and not summary.compiled["value"]:
        raise ValueError(summary.compiled["reason"])


def load(job: Job) -> nn.Module:
    with job.clock.stage("load"):
        return job.open().to(job.device).eval()


def batches(job: Job) -> list[Sequence[str]]:
    return [job.names[start : start + job.batch_size] for start in range(0, len(job.names), job.batch_size)]


def prepare(job: Job, name: str) -> tuple[Tensor, Placement]:
    """One picture with Pillow and torchvision, in the loop, as most scripts do: float32 [3,H,W], normalised."""
    with job.clock.stage("preprocess"):
        spec, image = job.spec, upright(job.image_dir / name)
        placement = place(image.width, image.height, spec)
        canvas = Image.new("RGB", (spec.width, spec.height), (spec.pad,) * 3)
        canvas.paste(image.resize(placement.scaled, Image.Resampling.BILINEAR), placement.offset)
        return normalize(to_tensor(canvas), spec.mean, spec.std), placement


def upright(path: Path) -> Image.Image:
    """RGB, turned as EXIF says; what is no plain colour as the package reads it, so that all steps see one picture."""
    with Image.open(path) as file:
        if file.mode != "RGB" or file.has_transparency_data:
            return to_pil_image(from_pillow(file))
        return ImageOps.exif_transpose(file)


def forward(
    job: Job, network: nn.Module, images: Sequence[Tensor], dtype: torch.dtype = torch.float32
) -> tuple[Tensor | None, Tensor, Tensor]:
    with job.clock.stage("forward"):
        return network(torch.stack(images).to(job.device, dtype))


def save(job: Job, names: Sequence[str], raw: tuple, placements: Sequence[Placement]) -> None:
    """Threshold, NMS and names; then a JSON a picture, in threads, waiting for all, as the article's script does."""
    with job.clock.stage("postprocess"):
        boxes, scores, class_ids = raw
        on_cpu = (None if boxes is None else boxes.float().cpu(), scores.float().cpu(), class_ids.long().cpu())
        found = detect(on_cpu, list(placements), job.labels, job.selection)
    with job.clock.stage("write"), ThreadPoolExecutor(4) as threads:
        records = [{"image": name, "objects": objects(each)} for name, each in zip(names, found, strict=True)]
        list(threads.map(lambda record: write(job.output, record), records))


def write(output: Path, record: dict) -> None:
    path = output / "images" / f"{record['image']}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(to_json(record, indent=2))


def job_of(settings: ProfileSettings, output: Path, **more) -> Job:
    """The job that a notebook's parameters describe, for any model; `more` are keywords of `Job`.

    The network is pickled whole into `output` and opened from there, as scripts do it; one that cannot be pickled, from
    its own file. Pictures that Pillow cannot read would stop a script: they are `left_out`, with their reasons.
    Raises FileNotFoundError or ValueError for pictures, a model or a device that cannot be had.
    """
    device = choose_device(settings.device).value
    image_dir = demo_folder(settings.limit) if settings.image_dir == "demo" else Path(settings.image_dir).absolute()
    names, left_out = sort_out(image_dir, find_images(image_dir, settings.limit), output)
    given = settings.model_dump(include={"model", "labels", "architecture", "trust_pickle"})
    checkpoint = open_checkpoint(**given)
    return Job(
        output / "pictures",
        names,
        output,
        open_as_scripts_do(checkpoint.network.float(), output / "module.pth", given),
        partial(ResidentModel.load, **given, device=device),
        checkpoint.spec,
        checkpoint.labels,
        device,
        half_of(device),
        left_out=left_out,
        **more,
    )


def half_of(device: str) -> torch.dtype:
    """The half precision a script would take."""
    return torch.float16 if device.startswith("cuda") else torch.bfloat16


def open_as_scripts_do(network: nn.Module, path: Path, given: dict) -> Callable[[], nn.Module]:
    try:
        torch.save(network, path)
    except (RuntimeError, AttributeError, TypeError, pickle.PicklingError):  # TorchScript, torch.export
        return partial(open_again, given)
    return partial(torch.load, path, map_location="cpu", weights_only=False)  # our own file, written a moment ago


def sort_out(image_dir: Path, names: Sequence[str], output: Path) -> tuple[list[str], dict[str, str]]:
    """Link the pictures a script can read into `output`/pictures: their names, and why the others are left out."""
    readable, left_out = [], {}
    for name in names:
        try:
            upright(image_dir / name)
            with suppress(FileNotFoundError):
                os.lstat(output / f"{name}.json")  # an OSError where the result's name is too long
        except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
            left_out[name] = first_line(error)
            continue
        link = output / "pictures" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to((image_dir / name).absolute())
        readable.append(name)
    if not readable:
        name, reason = next(iter(left_out.items()))
        raise ValueError(f"none of the {len(names)} pictures in {image_dir} can be read ({name}: {reason})")
    return readable, left_out


def open_again(given: dict) -> nn.Module:
    return open_checkpoint(**given).network.float()


def code_of(step: str, before: str = "") -> str:
    """The code of a step, for print: as it is, or against the step before, with new lines green and gone ones red."""
    lines = inspect.getsource(STEPS[step]).splitlines()
    if not before:
        return "\n".join(lines)
    compared = difflib.unified_diff(inspect.getsource(STEPS[before]).splitlines(), lines, n=100, lineterm="")
    colours = {"+": "\x1b[32m", "-": "\x1b[31m", " ": ""}
    return "\n".join(f"{colours[line[0]]}{line}\x1b[0m" for line in list(compared)[3:])
