"""The steps measured: one row each from one object, those that cannot run with their reason, and the verdict."""

import math
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from model_files import classifier

from wanwu_nb.demo import TRUTH
from wanwu_nb.errors import MeasurementError, ResultsError, SettingsError
from wanwu_nb.hardware import Choice, usable_cores
from wanwu_nb.measure import StageClock
from wanwu_nb.method import script
from wanwu_nb.method.job import fewer_bits
from wanwu_nb.method.ladder import Ladder, TagsChanged, ladder_of
from wanwu_nb.method.limits import seconds_of
from wanwu_nb.method.steps import DEFAULT, STEPS, forecast
from wanwu_nb.method.tables import at_a_glance, beside_article, changed_tags, precisions, whole_ladder
from wanwu_nb.method.trial import Row, attempt
from wanwu_nb.quality import Share, wilson
from wanwu_nb.settings import SpeedUpSettings, check_settings


def ladder_on(image_dir: Path, output: Path, **parameters) -> Ladder:
    output.mkdir(exist_ok=True)
    parameters = {"image_dir": str(image_dir), "device": "cpu", "repeats": 1} | parameters
    return ladder_of(check_settings(SpeedUpSettings, **parameters), output)


@pytest.fixture(scope="module")
def climbed(scenes, tmp_path_factory) -> Ladder:
    """All steps with a small tagger, which has no ground truth."""
    folder = tmp_path_factory.mktemp("model")
    weights = classifier(folder, "timm")
    model = {"model": str(weights), "architecture": "timm/resnet18", "labels": str(folder / "labels.txt")}
    ladder = ladder_on(scenes, folder / "job", limit=6, batch_size=4, repeats=2, **model)
    for step in STEPS:
        ladder.measure(step)
    return ladder


@pytest.fixture
def empty(climbed) -> Ladder:
    """The same job, and nothing measured."""
    return Ladder(climbed.job)


# --- rows -------------------------------------------------------------------------------------------------------------


@pytest.fixture(params=list(STEPS))
def row(request, climbed) -> Row:
    """A measured row of each step; compiling may not be possible, or not pay."""
    row = climbed.rows[request.param]
    if request.param == "compiled" and not shutil.which("g++"):
        assert row.reason.startswith("torch.compile failed")
    if request.param == "compiled" and row.reason:
        pytest.skip(row.reason)
    return row


def test_a_row_holds_its_repeats_and_their_spread(row):
    assert row.reason == ""
    assert len(row.seconds) == 2
    assert row.spread.low <= row.spread.median <= row.spread.high


def test_a_row_holds_how_busy_the_hardware_was(row):
    assert 0 <= row.cpu_busy <= 1
    assert row.gpu_busy is None
    assert row.peak_mb > 100
    assert row.peak_gpu_mb is None
    assert "% of the time" in row.bottleneck


def test_a_row_holds_the_time_until_the_first_pictures(row):
    assert row.ready > 0


def test_a_row_is_compared_with_the_default(row):
    assert row.accuracy is None
    if row.step == DEFAULT.name:
        assert row.agreement is None
    else:
        assert row.agreement.trials == 6


def test_the_stages_of_a_script_are_clocked_and_those_of_the_package_are_its_limits(row):
    scripts = {"load", "preprocess", "forward", "postprocess", "write"}
    assert set(row.stages) == ({"decode", "forward"} if STEPS[row.step].ours else scripts)


def test_compiling_that_fails_or_does_not_pay_is_the_reason(climbed):
    reason = climbed.rows["compiled"].reason
    assert reason in ("", "compiled code proved slower") or reason.startswith("torch.compile failed")


def test_the_resident_step_loses_the_loading(climbed):
    assert climbed.rows["resident"].stages["load"] < climbed.rows["default"].stages["load"]


def test_every_second_of_a_script_counts_for_its_stage(climbed, tmp_path, monkeypatch):
    """Time that only passes where something is done."""
    passed = []

    def taking(seconds, function):
        def work(*arguments, **options):
            passed.append(seconds)
            return function(*arguments, **options)

        return work

    monkeypatch.setattr(script, "prepared", taking(1.0, script.prepared))
    monkeypatch.setattr(script, "detect", taking(0.5, script.detect))
    monkeypatch.setattr(script, "write", taking(0.25, script.write))
    network = climbed.job.open_network()
    monkeypatch.setattr(network, "forward", taking(2.0, network.forward))
    clock = StageClock(now=lambda: sum(passed))
    job = replace(climbed.job, output=tmp_path, clock=clock, open_network=taking(6.0, lambda: network))
    STEPS["batched"].tag(job)  # 6 pictures, in batches of 4 and 2
    assert clock.seconds == {"load": 6, "preprocess": 6, "forward": 2 * 2, "postprocess": 2 * 0.5, "write": 6 * 0.25}
    assert sum(clock.seconds.values()) == sum(passed)


def test_a_row_says_what_was_predicted_and_what_came_of_it(climbed):
    default = climbed.rows["default"]
    resident = climbed.rows["resident"]
    whole = sum(default.stages.values())
    assert resident.base == "default"
    assert resident.predicted == pytest.approx(whole / (whole - default.stages["load"]))
    assert resident.gain == default.spread.median / resident.spread.median
    assert f"× {resident.gain:.2f} of default" in str(resident)
    assert f"预测: × {resident.predicted:.2f}" in str(resident)


def test_the_default_is_compared_with_nothing_before_it(climbed):
    assert climbed.rows["default"].base == ""
    assert "predicted" not in str(climbed.rows["default"])


@pytest.mark.parametrize(("gain", "is_slower"), [(0.9, True), (1.1, False)])
def test_a_row_says_that_a_step_lost(climbed, gain, is_slower):
    row = replace(climbed.rows["resident"], gain=gain)
    assert row.is_slower == is_slower
    assert ("slower: the next steps stay compared with default" in str(row)) == is_slower


# --- tables -----------------------------------------------------------------------------------------------------------


def test_the_table_shows_what_the_rows_hold(climbed):
    table = whole_ladder(climbed)
    default = climbed.rows["default"].spread.median
    resident = climbed.rows["resident"].spread.median
    assert list(table.index) == list(STEPS)
    assert table.loc["resident", "times_default"] == f"{default / resident:.2f}"
    assert table.loc["resident", "seconds"] == f"{resident:.4f}"
    assert table.loc["resident", "agreement"].startswith("100.0% 61.0")


def test_columns_that_say_nothing_are_left_out(climbed):
    assert {"accuracy", "gpu_busy", "gpu_memory"}.isdisjoint(whole_ladder(climbed))


def test_a_glance_is_a_part_of_the_whole(climbed):
    whole = whole_ladder(climbed)
    glance = at_a_glance(climbed)
    assert len(glance.columns) <= 8
    assert glance.equals(whole[glance.columns])
    assert {"seconds", "cpu_busy", "agreement"} <= set(glance)


def test_ours_stands_beside_the_article(climbed):
    table = beside_article(climbed)
    assert list(table.index) == list(STEPS)
    assert table.loc["batched", "times_default_article"] == "6.46"
    assert table.loc["batched", "seconds"] == 0.65
    assert table.loc["overlapped", "seconds"] == ""
    assert table.loc["resident", "times_default_here"] == whole_ladder(climbed).loc["resident", "times_default"]


def test_other_precisions_stand_beside_the_full(climbed):
    table = precisions(climbed)
    lower = climbed.job.lower
    assert list(table.index) == (["fp32", "int8"] if lower == "int8" else ["fp32", lower, "int8"])
    assert table.loc["fp32", "changed_tags"] == "0 of 6"
    assert table.loc["fp32", "times_fp32"] == "1.00"


def test_batch_sizes_are_tried_from_one_on(climbed):
    curve = climbed.curve()
    assert list(curve.index)[:4] == [1, 2, 4, 8]
    assert (curve > 0).all(axis=None)


def write_result(output: Path, name: str, *labels: str) -> None:
    """A result with whole-picture tags, which may be none."""
    objects = [{"label": label, "label_id": 0, "confidence": 0.9, "bbox": None} for label in labels]
    script.write(output, {"image": name, "width": 8, "height": 8, "objects": objects})


def test_every_changed_tag_can_be_looked_at(empty, tmp_path):
    write_result(tmp_path / "default", "a/1.jpg", "台灯")
    write_result(tmp_path / "batched", "a/1.jpg", "椅子")
    ladder = Ladder(replace(empty.job, names=["a/1.jpg"]))
    ladder.rows = {
        "default": Row("default", seconds=(1.0,), output=tmp_path / "default"),
        "batched": Row("batched", seconds=(1.0,), output=tmp_path / "batched", agreement=Share(0, 1, *wilson(0, 1))),
    }
    assert changed_tags(ladder).values.tolist() == [
        ["batched", "a/1.jpg", "default", "台灯", 0.9],
        ["batched", "a/1.jpg", "step", "椅子", 0.9],
    ]


def test_there_are_as_many_changed_tags_as_the_agreement_counts(climbed):
    shares = [row.agreement for row in climbed.rows.values() if row.agreement]
    changed = sum(share.trials - share.hits for share in shares)
    assert len(changed_tags(climbed)) == 2 * changed


def test_tables_of_cells_left_out_or_run_in_another_order_are_no_error(climbed, empty):
    empty.rows = {"batched": climbed.rows["batched"]}
    table = whole_ladder(empty)
    assert table.loc["batched", "seconds"]
    assert "times_default" not in table
    assert "not measured yet" in precisions(empty).loc["lower precision", "note"]
    assert len(changed_tags(Ladder(climbed.job))) == 0


# --- INT8 -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def in_int8(climbed, scenes, tmp_path_factory) -> Ladder:
    """The steps from lower precision on, as a CPU without instructions for half precision takes them."""
    folder = tmp_path_factory.mktemp("int8")
    weights = classifier(folder, "timm")
    model = {"model": str(weights), "architecture": "timm/resnet18", "labels": str(folder / "labels.txt")}
    ladder = ladder_on(scenes, folder / "job", limit=10, batch_size=4, repeats=1, min_agreement=0, **model)
    ladder.job = replace(ladder.job, lower="int8")
    for step in ("default", "batched", "lower precision", "overlapped", "compiled"):
        ladder.measure(step)
    return ladder


def test_in_int8_the_step_runs_the_quantised_network_and_the_package_its_own(in_int8):
    lower, overlapped = in_int8.rows["lower precision"], in_int8.rows["overlapped"]
    assert (lower.reason, lower.precision, lower.refused) == ("", "int8", "")
    assert set(lower.stages) == {"load", "preprocess", "forward", "postprocess", "write"}
    assert overlapped.precision.startswith("int8 (")
    assert (overlapped.output / "int8" / "model.xml").is_file()
    assert precisions(in_int8).index.to_list() == ["fp32", "int8"]


def test_what_runs_in_int8_is_not_compiled_once_more(in_int8):
    assert "there is nothing left to compile" in in_int8.rows["compiled"].reason


def test_the_limit_of_the_packages_loop_is_that_of_its_own_engine(in_int8):
    """resnet18 takes several times as long in FP32; whatever the machine, INT8 is not as slow."""
    forward = in_int8.rows["overlapped"].stages["forward"]
    in_fp32 = in_int8.rows["default"].stages["forward"]
    assert forward < in_fp32


def test_int8_that_changes_too_many_tags_is_shown_and_not_built_upon(empty, monkeypatch):
    share = Share(80, 100, *wilson(80, 100))
    row = Row("batched", seconds=(1.0,), stages=STAGES)
    lower = replace(row, step="lower precision", seconds=(0.2,), precision="int8")
    empty.job = replace(empty.job, lower="int8")
    empty.rows = {"default": replace(row, step="default"), "batched": row}
    monkeypatch.setattr("wanwu_nb.method.ladder.attempt", lambda *_: lower)
    monkeypatch.setattr("wanwu_nb.method.ladder.agreement", lambda *_, **__: share)
    monkeypatch.setattr(empty, "pairs", lambda *_: [])
    measured = empty.measure("lower precision")
    assert measured.refused.startswith("agrees with the default on 80.0% of the tags")
    assert "not used: agrees with" in str(measured)
    assert empty.fastest_before("overlapped").step != "lower precision"
    assert "not used 不采用: lower precision, int8: agrees with" in empty.advice()
    assert "no step surely changes" not in empty.check(0.99)  # nothing else was compared
    monkeypatch.setattr("wanwu_nb.method.ladder.attempt", lambda step, job, *_: Row(step.name, str(job.open_resident)))
    assert empty.measure("overlapped").reason == str(empty.job.open_resident)  # in the precision by the hardware


@pytest.mark.parametrize(
    ("device", "auto", "missing", "lower"),
    [
        ("cuda", "fp16", "", "fp16"),
        ("cpu", "bf16", "", "bf16"),
        ("cpu", "fp32", "", "int8"),
        ("cpu", "fp32", "NNCF is not installed", "bf16"),
    ],
)
def test_fewer_bits_are_those_that_the_machine_has_instructions_for(monkeypatch, device, auto, missing, lower):
    monkeypatch.setattr("wanwu_nb.method.job.choose_precision", lambda *_: Choice(auto, ""))
    monkeypatch.setattr("wanwu_nb.method.job.why_not_made", lambda: missing)
    assert fewer_bits(device) == lower


# --- predictions and advice -------------------------------------------------------------------------------------------


def test_a_step_that_lost_is_not_built_upon(empty):
    slow = Row("resident", seconds=(2.0,), stages={"forward": 2.0})
    fast = Row("default", seconds=(1.0,), stages={"forward": 1.0})
    empty.rows = {"default": fast, "resident": slow}
    assert empty.predict("compiled").startswith("default → compiled")
    empty.rows["batched"] = replace(slow, step="batched", seconds=(0.5,), base="default", gain=2.0)
    assert empty.fastest_before("batched") is fast
    assert empty.fastest_before("overlapped").step == "batched"
    assert whole_ladder(empty).loc["batched", "gain"] == "2.00"


def test_where_nothing_has_run_there_is_no_advice(empty):
    assert empty.advice() == "no step has run 没有一步能运行"


def test_what_to_take_here_is_said_and_what_to_leave_out(empty):
    row = Row("default", seconds=(1.0,))
    lost = replace(row, step="batched", seconds=(2.0,), base="default", gain=0.5)
    won = replace(row, step="overlapped", seconds=(0.25,), base="default", gain=4.0)
    empty.rows = {row.step: row for row in (row, lost, won)}
    assert empty.advice().splitlines() == [
        "fastest here 本机最快: overlapped, × 4.00",
        "brought nothing here 本机无收益: batched (× 0.50 of default)",
    ]


STAGES = {"load": 6.0, "preprocess": 1.0, "forward": 2.0, "write": 1.0}


def test_a_prediction_counts_the_steps_left_out_between(empty):
    empty.steps = ("default", "batched")
    empty.rows = {"default": Row("default", seconds=(10.0,), stages=STAGES)}
    after = 2 + 2 / empty.job.batch_size
    prediction = f"default → batched, predicted 预测: × {10 / after:.2f}, {after:.4f} s/picture 秒/张"
    assert empty.predict("batched") == prediction


def test_a_prediction_counts_no_step_that_lost(empty):
    empty.rows = {
        "default": Row("default", seconds=(10.0,), stages=STAGES),
        "resident": Row("resident", seconds=(11.0,), stages=STAGES),
    }
    after = 8 + 2 / empty.job.batch_size
    assert f"× {10 / after:.2f}," in empty.predict("batched")


@pytest.mark.parametrize(
    ("name", "device", "seconds"),
    [
        ("default", "cpu", 10),
        ("resident", "cpu", 4),
        ("batched", "cpu", 8.25),
        ("lower precision", "cuda", 9),
        ("overlapped", "cpu", 8 / usable_cores() + 2),
        ("overlapped", "cuda", max(8 / usable_cores(), 2)),
        ("compiled", "cpu", 9),
    ],
)
def test_what_is_expected_of_each_step(name, device, seconds):
    stages = STEPS[name].expects(STAGES, 8, device)
    assert seconds_of(stages, device) == seconds


@pytest.mark.parametrize(("device", "seconds"), [("cuda", 2), ("cpu", 3)])
def test_beside_a_gpu_decoding_is_hidden(device, seconds):
    assert seconds_of({"decode": 1.0, "forward": 2.0}, device) == seconds


def test_the_forecast_puts_every_step_on_top_of_the_one_before():
    table = forecast(STAGES, 8, "cuda")
    assert list(table.index) == list(STEPS)
    assert table["predicted_seconds"].is_monotonic_decreasing
    assert table.loc["default", "predicted_times_default"] == 1
    assert table.loc["resident", "predicted_times_default"] == 2.5


# --- results that are broken, or empty --------------------------------------------------------------------------------


@pytest.fixture
def without_running(monkeypatch, empty, tmp_path) -> Ladder:
    """A ladder whose steps find their results done, without an object."""

    def find_done(step, job, *_):
        return Row(step.name, output=job.output, seconds=(1.0,), stages=STAGES)

    monkeypatch.setattr("wanwu_nb.method.ladder.attempt", find_done)
    ladder = Ladder(replace(empty.job, names=["a.jpg", "b.jpg"], output=tmp_path))
    for step in ("default", "batched"):
        for name in ladder.job.names:
            write_result(tmp_path / step, name)
    return ladder


def test_a_broken_result_is_an_error_and_not_nothing_to_compare(without_running, tmp_path):
    without_running.measure("default")
    (tmp_path / "batched" / "images" / "b.jpg.json").write_text('{"image": "b.jpg", "obj')
    with pytest.raises(ResultsError, match=r"b\.jpg"):
        without_running.measure("batched")


def test_a_missing_result_is_an_error_too(without_running, tmp_path):
    without_running.measure("default")
    (tmp_path / "batched" / "images" / "b.jpg.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"b\.jpg"):
        without_running.measure("batched")


def test_results_without_an_object_are_nothing_to_compare(without_running):
    without_running.measure("default")
    assert without_running.measure("batched").agreement is None
    assert "could not be compared" in without_running.check(0.99)


# --- what cannot run --------------------------------------------------------------------------------------------------


def test_one_picture_leaves_the_default(scenes, tmp_path):
    (tmp_path / "pictures").mkdir()
    shutil.copy(next(scenes.glob("*.jpg")), tmp_path / "pictures")
    ladder = ladder_on(tmp_path / "pictures", tmp_path / "job")
    assert not ladder.measure("default").reason
    assert "give at least 2" in ladder.measure("resident").reason
    assert "not run" in whole_ladder(ladder).loc["resident", "note"]
    assert ladder.check(0.99).startswith("only the default step ran")


def test_a_batch_larger_than_the_folder_is_cut_and_says_so(scenes, tmp_path):
    ladder = ladder_on(scenes, tmp_path / "job", batch_size=64, limit=3)
    assert ladder.job.batch_size == 3
    assert "batch_size=64 is more than there are pictures" in str(ladder)
    assert "no ground truth" in str(ladder)


def test_pictures_that_ground_truth_and_folder_do_not_share_are_named_in_one_line(scenes, tmp_path):
    """Those beyond the limit are in the folder."""
    shutil.copytree(scenes, tmp_path / "pictures")
    (tmp_path / "pictures/scene_700009.jpg").rename(tmp_path / "pictures/renamed.jpg")
    (tmp_path / "first").mkdir()
    ladder = ladder_on(tmp_path / "pictures", tmp_path / "first/job", truth=str(scenes / TRUTH), limit=4)
    *_, counted, unshared = str(ladder).splitlines()
    assert counted == "ground truth for 3 有标注"
    without = "pictures without ground truth 无标注: 1 (renamed.jpg)"
    assert unshared == f"{without}; ground truth of other pictures 有标注无图片: 1 (scene_700009.jpg)"
    assert ladder.truth.by_id
    whole = ladder_on(scenes, tmp_path / "job", truth=str(scenes / TRUTH))
    assert str(whole).endswith("ground truth for 10 有标注")


def test_a_network_that_cannot_run_in_half_is_a_row_with_the_reason(scenes, tmp_path):
    ladder = ladder_on(scenes, tmp_path / "job", limit=2)
    ladder.job = replace(ladder.job, open_network=RefusesHalf, lower="bf16")
    for step in ("default", "resident", "batched", "lower precision"):
        ladder.measure(step)
    assert ladder.rows["lower precision"].reason == "\"sort\" not implemented for 'BFloat16'"
    assert not ladder.rows["batched"].reason
    assert "not run" in precisions(ladder).loc["lower precision", "note"]
    assert ladder.predict("overlapped").startswith(f"{ladder.fastest_before('overlapped').step} → overlapped")
    assert ladder.check(0.99).startswith("no step surely changes")


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
    row = attempt(STEPS["resident"], replace(ladder.job, output=tmp_path), repeats=1, patience=0.001)
    assert row.reason.startswith("2 pictures took ")
    assert "all 4 would take too long" in row.reason


def test_a_step_may_take_as_long_as_the_default_it_should_beat(climbed):
    ladder = Ladder(replace(climbed.job, names=["a.jpg"] * 4))
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
    ladder.job = replace(ladder.job, open_network=network)
    for step in ("default", "resident"):
        assert says in ladder.measure(step).reason
    assert ladder.predict("batched") == "no step has run that a prediction could start from"
    assert len(whole_ladder(ladder)) == 2
    with pytest.raises(MeasurementError, match=r"the default step was not run .* nothing to compare"):
        ladder.check(0.99)


@pytest.mark.parametrize(
    ("steps", "says"),
    [("residnet", "unknown step 'residnet' in steps: did you mean resident?"), ("x", "known are default, resident")],
)
def test_a_step_that_is_none_is_refused(scenes, tmp_path, steps, says):
    with pytest.raises(SettingsError, match=says):
        ladder_on(scenes, tmp_path / "job", steps=steps, limit=2)


def test_steps_left_out_say_so(scenes, tmp_path):
    ladder = ladder_on(scenes, tmp_path / "job", steps="lower precision, resident", limit=2)
    assert ladder.steps == ["default", "lower precision", "resident"]
    assert ladder.measure("batched").reason == "left out by the parameter steps"


# --- the verdict ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("hits", "passes"), [(100, True), (98, True), (90, False)])
def test_tags_lost_for_speed_are_an_error_where_the_interval_is_sure_of_it(empty, hits, passes):
    share = Share(hits, 100, *wilson(hits, 100))
    empty.rows = {
        "default": Row("default", seconds=(1.0,)),
        "batched": Row("batched", seconds=(0.5,), agreement=share),
    }
    if passes:
        assert empty.check(0.99).startswith("no step surely changes")
        return
    with pytest.raises(TagsChanged, match=r"batched.* 90.0% of the tags .* below min_agreement=0.99"):
        empty.check(0.99)


def test_nothing_found_is_not_agreement(empty):
    empty.rows = {name: Row(name, seconds=(1.0,)) for name in ("default", "resident")}
    assert "could not be compared" in empty.check(0.99)


def test_without_the_default_there_is_no_verdict(climbed, empty):
    empty.rows = {"batched": climbed.rows["batched"]}
    with pytest.raises(MeasurementError, match="the default step was not run"):
        empty.check(0.99)
