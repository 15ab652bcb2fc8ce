"""precision="int8": made once an output folder from its own pictures, judged before it is used, with the same bits."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
import torch
from conftest import SCENES, contents
from small_networks import Colours, tagger
from torch import nn

from wanwu_nb import ResidentModel, int8_worth, judging, quantising, tag_folder
from wanwu_nb.agreement import Share
from wanwu_nb.engines import EAGER, INT8, OPENVINO, cache, openvino_cpu, openvino_int8
from wanwu_nb.errors import SettingsError
from wanwu_nb.finding import Listing
from wanwu_nb.hardware import Choice, int8_outruns_half
from wanwu_nb.int8_folder import FOLDER, read_verdict
from wanwu_nb.int8_sample import Sample
from wanwu_nb.preparing import prepare
from wanwu_nb.remembering import load_or_recall
from wanwu_nb.results import OutputFolder, read_raw
from wanwu_nb.settings import ModelSettings
from wanwu_nb.summary import Summary

AS_INT8 = {"model": "demo", "device": "cpu", "precision": "int8"}
LITTLE = 0.3  # agreement that so few pictures can show


class Branching(Colours):
    """Does something else with dark pictures."""

    def forward(self, images):
        if images.mean() < 0:
            images = images + 1
        return super().forward(images)


class Collapsing(nn.Module):
    """Tells pictures apart by differences that are lost where one channel's range is shared by all."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.mixed = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1)
        with torch.no_grad():
            self.wide.weight.zero_()
            self.wide.weight[:3, :, 0, 0] = torch.eye(3)
            self.wide.weight[3] = 1e5
            self.wide.bias.fill_(4.0)
            self.mixed.weight.zero_()
            self.mixed.weight[:3, :3, 0, 0] = torch.eye(3) - 1 / 3
            self.mixed.bias.zero_()

    def forward(self, images):
        features = self.mixed(self.wide(images).relu())
        scores = (features[:, :3].mean((2, 3)) * 20).softmax(1)
        best, class_ids = scores.topk(3, dim=1)
        return None, best, class_ids


class Delicate(Collapsing):
    """Only its first layers are those of the collapse; many others follow, which lose little."""

    def __init__(self) -> None:
        super().__init__()
        later = [nn.Conv2d(4, 4, 1, bias=False) for _ in range(openvino_int8.LEFT * judging.SPARED)]
        for layer in later:
            with torch.no_grad():
                layer.weight.copy_(torch.eye(4)[..., None, None])
        self.mixed = nn.Sequential(self.mixed, *later)


@pytest.fixture(autouse=True)
def empty(tmp_path, monkeypatch) -> Path:
    """No engine is kept when a test begins."""
    folder = tmp_path / "engines"
    monkeypatch.setenv(cache.FOLDER, str(folder))
    return folder


@pytest.fixture
def small(tmp_path) -> Callable[..., ResidentModel]:
    """A small network that was asked for in a precision."""

    def load(network: nn.Module | None = None, precision: str = "int8") -> ResidentModel:
        model = tagger(network or Colours(), tmp_path)
        model.opened = ModelSettings(model="small", precision=precision)
        return model

    return load


@pytest.fixture(scope="session")
def tagged(scenes, tmp_path_factory) -> Path:
    """The scenes, tagged by the demo's detector in INT8; read only."""
    folder = tmp_path_factory.mktemp("int8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(cache.FOLDER, str(tmp_path_factory.mktemp("engines")))
        summary = tag_folder(fresh(), scenes, folder, int8_agreement=LITTLE)
    assert summary.precision.value == "int8"
    return folder


def fresh() -> ResidentModel:
    """As another process loads it."""
    return ResidentModel.load(**AS_INT8)


def with_the_network_of(tagged: Path, tmp_path: Path, name: str = "out") -> Path:
    """Another output folder, with the quantised network of that one and no results."""
    output = tmp_path / name
    shutil.copytree(tagged / FOLDER, output / FOLDER)
    return output


def never(*_, **__):
    pytest.fail("it was made again")


def stop(output: Path) -> None:
    """Leave an output folder as a kill does: without the summary, and without the ledger's last line."""
    (output / "summary.json").unlink()
    ledger = output / "ledger.jsonl"
    *lines, last = ledger.read_bytes().splitlines(keepends=True)
    assert last == b'{"complete": true}\n'
    ledger.write_bytes(b"".join(lines))


# --- a run in INT8 ----------------------------------------------------------------------------------------------------


def test_a_folder_is_tagged_in_int8_and_the_summary_says_what_was_seen(tagged):
    summary = Summary.read(tagged)
    precision = summary.precision
    assert summary.processed == SCENES
    assert (precision.value, summary.engine.value) == ("int8", INT8)
    assert precision.reason.endswith(
        f"tags are those of FP32 on 7 other pictures, surely {precision.measured['low']:.1%}"
    )
    assert precision.measured["calibrated"] == 3
    assert precision.measured["agreement"] > 0.9
    assert summary.batch_size.reason == "INT8 runs one picture a request: no size would round differently"
    assert sorted(path.name for path in (tagged / FOLDER).iterdir()) == ["model.bin", "model.xml", "verdict.json"]


def test_int8_has_keys_of_its_own_and_what_the_network_said_is_found(tagged, model, scenes, tmp_path):
    tag_folder(model, scenes, tmp_path / "fp32", limit=1)
    keys = []
    for output in (tagged, tmp_path / "fp32"):
        name = next(iter(contents(output)))
        keys.append(json.loads(contents(output)[name])["key"])
    assert keys[0] != keys[1]
    assert keys[1] == "3513a624bf4b25af"
    assert len(list(read_raw(tagged))) == SCENES


def test_after_the_run_the_model_answers_in_fp32(tagged, model, scenes, tmp_path):
    resident = fresh()
    output = with_the_network_of(tagged, tmp_path)
    assert tag_folder(resident, scenes, output, int8_agreement=LITTLE, limit=1).engine.value == INT8
    assert resident.engine == EAGER
    pictures = sorted(scenes.glob("*.jpg"))[:1]
    assert resident.predict(pictures)[0].scores.tolist() == model.predict(pictures)[0].scores.tolist()


def test_int8_is_made_and_judged_once_an_output_folder(tagged, scenes, tmp_path, monkeypatch):
    output = with_the_network_of(tagged, tmp_path)
    monkeypatch.setattr(judging, "quantise", never)
    monkeypatch.setattr(judging, "agreement", never)
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    shutil.copy(sorted(scenes.glob("*.jpg"))[0], inbox)
    summary = tag_folder(fresh(), inbox, output, int8_agreement=LITTLE)
    assert summary.precision.record() == Summary.read(tagged).precision.record()


def test_a_process_opens_the_engine_once(tagged, scenes, tmp_path, monkeypatch):
    model = fresh()
    for name in ("first", "second"):
        output = with_the_network_of(tagged, tmp_path, name)
        assert tag_folder(model, scenes, output, int8_agreement=LITTLE, limit=1).engine.value == INT8
        monkeypatch.setattr("wanwu_nb.int8_engine.open_built", never)
    assert model.engine == EAGER


def test_a_recalled_model_runs_int8_without_its_network(tagged, scenes, tmp_path, monkeypatch):
    output = with_the_network_of(tagged, tmp_path)
    tag_folder(load_or_recall(output, **AS_INT8), scenes, output, int8_agreement=LITTLE, limit=3)
    monkeypatch.setattr("wanwu_nb.int8_engine.build", never)
    recalled = load_or_recall(output, **AS_INT8)
    summary = tag_folder(recalled, scenes, output, int8_agreement=LITTLE)
    assert summary.precision.value == "int8"
    assert (summary.resumed, summary.processed) == (3, SCENES - 3)
    assert "network" not in vars(recalled)


def test_another_threshold_is_decided_from_what_int8_said(tagged, scenes, tmp_path, monkeypatch):
    output = tmp_path / "out"
    shutil.copytree(tagged, output)
    resident = fresh()
    monkeypatch.setattr(ResidentModel, "launch", never)
    summary = tag_folder(resident, scenes, output, int8_agreement=LITTLE, conf_threshold=0.5)
    assert summary.redecided == SCENES


# --- bits -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_int8_gives_the_same_bits_in_batches_of_any_size(tagged, scenes, tmp_path, batch_size):
    output = with_the_network_of(tagged, tmp_path)
    tag_folder(fresh(), scenes, output, int8_agreement=LITTLE, batch_size=batch_size)
    assert contents(output) == contents(tagged)


def test_in_int8_neither_place_nor_neighbours_nor_cores_change_a_bit(tagged, monkeypatch):
    network = openvino_int8.Quantised(*((tagged / FOLDER / name).read_bytes() for name in ("model.xml", "model.bin")))
    generator = torch.Generator().manual_seed(1)
    pictures = torch.randint(0, 256, (5, 3, 640, 640), dtype=torch.uint8, generator=generator)
    expected = None
    for cores in (2, 1, 3):
        monkeypatch.setattr(openvino_int8, "usable_cores", lambda cores=cores: cores)
        run = openvino_int8.open_built(openvino_int8.build(network))
        for turned in range(3):
            order = [(number + turned) % 5 for number in range(5)]
            boxes, scores, class_ids = run(pictures[order])
            answers = torch.cat([boxes, scores[..., None], class_ids[..., None]], 2)
            if expected is None:
                expected = answers
            assert torch.equal(answers, expected[order])


def test_a_run_in_int8_that_was_stopped_goes_on_with_the_same_bits(tagged, scenes, tmp_path):
    output = with_the_network_of(tagged, tmp_path)
    tag_folder(fresh(), scenes, output, int8_agreement=LITTLE, limit=5)
    stop(output)
    cache.clear()
    summary = tag_folder(fresh(), scenes, output, int8_agreement=LITTLE, batch_size=7)
    assert (summary.resumed, summary.processed) == (5, SCENES - 5)
    assert contents(output) == contents(tagged)


# --- the verdict ------------------------------------------------------------------------------------------------------


def test_scores_that_collapse_are_seen_and_the_folder_is_tagged_in_fp32(small, scenes, tmp_path, capsys, monkeypatch):
    output = tmp_path / "out"
    summary = tag_folder(small(Collapsing()), scenes, output, int8_agreement=LITTLE)
    seen = "of 7 tags are those of FP32 on 7 other pictures, surely "
    assert (summary.precision.value, summary.processed) == ("fp32", SCENES)
    assert summary.precision.reason.startswith("INT8 was asked for; INT8 is not used: ")
    assert seen in summary.precision.reason
    assert summary.precision.reason.endswith("and int8_agreement is 0.3")
    assert capsys.readouterr().out.count(seen) == 1
    assert [path.name for path in (output / FOLDER).iterdir()] == ["verdict.json"]
    monkeypatch.setattr(judging, "quantise", never)
    again = tag_folder(small(Collapsing()), scenes, output, int8_agreement=LITTLE)
    assert again.precision == summary.precision


def test_where_only_the_first_layers_lose_they_are_spared_and_the_others_run_in_int8(small, scenes, tmp_path):
    summary = tag_folder(small(Delicate()), scenes, tmp_path / "out", int8_agreement=0.6)
    assert (summary.precision.value, summary.engine.value) == ("int8", INT8)
    assert summary.precision.reason == (
        "7 of 7 tags are those of FP32 on 7 other pictures, surely 64.6%, its first 3 layers in FP32"
    )
    again = tag_folder(small(Delicate()), scenes, tmp_path / "out", int8_agreement=0.6)
    assert (again.precision, again.resumed) == (summary.precision, SCENES)


def test_what_fp32_says_of_the_judges_is_asked_once_for_both_tries(small, scenes, tmp_path, monkeypatch):
    asked = {"FP32": 0, "INT8": 0}
    real = judging._tags

    def tags(tagger, pictures):
        asked["FP32" if isinstance(tagger.model, ResidentModel) else "INT8"] += len(pictures)
        return real(tagger, pictures)

    monkeypatch.setattr(judging, "_tags", tags)
    tag_folder(small(Delicate()), scenes, tmp_path / "out", int8_agreement=0.6)
    assert asked == {"FP32": 7, "INT8": 14}


def test_no_layers_are_spared_of_a_network_that_has_few(small, scenes, tmp_path):
    """Nearly all of it would stay in FP32, and its verdict would be on FP32."""
    summary = tag_folder(small(Collapsing()), scenes, tmp_path / "out", int8_agreement=LITTLE)
    assert "in FP32" not in summary.precision.reason


@pytest.mark.parametrize(("whole", "sparing", "told"), [(0.2, 0.25, 0.25), (0.25, 0.2, 0.25)])
def test_of_two_refused_the_better_is_told(small, scenes, tmp_path, monkeypatch, whole, sparing, told):
    shares = [Share(int(100 * value), 100, value - 0.1, value + 0.1) for value in (whole, sparing)]
    monkeypatch.setattr(judging, "agreement", lambda pairs: shares.pop(0))
    summary = tag_folder(small(Delicate()), scenes, tmp_path / "out", int8_agreement=LITTLE)
    assert not shares
    assert (summary.precision.value, summary.precision.measured["agreement"]) == ("fp32", told)
    assert ("its first 3 layers in FP32" in summary.precision.reason) == (told == sparing)
    assert [path.name for path in (tmp_path / "out" / FOLDER).iterdir()] == ["verdict.json"]


@pytest.mark.parametrize("error", [MemoryError("no memory"), RuntimeError("an unknown operator")])
def test_a_second_try_that_fails_leaves_the_first_verdict(small, scenes, tmp_path, monkeypatch, error):
    real = judging.quantise

    def fails(network, pictures, spared):
        if spared:
            raise error
        return real(network, pictures, spared)

    monkeypatch.setattr(judging, "quantise", fails)
    summary = tag_folder(small(Delicate()), scenes, tmp_path / "out", int8_agreement=LITTLE)
    assert "of 7 tags are those of FP32" in summary.precision.reason
    assert "int8_agreement is 0.3" in summary.precision.reason


def test_few_pictures_cannot_show_enough(small, scenes, tmp_path):
    summary = tag_folder(small(), scenes, tmp_path / "out")
    assert summary.precision.value == "fp32"
    assert "7 of 7 tags are those of FP32 on 7 other pictures, surely 64.6%" in summary.precision.reason


def test_three_pictures_are_too_few_to_make_int8_from(small, scenes, tmp_path):
    three = tmp_path / "three"
    three.mkdir()
    for path in sorted(scenes.glob("*.jpg"))[:3]:
        shutil.copy(path, three)
    summary = tag_folder(small(), three, tmp_path / "out")
    expected = "INT8 was asked for; INT8 is not used: it is not made from fewer than 8 pictures"
    assert (summary.precision.value, summary.precision.reason) == ("fp32", expected)
    assert not (tmp_path / "out" / FOLDER).exists()


def test_a_limit_is_for_what_is_tagged_and_not_for_what_int8_is_made_from(small, scenes, tmp_path):
    summary = tag_folder(small(), scenes, tmp_path / "out", int8_agreement=LITTLE, limit=2)
    assert (summary.precision.value, summary.total_images) == ("int8", 2)
    assert summary.precision.measured["judged"] == 7


def test_more_is_wanted_than_was_seen_or_less(tagged, scenes, tmp_path, monkeypatch):
    output = with_the_network_of(tagged, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(judging, "quantise", never)
        summary = tag_folder(fresh(), scenes, output, int8_agreement=0.999, limit=1)
    assert (summary.precision.value, summary.engine.value) == ("fp32", EAGER)
    assert summary.precision.reason.endswith("and int8_agreement is 0.999")
    assert tag_folder(fresh(), scenes, output, int8_agreement=LITTLE, limit=1).precision.value == "int8"


def test_what_was_refused_is_made_where_less_is_wanted(small, scenes, tmp_path):
    output = tmp_path / "out"
    assert tag_folder(small(), scenes, output).precision.value == "fp32"
    assert tag_folder(small(), scenes, output, int8_agreement=LITTLE).precision.value == "int8"


def test_what_was_refused_for_few_pictures_is_made_again_from_many_more(small, scenes, tmp_path, monkeypatch):
    inbox, output = tmp_path / "inbox", tmp_path / "out"
    shutil.copytree(scenes, inbox)
    tag_folder(small(), inbox, output)
    for number, path in enumerate(sorted(inbox.glob("*.jpg"))):
        for copy in range(2):
            shutil.copy(path, inbox / f"copy {number} {copy}.jpg")
    assert tag_folder(small(), inbox, output).precision.measured["judged"] == 22
    monkeypatch.setattr(judging, "quantise", never)
    assert tag_folder(small(), inbox, output).precision.measured["judged"] == 22


def test_calibration_and_judges_are_apart_and_spread_over_the_folder():
    names = [f"{number:05}.jpg" for number in range(10_000)]
    sample = Sample.of(names)
    assert sample.sizes == (100, 300)
    assert set(sample.calibration).isdisjoint(sample.judges)
    for some in (sample.calibration, sample.judges):
        assert min(some) < "00200.jpg"
        assert max(some) > "09800.jpg"
        assert list(some) == sorted(some)


def test_neither_side_tags_anything(small, scenes, tmp_path, monkeypatch):
    monkeypatch.setattr(judging, "agreement", lambda pairs: None)
    summary = tag_folder(small(), scenes, tmp_path / "out")
    assert "neither INT8 nor FP32 tags anything on the 7 pictures to judge by" in summary.precision.reason


# --- unasked ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def worthwhile(monkeypatch) -> None:
    """So few pictures are enough, and INT8 pays."""
    monkeypatch.setattr(quantising, "FEWEST_UNASKED", SCENES)
    monkeypatch.setattr(int8_worth, "forward_seconds", lambda model, size: 1000.0)
    monkeypatch.setattr(int8_worth, "QUANTISING", 0.0)
    monkeypatch.setattr(int8_worth, "JUDGING", 0.0)
    monkeypatch.setattr(int8_worth, "seconds_in_turn", lambda *_: (1.0, 0.0))
    monkeypatch.setattr(int8_worth, "SAVES", 1.0)


def test_int8_is_taken_unasked_where_it_pays_and_holds(small, scenes, tmp_path, worthwhile):
    summary = tag_folder(small(precision="auto"), scenes, tmp_path / "out", int8_agreement=LITTLE)
    assert (summary.precision.value, summary.engine.value) == ("int8", INT8)


@pytest.mark.parametrize(
    ("patch", "reason"),
    [
        ({"FEWEST_UNASKED": 250}, "INT8 is not used: it is not made from fewer than 250 pictures"),
        ({"QUANTISING": 99999.0}, "making and judging it costs about 99999 s and would save about 2500 s"),
        ({"seconds_in_turn": lambda *_: (4.0, 4.0)}, "judging it costs about 14 s, and it would save about 0 s"),
    ],
)
def test_int8_is_not_taken_unasked_where_it_does_not_pay(
    small, scenes, tmp_path, worthwhile, monkeypatch, patch, reason
):
    for name, value in patch.items():
        monkeypatch.setattr(quantising if name == "FEWEST_UNASKED" else int8_worth, name, value)
    summary = tag_folder(small(precision="auto"), scenes, tmp_path / "out", int8_agreement=LITTLE)
    assert summary.precision.value == "fp32"
    assert summary.precision.reason.startswith("for the test; INT8 is not used: ")
    assert reason in summary.precision.reason
    assert not (tmp_path / "out" / FOLDER).exists()


def test_what_int8_would_save_is_reckoned_against_openvino_where_that_would_run(
    small, scenes, tmp_path, worthwhile, monkeypatch
):
    assert prepare(small(precision="auto"), judging.SIZE, must_be_faster=False).value == OPENVINO
    engines = []
    monkeypatch.setattr(int8_worth, "forward_seconds", lambda model, size: engines.append(model.engine) or 0.0)
    model = small(precision="auto")
    summary = tag_folder(model, scenes, tmp_path / "out", int8_agreement=LITTLE, batch_size=3)
    assert "would save about 0 s" in summary.precision.reason
    assert engines == [OPENVINO]
    assert summary.engine.value == EAGER  # batches of 3 were not prepared


def test_unasked_a_folder_that_was_begun_keeps_its_precision(small, scenes, tmp_path, worthwhile):
    output = tmp_path / "out"
    tag_folder(small(precision="fp32"), scenes, output, int8_agreement=LITTLE, limit=1)
    summary = tag_folder(small(precision="auto"), scenes, output, int8_agreement=LITTLE)
    assert (summary.precision.value, summary.resumed) == ("fp32", 1)
    assert summary.precision.reason.endswith("pictures here were tagged without")


def test_unasked_a_folder_that_was_begun_in_int8_goes_on_in_it(small, scenes, tmp_path):
    output = tmp_path / "out"
    tag_folder(small(), scenes, output, int8_agreement=LITTLE)
    again = tag_folder(small(precision="auto"), scenes, output, int8_agreement=LITTLE)
    assert (again.precision.value, again.resumed) == ("int8", SCENES)
    tag_folder(small(precision="fp32"), scenes, output, int8_agreement=LITTLE)
    back = tag_folder(small(precision="auto"), scenes, output, int8_agreement=LITTLE)
    assert (back.precision.value, back.resumed) == ("fp32", SCENES)


@pytest.mark.parametrize("change", [{"precision": Choice("bf16", "")}, {"device": Choice("cuda", "")}])
def test_unasked_int8_is_not_thought_of_where_half_precision_helps(small, scenes, tmp_path, monkeypatch, change):
    monkeypatch.setattr(int8_worth, "int8_outruns_half", lambda: False)
    model = small(precision="auto")
    for name, value in change.items():
        setattr(model, name, value)
    with OutputFolder(tmp_path / "out") as output:
        nothing = Listing([], {}, [], complete=True)
        run = quantising.PrecisionOfRun(model, quantising.TagSettings(), nothing, quantising.Decision(), output)
        assert run.choose() == model.precision


def test_int8_is_not_offered_on_cuda(monkeypatch):
    monkeypatch.setattr("wanwu_nb.resident.choose_device", lambda asked: Choice("cuda", "for the test"))
    with pytest.raises(SettingsError, match='precision "int8" is for CPUs: use "auto" on cuda'):
        ResidentModel.load("demo", precision="int8")


# --- what goes wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("room", "reason"),
    [(openvino_int8, "NNCF is not installed (pip install 'wanwu_nb[int8]')"), (openvino_cpu, "OpenVINO is not inst")],
)
def test_without_its_packages_the_folder_is_tagged_in_fp32(small, scenes, tmp_path, monkeypatch, room, reason):
    def missing(package):
        raise PackageNotFoundError(package)

    monkeypatch.setattr(room, "version", missing)
    summary = tag_folder(small(), scenes, tmp_path / "out", int8_agreement=LITTLE)
    assert (summary.precision.value, summary.processed) == ("fp32", SCENES)
    assert reason in summary.precision.reason
    assert not (tmp_path / "out" / FOLDER).exists()


def test_a_network_that_branches_on_its_data_is_tried_once(small, scenes, tmp_path, monkeypatch):
    output = tmp_path / "out"
    for number in range(2):
        summary = tag_folder(small(Branching()), scenes, output, int8_agreement=LITTLE)
        assert summary.precision.value == "fp32"
        assert "INT8 is not used: the network cannot be quantised (" in summary.precision.reason
        assert [path.name for path in (output / FOLDER).iterdir()] == ["verdict.json"]
        if number == 0:
            monkeypatch.setattr(judging, "quantise", never)
    monkeypatch.setattr(quantising, "versions", lambda: "other versions")
    with pytest.raises(pytest.fail.Exception):
        tag_folder(small(Branching()), scenes, output, int8_agreement=LITTLE)


@pytest.mark.parametrize("error", [MemoryError("no memory"), OSError("no room")])
def test_what_fails_for_the_moment_is_not_kept(small, scenes, tmp_path, monkeypatch, error):
    def fails(*_):
        raise error

    monkeypatch.setattr(judging, "quantise", fails)
    summary = tag_folder(small(), scenes, tmp_path / "out", int8_agreement=LITTLE)
    assert f"the network could not be quantised ({error})" in summary.precision.reason
    assert not (tmp_path / "out" / FOLDER).exists()


def test_pictures_that_cannot_be_read_are_no_calibration(small, tmp_path):
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for number in range(SCENES):
        (inbox / f"{number}.jpg").write_bytes(b"no picture")
    summary = tag_folder(small(), inbox, tmp_path / "out", int8_agreement=LITTLE)
    assert summary.precision.reason.endswith("none of the pictures to calibrate on can be read")
    assert summary.failed == SCENES


def tear(folder: Path) -> None:
    (folder / "verdict.json").write_bytes(b'{"fingerprint": ')


def lose_a_field(folder: Path) -> None:
    record = json.loads((folder / "verdict.json").read_bytes())
    del record["digest"], record["spec"]
    (folder / "verdict.json").write_text(json.dumps(record))


def spoil_a_field(folder: Path) -> None:
    record = json.loads((folder / "verdict.json").read_bytes())
    (folder / "verdict.json").write_text(json.dumps(record | {"judged": "7"}))


def change_a_byte(folder: Path) -> None:
    content = bytearray((folder / "model.bin").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "model.bin").write_bytes(content)


def lose_the_network(folder: Path) -> None:
    (folder / "model.xml").unlink()


@pytest.mark.parametrize("spoil", [tear, lose_a_field, spoil_a_field, change_a_byte, lose_the_network])
def test_a_network_that_is_not_as_it_was_written_is_made_anew(small, scenes, tmp_path, capsys, empty, spoil):
    output = tmp_path / "out"
    tag_folder(small(), scenes, output, int8_agreement=LITTLE)
    capsys.readouterr()
    shutil.rmtree(empty)  # an engine that was kept needs no network
    spoil(output / FOLDER)
    summary = tag_folder(small(), scenes, output, int8_agreement=LITTLE)
    assert capsys.readouterr().out.count("what an earlier run left in int8/ is not used, since ") == 1
    assert summary.precision.value == "int8"
    assert read_verdict(output).digest == summary.precision.measured["digest"]


def test_a_network_that_cannot_be_opened_is_not_used(small, scenes, tmp_path, monkeypatch):
    output = tmp_path / "out"
    tag_folder(small(), scenes, output, int8_agreement=LITTLE)

    def fails(*_):
        raise RuntimeError("an unknown operator\nand a stack")

    monkeypatch.setattr(quantising, "use_int8", fails)
    summary = tag_folder(small(), scenes, output, int8_agreement=LITTLE)
    assert (summary.precision.value, summary.processed) == ("fp32", SCENES)
    assert summary.precision.reason.endswith("INT8 is not used: it cannot be run (an unknown operator)")


def test_an_engine_that_was_spoilt_in_the_cache_is_built_anew(small, scenes, tmp_path, empty):
    output = tmp_path / "out"
    tag_folder(small(), scenes, output, int8_agreement=LITTLE)
    (entry,) = empty.iterdir()
    (entry / cache.BUILT).write_bytes(b"spoilt")
    summary = tag_folder(small(), scenes, output, int8_agreement=LITTLE, resume=False)
    assert (summary.precision.value, summary.processed) == ("int8", SCENES)
    assert (entry / cache.BUILT).read_bytes() != b"spoilt"


def test_of_another_network_int8_is_made_anew(small, scenes, tmp_path):
    output = tmp_path / "out"
    digests = []
    for weights in (b"weights", b"others"):
        model = small()
        model.checkpoint.weights.write_bytes(weights)
        summary = tag_folder(model, scenes, output, int8_agreement=LITTLE)
        digests.append(read_verdict(output).fingerprint)
        assert summary.precision.value == "int8"
    assert digests[0] != digests[1]


def test_that_another_processor_rounds_otherwise_is_told(small, scenes, tmp_path, capsys):
    output = tmp_path / "out"
    tag_folder(small(), scenes, output, int8_agreement=LITTLE)
    path = output / FOLDER / "verdict.json"
    record = json.loads(path.read_bytes())
    path.write_text(json.dumps(record | {"answers": "0" * 64, "cpu": "Elbrus"}))
    assert tag_folder(small(), scenes, output, int8_agreement=LITTLE).resumed == SCENES
    assert "INT8 rounds otherwise here than where it was made, on Elbrus" in capsys.readouterr().out


def test_pictures_in_flight_when_int8_was_made_are_noted_and_suspects_left_out(small, scenes, tmp_path, monkeypatch):
    output, noted = tmp_path / "out", []
    suspect = sorted(path.name for path in scenes.glob("*.jpg"))[0]
    output.mkdir()
    (output / ".in_flight.json").write_text(json.dumps({"names": [suspect]}))
    note = OutputFolder.note_in_flight

    def noting(self, names):
        noted.extend(names)
        note(self, names)

    monkeypatch.setattr(OutputFolder, "note_in_flight", noting)
    monkeypatch.setattr("wanwu_nb.tagging.run_plan", lambda plan, *_, **__: plan)
    summary = tag_folder(small(), scenes, output, int8_agreement=LITTLE)
    assert summary.precision.value == "int8"
    assert suspect not in noted
    assert len(set(noted)) == SCENES - 1


KILLED = """
import os, signal, sys
from pathlib import Path
from small_networks import Colours, tagger
from wanwu_nb import judging, quantising, tag_folder
from wanwu_nb.results import OutputFolder
from wanwu_nb.settings import ModelSettings

model = tagger(Colours(), Path(sys.argv[4]))
model.opened = ModelSettings(model="small", precision="int8")
room = {"judging": judging, "quantising": quantising, "OutputFolder": OutputFolder}[sys.argv[1]]
right = getattr(room, sys.argv[2])

def killed(*arguments, **options):
    right(*arguments, **options)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(room, sys.argv[2], killed)
tag_folder(model, sys.argv[3], Path(sys.argv[4]) / "out", int8_agreement=0.3)
"""


@pytest.mark.parametrize(
    ("room", "name"),
    [("judging", "_images"), ("judging", "quantise"), ("judging", "agreement"), ("OutputFolder", "write_folder")],
)
def test_a_kill_while_int8_is_made_costs_no_picture(small, scenes, tmp_path, room, name):
    command = [sys.executable, "-c", KILLED, room, name, scenes, tmp_path]
    run = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True)
    assert run.returncode == -signal.SIGKILL, run.stderr
    again = tag_folder(small(), scenes, tmp_path / "out", int8_agreement=LITTLE)
    assert (again.precision.value, again.processed, again.failed) == ("int8", SCENES, 0)
    tag_folder(small(), scenes, tmp_path / "never killed", int8_agreement=LITTLE)
    assert contents(tmp_path / "out" / "images") == contents(tmp_path / "never killed" / "images")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        path.name for path in (tmp_path / "never killed").iterdir()
    )


# --- nothing phones home ----------------------------------------------------------------------------------------------

QUANTISE = """
import socket, sys
from pathlib import Path
def refuse(*_): raise AssertionError("it phones home")
socket.socket.connect = socket.getaddrinfo = refuse
import torch
from small_networks import Colours, tagger
from wanwu_nb.engines.openvino_int8 import quantise
if sys.argv[2] == "before":
    import nncf
model = tagger(Colours(), Path(sys.argv[1]))
quantise(model.normalised.in_fp32(), [torch.zeros(3, 8, 8, dtype=torch.uint8)])
from nncf.telemetry.wrapper import telemetry
assert telemetry._impl is None, "telemetry is at work"
"""


@pytest.mark.parametrize("imported", ["by us", "before"])
def test_quantising_phones_nobody_and_is_silent(tmp_path, imported):
    variables = os.environ | {"HOME": str(tmp_path), "CI": "false"}
    command = [sys.executable, "-W", "ignore", "-c", QUANTISE, tmp_path, imported]
    run = subprocess.run(command, cwd=Path(__file__).parent, env=variables, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout == ""
    if imported == "by us":
        assert run.stderr == ""
        assert list(tmp_path.glob("*intel*")) == []


@pytest.fixture
def outrun(worthwhile, monkeypatch) -> None:
    """A CPU that does more in INT8 at once than in half precision, whichever this is; judging takes no time."""
    monkeypatch.setattr(int8_worth, "int8_outruns_half", lambda: True)
    monkeypatch.setattr(int8_worth, "forward_seconds", lambda model, size: 0.001)


def test_unasked_int8_made_for_a_model_in_half_precision_is_that_of_fp32(tagged, scenes, tmp_path, outrun):
    model = ResidentModel.load("demo", device="cpu", precision="bf16")
    model.opened = ModelSettings(**AS_INT8 | {"precision": "auto"})
    summary = tag_folder(model, scenes, tmp_path / "out", int8_agreement=LITTLE)
    assert (summary.precision.value, summary.engine.value) == ("int8", INT8)
    assert contents(tmp_path / "out" / "images") == contents(tagged / "images")
    assert (model.precision.value, model.engine) == ("bf16", EAGER)


@pytest.mark.parametrize(
    ("int8", "reason"),
    [
        (0.7, "judging it costs about 1 s, and it would save about 0 s"),
        (0.1, "the model cannot be loaded in FP32"),
    ],
)
def test_half_precision_would_be_compiled_and_is_outrun_only_then(
    small, scenes, tmp_path, outrun, monkeypatch, int8, reason
):
    monkeypatch.setattr(int8_worth, "seconds_in_turn", lambda *_: (1.0, int8))
    model = small(precision="auto")
    model.precision = Choice("bf16", "for the test")
    if int8 > 0.5:
        monkeypatch.setattr(ResidentModel, "load", lambda **_: small())
    summary = tag_folder(model, scenes, tmp_path / "out", int8_agreement=LITTLE)
    assert summary.precision.value == "bf16"
    assert summary.precision.reason.startswith(f"for the test; INT8 is not used: {reason}")
    assert not (tmp_path / "out" / FOLDER).exists()


def test_int8_is_not_made_of_a_model_whose_files_have_changed(small, scenes, tmp_path, outrun, monkeypatch):
    def load_others(**_):
        other = small()
        other.checkpoint.weights.write_bytes(b"others")
        return other

    model = small(precision="auto")
    model.precision = Choice("bf16", "for the test")
    assert model.checkpoint.fingerprint
    monkeypatch.setattr(ResidentModel, "load", load_others)
    summary = tag_folder(model, scenes, tmp_path / "out", int8_agreement=LITTLE)
    assert summary.precision.reason.endswith("INT8 is not used: the model's files have changed since it was loaded")


@pytest.mark.parametrize(
    ("has", "outruns"),
    [
        ((), True),  # half is emulated
        (("avx512_vnni",), True),
        (("avx512_bf16",), False),
        (("avx512_bf16", "avx512_vnni"), True),
        (("avx512_bf16", "avx512_vnni", "amx_bf16", "amx_int8"), False),
    ],
)
def test_int8_outruns_half_where_it_has_instructions_and_neither_has_tiles(has, outruns, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: dict.fromkeys(has, True))
    assert int8_outruns_half() == outruns
