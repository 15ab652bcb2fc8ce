"""The steps measured: one row each from one object, those that cannot run with their reason, and the verdict."""

import json
import math
import os
import shutil
import signal
from dataclasses import replace
from time import perf_counter

import pytest
import torch
from model_files import classifier

from wanwu_nb.forecast import expected, forecast, seconds_of
from wanwu_nb.ladder import Ladder, TagsChanged, ladder_of
from wanwu_nb.measure import StageClock
from wanwu_nb.quality import Share, wilson
from wanwu_nb.settings import SpeedUpSettings, check_settings
from wanwu_nb.steps import STEPS
from wanwu_nb.trial import Row, attempt


def ladder_on(image_dir, output, **parameters) -> Ladder:
    output.mkdir(exist_ok=True)
    parameters = {"image_dir": str(image_dir), "device": "cpu", "repeats": 1} | parameters
    return ladder_of(check_settings(SpeedUpSettings, **parameters), output)


@pytest.fixture(scope="module")
def climbed(scenes, tmp_path_factory) -> Ladder:
    """All steps with a small tagger, which has no ground truth."""
    folder = tmp_path_factory.mktemp("model")
    model = {"model": str(classifier(folder, "timm")), "architecture": "timm/resnet18"}
    ladder = ladder_on(
        scenes, folder / "job", limit=6, batch_size=4, repeats=2, labels=str(folder / "labels.txt"), **model
    )
    for step in STEPS:
        ladder.measure(step)
    return ladder


@pytest.mark.parametrize("step", STEPS)
def test_every_step_has_a_row_of_its_own(climbed, step):
    row = climbed.rows[step]
    if step == "compiled" and not shutil.which("g++"):
        assert row.reason.startswith("torch.compile failed")
        return
    assert row.reason in ("", "compiled code proved slower")
    if not row.reason:
        assert len(row.seconds) == 2 and row.spread.low <= row.spread.median <= row.spread.high
        assert (
            0 <= row.cpu_busy <= 1 and row.gpu_busy is None and row.peak_mb > 100 and "% of the time" in row.bottleneck
        )
        assert row.accuracy is None and (row.agreement is None if step == "default" else row.agreement.trials == 6)
        assert set(row.stages) >= {"forward"} and row.ready > row.spread.low


def test_the_tables_show_what_the_rows_hold(climbed):
    table, rows = climbed.table(), climbed.rows
    assert list(table.index) == list(STEPS) and not [name for name in table if "accuracy" in name or "GPU" in name]
    default, resident = rows["default"].spread.median, rows["resident"].spread.median
    assert table.loc["resident", "× default 比默认"] == f"{default / resident:.2f}"
    assert table.loc["resident", "s/picture 秒/张"] == f"{resident:.4f}"
    assert table.loc["resident", "agreement 一致率 95 %"].startswith("100.0% 61.0")
    article = climbed.beside_article()
    assert (
        article.loc["batched", "× default, article 原文"] == "6.46"
        and article.loc["overlapped", "s/picture 秒/张"] == ""
    )
    assert article.loc["resident", "× default, here 本机"] == table.loc["resident", "× default 比默认"]
    assert climbed.precisions().loc["fp32", "changed tags 变化的标签"] == "0 of 6"
    curve = climbed.curve()
    assert list(curve.index)[:4] == [1, 2, 4, 8] and (curve > 0).all(axis=None)


def test_the_resident_step_loses_the_loading(climbed):
    assert climbed.rows["resident"].stages["load"] < climbed.rows["default"].stages["load"] / 3


def test_serial_stages_add_up_to_the_whole(climbed, scenes, tmp_path):
    """Within 2 %, on a step under the clock and timed from outside at once."""
    job = replace(climbed.job, output=tmp_path, clock=StageClock())
    started = perf_counter()
    STEPS["batched"](job)
    assert sum(job.clock.seconds.values()) == pytest.approx(perf_counter() - started, rel=0.02)


def test_a_step_that_lost_is_not_built_upon(climbed):
    slow = Row("resident", seconds=(2.0,), peak_mb=1.0, stages={"forward": 2.0})
    fast = Row("default", seconds=(1.0,), peak_mb=1.0, stages={"forward": 1.0})
    ladder = Ladder(climbed.job)
    ladder.rows = {"default": fast, "resident": slow}
    assert ladder.predict("compiled").startswith("default → compiled")
    ladder.rows["batched"] = replace(slow, step="batched", seconds=(0.5,), base="default", gain=2.0)
    assert ladder.fastest_before("batched") is fast and ladder.fastest_before("overlapped").step == "batched"
    assert ladder.table().loc["batched", "× fastest before 比此前最快"] == "2.00"


def test_what_to_take_here_is_said_and_what_to_leave_out(climbed):
    ladder = Ladder(climbed.job)
    assert ladder.advice() == "no step has run 没有一步能运行"
    row = Row("default", seconds=(1.0,))
    lost = replace(row, step="batched", seconds=(2.0,), base="default", gain=0.5)
    won = replace(row, step="overlapped", seconds=(0.25,), base="default", gain=4.0)
    ladder.rows = {row.step: row for row in (row, lost, won)}
    assert ladder.advice().splitlines() == [
        "fastest here 本机最快: overlapped, × 4.00",
        "brought nothing here 本机无收益: batched (× 0.50 of default)",
    ]


def test_every_changed_tag_can_be_looked_at(climbed, tmp_path):
    assert len(climbed.changed_tags()) == sum(
        2 * (row.agreement.trials - row.agreement.hits) for row in climbed.rows.values() if row.agreement
    )
    for step, label in (("default", "台灯"), ("batched", "椅子")):
        (tmp_path / step / "images" / "a").mkdir(parents=True)
        content = {"objects": [{"label": label, "confidence": 0.9, "bbox": None}]}
        (tmp_path / step / "images" / "a" / "1.jpg.json").write_text(json.dumps(content), encoding="utf-8")
    ladder = Ladder(climbed.job)
    share = Share(0, 1, *wilson(0, 1))
    ladder.rows = {
        "default": Row("default", seconds=(1.0,), output=tmp_path / "default"),
        "batched": Row("batched", seconds=(1.0,), output=tmp_path / "batched", agreement=share),
    }
    assert ladder.changed_tags().values.tolist() == [
        ["batched", "a/1.jpg", "default", "台灯", 0.9],
        ["batched", "a/1.jpg", "step", "椅子", 0.9],
    ]


def test_cells_left_out_or_run_in_another_order_are_no_error(climbed):
    ladder = Ladder(climbed.job)
    ladder.rows = {"batched": climbed.rows["batched"]}
    assert ladder.table().loc["batched", "s/picture 秒/张"] and "× default 比默认" not in ladder.table()
    assert "not measured yet" in ladder.precisions().loc["half precision", "note 备注"]
    with pytest.raises(ValueError, match="the default step was not run"):
        ladder.check(0.99)


def test_a_row_says_what_was_predicted_and_what_came_of_it(climbed):
    resident, batched = climbed.rows["resident"], climbed.rows["batched"]
    stages = climbed.rows["default"].stages
    whole = sum(stages.values())
    assert resident.base == "default" and resident.predicted == pytest.approx(whole / (whole - stages["load"]))
    assert resident.gain == climbed.rows["default"].spread.median / resident.spread.median
    assert f"× {resident.gain:.2f} of default" in str(resident) and f"预测: × {resident.predicted:.2f}" in str(resident)
    slower = f"slower: the next steps stay compared with {batched.base}"
    assert (slower in str(batched)) == (batched.gain < 1)
    assert slower in str(replace(batched, gain=0.9)) and slower not in str(replace(batched, gain=1.1))
    assert climbed.rows["default"].base == ""


def test_a_prediction_counts_the_steps_left_out_between_and_no_step_that_lost(climbed):
    stages = {"load": 6.0, "preprocess": 1.0, "forward": 2.0, "write": 1.0}
    ladder = Ladder(climbed.job, wanted=("default", "batched"))
    ladder.rows = {"default": Row("default", seconds=(10.0,), stages=stages)}
    after = 2 + 2 / ladder.job.batch_size
    assert ladder.predict("batched") == (
        f"default → batched, predicted 预测: × {10 / after:.2f}, {after:.4f} s/picture 秒/张"
    )
    ladder.wanted = ("default", "resident", "batched")
    ladder.rows["resident"] = Row("resident", seconds=(11.0,), stages=stages)
    after = 8 + 2 / ladder.job.batch_size
    assert f"× {10 / after:.2f}," in ladder.predict("batched")


def test_what_is_expected_of_each_step():
    stages = {"load": 4.0, "preprocess": 1.0, "forward": 2.0, "write": 1.0}
    assert seconds_of(expected("resident", stages, 8, "cpu"), "cpu") == 4
    assert seconds_of(expected("batched", stages, 8, "cpu"), "cpu") == 6.25
    assert seconds_of(expected("half precision", stages, 8, "cuda"), "cuda") == 7
    assert seconds_of(expected("compiled", stages, 8, "cpu"), "cpu") == 7
    assert (
        seconds_of({"decode": 1.0, "forward": 2.0}, "cuda") == 2
        and seconds_of({"decode": 1.0, "forward": 2.0}, "cpu") == 3
    )
    table = forecast(stages, 8, "cuda")
    assert list(table.index) == list(STEPS) and table.iloc[:, 0].is_monotonic_decreasing and table.iloc[1, 1] == 2


# --- what cannot run --------------------------------------------------------------------------------------------------


def test_one_picture_leaves_the_default(scenes, tmp_path):
    (tmp_path / "pictures").mkdir()
    shutil.copy(next(scenes.glob("*.jpg")), tmp_path / "pictures")
    ladder = ladder_on(tmp_path / "pictures", tmp_path / "job")
    assert not ladder.measure("default").reason
    assert "give at least 2" in ladder.measure("resident").reason
    assert "not run" in ladder.table().loc["resident", "note 备注"]
    assert ladder.check(0.99).startswith("only the default step ran")


def test_a_batch_larger_than_the_folder_is_cut_and_says_so(scenes, tmp_path):
    ladder = ladder_on(scenes, tmp_path / "job", batch_size=64, limit=3)
    assert ladder.job.batch_size == 3 and "batch_size=64 is more than there are pictures" in str(ladder)
    assert "no ground truth" in str(ladder)


def test_a_network_that_cannot_run_in_half_is_a_row_with_the_reason(scenes, tmp_path):
    ladder = ladder_on(scenes, tmp_path / "job", limit=2)
    ladder.job = replace(ladder.job, open=refuses_half)
    for step in ("default", "resident", "batched", "half precision"):
        ladder.measure(step)
    assert ladder.rows["half precision"].reason == "\"sort\" not implemented for 'BFloat16'"
    assert not ladder.rows["batched"].reason and "not run" in ladder.precisions().iloc[1, -1]
    assert ladder.predict("overlapped") and ladder.check(0.99)


def refuses_half() -> torch.nn.Module:
    return RefusesHalf()


class RefusesHalf(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(3))

    def forward(self, images):
        if images.dtype != torch.float32:
            raise RuntimeError("\"sort\" not implemented for 'BFloat16'\nand frames of C++")
        boxes = torch.tensor([[[10.0, 10.0, 200.0, 200.0]]]).expand(len(images), 1, 4)
        return boxes, torch.full((len(images), 1), 0.9) * self.weight[0], torch.ones(len(images), 1).long()


def test_a_run_that_would_take_too_long_is_not_waited_for(scenes, tmp_path):
    ladder = ladder_on(scenes, tmp_path / "job", limit=4, batch_size=2)
    row = attempt("resident", replace(ladder.job, output=tmp_path), repeats=1, patience=0.001)
    assert row.reason.startswith("2 pictures took ") and "all 4 would take too long" in row.reason
    assert ladder.patience() == math.inf
    ladder.rows["default"] = Row("default", seconds=(50.0,))
    assert ladder.patience() == 200


class OutOfMemory(RefusesHalf):
    def forward(self, images):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


class Killed(RefusesHalf):
    def forward(self, images):
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(("network", "says"), [(OutOfMemory, "CUDA out of memory"), (Killed, "was killed")])
def test_where_even_the_default_cannot_run_the_verdict_says_so(scenes, tmp_path, network, says):
    ladder = ladder_on(scenes, tmp_path / "job", limit=2)
    ladder.job = replace(ladder.job, open=network)
    for step in ("default", "resident"):
        assert says in ladder.measure(step).reason
    assert ladder.predict("batched") == "no step has run that a prediction could start from"
    assert len(ladder.table()) == 2
    with pytest.raises(ValueError, match=r"the default step was not run .* nothing to compare"):
        ladder.check(0.99)


@pytest.mark.parametrize(
    ("steps", "says"),
    [("residnet", "unknown step 'residnet' in steps: did you mean resident?"), ("x", "known are default, resident")],
)
def test_a_step_that_is_none_is_refused(scenes, tmp_path, steps, says):
    with pytest.raises(ValueError, match=says):
        ladder_on(scenes, tmp_path / "job", steps=steps, limit=2)


def test_steps_left_out_say_so(scenes, tmp_path):
    ladder = ladder_on(scenes, tmp_path / "job", steps="half precision, resident", limit=2)
    assert ladder.wanted == ["default", "half precision", "resident"]
    assert ladder.measure("batched").reason == "left out by the parameter steps"


# --- the verdict ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("hits", "passes"), [(100, True), (98, True), (90, False)])
def test_tags_lost_for_speed_are_an_error_where_the_interval_is_sure_of_it(climbed, hits, passes):
    ladder = Ladder(climbed.job)
    share = Share(hits, 100, *wilson(hits, 100))
    ladder.rows = {
        "default": Row("default", seconds=(1.0,)),
        "batched": Row("batched", seconds=(0.5,), agreement=share),
    }
    if passes:
        assert ladder.check(0.99).startswith("no step surely changes")
    else:
        with pytest.raises(TagsChanged, match=r"batched.* 90.0% of the tags .* below min_agreement=0.99"):
            ladder.check(0.99)


def test_nothing_found_is_not_agreement(climbed):
    ladder = Ladder(climbed.job)
    ladder.rows = {name: Row(name, seconds=(1.0,)) for name in ("default", "resident")}
    assert "could not be compared" in ladder.check(0.99)
