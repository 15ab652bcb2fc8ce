"""Choices: what is taken over, what is measured, and that each says why."""

import json
import shutil

import pytest
import torch
from conftest import SCENES, contents
from small_networks import Limited, Waiting, tagger
from torch import nn

from wanwu_nb import tag_folder
from wanwu_nb.tuning import WORTH_MEASURING, choose_ahead, choose_batch_size, choose_compile, choose_precision

MANY = 10 * WORTH_MEASURING


def test_a_batch_size_asked_for_or_begun_with_is_not_measured(model, monkeypatch):
    monkeypatch.setattr(model, "launch", lambda batch: pytest.fail("a forward was run"))
    assert choose_batch_size(3, 16, MANY, model)[:2] == (3, "as asked")
    assert choose_batch_size(0, 16, MANY, model).value == 16
    small = choose_batch_size(0, 0, WORTH_MEASURING - 1, model)
    assert small.value == 4 and "measuring does not pay" in small.reason


def test_the_batch_size_doubles_while_that_pays(tmp_path):
    choice = choose_batch_size(0, 0, MANY, tagger(Waiting(16), tmp_path))
    assert choice.value == 16 and choice.reason == "measured: 32 is less than 5% faster"
    curve = choice.measured["pictures_per_second"]
    assert list(curve) == ["4", "8", "16", "32"] and curve["16"] > 1.5 * curve["8"] > 2 * curve["4"]


@pytest.mark.parametrize(("limit", "size"), [(8, 8), (2, 2)])
def test_the_batch_size_stays_where_memory_holds(tmp_path, limit, size):
    choice = choose_batch_size(0, 0, MANY, tagger(Limited(Waiting(64), limit), tmp_path))
    assert choice.value == size and "out of memory" in choice.reason


@pytest.mark.parametrize(
    ("batch_size", "threads", "together"), [(4, 2, 16), (8, 2, 16), (5, 2, 20), (64, 2, 64), (4, 16, 128)]
)
def test_on_a_cpu_rounds_are_whole_batches_and_keep_every_thread_busy(batch_size, threads, together):
    assert choose_ahead("cpu", batch_size, threads).value == together
    assert choose_ahead("cuda", batch_size, threads)[::2] == (batch_size, {"ahead": 2})


def test_compiling_waits_until_it_pays(model, tmp_path):
    assert choose_compile(False, True, MANY, 4, model) == (False, "as asked", None)
    assert choose_compile("auto", False, MANY, 4, model).reason == "as the run that was stopped"
    assert "does not pay" in choose_compile("auto", None, 10, 4, model).reason
    quick = choose_compile("auto", None, WORTH_MEASURING, 16, tagger(Waiting(16), tmp_path))
    assert not quick.value and "costs about 40 s and would save about" in quick.reason


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
    assert plain.compiled == {"value": False, "reason": "as asked"}
    assert set(summary.compiled["measured"]) == {"compiling", "batch_eager", "batch_compiled"}
    assert small.compiled_for == (4 if summary.compiled["value"] else 0)
    assert len(small.predict(sorted(scenes.glob("*.jpg"))[:3], batch_size=2)) == 3  # runs as it was loaded
    assert summary.labels == plain.labels and summary.processed == SCENES


def test_without_a_compiler_it_runs_as_it_is_and_says_why(scenes, tmp_path, monkeypatch):
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", ("no-such-compiler",))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    torch.manual_seed(1)
    network = Convolutions()
    network.body.append(nn.Hardswish())  # another graph than the other test's, which may be in the cache
    summary = tag_folder(tagger(network, tmp_path), scenes, tmp_path / "out", batch_size=3, compile=True)
    assert summary.processed == SCENES and not summary.compiled["value"]
    assert summary.compiled["reason"].startswith("torch.compile failed: ")


def test_a_run_goes_on_with_what_the_stopped_one_chose_and_chooses_anew_after_a_complete_one(model, scenes, tmp_path):
    tag_folder(model, scenes, tmp_path / "out", batch_size=3, limit=5)
    (tmp_path / "out/summary.json").unlink()  # as if stopped
    summary = tag_folder(model, scenes, tmp_path / "out")
    assert summary.batch_size["value"] == 3 and "as the run that was stopped" in summary.batch_size["reason"]
    assert (summary.resumed, summary.processed) == (5, SCENES - 5)
    tag_folder(model, scenes, tmp_path / "once", batch_size=3)
    assert contents(tmp_path / "out") == contents(tmp_path / "once")
    assert tag_folder(model, scenes, tmp_path / "out", resume=False).batch_size["value"] != 3
    (first, *_) = (tmp_path / "out/ledger.jsonl").read_text().splitlines()
    assert json.loads(first)["choices"] == {"batch_size": 3, "compiled": False, "decoder": "CPU threads"}


def test_precision_is_what_the_cpu_can_do_and_says_which_instructions():
    choice = choose_precision("auto", "cpu")
    able = any(torch.cpu.get_capabilities().get(name) for name in ("amx_bf16", "avx512_bf16"))
    assert choice.value == ("bf16" if able else "fp32") and ("AMX" in choice.reason or "AVX512" in choice.reason)
