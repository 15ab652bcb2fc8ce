"""Engines: each gives the network's answers, to the bit wherever a picture stands; what was prepared is ready at once.

Speed is not tested: where an engine has to be faster to be used, the test says that it is.
"""

import errno
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
import torch
from conftest import SCENES, contents
from small_networks import Limited, tagger
from torch import nn

from wanwu_nb import ResidentModel, preparing, tag_folder
from wanwu_nb.engine_choice import choose_engine
from wanwu_nb.engines import EAGER, OPENVINO, cache, identity, openvino_cpu
from wanwu_nb.engines.answers import are_alike
from wanwu_nb.prepare import main
from wanwu_nb.remembering import load_or_recall
from wanwu_nb.summary import Summary

SIZE = 4


class Convolutions(nn.Module):
    """Three class scores; another `seed` is another network."""

    def __init__(self, seed: int = 0):
        super().__init__()
        torch.manual_seed(seed)
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 3, 3))

    def forward(self, images):
        scores = self.body(images).mean((2, 3)).softmax(1)
        best, class_ids = scores.topk(3, dim=1)
        return None, best, class_ids


class Branching(Convolutions):
    """Does something else with dark pictures."""

    def forward(self, images):
        if images.mean() < 0:
            images = images + 1
        return super().forward(images)


@pytest.fixture(autouse=True)
def empty(tmp_path, monkeypatch) -> Path:
    """Nothing is kept when a test begins, and OpenVINO is faster."""
    folder = tmp_path / "engines"
    monkeypatch.setenv(cache.FOLDER, str(folder))
    monkeypatch.setattr(preparing, "seconds_in_turn", lambda *_: (2.0, 1.0))
    return folder


@pytest.fixture
def small(tmp_path) -> ResidentModel:
    return tagger(Convolutions(), tmp_path)


@pytest.fixture(scope="session")
def demo(tmp_path_factory) -> Path:
    """A cache in which the demo's detector was prepared, by this process; read only."""
    folder = tmp_path_factory.mktemp("prepared")
    folder.chmod(0o700)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(cache.FOLDER, str(folder))
        patch.setattr(preparing, "seconds_in_turn", lambda *_: (2.0, 1.0))
        model = ResidentModel.load("demo", device="cpu", precision="fp32")
        assert preparing.prepare(model, SIZE).value == OPENVINO
    return folder


@pytest.fixture
def prepared(demo, empty) -> Path:
    """A copy of that cache, for this test alone."""
    shutil.copytree(demo, empty)
    return empty


def fresh() -> ResidentModel:
    """As another process loads it."""
    return ResidentModel.load("demo", device="cpu", precision="fp32")


def entry_of(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


# --- answers and bits -------------------------------------------------------------------------------------------------


def test_an_engine_gives_the_networks_tags(prepared, scenes, tmp_path):
    eager = tag_folder(fresh(), scenes, tmp_path / "eager", batch_size=SIZE, compile=False)
    fast = tag_folder(fresh(), scenes, tmp_path / "fast", batch_size=SIZE)
    assert eager.engine.value == EAGER
    assert fast.engine.value == OPENVINO
    assert fast.labels == eager.labels


def test_with_an_engine_neither_place_nor_neighbours_change_a_bit(prepared):
    model = fresh()
    assert choose_engine("auto", {}, 1, SIZE, model).value == OPENVINO
    generator = torch.Generator().manual_seed(1)
    pictures = torch.randint(0, 256, (SIZE, 3, 640, 640), dtype=torch.uint8, generator=generator)
    alone = {}
    for number, picture in enumerate(pictures):
        alone[number] = model.launch(picture.expand(SIZE, -1, -1, -1))[0]
    for turned in range(SIZE):
        order = [(number + turned) % SIZE for number in range(SIZE)]
        answers = model.launch(pictures[order])
        for place, number in enumerate(order):
            assert torch.equal(answers[place], alone[number]), f"picture {number} at place {place}"


def test_an_engine_gives_the_same_bits_with_any_number_of_threads(prepared, monkeypatch):
    built = (entry_of(prepared) / cache.BUILT).read_bytes()
    batch = torch.randint(0, 256, (SIZE, 3, 640, 640), dtype=torch.uint8)
    answers = []
    for cores in (1, 2, 3):
        monkeypatch.setattr(openvino_cpu, "usable_cores", lambda cores=cores: cores)
        _, scores, _ = openvino_cpu.open_built(built, "fp32")(batch)
        answers.append(scores)
    assert torch.equal(answers[0], answers[1])
    assert torch.equal(answers[0], answers[2])


def test_eager_results_are_the_same_whether_an_engine_is_prepared_or_not(scenes, tmp_path, demo, monkeypatch):
    tag_folder(fresh(), scenes, tmp_path / "without", compile=False)
    monkeypatch.setenv(cache.FOLDER, str(demo))
    tag_folder(fresh(), scenes, tmp_path / "with", compile=False)
    assert contents(tmp_path / "with") == contents(tmp_path / "without")


def stop(output: Path) -> None:
    """Leave an output folder as a kill does: without the summary, and without the ledger's last line."""
    (output / "summary.json").unlink()
    ledger = output / "ledger.jsonl"
    *lines, last = ledger.read_bytes().splitlines(keepends=True)
    assert last == b'{"complete": true}\n'
    ledger.write_bytes(b"".join(lines))


@pytest.mark.parametrize("cleared", [False, True])
def test_a_run_goes_on_with_the_engine_of_the_stopped_one(prepared, scenes, tmp_path, cleared):
    once, parts = tmp_path / "once", tmp_path / "parts"
    tag_folder(fresh(), scenes, once, batch_size=SIZE)
    tag_folder(fresh(), scenes, parts, batch_size=SIZE, limit=5)
    stop(parts)
    if cleared:
        assert cache.clear() == 1
    summary = tag_folder(fresh(), scenes, parts)
    assert summary.engine.value == OPENVINO
    assert summary.engine.reason.startswith("as the run that was stopped")
    assert (summary.resumed, summary.processed) == (5, SCENES - 5)
    assert contents(parts) == contents(once)


def test_a_run_stopped_before_an_engine_was_prepared_goes_on_without(model, scenes, tmp_path, demo, monkeypatch):
    """The ledger of such a run names no engine, as those of earlier versions do not."""
    once, parts = tmp_path / "once", tmp_path / "parts"
    tag_folder(model, scenes, once, batch_size=SIZE, compile=False)
    tag_folder(model, scenes, parts, batch_size=SIZE, limit=5)
    stop(parts)
    assert b'"engine"' not in (parts / "ledger.jsonl").read_bytes()
    monkeypatch.setenv(cache.FOLDER, str(demo))
    assert tag_folder(fresh(), scenes, parts).engine.value == EAGER
    assert contents(parts) == contents(once)


def test_where_halved_batches_ran_as_loaded_the_summary_names_no_engine(scenes, tmp_path, monkeypatch):
    limited = tagger(Limited(Convolutions(), 2), tmp_path)

    def fails(batch):
        raise MemoryError

    def prepared(pictures, batch_size, model, say):
        model.use_engine(OPENVINO, fails, batch_size)
        return preparing.Choice(OPENVINO, "for the test")

    monkeypatch.setattr("wanwu_nb.engine_choice.choose_openvino", prepared)
    summary = tag_folder(limited, scenes, tmp_path / "out", batch_size=4)
    assert summary.batch_size.value == 2
    assert summary.engine.value == EAGER
    assert "were prepared for OpenVINO, and ran out of memory: those of 2 ran as loaded" in summary.engine.reason


# --- which engine -----------------------------------------------------------------------------------------------------


def test_an_engine_that_was_prepared_runs_three_pictures(prepared, scenes, tmp_path):
    summary = tag_folder(fresh(), scenes, tmp_path / "out", limit=3)
    assert summary.engine.value == OPENVINO
    assert summary.engine.reason.startswith("prepared by an earlier run")
    assert summary.batch_size.reason == "an engine was prepared for it"
    assert summary.compiled.reason == "OpenVINO runs the network"


def test_for_three_pictures_no_engine_is_prepared(small, scenes, tmp_path):
    summary = tag_folder(small, scenes, tmp_path / "out", limit=3)
    assert summary.engine.value == EAGER
    assert "preparing OpenVINO does not pay for fewer than 200 pictures" in summary.engine.reason


@pytest.mark.parametrize(("seconds", "engine"), [(0.1, EAGER), (2.0, OPENVINO)])
def test_an_engine_is_prepared_where_that_pays(small, monkeypatch, seconds, engine):
    """200 pictures of 25 ms save a second or so; of half a second, 15."""
    monkeypatch.setattr(preparing, "forward_seconds", lambda model, size: seconds)
    choice = choose_engine("auto", {}, preparing.WORTH_TIMING, SIZE, small)
    assert choice.value == engine
    assert "preparing OpenVINO costs about 10 s and would save about" in choice.reason


def test_a_network_that_fails_on_noise_has_no_engine_prepared(small, monkeypatch):
    def fails(model, size):
        raise RuntimeError("index 7 is out of bounds\nand a stack of C++ frames")

    monkeypatch.setattr(preparing, "forward_seconds", fails)
    choice = preparing.choose_openvino(preparing.WORTH_TIMING, SIZE, small)
    assert (choice.value, choice.reason) == (EAGER, "a batch could not be timed (index 7 is out of bounds)")


def test_compile_asks_for_one_engine_or_for_none(prepared):
    model = fresh()
    assert choose_engine("auto", {}, 3, SIZE, model).value == OPENVINO
    assert choose_engine("auto", {}, 3, SIZE, model).reason == "prepared by an earlier run of this process"
    eager = choose_engine(False, {}, 3, SIZE, model)
    assert (eager.value, eager.reason) == (EAGER, "as asked")
    assert model.engine == EAGER


def test_an_engine_that_is_no_faster_is_not_used_and_not_tried_again(small, monkeypatch, empty):
    monkeypatch.setattr(preparing, "seconds_in_turn", lambda *_: (1.0, 1.0))
    assert preparing.prepare(small, SIZE).reason == "OpenVINO proved no faster"
    assert small.engine == EAGER
    assert (entry_of(empty) / cache.BUILT).read_bytes() == b""
    monkeypatch.setattr(openvino_cpu, "build", lambda *_: pytest.fail("it was prepared again"))
    choice = preparing.choose_openvino(10_000, SIZE, small)
    assert (choice.value, choice.reason) == (EAGER, "OpenVINO proved no faster when it was prepared")
    assert preparing.sizes_prepared(small) == []


def test_engines_other_than_torchs_are_for_cpus_and_single_precision():
    assert openvino_cpu.why_not("cuda", "fp16") == "OpenVINO is for CPUs"
    assert openvino_cpu.why_not("cpu", "bf16") == "OpenVINO is not used for bf16"
    assert openvino_cpu.why_not("cpu", "fp32") == ""


# --- what goes wrong --------------------------------------------------------------------------------------------------


def test_without_openvino_the_engine_is_torch(small, scenes, tmp_path, monkeypatch):
    def missing(package):
        raise PackageNotFoundError(package)

    monkeypatch.setattr(openvino_cpu, "version", missing)
    summary = tag_folder(small, scenes, tmp_path / "out")
    assert summary.engine.value == EAGER
    assert summary.engine.reason.startswith("OpenVINO is not installed (pip install openvino); compiling: ")
    assert summary.processed == SCENES


def test_without_a_compiler_an_engine_is_prepared(small):
    from torch._inductor import config

    with config.patch({"cpp.cxx": ("no-such-compiler",)}):
        assert preparing.prepare(small, SIZE).value == OPENVINO


def test_a_network_that_branches_on_its_data_has_no_engine_prepared(tmp_path, empty):
    model = tagger(Branching(), tmp_path)
    choice = preparing.prepare(model, SIZE)
    assert choice.value == EAGER
    assert choice.reason.startswith("OpenVINO cannot run this network (")
    assert not empty.exists()


def packed(*rows):
    return torch.tensor([rows], dtype=torch.float32)


SURE, NO_BOX = (0.9, 3.0), (0.0,) * 6


@pytest.mark.parametrize(
    ("network", "engine", "alike"),
    [
        (packed(SURE, (0.1, 5)), packed(SURE, (0.1, 5)), True),
        (packed(SURE, (0.1, 5)), packed((0.1, 5), SURE), True),
        (packed(SURE, (0.1, 5)), packed((0.9005, 3), (0.1, 5)), True),
        (packed(SURE, (0.1, 5)), packed((0.9, 4), (0.1, 5)), False),
        (packed(SURE, (0.1, 5)), packed((0.8, 3), (0.1, 5)), False),
        # Of thousands of classes those that are listed with no score are any.
        (packed(SURE, (0, 5), (0, 6)), packed(SURE, (0, 7), (0, 8)), True),
        (packed(SURE, (1e-41, 5), (0, 6)), packed(SURE, (0, 7), (0, 8)), True),
        (packed(SURE, (0.0101, 5)), packed(SURE, (0.01, 6)), True),
        # Collapsed: all alike, or surer than the network of what it did not say.
        (packed(SURE, (0.05, 5), (0.05, 6)), packed((0.3, 7), (0.3, 8), (0.3, 9)), False),
        (packed((0.02, 3), (0.02, 5)), packed((0.5, 6), (0.5, 7)), False),
        (packed(SURE), packed((float("nan"), 3)), False),
        (packed((0.9, 3, 10, 10, 50, 50)), packed((0.9, 3, 10, 10.5, 50, 50)), True),
        (packed((0.9, 3, 10, 10, 50, 50), NO_BOX), packed((0.9, 3, 10, 14, 50, 50), NO_BOX), False),
        (packed((0.9, 3, 10, 10, 50, 50), NO_BOX), packed((0.9, 3, 10, 10, 50, 50), (0, 9, 0, 0, 5, 5)), True),
    ],
)
def test_an_engine_answers_as_the_network_where_what_has_a_score_is_the_same(network, engine, alike):
    assert are_alike(network, engine) is alike


def test_an_engine_that_gives_other_answers_is_not_prepared(small, monkeypatch, empty):
    right = openvino_cpu.open_built

    def wrong(content, precision):
        run = right(content, precision)

        def halved(batch):
            boxes, scores, class_ids = run(batch)
            return boxes, scores / 2, class_ids

        return halved

    monkeypatch.setattr(openvino_cpu, "open_built", wrong)
    choice = preparing.prepare(small, SIZE)
    assert (choice.value, choice.reason) == (EAGER, "OpenVINO gives other answers than the network")
    assert not empty.exists()


def test_a_cache_that_cannot_be_written_costs_nothing_but_preparing(small, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv(cache.FOLDER, str(tmp_path / "file" / "engines"))
    choice = preparing.prepare(small, SIZE)
    assert choice.value == OPENVINO
    assert "it could not be kept for later runs (" in choice.reason


def test_a_full_cache_has_no_half_of_a_prepared_engine(small, empty, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cache.os, "fsync", full)
    choice = preparing.prepare(small, SIZE)
    assert choice.value == OPENVINO
    assert "No space left on device" in choice.reason
    assert list(empty.iterdir()) == []


def change_a_byte(entry: Path) -> None:
    built = bytearray((entry / cache.BUILT).read_bytes())
    built[len(built) // 2] ^= 1
    (entry / cache.BUILT).write_bytes(built)


def put_a_link(entry: Path) -> None:
    (entry / cache.BUILT).rename(entry / "elsewhere")
    (entry / cache.BUILT).symlink_to(entry / "elsewhere")


def change_its_answers(entry: Path) -> None:
    note = json.loads((entry / cache.ENTRY).read_bytes())
    (entry / cache.ENTRY).write_text(json.dumps(note | {"answers": "0" * 64}))


def let_others_write(entry: Path) -> None:
    (entry / cache.ENTRY).chmod(0o666)


def let_others_write_the_folder(entry: Path) -> None:
    entry.chmod(0o777)


def lose_its_figures(entry: Path) -> None:
    note = json.loads((entry / cache.ENTRY).read_bytes())
    (entry / cache.ENTRY).write_text(json.dumps(note | {"measured": {}}))


def tear(entry: Path) -> None:
    (entry / cache.ENTRY).write_bytes(b'{"answers": ')


def lose(entry: Path) -> None:
    (entry / cache.BUILT).unlink()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (change_a_byte, "it is not as it was written"),
        (put_a_link, "built.bin is a link"),
        (change_its_answers, "its answers have changed"),
        (let_others_write, "others may have written entry.json"),
        (let_others_write_the_folder, "others may have written"),
        (lose_its_figures, "it cannot be opened"),
        (tear, "it cannot be read"),
        (lose, "it cannot be read"),
    ],
)
def test_a_prepared_engine_that_was_changed_is_prepared_anew(small, empty, spoil, reason):
    preparing.prepare(small, SIZE)
    whole = (entry_of(empty) / cache.ENTRY).read_bytes()
    spoil(entry_of(empty))
    small.undo_compile()
    choice = preparing.choose_openvino(1, SIZE, small)
    assert choice.value == OPENVINO
    assert f"what was kept for OpenVINO is not used, since {reason}" in choice.reason
    answers = json.loads((entry_of(empty) / cache.ENTRY).read_bytes())["answers"]
    assert answers == json.loads(whole)["answers"]
    small.undo_compile()
    assert preparing.choose_openvino(1, SIZE, small).reason.startswith("prepared by an earlier run")


def test_a_changed_engine_that_cannot_be_taken_away_is_not_prepared_anew_for_three_pictures(small, empty, monkeypatch):
    preparing.prepare(small, SIZE)
    change_a_byte(entry_of(empty))
    small.undo_compile()
    monkeypatch.setattr(cache.shutil, "rmtree", lambda *_, **__: None)
    choice = preparing.choose_openvino(3, SIZE, small)
    assert choice.value == EAGER
    assert "since it is not as it was written; preparing OpenVINO does not pay for fewer than 200" in choice.reason


def test_a_cache_that_others_may_write_is_neither_read_nor_written(small, empty):
    empty.mkdir()
    empty.chmod(0o777)
    choice = preparing.prepare(small, SIZE)
    assert choice.value == OPENVINO
    assert choice.reason.endswith("it could not be kept for later runs (others may have written engines)")
    assert list(empty.iterdir()) == []


# --- what is kept -----------------------------------------------------------------------------------------------------


def name_of(number: int) -> str:
    return identity.identity(OPENVINO, str(number), {}, "fp32")


def test_engines_prepared_at_once_do_not_meet(empty):
    entries = [cache.Entry(bytes([number]) * 1_000_000, str(number), True, {}) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda entry: cache.keep(name_of(0), SIZE, entry), entries))
    assert cache.read(name_of(0), SIZE) in entries
    assert len(list(empty.iterdir())) == 1


def test_of_kept_engines_the_one_not_used_for_longest_goes_first(monkeypatch, empty):
    monkeypatch.setattr(cache, "LARGEST", 2500)
    for number in range(2):
        cache.keep(name_of(number), SIZE, cache.Entry(b"e" * 900, "", True, {}))
        os.utime(empty / f"{name_of(number)}-b{SIZE}" / cache.ENTRY, (number, number))
    cache.read(name_of(0), SIZE)  # used now
    cache.keep(name_of(2), SIZE, cache.Entry(b"e" * 900, "", True, {}))
    there = [cache.read(name_of(number), SIZE) is not None for number in range(3)]
    assert there == [True, False, True]


def test_an_engine_larger_than_the_cache_takes_nothing_away(monkeypatch, empty):
    monkeypatch.setattr(cache, "LARGEST", 2500)
    cache.keep(name_of(0), SIZE, cache.Entry(b"e" * 900, "", True, {}))
    with pytest.raises(cache.Refused, match="larger than all that may be kept, 2,500 bytes"):
        cache.keep(name_of(1), SIZE, cache.Entry(b"e" * 2501, "", True, {}))
    assert cache.sizes(name_of(0)) == [SIZE]


def test_a_folder_that_is_not_ours_is_no_batch_size(empty):
    (empty / f"{name_of(0)}-bsomething").mkdir(parents=True)
    assert cache.sizes(name_of(0)) == []


def test_clearing_the_engines_leaves_what_is_not_ours(empty, capsys):
    cache.keep(name_of(0), SIZE, cache.Entry(b"e", "", True, {}))
    (empty / "notes").mkdir()
    assert main(["--clear"]) == 0
    assert capsys.readouterr().out.startswith("1 prepared engines removed from ")
    assert [path.name for path in empty.iterdir()] == ["notes"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["no-such-folder"], "no-such-folder"),
        (["demo", "--precision", "bf16"], "demo detector: nothing can be prepared: OpenVINO is not used for bf16"),
        (
            ["demo", "--precision", "int8"],
            "nothing can be prepared: INT8 is made for each output folder, by the first run",
        ),
        (["demo", "--precision", "half"], "precision 'half' is not known"),
    ],
)
def test_what_cannot_be_prepared_is_one_sentence(arguments, sentence, capsys):
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


def test_no_engine_is_prepared_for_batches_of_none(capsys):
    with pytest.raises(SystemExit):
        main(["demo", "--batch-size", "0"])
    assert "--batch-size must be 1 or more" in capsys.readouterr().err


@pytest.mark.parametrize("variable", identity.HELD_BACK)
def test_an_engine_prepared_for_other_instructions_is_another(variable, monkeypatch):
    before = name_of(0)
    monkeypatch.setenv(variable, "AVX2")
    assert name_of(0) != before


def test_an_engine_prepared_on_another_machine_or_by_other_versions_is_another(monkeypatch):
    names = {name_of(0), name_of(1)}
    monkeypatch.setattr(identity, "instruction_sets", lambda: "AVX2")
    names.add(name_of(0))
    monkeypatch.setattr(identity, "version", lambda package: "0.0")
    names.add(name_of(0))
    assert len(names) == 4


def test_a_model_that_is_recalled_runs_an_engine_without_its_network(prepared, scenes, tmp_path):
    options = {"model": "demo", "device": "cpu", "precision": "fp32"}
    tag_folder(load_or_recall(tmp_path / "out", **options), scenes, tmp_path / "out", limit=3)
    recalled = load_or_recall(tmp_path / "out", **options)
    summary = tag_folder(recalled, scenes, tmp_path / "out")
    assert summary.engine.value == OPENVINO
    assert summary.processed == SCENES - 3
    assert "network" not in vars(recalled)
    assert len(recalled.predict(sorted(scenes.glob("*.jpg"))[:1])) == 1  # another size: as loaded
    assert recalled.engine == OPENVINO


PREPARE = """
import socket
from wanwu_nb import prepare, preparing
def refuse(*_): raise AssertionError("it phones home")
socket.socket.connect = socket.getaddrinfo = refuse
preparing.seconds_in_turn = lambda *_: (2.0, 1.0)
assert prepare.main(["demo", "--batch-size", "2", "--precision", "fp32"]) == 0
"""
TAG = """
import sys
from wanwu_nb import ResidentModel, tag_folder
model = ResidentModel.load("demo", device="cpu", precision="fp32")
print(tag_folder(model, sys.argv[1], sys.argv[2], limit=3).engine.reason)
"""


def test_what_one_process_prepared_another_uses_and_nothing_phones_home(scenes, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    variables = os.environ | {"HOME": str(home), "CI": "false"}
    folders = [str(scenes), str(tmp_path / "out")]
    outputs = []
    for code in (PREPARE, TAG):
        command = [sys.executable, "-c", code, *folders]
        run = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
        outputs.append(run.stdout)
    assert "demo detector, batches of 2 in fp32: OpenVINO (as asked: a batch takes 50% less)" in outputs[0]
    assert "prepared by an earlier run: a batch takes 50% less" in outputs[1]
    assert list(home.glob("intel*")) == []


def test_an_engine_is_prepared_without_telemetry_where_others_imported_it_before(small, monkeypatch):
    preparing.prepare(small, 1)
    for module in ("convert_impl", "telemetry_utils", "utils"):
        monkeypatch.setattr(f"openvino.tools.ovc.{module}.tm", "would fail where it is used")
    assert preparing.prepare(small, SIZE).value == OPENVINO


def test_pictures_meet_the_code_that_was_compiled(small):
    """Compiled anew at the first real batch, it would run without what freezing the weights brings."""
    assert small.compile(SIZE) == ""
    spec = small.checkpoint.spec
    batch = torch.zeros(SIZE, 3, spec.height, spec.width, dtype=torch.uint8)
    with torch.compiler.set_stance("fail_on_recompile"):
        assert len(small.launch(batch)) == SIZE


TWO_AND_A_SIGNAL = """
import signal, sys
from pathlib import Path
from wanwu_nb.engines.openvino_cpu import open_built
built = Path(sys.argv[1]).read_bytes()
first, second = open_built(built, "fp32"), open_built(built, "fp32")
del first
del second
signal.signal(signal.SIGUSR1, lambda *_: print("handled"))
signal.raise_signal(signal.SIGUSR1)
"""


def test_a_signal_is_handled_after_two_engines_have_gone(demo):
    """OpenVINO leaves a stack for signals that is gone, where its engines go in the order in which they came."""
    command = [sys.executable, "-c", TWO_AND_A_SIGNAL, entry_of(demo) / cache.BUILT]
    run = subprocess.run(command, capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, "handled\n")


def test_an_earlier_summary_that_names_no_engine_is_read(model, scenes, tmp_path):
    tag_folder(model, scenes, tmp_path / "out", limit=1)
    path = tmp_path / "out" / "summary.json"
    record = json.loads(path.read_bytes())
    del record["engine"]
    path.write_text(json.dumps(record))
    assert Summary.read(path).engine.reason == "not noted by the version that wrote this"
