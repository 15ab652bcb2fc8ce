"""How weights and batches lie on a GPU: measured, and kept to by the run that goes on; on a CPU nothing is touched."""

import pytest
import torch
from small_networks import Colours, tagger

from wanwu_nb import memory_format
from wanwu_nb.hardware import Choice
from wanwu_nb.memory_format import CHANNELS_LAST, CONTIGUOUS, choose_memory_format

MEASURED = Choice(32, "measured", {"pictures_per_second": {"32": 900.0}})
MANY = 27_000  # pictures: half a minute


@pytest.fixture
def small(tmp_path):
    return tagger(Colours(), tmp_path)


@pytest.fixture
def on_gpu(small):
    """A model that says it is on a GPU: what is decided for one can be tried on the CPU, which can run both formats."""
    small.device = Choice("cuda", "for the test")
    return small


def taking(seconds):
    """A batch takes so long in each format."""

    def forward_seconds(model, batch_size):
        assert batch_size == MEASURED.value
        contiguous = model.normalised.memory_format == torch.contiguous_format
        outcome = seconds[CONTIGUOUS if contiguous else CHANNELS_LAST]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return forward_seconds


@pytest.mark.parametrize(
    ("contiguous", "chosen", "reason"),
    [
        (0.5, CONTIGUOUS, "2.00 times as fast as channels last"),
        (0.99, CHANNELS_LAST, "contiguous is 1.01 times as fast"),
        (2.0, CHANNELS_LAST, "contiguous is 0.50 times as fast"),
        (torch.OutOfMemoryError("CUDA out of memory"), CHANNELS_LAST, "measuring failed: CUDA out of memory"),
    ],
)
def test_the_faster_is_taken_and_the_model_left_in_it(on_gpu, monkeypatch, contiguous, chosen, reason):
    monkeypatch.setattr(memory_format, "forward_seconds", taking({CHANNELS_LAST: 1.0, CONTIGUOUS: contiguous}))
    choice = choose_memory_format({}, MANY, MEASURED, on_gpu)
    assert (choice.value, choice.reason) == (chosen, reason)
    is_contiguous = on_gpu.normalised.memory_format == torch.contiguous_format
    assert is_contiguous == (chosen == CONTIGUOUS)


BEFORE = {"batch_size": 8}


@pytest.mark.parametrize(
    ("earlier", "kept"), [(BEFORE, CHANNELS_LAST), (BEFORE | {"memory_format": CONTIGUOUS}, CONTIGUOUS)]
)
def test_a_run_that_goes_on_keeps_to_what_the_stopped_one_had(on_gpu, earlier, kept):
    choice = choose_memory_format(earlier, MANY, MEASURED, on_gpu)
    assert (choice.value, choice.reason) == (kept, "as the run that was stopped")


def test_few_pictures_are_run_without_measuring(on_gpu, monkeypatch):
    monkeypatch.setattr(memory_format, "forward_seconds", None)
    assert choose_memory_format({}, MANY, Choice(8, "as asked"), on_gpu).value == CHANNELS_LAST


@pytest.mark.parametrize("pictures", [1, MANY - 1])
def test_where_the_network_is_soon_done_nothing_is_measured(on_gpu, monkeypatch, pictures):
    monkeypatch.setattr(memory_format, "forward_seconds", None)
    choice = choose_memory_format({}, pictures, MEASURED, on_gpu)
    assert choice.value == CHANNELS_LAST
    assert choice.reason.endswith(f"for {pictures / 900:.0f} s, measuring does not pay")


def test_a_size_below_all_that_were_measured_is_not_measured_either(on_gpu, monkeypatch):
    """Memory held none of those that were tried."""
    monkeypatch.setattr(memory_format, "forward_seconds", None)
    none = Choice(4, "measured: 8 failed", {"pictures_per_second": {}})
    assert choose_memory_format({}, MANY, none, on_gpu).reason.endswith("the batch size was not measured, nor was this")


def test_on_a_cpu_nothing_is_touched(monkeypatch):
    class Recalled:
        device = Choice("cpu", "for the test")

    choice = choose_memory_format({}, MANY, MEASURED, Recalled())
    assert choice.value == CHANNELS_LAST


def test_both_formats_give_the_same_answers_and_what_was_compiled_is_forgotten(small):
    batch = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    _, before, _ = small.forward(batch)
    small.use_engine("torch compiled", small.normalised, 2)
    small.use_memory_format(CONTIGUOUS)
    assert small.compiled_for == 0
    weight = next(each for each in small.network.parameters() if each.ndim == 4)
    assert weight.is_contiguous()
    _, after, _ = small.forward(batch)
    assert torch.allclose(before, after, atol=1e-5)
