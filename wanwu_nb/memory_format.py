"""How weights and batches lie in a GPU's memory: channels last suits most networks, and slows down some."""

from collections.abc import Mapping
from typing import Any

from .errors import first_line
from .hardware import Choice
from .resident import MEMORY_FORMATS, ResidentModel
from .timing import forward_seconds

CHANNELS_LAST, CONTIGUOUS = MEMORY_FORMATS
FASTER = 1.03  # what the other must bring: less is within a measurement's spread
WORTH_SECONDS = 30.0  # of the network: the other saves up to 6 % of them, and takes a second or two to be measured


def choose_memory_format(
    earlier: Mapping[str, Any], pictures: int, batch_size: Choice[int], model: ResidentModel
) -> Choice[str]:
    """Let the model's weights and batches lie as the run that was stopped had them, or as is faster for its batches.

    Timed on a GPU alone, and only where the batch size was, and the network takes long enough for these pictures.
    Returns the format.

    >>> choose_memory_format({}, 1000, Choice(8, "as asked"), model).value
    'channels_last'
    """
    if not model.device.value.startswith("cuda"):
        return Choice(CHANNELS_LAST, "on a CPU no other was seen to be faster")
    choice = _choose(earlier, pictures, batch_size, model)
    model.use_memory_format(choice.value)
    return choice


def _choose(earlier: Mapping[str, Any], pictures: int, batch_size: Choice[int], model: ResidentModel) -> Choice[str]:
    if earlier:
        return Choice(earlier.get("memory_format", CHANNELS_LAST), "as the run that was stopped")
    curve = (batch_size.measured or {}).get("pictures_per_second", {})
    rate = curve.get(str(batch_size.value))
    if not rate:
        return Choice(CHANNELS_LAST, "as most networks run fastest; the batch size was not measured, nor was this")
    seconds = pictures / rate
    if seconds < WORTH_SECONDS:
        return Choice(CHANNELS_LAST, f"as most networks run fastest; for {seconds:.0f} s, measuring does not pay")
    try:
        usual = pictures_a_second(model, CHANNELS_LAST, batch_size.value)
        other = pictures_a_second(model, CONTIGUOUS, batch_size.value)
    except RuntimeError as error:  # memory that the other did not take
        return Choice(CHANNELS_LAST, f"measuring failed: {first_line(error)}")
    times = other / usual
    measured = {"pictures_per_second": {CHANNELS_LAST: usual, CONTIGUOUS: other}}
    if times < FASTER:
        return Choice(CHANNELS_LAST, f"contiguous is {times:.2f} times as fast", measured)
    return Choice(CONTIGUOUS, f"{times:.2f} times as fast as channels last", measured)


def pictures_a_second(model: ResidentModel, memory_format: str, batch_size: int) -> float:
    """Returns how many the network alone runs in a memory format, in which the model is left.

    >>> pictures_a_second(model, "contiguous", 8)
    51.2
    """
    model.use_memory_format(memory_format)
    return batch_size / forward_seconds(model, batch_size)
