"""A job: pictures to tag, and how. Every step does the same one."""

import pickle
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from PIL import Image
from torch import nn

from ..checkpoints import Checkpoint, open_checkpoint
from ..decoding import DEFAULT_LIMITS, UnreadableImage, read_file
from ..demo import demo_folder
from ..detections import Selection
from ..engines import Run
from ..engines.openvino_int8 import why_not_made, why_not_run
from ..errors import PicturesError, first_line
from ..finding import find_images
from ..fitting import InputSpec
from ..hardware import choose_device, choose_precision
from ..measure import StageClock
from ..resident import ResidentModel
from ..results import json_path
from ..settings import INT8, ModelSettings, ProfileSettings
from .int8 import open_in_int8
from .pictures import upright

BATCH_SIZE = 8


@dataclass(frozen=True, kw_only=True)
class Job:
    """Pictures to tag (`names` below `image_dir`, sorted) and how; JSONs go below `output`/images.

    `open_network` gives the network in FP32, as scripts open it, `open_in_int8` in INT8, and `open_resident` the
    package's own model, in another `precision` where one is given. `lower` is the precision of the step that takes
    fewer bits. `left_out` says of pictures that no script can read why they are not among `names`.

    >>> first = replace(job, names=job.names[:1], clock=StageClock(job.device))
    """

    image_dir: Path
    names: Sequence[str]
    output: Path
    open_network: Callable[[], nn.Module]
    open_in_int8: Callable[[], Run]
    open_resident: Callable[..., ResidentModel]
    spec: InputSpec
    labels: dict[int, str]
    device: str = "cpu"
    lower: str = "bf16"
    batch_size: int = BATCH_SIZE
    selection: Selection = field(default_factory=Selection)
    clock: StageClock = field(default_factory=lambda: StageClock(on=False))
    left_out: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        spec = self.spec
        count = len(self.names)
        size = f"{spec.width} x {spec.height}, {spec.fit}"
        lines = [f"{count} pictures 图片 · {size} · {self.device}"]
        for name, reason in self.left_out.items():
            lines.append(f"left out 略过: {name}: {reason}")
        return "\n".join(lines)


def job_of(settings: ProfileSettings, output: Path, batch_size: int = BATCH_SIZE) -> Job:
    """Returns the job that a notebook's parameters describe, for any model.

    The network is pickled whole into `output` and opened from there, as scripts do it; one that cannot be pickled, from
    its own file. Pictures that Pillow cannot read would stop a script: they are `left_out`, with their reasons. The
    others are linked below `output`/pictures. Raises MissingFile, NotAFolder, PicturesError, ModelError or
    SettingsError for pictures, a model or a device that cannot be had.

    >>> job = job_of(read_parameters(globals(), ProfileSettings), Path("scratch"))
    """
    device = choose_device(settings.device).value
    image_dir = _picture_folder(settings)
    names = find_images(image_dir, settings.limit)
    left_out = _unusable(image_dir, names, output)
    readable = [name for name in names if name not in left_out]
    if not readable:
        raise _none_readable(image_dir, left_out)
    pictures = output / "pictures"
    _link(image_dir, readable, pictures)
    checkpoint = _open(settings)
    model_parameters = settings.part(ModelSettings) | {"device": device}
    network = checkpoint.network.float()
    open_network = _as_scripts_open_it(network, output / "module.pth", settings)
    return Job(
        image_dir=pictures,
        names=readable,
        output=output,
        open_network=open_network,
        open_in_int8=partial(open_in_int8, open_network, checkpoint.spec, [pictures / name for name in readable]),
        open_resident=partial(ResidentModel.load, **model_parameters),
        spec=checkpoint.spec,
        labels=checkpoint.labels,
        device=device,
        lower=fewer_bits(device),
        batch_size=batch_size,
        left_out=left_out,
    )


def fewer_bits(device: str) -> str:
    """Returns the precision below FP32 that a device has instructions for: half, or on other CPUs INT8.

    Where INT8 cannot be had, it is half as a script would take it, with what that costs.

    >>> fewer_bits("cuda:1")
    'fp16'
    """
    precision = choose_precision("auto", device)
    if precision.value != "fp32":
        return precision.value
    if why_no_int8(device):
        return half_of(device)
    return INT8


def why_no_int8(device: str) -> str:
    """Returns why a network cannot be quantised or run in INT8 here, "" where it can be tried.

    >>> why_no_int8("cuda")
    'OpenVINO is for CPUs'
    """
    return why_not_run(device) or why_not_made()


def half_of(device: str) -> str:
    """Returns the half precision that a script would take.

    >>> half_of("cpu")
    'bf16'
    """
    if device.startswith("cuda"):
        return "fp16"
    return "bf16"


def _picture_folder(settings: ProfileSettings) -> Path:
    if settings.image_dir == "demo":
        return demo_folder(settings.limit)
    return Path(settings.image_dir).absolute()


def _unusable(image_dir: Path, names: Sequence[str], output: Path) -> dict[str, str]:
    """Why pictures are left out: those that a script cannot read, or cannot write a result for."""
    reasons = {}
    for name in names:
        try:
            read_file(image_dir / name, DEFAULT_LIMITS)  # a pipe would hold a script for ever
            upright(image_dir / name)
            _check_it_can_be_named(json_path(output, name))
        except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError, UnreadableImage) as error:
            reasons[name] = first_line(error)
    return reasons


def _check_it_can_be_named(path: Path) -> None:
    """Raise an OSError where no file can have this path: a result's name is longer than its picture's."""
    path.parent.mkdir(parents=True, exist_ok=True)  # a path in a folder that is not there is never too long
    with suppress(FileNotFoundError):
        path.lstat()


def _none_readable(image_dir: Path, left_out: dict[str, str]) -> PicturesError:
    count = len(left_out)
    name = next(iter(left_out))
    reason = left_out[name]
    return PicturesError(f"none of the {count} pictures in {image_dir} can be read ({name}: {reason})")


def _link(image_dir: Path, names: Sequence[str], folder: Path) -> None:
    """The same pictures in a folder without the others: `tag_folder` takes all there are."""
    for name in names:
        link = folder / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(image_dir / name)


def _as_scripts_open_it(network: nn.Module, path: Path, settings: ProfileSettings) -> Callable[[], nn.Module]:
    try:
        torch.save(network, path)
    except (RuntimeError, AttributeError, TypeError, pickle.PicklingError):  # TorchScript, torch.export
        return partial(_open_again, settings)
    return partial(torch.load, path, map_location="cpu", weights_only=False)  # our own file, written a moment ago


def _open_again(settings: ProfileSettings) -> nn.Module:
    checkpoint = _open(settings)
    return checkpoint.network.float()


def _open(settings: ProfileSettings) -> Checkpoint:
    return open_checkpoint(settings.model, settings.labels, settings.architecture, settings.trust_pickle)
