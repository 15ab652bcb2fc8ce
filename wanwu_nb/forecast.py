"""What each step should bring, written down before it is run: its claim, applied to the stages that were measured."""

import pandas as pd

from .steps import STEPS
from .tuning import choose_precision, usable_cores


def forecast(stages: dict[str, float], batch_size: int, device: str) -> pd.DataFrame:
    """Every step on top of the one before, if each does all it claims: what measurements will be held against."""
    seconds = {"default": seconds_of(stages, device)}
    for step in list(STEPS)[1:]:
        stages = expected(step, stages, batch_size, device)
        seconds[step] = seconds_of(stages, device)
    table = pd.DataFrame({"s/picture 秒/张, predicted 预测": seconds})
    table["× default 比默认, predicted 预测"] = seconds["default"] / table.iloc[:, 0]
    return table


def expected(step: str, stages: dict[str, float], batch_size: int, device: str) -> dict[str, float]:
    """Seconds a picture by stage if the step does all it claims, going by those without it (Amdahl's law, 1967).

    Loading goes; a batch's forward takes no longer than a picture's; half the bits take half the time where the device
    has instructions for them; what is not the network is spread over all cores; compiled code takes half the time.
    """
    forward, cores = stages["forward"], usable_cores()
    match step:
        case "resident":
            return stages | {"load": 0.0}
        case "batched":
            return stages | {"forward": forward / batch_size}
        case "half precision":
            return stages | {"forward": forward if choose_precision("auto", device).value == "fp32" else forward / 2}
        case "overlapped":
            return {"decode": (sum(stages.values()) - forward) / cores, "forward": forward}
        case "compiled":
            return stages | {"forward": forward / 2}


def seconds_of(stages: dict[str, float], device: str) -> float:
    """One stage after the other; but beside a GPU, what is decoded in threads is hidden, or hides the network."""
    together = max if device.startswith("cuda") and "decode" in stages else sum
    return together(stages.values())
