"""The steps of the method, each one change to the step before: what each does, and what it should bring.

Default, resident, batched and lower precision are written as the article that this project starts from means them; it
knew half precision, not INT8. Overlapped and compiled are the package's own loop. Notebooks show this code, and
benchmarks run it. A step more is a function, its expectation, and a line in `STEPS`.
"""

import ast
import difflib
import inspect
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
import torch

from ..engines import INT8 as INT8_ENGINE
from ..errors import MeasurementError
from ..hardware import times_fp32, usable_cores
from ..tagging import tag_folder
from .job import Job, fewer_bits
from .limits import Stages, seconds_of
from .script import batches, forward, load, load_lower, prepare, prepare_all, save

RED, GREEN, PLAIN = "\x1b[31m", "\x1b[32m", "\x1b[0m"

Expectation = Callable[[Stages, int, str], Stages]  # of the stages before, the batch size and the device


@dataclass(frozen=True)
class Step:
    """A step: its name, what it does, and what it should bring.

    `tag` tags the pictures of a job; `expects` turns the stages of the step before into those that the step claims.
    `loads_each_time`: the network, for every picture. `ours`: the package's own loop, not a script. `lower`: in the
    job's lower precision.

    >>> STEPS["resident"].tag(job)
    """

    name: str
    tag: Callable[[Job], None]
    expects: Expectation
    loads_each_time: bool = False
    ours: bool = False
    lower: bool = False


# --- what each does ---------------------------------------------------------------------------------------------------


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
        images, placements = prepare_all(job, names)
        raw = forward(job, network, images)
        save(job, names, raw, placements)


@torch.no_grad()
def lower_precision(job: Job) -> None:
    """Weights and input in fewer bits; in half precision, this is the article's final script."""
    network = load_lower(job)
    for names in batches(job):
        images, placements = prepare_all(job, names)
        raw = forward(job, network, images, job.lower)
        save(job, names, raw, placements)


def overlapped(job: Job) -> None:
    """The package's own loop: threads decode and write, no tensor is copied twice, precision by the hardware."""
    run_package(job, compile=False)


def compiled(job: Job) -> None:
    """The same loop around a compiled network."""
    run_package(job, compile=True)


def run_package(job: Job, compile: bool) -> None:
    """Tag the job's pictures with `tag_folder`. Raises MeasurementError where the network could not be compiled.

    >>> run_package(job, compile=False)
    """
    with job.clock.stage("load"):
        model = job.open_resident()
    summary = tag_folder(
        model,
        job.image_dir,
        job.output,
        batch_size=job.batch_size,
        conf_threshold=job.selection.conf_threshold,
        nms_iou=job.selection.nms_iou,
        top_k=job.selection.top_k,
        compile=compile,
        resume=False,
        limit=len(job.names),
        int8_agreement=0,  # tags are judged beside those of the other steps
    )
    summary.check(max_failed=0)
    if compile and summary.engine.value == INT8_ENGINE:
        raise MeasurementError("a network in INT8 is compiled as it is: there is nothing left to compile")
    if compile and not summary.compiled.value:
        raise MeasurementError(summary.compiled.reason)


# --- what each should bring -------------------------------------------------------------------------------------------
# Seconds a picture by stage if the step does all it claims, going by those without it (Amdahl's law, 1967).


def _nothing_changes(stages: Stages, batch_size: int, device: str) -> Stages:
    return stages


def _no_loading(stages: Stages, batch_size: int, device: str) -> Stages:
    return stages | {"load": 0.0}


def _a_batch_takes_as_long_as_a_picture(stages: Stages, batch_size: int, device: str) -> Stages:
    forward = stages["forward"] / batch_size
    return stages | {"forward": forward}


def _fewer_bits_take_less_time(stages: Stages, batch_size: int, device: str) -> Stages:
    """By the instructions that the device has for them."""
    precision = fewer_bits(device)
    forward = stages["forward"] / times_fp32(precision, device)
    return stages | {"forward": forward}


def _the_rest_is_spread_over_all_cores(stages: Stages, batch_size: int, device: str) -> Stages:
    forward = stages["forward"]
    rest = sum(stages.values()) - forward
    decode = rest / usable_cores()
    return {"decode": decode, "forward": forward}


def _compiled_code_takes_half_the_time(stages: Stages, batch_size: int, device: str) -> Stages:
    forward = stages["forward"] / 2
    return stages | {"forward": forward}


# --- all of them ------------------------------------------------------------------------------------------------------

_ALL = (
    Step("default", default, _nothing_changes, loads_each_time=True),
    Step("resident", resident, _no_loading),
    Step("batched", batched, _a_batch_takes_as_long_as_a_picture),
    Step("lower precision", lower_precision, _fewer_bits_take_less_time, lower=True),
    Step("overlapped", overlapped, _the_rest_is_spread_over_all_cores, ours=True),
    Step("compiled", compiled, _compiled_code_takes_half_the_time, ours=True),
)
STEPS = {step.name: step for step in _ALL}
DEFAULT = _ALL[0]  # what the others are compared with
LOWER = STEPS["lower precision"]


def steps_before(name: str) -> list[Step]:
    """Returns the steps before one, in order.

    >>> [step.name for step in steps_before("batched")]
    ['default', 'resident']
    """
    return list(_ALL[: _ALL.index(STEPS[name])])


def steps_between(first: str, last: str) -> list[Step]:
    """Returns the steps after `first`, up to `last`.

    >>> [step.name for step in steps_between("default", "batched")]
    ['resident', 'batched']
    """
    return list(_ALL[_ALL.index(STEPS[first]) + 1 : _ALL.index(STEPS[last]) + 1])


def forecast(stages: Stages, batch_size: int, device: str) -> pd.DataFrame:
    """What measurements will be held against: every step on top of the one before, if each does all it claims.

    `stages`: seconds a picture by stage, of the default step. Returns a row a step: `predicted_seconds` a picture, and
    `predicted_times_default`, how many times as fast as the default.

    >>> forecast({"load": 1.8, "forward": 1.5}, 8, "cuda").loc["resident", "predicted_seconds"]
    1.5
    """
    seconds = {}
    for step in STEPS.values():
        stages = step.expects(stages, batch_size, device)
        seconds[step.name] = seconds_of(stages, device)
    table = pd.DataFrame({"predicted_seconds": seconds})
    table["predicted_times_default"] = seconds[DEFAULT.name] / table["predicted_seconds"]
    return table


def code_of(name: str, before: str = "") -> str:
    """Returns the code of a step, for print: as it is; or what it does against the step `before`, with new lines green
    and gone ones red.

    >>> print(code_of("resident", "default"))
    """
    step = STEPS[name]
    if not before:
        source = inspect.getsource(step.tag)
        return source.rstrip()
    old, new = _body(STEPS[before]), _body(step)
    compared = difflib.unified_diff(old, new, n=100, lineterm="")
    lines = list(compared)[3:]  # without the heads of a diff
    coloured = [_coloured(line) for line in lines]
    return "\n".join(coloured)


def _body(step: Step) -> list[str]:
    """The lines of a step's function, without its name and docstring."""
    source = inspect.getsource(step.tag)
    module = ast.parse(source)
    function = module.body[0]
    assert isinstance(function, ast.FunctionDef)
    docstring = function.body[0]
    lines = source.splitlines()
    return lines[docstring.end_lineno :]


def _coloured(line: str) -> str:
    if line.startswith("+"):
        return f"{GREEN}{line}{PLAIN}"
    if line.startswith("-"):
        return f"{RED}{line}{PLAIN}"
    return f"{line}{PLAIN}"
