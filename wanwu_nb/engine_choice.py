"""What runs the network: as it was loaded, compiled by torch, or OpenVINO; with the reason, and what was measured."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from .engines import COMPILED, EAGER, INT8, OPENVINO
from .hardware import Choice
from .preparing import choose_openvino, use_openvino_again
from .resident import ResidentModel
from .timing import forward_seconds

WORTH_COMPILING = 1000  # pictures: fewer are done before a timed batch has paid for itself
COMPILE_SAVES, COMPILE_COSTS = 0.5, 40.0  # a share of the forward; seconds: measured by benchmarks/choices.py

Say = Callable[[str], None]


def choose_engine(
    asked: bool | str,
    earlier: Mapping[str, Any],
    pictures: int,
    batch_size: int,
    model: ResidentModel,
    say: Say = print,
) -> Choice[str]:
    """Returns what runs the network: as asked, as the run that was stopped, or OpenVINO where it was prepared before or
    preparing it pays; where it cannot be had, compiled code by the same rule. What is no faster is not used. Where the
    run's precision is INT8, its own engine runs already.

    >>> choose_engine(False, {}, 24, 8, model).value
    'torch eager'
    """
    if model.engine == INT8:
        return Choice(INT8, "one picture a request, a stream a core")
    if model.compiled_for not in (0, batch_size):
        model.undo_compile()
    if asked != "auto" or ("compiled" in earlier and earlier.get("engine") != OPENVINO):
        compiled = choose_compile(asked, earlier.get("compiled"), pictures, batch_size, model, say)
        return _engine_of(compiled)
    if model.engine == OPENVINO:
        return Choice(OPENVINO, "prepared by an earlier run of this process")
    if earlier.get("engine") == OPENVINO:
        return use_openvino_again(batch_size, model, say)
    chosen = choose_openvino(pictures, batch_size, model, say)
    if chosen.value == OPENVINO:
        return chosen
    compiled = choose_compile(asked, None, pictures, batch_size, model, say)
    return _engine_of(compiled, chosen.reason)


def _engine_of(compiled: Choice[bool], before: str = "") -> Choice[str]:
    reason = compiled.reason
    if before:
        reason = f"{before}; compiling: {compiled.reason}"
    return Choice(COMPILED if compiled.value else EAGER, reason, compiled.measured)


def choose_compile(
    asked: bool | str, earlier: bool | None, pictures: int, batch_size: int, model: ResidentModel, say: Say = print
) -> Choice[bool]:
    """Compile `model` or not: as asked, as the run that was stopped, or where it pays.

    "auto" compiles when the forwards of all `pictures`, times the share that compiling saves, exceed what it costs.
    What fails to compile, or is no faster then, runs as it is. Returns whether it runs compiled; `measured` holds the
    seconds of compiling, and a batch's. `say` tells whoever is waiting.

    >>> choose_compile(False, None, 24, 8, model).value
    False
    """
    if model.compiled_for != batch_size or model.engine == OPENVINO:
        model.undo_compile()
    wanted = _compile_wanted(asked, earlier, pictures, batch_size, model)
    if not wanted.value:
        model.undo_compile()
        return wanted
    if model.compiled_for:
        return Choice(True, f"{wanted.reason}; compiled by an earlier run of this process")
    say("compiling the network, which takes seconds to minutes")
    return _compile(wanted.reason, batch_size, model)


def _compile_wanted(
    asked: bool | str, earlier: bool | None, pictures: int, batch_size: int, model: ResidentModel
) -> Choice[bool]:
    if asked != "auto":
        return Choice(bool(asked), "as asked")
    if earlier is not None:
        return Choice(earlier, "as the run that was stopped")
    if pictures < WORTH_COMPILING:
        return Choice(False, f"does not pay for fewer than {WORTH_COMPILING:,} pictures")
    seconds_a_picture = forward_seconds(model, batch_size) / batch_size
    saved = pictures * seconds_a_picture * COMPILE_SAVES
    reason = f"compiling costs about {COMPILE_COSTS:.0f} s and would save about {saved:.0f} s"
    return Choice(saved > COMPILE_COSTS, reason)


def _compile(reason: str, batch_size: int, model: ResidentModel) -> Choice[bool]:
    """Compile, and keep what was compiled if it proves faster."""
    eager = forward_seconds(model, batch_size)
    started = time.perf_counter()
    problem = model.compile(batch_size)
    if problem:
        return Choice(False, f"torch.compile failed: {problem}")
    cost = time.perf_counter() - started
    compiled = forward_seconds(model, batch_size)
    measured = {
        "compiling": round(cost, 2),
        "batch_eager": round(eager, 4),
        "batch_compiled": round(compiled, 4),
    }
    if compiled > eager:
        model.undo_compile()
        return Choice(False, "compiled code proved slower", measured)
    saved = 1 - compiled / eager
    return Choice(True, f"{reason}: a batch takes {saved:.0%} less", measured)
