"""Whether INT8 is worth making unasked: by the processor, by a rule before it is made, by time before it is judged.

The rule is of docs/speed.md, its figures are those of `benchmarks.choices`.
"""

from .engines import Run
from .engines.answers import fixed_batch
from .errors import first_line
from .hardware import int8_outruns_half, times_fp32
from .judging import SIZE
from .preparing import Say, choose_openvino
from .resident import ResidentModel
from .timing import forward_seconds, seconds_in_turn

# A share of a forward; seconds; and how many forwards in FP32 judging by a picture takes.
SAVES, QUANTISING, JUDGING = 0.4, 30.0, 1.7
COMPILED_HALF = 0.65  # of a forward: where INT8 may pay, half precision would be compiled


def may_be_faster(model: ResidentModel) -> bool:
    """Returns whether the processor may run the model faster in INT8 than in the precision that was chosen for it.

    >>> may_be_faster(ResidentModel.load("everyday", precision="fp32"))
    True
    """
    if model.device.value != "cpu":
        return False
    return model.precision.value == "fp32" or int8_outruns_half()


def why_it_does_not_pay(model: ResidentModel, pictures: int, judges: int, say: Say) -> str:
    """Returns why INT8 would cost more than it saves, "" where it pays; nothing is made yet.

    Against the model as it would run: in FP32 with OpenVINO, where that was prepared or pays.

    >>> why_it_does_not_pay(model, 300, 150, print)
    'making and judging it costs about 36 s and would save about 3 s'
    """
    precision = model.precision.value
    try:
        if precision == "fp32":
            choose_openvino(pictures, SIZE, model, say)
        seconds = forward_seconds(model, SIZE) / SIZE
    except Exception as error:  # a network may fail on noise, and not on pictures
        return f"a batch could not be timed ({first_line(error)})"
    in_fp32 = seconds * times_fp32(precision, "cpu")
    saved = pictures * SAVES * _as_it_would_run(model, seconds)
    costs = QUANTISING + judges * JUDGING * in_fp32
    if saved > costs:
        return ""
    return f"making and judging it costs about {costs:.0f} s and would save about {saved:.0f} s"


def why_not_worth_judging(model: ResidentModel, in_fp32: ResidentModel, int8: Run, pictures: int, judges: int) -> str:
    """Returns why judging what was made costs more than it saves, "" where it is worth that: all are timed.

    `in_fp32`: what judges, the model itself where that is in FP32.

    >>> why_not_worth_judging(model, model, made.run, 10_000, 300)
    ''
    """
    batch = fixed_batch(model.checkpoint.spec, SIZE)
    now, then = seconds_in_turn(model.launch, int8, batch)
    judging = now if in_fp32 is model else forward_seconds(in_fp32, SIZE)
    saved = pictures * (_as_it_would_run(model, now) - then) / SIZE
    costs = judges * (judging + then) / SIZE
    if saved > costs:
        return ""
    return f"judging it costs about {costs:.0f} s, and it would save about {max(0.0, saved):.0f} s"


def _as_it_would_run(model: ResidentModel, seconds: float) -> float:
    """Of what a forward takes now."""
    return seconds if model.precision.value == "fp32" else COMPILED_HALF * seconds
