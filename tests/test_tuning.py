"""Choices: what is taken over, what is measured, and that each says why."""

import json
import shutil
from types import SimpleNamespace

import pytest
import torch
from conftest import SCENES, contents
from small_networks import Limited, Waiting, tagger
from torch import nn

from wanwu_nb import engine_choice, tag_folder, tuning
from wanwu_nb.engine_choice import choose_compile
from wanwu_nb.hardware import Choice, choose_precision, environment, times_fp32
from wanwu_nb.tuning import WORTH_MEASURING, choose_batch_size, choose_rounds

MANY = 10 * WORTH_MEASURING


def test_a_batch_size_asked_for_or_begun_with_is_not_measured(model, monkeypatch):
    monkeypatch.setattr(model, "launch", lambda batch: pytest.fail("a forward was run"))
    assert choose_batch_size(3, 16, MANY, model) == Choice(3, "as asked")
    assert choose_batch_size(0, 16, MANY, model).value == 16
    small = choose_batch_size(0, 0, WORTH_MEASURING - 1, model)
    assert small.value == 4
    assert "measuring does not pay" in small.reason


def test_the_batch_size_doubles_while_that_pays(model, monkeypatch):
    """Seconds a batch by size; a picture more costs nothing up to 16, and its share from there on."""
    monkeypatch.setattr(tuning, "forward_seconds", lambda _, size: max(1.0, size / 16))
    choice = choose_batch_size(0, 0, MANY, model)
    assert choice.value == 16
    assert choice.reason == "measured: 32 is less than 5% faster"
    assert choice.measured["pictures_per_second"] == {"4": 4.0, "8": 8.0, "16": 16.0, "32": 16.0}


def test_no_size_above_the_largest_is_tried(model, monkeypatch):
    monkeypatch.setattr(tuning, "forward_seconds", lambda _, size: 1.0)
    choice = choose_batch_size(0, 0, MANY, model)
    assert choice.value == 32
    assert choice.reason == "measured: larger than 32 was not tried"


def test_a_size_is_not_tried_where_that_costs_more_than_it_can_save(model, monkeypatch):
    """As of networks that a GPU takes seconds to run for the first time: here half a second, each size."""
    clock = SimpleNamespace(now=0.0, perf_counter=lambda: clock.now)

    def forward_seconds(_, size):
        clock.now += 0.5
        return 0.01

    monkeypatch.setattr(tuning, "time", clock)
    monkeypatch.setattr(tuning, "forward_seconds", forward_seconds)
    few = choose_batch_size(0, 0, WORTH_MEASURING, model)  # 2.5 s at the first size, 1.25 s at the second
    assert few.value == 16
    assert few.reason == "measured: trying 32 would cost more than it could save"
    assert choose_batch_size(0, 0, 10 * WORTH_MEASURING, model).value == 32


@pytest.mark.parametrize(("limit", "size"), [(8, 8), (2, 2)])
def test_the_batch_size_stays_where_memory_holds(tmp_path, monkeypatch, limit, size):
    resident = tagger(Limited(Convolutions(), limit), tmp_path)
    real = tuning.forward_seconds
    monkeypatch.setattr(tuning, "forward_seconds", lambda model, size: real(model, size) and 1.0)
    choice = choose_batch_size(0, 0, MANY, resident)
    assert choice.value == size
    assert "out of memory" in choice.reason


@pytest.mark.parametrize(
    ("batch_size", "threads", "together"), [(4, 2, 16), (8, 2, 16), (5, 2, 20), (64, 2, 64), (4, 16, 128)]
)
def test_on_a_cpu_rounds_are_whole_batches_and_keep_every_thread_busy(batch_size, threads, together):
    round_size, rounds_ahead = choose_rounds("cpu", batch_size, threads)
    assert (round_size.value, rounds_ahead.value) == (together, 0)
    assert "take turns on the CPU" in rounds_ahead.reason


@pytest.mark.parametrize(("batch_size", "together"), [(1, 32), (8, 32), (24, 48), (32, 32), (128, 128)])
def test_on_a_gpu_rounds_are_whole_batches_that_fill_its_decoder_and_two_are_read_ahead(batch_size, together):
    round_size, rounds_ahead = choose_rounds("cuda", batch_size, 16)
    assert (round_size.value, rounds_ahead.value) == (together, 2)


def test_what_nobody_measured_is_no_measurement():
    for device in ("cpu", "cuda"):
        assert [choice.measured for choice in choose_rounds(device, 8, 2)] == [None, None]


def test_compiling_waits_until_it_pays(model, tmp_path):
    assert choose_compile(False, True, MANY, 4, model) == Choice(False, "as asked")
    assert choose_compile("auto", False, MANY, 4, model).reason == "as the run that was stopped"
    assert "does not pay" in choose_compile("auto", None, 10, 4, model).reason
    quick = choose_compile("auto", None, WORTH_MEASURING, 16, tagger(Waiting(16), tmp_path))
    assert quick.value is False
    assert "costs about 40 s and would save about" in quick.reason


class Convolutions(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 3, 3))

    def forward(self, images):
        return None, *self.body(images).mean((2, 3)).softmax(1).sort(descending=True)


@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile wants a C++ compiler")
def test_compiled_the_tags_are_the_same_and_the_summary_says_what_it_brought(scenes, tmp_path):
    torch.manual_seed(0)
    small = tagger(Convolutions(), tmp_path)
    plain = tag_folder(small, scenes, tmp_path / "plain", batch_size=4, compile=False)
    summary = tag_folder(small, scenes, tmp_path / "compiled", batch_size=4, compile=True)
    assert plain.compiled == Choice(False, "as asked")
    assert set(summary.compiled.measured) == {"compiling", "batch_eager", "batch_compiled"}
    assert small.compiled_for == (4 if summary.compiled.value else 0)
    assert len(small.predict(sorted(scenes.glob("*.jpg"))[:3], batch_size=2)) == 3  # runs as it was loaded
    assert summary.labels == plain.labels
    assert summary.processed == SCENES


def test_where_halved_batches_ran_as_loaded_the_summary_does_not_say_compiled(scenes, tmp_path, monkeypatch):
    """The network that was compiled is that of the size that ran out of memory."""
    limited = tagger(Limited(Convolutions(), 2), tmp_path)

    def compiled(asked, earlier, pictures, batch_size, model, say):
        model.compiled_for = batch_size  # a network stands in for its compiled form
        return Choice(True, "as asked: a batch takes 40% less", {"compiling": 20.0})

    monkeypatch.setattr(engine_choice, "choose_compile", compiled)
    summary = tag_folder(limited, scenes, tmp_path / "out", batch_size=4, compile=True)
    assert summary.batch_size.value == 2
    assert summary.compiled.value is False
    assert "ran out of memory: those of 2 ran as loaded" in summary.compiled.reason
    assert summary.compiled.measured == {"compiling": 20.0}


def test_without_a_compiler_it_runs_as_it_is_and_says_why(scenes, tmp_path, monkeypatch):
    from torch._inductor import config  # monkeypatch would take the setting away for all tests to come

    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    torch.manual_seed(1)
    network = Convolutions()
    network.body.append(nn.Hardswish())  # another graph than the other test's, which may be in the cache
    with config.patch({"cpp.cxx": ("no-such-compiler",)}):
        summary = tag_folder(tagger(network, tmp_path), scenes, tmp_path / "out", batch_size=3, compile=True)
    assert summary.processed == SCENES
    assert summary.compiled.value is False
    assert summary.compiled.reason.startswith("torch.compile failed: ")


def test_a_run_goes_on_with_what_the_stopped_one_chose_and_chooses_anew_after_a_complete_one(model, scenes, tmp_path):
    tag_folder(model, scenes, tmp_path / "out", batch_size=3, limit=5)
    (tmp_path / "out/summary.json").unlink()  # as if stopped: without its last line, too
    ledger = tmp_path / "out/ledger.jsonl"
    *lines, last = ledger.read_bytes().splitlines(keepends=True)
    assert last == b'{"complete": true}\n'
    ledger.write_bytes(b"".join(lines))
    summary = tag_folder(model, scenes, tmp_path / "out")
    assert summary.batch_size.value == 3
    assert "as the run that was stopped" in summary.batch_size.reason
    assert (summary.resumed, summary.processed) == (5, SCENES - 5)
    tag_folder(model, scenes, tmp_path / "once", batch_size=3)
    assert contents(tmp_path / "out") == contents(tmp_path / "once")
    assert tag_folder(model, scenes, tmp_path / "out", resume=False).batch_size.value != 3
    noted = [line["choices"] for line in map(json.loads, ledger.read_text().splitlines()) if "choices" in line]
    assert noted[0] == {"batch_size": 3, "compiled": False, "decoder": "CPU threads"}


@pytest.mark.parametrize(
    ("instructions", "precision", "reason"),
    [
        (["amx_bf16", "avx512_bf16"], "bf16", "the CPU has AMX_BF16"),
        (["avx512_bf16", "avx512_f"], "bf16", "the CPU has AVX512_BF16"),
        (["avx2"], "fp32", "the CPU has no bfloat16 instructions (AMX, AVX512-BF16): half would be slower"),
        ([], "fp32", "the CPU has no bfloat16 instructions (AMX, AVX512-BF16): half would be slower"),
    ],
)
def test_precision_is_what_the_cpu_can_do_and_says_which_instructions(monkeypatch, instructions, precision, reason):
    capabilities = dict.fromkeys(instructions, True) | {"avx2": "avx2" in instructions}
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: capabilities)
    assert choose_precision("auto", "cpu") == Choice(precision, reason)


@pytest.mark.parametrize(
    ("instructions", "times"),
    [
        (["amx_bf16", "amx_int8"], {"fp32": 1, "bf16": 2, "int8": 4}),
        (["avx512_bf16", "avx512_vnni"], {"fp32": 1, "bf16": 2, "int8": 4}),
        (["avx2", "avx_vnni"], {"fp32": 1, "bf16": 1, "int8": 4}),
        (["avx2"], {"fp32": 1, "bf16": 1, "int8": 2}),
    ],
)
def test_fewer_bits_promise_what_the_cpu_has_instructions_for(monkeypatch, instructions, times):
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: dict.fromkeys(instructions, True))
    assert {precision: times_fp32(precision, "cpu") for precision in times} == times


def test_a_record_says_which_instructions_its_cpu_has(monkeypatch):
    capabilities = {"avx2": True, "avx512_f": True, "avx512_bf16": False, "amx_bf16": True, "cpu_name": "a CPU"}
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: capabilities)
    machine = environment()
    assert machine["instructions"] == "AVX2, AVX512_F, AMX_BF16"
    assert machine["cpu"] == "a CPU"
