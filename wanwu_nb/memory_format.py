"""How weights and batches lie in a GPU's memory: channels last suits most networks, and slows down some."""

from collections.abc import Mapping
from typing import Any

from .errors import first_line
from .hardware import Choice
from .resident import MEMORY_FORMATS, ResidentModel
from .timing import forward_seconds

CHANNELS_LAST, CONTIGUOUS = MEMORY_FORMATS
FASTER = 1.03  # what the other must bring: less is within a measurement's spread


def choose_memory_format(earlier: Mapping[str, Any], batch_size: Choice[int], model: ResidentModel) -> Choice[str]:
    """Let the model's weights and batches lie as the run that was stopped had them, or as is faster for its batches.

    Timed on a GPU alone, and only where the batch size was, too: fewer pictures are done before. Returns the format.

    >>> choose_memory_format({}, Choice(8, "as asked"), model).value
    'channels_last'
    """
    if not model.device.value.startswith("cuda"):
        return Choice(CHANNELS_LAST, "on a CPU no other was seen to be faster")
    choice = _choose(earlier, batch_size, model)
    model.use_memory_format(choice.value)
    return choice


def _choose(earlier: Mapping[str, Any], batch_size: Choice[int], model: ResidentModel) -> Choice[str]:
    if earlier:
        return Choice(earlier.get("memory_format", CHANNELS_LAST), "as the run that was stopped")
    if batch_size.measured is None:
        return Choice(CHANNELS_LAST, "as most networks run fastest; the batch size was not measured, nor was this")
    rates = {}
    for memory_format in (CHANNELS_LAST, CONTIGUOUS):
        try:
            model.use_memory_format(memory_format)
            rates[memory_format] = batch_size.value / forward_seconds(model, batch_size.value)
        except RuntimeError as error:  # memory that the other did not take
            return Choice(CHANNELS_LAST, f"{memory_format} failed: {first_line(error)}")
    measured = {"pictures_per_second": rates}
    times = rates[CONTIGUOUS] / rates[CHANNELS_LAST]
    if times < FASTER:
        return Choice(CHANNELS_LAST, f"contiguous is {times:.2f} times as fast", measured)
    return Choice(CONTIGUOUS, f"{times:.2f} times as fast as channels last", measured)
