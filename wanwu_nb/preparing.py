"""OpenVINO for a model: what an earlier process prepared is opened at once; else it is prepared where that pays.

Nothing is believed: what is opened must give the answers that were noted, to the bit; what is prepared must answer as
the network does, and be faster on this machine. Whatever goes wrong, the network runs as it was loaded, and why is one
sentence.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from .engines import EAGER, OPENVINO, Run, cache, openvino_cpu
from .engines.answers import answers_of, are_alike, digest, fixed_batch
from .engines.identity import identity
from .errors import first_line
from .hardware import Choice
from .resident import ResidentModel
from .timing import forward_seconds, seconds_in_turn

WORTH_TIMING = 200  # pictures: fewer are done before a timed batch has paid for itself
SAVES, COSTS = 0.15, 10.0  # a share of the forward, and seconds: the least and the most of docs/speed.md

Say = Callable[[str], None]


@dataclass(frozen=True)
class _Refusal:
    """Why an entry of the cache is not used, and whether it could be taken away."""

    reason: str
    gone: bool


def choose_openvino(pictures: int, batch_size: int, model: ResidentModel, say: Say = print) -> Choice[str]:
    """Run batches of this size with OpenVINO where it was prepared before, or where preparing it pays.

    Returns which engine runs the network now, with what was measured when it was prepared.

    >>> choose_openvino(24, 8, model).value
    'torch eager'
    """
    problem = openvino_cpu.why_not(model.device.value, model.precision.value)
    if problem:
        return Choice(EAGER, problem)
    opened = _open_cached(model, batch_size)
    if isinstance(opened, Choice):
        return opened
    before = ""
    if opened is not None:
        if opened.gone:
            return prepare(model, batch_size, say, f"{opened.reason}: prepared anew")
        before = f"{opened.reason}; "  # and the next run would meet it again
    wanted = _pays(pictures, batch_size, model)
    if not wanted.value:
        return Choice(EAGER, f"{before}{wanted.reason}")
    return prepare(model, batch_size, say, f"{before}{wanted.reason}")


def use_openvino_again(batch_size: int, model: ResidentModel, say: Say = print) -> Choice[str]:
    """Run with OpenVINO as the run that was stopped did, whatever it costs: another engine would round differently.

    Returns which engine runs the network now.

    >>> use_openvino_again(8, model).value
    'OpenVINO'
    """
    reason = "as the run that was stopped"
    problem = openvino_cpu.why_not(model.device.value, model.precision.value)
    if problem:
        return Choice(EAGER, f"the run that was stopped had OpenVINO: {problem}")
    opened = _open_cached(model, batch_size)
    if isinstance(opened, Choice) and opened.value == OPENVINO:
        return Choice(OPENVINO, reason, opened.measured)
    return prepare(model, batch_size, say, reason, must_be_faster=False)


def prepare(
    model: ResidentModel, batch_size: int, say: Say = print, reason: str = "as asked", must_be_faster: bool = True
) -> Choice[str]:
    """Prepare OpenVINO for batches of this size, keep what it built for later processes, and run with it if it is good.

    Returns which engine runs the network now.

    >>> prepare(model, 8).value
    'OpenVINO'
    """
    say("preparing the network for OpenVINO, which takes some seconds")
    try:
        prepared = _prepare(model, batch_size)
    except Exception as error:  # whatever torch and OpenVINO say: an operator unknown to them, branches on the data
        return Choice(EAGER, f"OpenVINO cannot run this network ({first_line(error)})")
    if prepared is None:
        return Choice(EAGER, "OpenVINO gives other answers than the network")
    run, entry = prepared
    afterwards = _keep(model, batch_size, entry)
    if must_be_faster and not entry.faster:
        return Choice(EAGER, f"OpenVINO proved no faster{afterwards}", entry.measured)
    model.use_engine(OPENVINO, run, batch_size)
    return Choice(OPENVINO, f"{reason}: {_less(entry.measured)}{afterwards}", entry.measured)


def _prepare(model: ResidentModel, batch_size: int) -> tuple[Run, cache.Entry] | None:
    """What runs the batches, and what is to be kept of it; None where it does not answer as the network does."""
    spec, precision = model.checkpoint.spec, model.precision.value
    batch = fixed_batch(spec, batch_size)
    started = time.perf_counter()
    built = openvino_cpu.build(model.normalised, spec, precision, batch_size)
    run = openvino_cpu.open_built(built, precision)
    answers = answers_of(run, batch)
    seconds = time.perf_counter() - started
    of_network = answers_of(model.normalised, batch)
    if not are_alike(of_network, answers):
        return None
    eager, prepared = seconds_in_turn(model.normalised, run, batch)
    measured = {"preparing": round(seconds, 2), "batch_eager": round(eager, 6), "batch_prepared": round(prepared, 6)}
    faster = prepared < eager
    if not faster:
        built = memoryview(b"")
    return run, cache.Entry(built, digest(answers), faster, measured)


def sizes_prepared(model: ResidentModel) -> Sequence[int]:
    """Returns the batch sizes that OpenVINO was prepared for, the one used last first.

    >>> sizes_prepared(model)
    [4]
    """
    if openvino_cpu.why_not(model.device.value, model.precision.value):
        return []
    return cache.sizes(_identity(model))


def _less(measured: Mapping[str, float]) -> str:
    share = measured["batch_prepared"] / measured["batch_eager"]
    saved = 1 - share
    return f"a batch takes {saved:.0%} less"


def _pays(pictures: int, batch_size: int, model: ResidentModel) -> Choice[bool]:
    apart = "`python -m wanwu_nb.prepare` does it apart"
    if pictures < WORTH_TIMING:
        return Choice(False, f"preparing OpenVINO does not pay for fewer than {WORTH_TIMING} pictures: {apart}")
    try:
        seconds_a_picture = forward_seconds(model, batch_size) / batch_size
    except Exception as error:  # a network may fail on noise, and not on pictures
        return Choice(False, f"a batch could not be timed ({first_line(error)})")
    saved = pictures * seconds_a_picture * SAVES
    reason = f"preparing OpenVINO costs about {COSTS:.0f} s and would save about {saved:.0f} s"
    if saved > COSTS:
        return Choice(True, reason)
    return Choice(False, f"{reason}: {apart}")


def _identity(model: ResidentModel) -> str:
    checkpoint = model.checkpoint
    spec = checkpoint.spec.to_dict()
    return identity(OPENVINO, checkpoint.fingerprint, spec, model.precision.value)


def _open_cached(model: ResidentModel, batch_size: int) -> "Choice[str] | _Refusal | None":
    """What an earlier process prepared, in use now, or that it was no faster; why it is refused; or nothing."""
    name = _identity(model)
    try:
        entry = cache.read(name, batch_size)
        if entry is None:
            return None
        if not entry.faster:
            return Choice(EAGER, "OpenVINO proved no faster when it was prepared", entry.measured)
        return _open_entry(entry, model, batch_size)
    except cache.Refused as error:
        gone = cache.forget(name, batch_size)
        return _Refusal(f"what was kept for OpenVINO is not used, since {error}", gone)


def _open_entry(entry: cache.Entry, model: ResidentModel, batch_size: int) -> Choice[str]:
    started = time.perf_counter()
    try:
        run = openvino_cpu.open_built(entry.built, model.precision.value)
        batch = fixed_batch(model.checkpoint.spec, batch_size)
        answers = answers_of(run, batch)
        reason = f"prepared by an earlier run: {_less(entry.measured)}"
    except Exception as error:  # of another version, or of none
        raise cache.Refused(f"it cannot be opened ({first_line(error)})") from None
    if digest(answers) != entry.answers:
        raise cache.Refused("its answers have changed")
    seconds = time.perf_counter() - started
    model.use_engine(OPENVINO, run, batch_size)
    return Choice(OPENVINO, reason, {**entry.measured, "opening": round(seconds, 2)})


def _keep(model: ResidentModel, batch_size: int, entry: cache.Entry) -> str:
    """Returns what went wrong, as the end of a sentence; "" if nothing did."""
    name = _identity(model)
    cache.forget(name, batch_size)
    try:
        cache.keep(name, batch_size, entry)
    except (OSError, cache.Refused) as error:
        return f"; it could not be kept for later runs ({first_line(error)})"
    return ""
