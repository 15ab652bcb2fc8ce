"""Benchmarks: the figures in the pages are the records, each with its machine; every variant is what it says."""

import importlib
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image

from benchmarks import (
    chart,
    choices,
    compare_trees,
    contenders,
    decoders,
    first_picture,
    harness,
    instructions,
    one_contender,
    openvino_loops,
    ours,
    pipelines,
    ratios,
    readme,
    scaled_decoding,
    speed,
    workloads,
)
from wanwu_nb import ResidentModel, running
from wanwu_nb.agreement import Share, agreement
from wanwu_nb.engines import OPENVINO, cache
from wanwu_nb.finding import find_images
from wanwu_nb.fitting import InputSpec
from wanwu_nb.hardware import Choice
from wanwu_nb.images import read
from wanwu_nb.results import read_result
from wanwu_nb.threads import reading_threads
from wanwu_nb.tuning import Plan

ROOT = Path(__file__).parent.parent
FORTY = {"cores": 40, "cpu": "Intel Xeon", "gpu": ""}
TWO = {"cores": 2, "cpu": "AMD EPYC", "gpu": "", "instructions": "AVX2, AVX512_BF16"}


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda path: path.stem)
def test_every_benchmark_can_be_imported(path):
    importlib.import_module(f"benchmarks.{path.stem}")


# --- pages ------------------------------------------------------------------------------------------------------------


def test_the_figures_in_the_pages_are_the_records():
    for path, text in readme.pages().items():
        assert path.read_text(encoding="utf-8") == text, "run `python -m benchmarks.readme`"


def test_every_generated_table_names_its_machine():
    tables = 0
    for path in readme.PAGES:
        generated = re.findall(r"<!-- (?!end of)(.+?) -->\n(.*?)<!-- end of \1 -->", path.read_text(), flags=re.DOTALL)
        for _, text in generated:
            for table in re.findall(r"(?:^\|.*\n?)+", text, flags=re.MULTILINE):
                line_above = text[: text.index(table)].splitlines()[-2]
                assert re.search(r"\d+ cores of \w+", line_above), f"{path.name}: {line_above}"
                tables += 1
    speeds = len(readme.speed_records("cpu")) + len(readme.speed_records("gpu"))
    firsts = sum(page.read_text().count("| first picture, s |") for page in readme.PAGES)
    trees = sum(page.read_text().count("| × compiled |") for page in readme.PAGES)
    int8_tags = sum(page.read_text().count("| with crops |") for page in readme.PAGES)
    decoders = sum(page.read_text().count("| pictures/s | demo |") for page in readme.PAGES)
    assert tables == speeds + firsts + trees + int8_tags + decoders + 3


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        (FORTY, "40 cores of Intel Xeon"),
        (TWO, "2 cores of AMD EPYC (AVX2, AVX512_BF16)"),
        (TWO | {"gpu": "NVIDIA H100"}, "NVIDIA H100, 2 cores of AMD EPYC (AVX2, AVX512_BF16)"),
    ],
)
def test_a_machine_is_named_as_far_as_its_record_does(machine, words):
    assert harness.machine_of({"environment": machine}) == words


def test_a_table_of_two_machines_is_refused():
    clock, memory = {"environment": TWO}, {"environment": FORTY}
    assert readme.on_its_machine("| a |", clock=clock, memory=clock).startswith("On 2 cores of AMD EPYC (")
    with pytest.raises(ValueError, match=r"clock on 2 cores of AMD EPYC \(.*\); memory on 40 cores of Intel Xeon"):
        readme.on_its_machine("| a |", clock=clock, memory=memory)


@pytest.fixture
def records(tmp_path) -> Path:
    """A copy of the records, to be changed."""
    return Path(shutil.copytree(harness.RESULTS, tmp_path / "records"))


def measured_elsewhere(records: Path, name: str) -> None:
    path = records / f"{name}.json"
    record = harness.read_record(path)
    path.write_text(json.dumps(record | {"environment": FORTY}))


def test_memory_and_cold_start_of_two_machines_each_name_their_own(records):
    measured_elsewhere(records, "memory")
    measured_elsewhere(records, "cold_start")
    together = readme.speed(records)
    assert together.count("40 cores") == 1
    measured_elsewhere(shutil.copytree(harness.RESULTS, records / "mixed"), "cold_start")
    apart = readme.speed(records / "mixed").splitlines()[-1]
    assert re.match(r"On .+ memory stays flat: .+ On 40 cores of Intel Xeon the 629 MB model has done its", apart)


def test_a_page_names_the_machine_of_each_record(records):
    measured_elsewhere(records, "clock")
    page = readme.pages(records)[ROOT / "docs" / "speed.md"]
    clock = page.split("<!-- clock -->")[1].split("<!-- end of clock -->")[0]
    assert "On 40 cores of Intel Xeon:" in clock
    assert page.count("40 cores") == 1


def test_the_chart_names_the_machine_of_each_panel():
    figure = readme.chart(readme.speed_records("cpu"))
    for panel in figure.axes:
        assert " cores of " in panel.get_title(loc="left")


# --- harness ----------------------------------------------------------------------------------------------------------


def checkout(folder: Path, name: str, code: str) -> Path:
    """A tree in which `benchmarks.NAME` is this code."""
    (folder / "benchmarks").mkdir(parents=True)
    (folder / "benchmarks" / "__init__.py").touch()
    (folder / "benchmarks" / f"{name}.py").write_text(code)
    return folder


def test_a_child_answers_in_its_last_line(tmp_path):
    code = 'import json, os, sys\nprint("loading")\nprint(json.dumps([sys.argv[1:], os.environ["COLOUR"]]))\n'
    tree = checkout(tmp_path / "tree", "echo", code)
    answer = harness.run_child("benchmarks.echo", ["a b", Path("c")], {"COLOUR": "red"}, checkout=tree)
    assert answer == [["--child", "a b", "c"], "red"]


def test_a_child_that_fails_says_why(tmp_path):
    tree = checkout(tmp_path / "tree", "broken", 'raise SystemExit("no such model")\n')
    with pytest.raises(RuntimeError, match=r"benchmarks\.broken demo ours failed:\nno such model"):
        harness.run_child("benchmarks.broken", ["demo", "ours"], checkout=tree)


def test_a_process_is_timed_from_its_start_to_its_end(tmp_path):
    tree = checkout(tmp_path / "tree", "slow", "import time\ntime.sleep(0.5)\nprint(7)\n")
    before = time.time()
    process = harness.finished(["-m", "benchmarks.slow"], checkout=tree)
    assert process.answer == 7
    assert process.started >= before
    assert 0.5 <= process.seconds <= time.time() - before


def test_a_record_of_engines_held_to_avx2_says_so(tmp_path, monkeypatch):
    for name, value in harness.HELD_TO_AVX2.items():
        assert not harness.held_to_avx2()
        monkeypatch.setenv(name, value)
    harness.write_record(tmp_path / "record.json", {})
    assert "(held to AVX2)" in harness.machine_of(harness.read_record(tmp_path / "record.json"))


@pytest.mark.skipif(not torch.cpu.get_capabilities().get("avx2"), reason="no AVX2")
def test_every_engine_heeds_what_holds_it_to_avx2():
    told = instructions.ask(harness.HELD_TO_AVX2)
    assert set(told) == {"torch", "torch compiled", "oneDNN, for torch", "OpenVINO"}
    assert instructions.not_held(told) == {}


@pytest.mark.parametrize("words", ["avx512 avx512_vnni", "Intel AVX-512", "brgconv_avx2_f32, brgconv_avx512_f32", ""])
def test_an_engine_that_uses_more_or_says_nothing_is_told(words):
    assert instructions.not_held({"torch": "AVX2", "other": words}) == {"other": words}


def test_a_record_holds_figures_and_machine(tmp_path):
    path = tmp_path / "new" / "record.json"
    harness.write_record(path, {"variant": "台灯", "ms": 1.5})
    record = harness.read_record(path)
    assert "台灯" in path.read_text(encoding="utf-8")
    assert record["ms"] == 1.5
    assert {"cpu", "cores", "instructions", "torch"} <= set(record["environment"])


# --- choices: no variant measures "ours" under another name -----------------------------------------------------------


@pytest.mark.parametrize("name", choices.VARIANTS)
def test_a_variant_differs_from_ours_by_known_names(name):
    variant, ours = choices.VARIANTS[name], choices.VARIANTS["ours"]
    assert set(variant.plan) <= {field.name for field in fields(Plan)}
    assert "threads" in inspect.signature(running.run_plan).parameters
    assert (variant == ours) == (name == "ours")


def test_the_threads_without_our_care_have_teams():
    with reading_threads(1, 60) as pool:
        assert pool.submit(torch_threads).result() == 1
    with choices.threads_with_teams(1, 60) as pool:
        assert pool.submit(torch_threads).result() == torch_threads()


def torch_threads() -> int:
    return torch.get_num_threads()


def test_a_variant_reaches_the_loop(model, scenes, tmp_path, monkeypatch):
    plans, started = [], []

    def run_plan(*arguments, **keywords):
        plan = running.run_plan(*arguments, **keywords)
        plans.append(plan)
        return plan

    @contextmanager
    def threads(count: int, seconds: float):
        started.append(count)
        with reading_threads(count, seconds) as pool:
            yield pool

    monkeypatch.setattr(choices, "run_plan", run_plan)
    ahead = choices.VARIANTS["decoding runs ahead, on the same cores"]
    names = find_images(scenes)
    for variant in (choices.Variant(), replace(ahead, threads=threads)):
        assert choices.run(model, scenes, names, tmp_path / str(len(plans)), variant) > 0
    ours, other = plans
    assert (ours.rounds_ahead.value, ours.round_size.value) == (0, 16)
    assert (other.rounds_ahead.value, other.round_size.value) == (2, choices.BATCH_SIZE)
    assert started == [2]
    for name in names:
        assert read_result(tmp_path / "0", name).objects == read_result(tmp_path / "1", name).objects


PAGE_FAULTS = """
import os, resource, sys, torch
from wanwu_nb import ResidentModel

def page_faults():
    model = ResidentModel.load("demo", device="cpu", precision="fp32")
    batch = torch.zeros(2, 3, 640, 640, dtype=torch.uint8)
    model.forward(batch)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    model.forward(batch)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

given_back = page_faults()
del os.environ[sys.argv[1]]
print(given_back, page_faults())
"""


@pytest.mark.skipif(not Path("/lib64/ld-linux-x86-64.so.2").exists(), reason="glibc's allocator")
def test_memory_given_back_costs_new_pages():
    variables = choices.VARIANTS["glibc gives freed memory back"].variables
    (name,) = variables
    command = [sys.executable, "-c", PAGE_FAULTS, name]
    environment = harness.surroundings(variables)
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    given_back, ours = map(int, done.stdout.split())
    assert given_back > 10 * max(500, ours)


# --- contenders -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def demo_workload(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("workload")
    workloads.make_demo(folder)
    return folder


@pytest.fixture(scope="module")
def three(scenes, tmp_path_factory) -> list[Path]:
    """Pictures, alone in a folder."""
    folder = tmp_path_factory.mktemp("three")
    return [Path(shutil.copy(path, folder)) for path in sorted(scenes.glob("*.jpg"))[:3]]


@pytest.fixture(scope="module")
def reference(demo_workload, three, tmp_path_factory) -> Path:
    """What the others are compared with."""
    output = tmp_path_factory.mktemp("reference")
    contenders.REFERENCE["resident step"].prepare(demo_workload, three, output).run()
    return output


OPENVINO_LOOPS = ["OpenVINO, one by one", "OpenVINO, AsyncInferQueue"]


@pytest.mark.parametrize("name", ["DataLoader, FP32", *OPENVINO_LOOPS, "ours, FP32", "ours, FP32, OpenVINO"])
def test_a_contender_writes_whole_results_that_agree(name, demo_workload, three, reference, tmp_path, monkeypatch):
    monkeypatch.setenv(cache.FOLDER, str(tmp_path / "engines"))
    ready = contenders.CONTENDERS[name].prepare(demo_workload, three, tmp_path / "tags")
    ready.run()
    pairs = []
    for path in three:
        expected, result = read_result(reference, path.name), read_result(tmp_path / "tags", path.name)
        assert (result.image, result.width, result.height) == (path.name, 1920, 1080)
        pairs.append((expected.objects, result.objects))
    assert agreement(pairs, by_id=True).value > 0.9
    if name.startswith("ours"):
        limits = speed.limits(ready)
        assert limits["bound"] >= max(limits["decode"], limits["forward"]) > 0


def test_int8_is_a_contender_and_later_processes_find_its_network(demo_workload, scenes, tmp_path, monkeypatch):
    monkeypatch.setenv(cache.FOLDER, str(tmp_path / "engines"))
    photos = sorted(scenes.glob("*.jpg"))
    ready = contenders.CONTENDERS["ours, INT8"].prepare(demo_workload, photos, tmp_path / "first")
    ready.run()
    limits = speed.limits(ready)
    assert limits["bound"] >= max(limits["decode"], limits["forward"]) > 0
    ours.carry(tmp_path / "first", tmp_path / "second")
    monkeypatch.setattr("wanwu_nb.judging.quantise", None)
    contenders.CONTENDERS["ours, INT8"].prepare(demo_workload, photos, tmp_path / "second").run()
    for path in photos:
        first, second = read_result(tmp_path / "first", path.name), read_result(tmp_path / "second", path.name)
        assert first.objects == second.objects


def test_openvinos_own_loop_keeps_for_its_next_process_what_it_made(demo_workload, three, tmp_path, monkeypatch):
    monkeypatch.setenv(harness.OPENVINO_CACHE, str(tmp_path))
    prepare = contenders.CONTENDERS["OpenVINO, one by one"].prepare
    prepare(demo_workload, three, tmp_path / "first").run()
    monkeypatch.setattr(openvino_loops, "convert", None)  # the second converts nothing
    prepare(demo_workload, three, tmp_path / "second").run()
    for path in three:
        first, second = read_result(tmp_path / "first", path.name), read_result(tmp_path / "second", path.name)
        assert first.objects == second.objects


def test_an_engine_is_measured_or_the_benchmark_stops(demo_workload, three, tmp_path, monkeypatch):
    monkeypatch.setattr(ours, "make_ready", lambda *_: None)
    monkeypatch.setenv(cache.FOLDER, str(tmp_path / "engines"))
    ready = ours.ours("fp32", OPENVINO, demo_workload, three, tmp_path / "tags")
    with pytest.raises(RuntimeError, match="OpenVINO was asked for, and torch eager ran: "):
        ready.run()


def test_an_engine_is_measured_where_it_is_no_faster_too(demo_workload, three, tmp_path, monkeypatch):
    monkeypatch.setattr("wanwu_nb.preparing.seconds_in_turn", lambda *_: (1.0, 2.0))
    monkeypatch.setenv(cache.FOLDER, str(tmp_path / "engines"))
    ready = ours.ours("fp32", OPENVINO, demo_workload, three, tmp_path / "tags")
    ready.run()
    ready.run()


def test_half_is_a_row_where_there_are_instructions_for_it(monkeypatch):
    monkeypatch.setattr(ours, "choose_precision", lambda asked, device: choice_of("bf16"))
    monkeypatch.setattr(ours, "choose_device", lambda: choice_of("cpu"))
    rows = [name for name in contenders.OURS if contenders.CONTENDERS[name].can_run("demo")]
    assert rows == list(contenders.OURS)
    for name, value in harness.HELD_TO_AVX2.items():
        monkeypatch.setenv(name, value)
    in_fp32 = ["ours, FP32", "ours, FP32, compiled", "ours, FP32, OpenVINO"]
    assert speed.contenders_for("demo")[-4:] == [*in_fp32, "ours, INT8"]
    monkeypatch.undo()
    monkeypatch.setattr(ours, "choose_precision", lambda asked, device: choice_of("fp32"))
    assert "ours, half" not in speed.contenders_for("demo")


def choice_of(value: str) -> Choice:
    return Choice(value, "for the test")


def test_ways_for_whole_pictures_are_no_contenders_for_boxes():
    assert "transformers pipeline, FP32" not in speed.contenders_for("demo")
    assert "transformers pipeline, FP32" in speed.contenders_for("everyday")
    assert "ModelScope's way, FP32" not in speed.contenders_for("everyday")


def test_the_everyday_workload_is_the_everyday_tagger(photograph, tmp_path):
    workloads.make_everyday(tmp_path)
    ours, everyday = ResidentModel.load(tmp_path, device="cpu"), ResidentModel.load("everyday", device="cpu")
    assert ours.checkpoint.spec == everyday.checkpoint.spec
    assert ours.predict([photograph])[0].tags == everyday.predict([photograph])[0].tags
    assert (tmp_path / "pickled" / "module.pth").exists()


def test_a_whole_pictures_tags_are_written_like_everybodys(tmp_path):
    pipelines.write_tags(tmp_path, "a.jpg", (640, 480), ["灯", "椅"], [1, 0], [0.75, 0.25])
    result = read_result(tmp_path, "a.jpg")
    assert [tag[:4] for tag in result.objects] == [("灯", 1, 0.75, None), ("椅", 0, 0.25, None)]
    assert (result.width, result.height) == (640, 480)


def test_a_row_is_made_of_medians():
    runs = [{"seconds": seconds, "peak_mb": 100 * seconds, "bound": 1.0} for seconds in (2.0, 4.0, 1.0)]
    row = speed.row_of("ours", runs, default=8.0, share_ours=Share(9, 10, 0.6, 0.98))
    assert (row.agreement, row.agreement_95) == (None, None)
    assert (row.agreement_ours, row.agreement_ours_95) == (0.9, (0.6, 0.98))
    assert (row.ms, row.ms_from_to, row.times_default) == (2000.0, (1000.0, 4000.0), 4.0)
    assert (row.peak_mb, row.bound_ms, row.efficiency) == (400.0, 1000.0, 0.5)


def test_workloads_of_another_edition_are_not_opened(tmp_path, monkeypatch):
    monkeypatch.setattr(workloads, "user_cache_path", lambda name: tmp_path)
    made = []
    workload = workloads.Workload("small", made.append)
    first = workload.folder()
    assert workload.folder() == first
    monkeypatch.setattr(workloads, "EDITION", workloads.EDITION + 1)
    assert workload.folder() != first
    assert made == [first, workload.folder()]


# --- scaled decoding --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("orientation", [1, 6])
def test_scaled_decoding_gives_the_same_input_and_the_photos_own_size(orientation, times, tmp_path):
    ramp = np.add.outer(np.arange(800), np.arange(1200)) * 255 // 2000
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Image.fromarray(ramp.astype(np.uint8)).convert("RGB").save(tmp_path / "a.jpg", exif=exif)
    spec = InputSpec(160, 160, "letterbox", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    full, scaled = read(tmp_path, spec, "a.jpg"), scaled_decoding.read_scaled(tmp_path, spec, "a.jpg", times)
    assert scaled.placement == full.placement
    assert (scaled.image.int() - full.image.int()).abs().float().mean() < 2


def test_scaled_decoding_compares_photographs_that_are_large_enough(tmp_path, photograph):
    photograph.resize((1620, 1080)).save(tmp_path / "large.jpg")
    photograph.resize((1620, 1080)).save(tmp_path / "large.png")
    photograph.save(tmp_path / "small.jpg")
    assert scaled_decoding.large(tmp_path) == [tmp_path / "large.jpg"]


def test_scaled_decoding_tags_with_the_packages_tagger(model, three, monkeypatch):
    monkeypatch.setattr(scaled_decoding, "BATCH_SIZE", 3)
    pictures = [read(path.parent, model.checkpoint.spec, path.name) for path in three]
    tags = scaled_decoding.tag(model, pictures)
    assert tags == [detections.tags for detections in model.predict(three)]


# --- the first picture ------------------------------------------------------------------------------------------------


@pytest.fixture
def processes(monkeypatch, tmp_path):
    """What a benchmark starts, and none of it runs: each process takes 9 s, and writes after 2 and 3 s."""
    names = ["a.jpg", "b.jpg"]
    monkeypatch.setattr(first_picture, "pictures", lambda count: [Path(name) for name in names[:count]])
    monkeypatch.setattr(first_picture.WORKLOADS["demo"].__class__, "folder", lambda self: tmp_path)
    started = []

    def finished(arguments, variables):
        started.append((arguments[-3], Path(variables[cache.FOLDER]), list(Path(variables[cache.FOLDER]).glob("*"))))
        Path(variables[cache.FOLDER]).mkdir(exist_ok=True)
        (Path(variables[cache.FOLDER]) / "built").touch()
        (arguments[-1] / "images").mkdir(parents=True)
        for name, seconds in zip(names, (3, 2), strict=True):
            path = arguments[-1] / "images" / f"{name}.json"
            path.touch()
            os.utime(path, (1000 + seconds, 1000 + seconds))
        return harness.Finished(arguments[-3], 1000.0, 9.0)

    monkeypatch.setattr(harness, "finished", finished)
    return started


def test_the_first_picture_is_the_one_that_is_written_first(processes):
    figures = first_picture.compare("demo", ["default script"], 1, 2)
    assert figures["seconds"]["default script"]["second"] == {"first_picture": 2.0, "whole": 9.0}
    assert "default script" in first_picture.table("demo", figures, 2)


def test_the_second_process_finds_what_the_first_left_and_the_next_pair_nothing(processes):
    keeps = "ours, FP32, OpenVINO"
    figures = first_picture.compare("demo", ["default script", keeps], 2, 2)
    order = [name for name, _, _ in processes]
    assert order == ["default script"] * 2 + [keeps] * 4
    assert [len(there) for _, _, there in processes] == [0, 1] * 3
    assert len({folder for _, folder, _ in processes}) == 3
    assert len(figures["runs"][keeps]["second"]) == 2


def test_what_is_measured_of_the_first_picture_gets_into_the_page(processes, records):
    figures = first_picture.compare("demo", ["default script", "ours, FP32"], 1, 2)
    harness.write_record(records / "first_picture.json", {"pictures": 2, "workloads": {"demo": figures}})
    page = readme.pages(records)[ROOT / "docs" / "speed.md"]
    assert "| **ours, FP32** | 2.0 | 2.0 | 9.0 | 9.0 |" in page.split("<!-- first picture -->")[1]


def test_a_contender_is_run_whole_in_its_process(three, demo_workload, tmp_path):
    name = "ours, nothing set"
    assert one_contender.tag(name, demo_workload, three[0].parent, 2, tmp_path) == name
    assert [path.name for path in sorted((tmp_path / "images").iterdir())] == [
        f"{path.name}.json" for path in three[:2]
    ]


# --- two trees --------------------------------------------------------------------------------------------------------

FAKE_PACKAGE = """
import json, time

class ResidentModel:
    @classmethod
    def load(cls, model, precision):
        cls.precision = precision
        return cls()

def tag_folder(model, pictures, output, compile, limit):
    time.sleep({seconds})
    output.mkdir(parents=True)
    engine = {{"value": "as asked" if compile is True else "its own"}}
    summary = {{"precision": {{"value": model.precision}}, "batch_size": {{"value": 4}}, "engine": engine}}
    summary["compiled"] = {{"value": compile is True, "reason": "as asked"}}
    (output / "summary.json").write_text(json.dumps(summary))
"""


def tree_that_takes(seconds: float, folder: Path) -> Path:
    (folder / "wanwu_nb").mkdir(parents=True)
    (folder / "wanwu_nb" / "__init__.py").write_text(FAKE_PACKAGE.format(seconds=seconds))
    return folder


def test_a_run_is_timed_apart_from_what_is_measured_after_it(tmp_path):
    tree = tree_that_takes(1.0, tmp_path / "tree")
    way = compare_trees.Way("theirs", "fp32", "yes")
    run = compare_trees.run_once(tree, way, tmp_path / "model", 200, 10, {}, tmp_path)
    assert 1.0 < run["seconds"] < 1.9
    assert 100 <= run["ms"] < 150
    assert run["engine"]["value"] == "as asked"
    assert run["peak_mb"] > 1
    assert "fp32, as asked, batches of 4" in compare_trees.in_words(run)


def test_a_tree_that_was_to_compile_and_did_not_stops_the_comparison(tmp_path):
    tree = tree_that_takes(0.0, tmp_path / "tree")
    init = tree / "wanwu_nb" / "__init__.py"
    init.write_text(init.read_text().replace('"value": compile is True, ', '"value": False, '))
    with pytest.raises(RuntimeError, match="asked to compile, and did not: as asked"):
        compare_trees.run_once(tree, compare_trees.Way("theirs", "fp32", "yes"), tmp_path, 2, 1, {}, tmp_path)


def test_what_is_missing_is_said_before_anything_is_measured(monkeypatch):
    monkeypatch.setattr(harness, "OTHERS", ("json", "no_such_package", "neither_this"))
    with pytest.raises(SystemExit, match=r"no_such_package, neither_this not installed: pip install --editable"):
        harness.check_that_others_are_here()


def test_a_run_that_a_busy_machine_spoilt_is_run_again(tmp_path, monkeypatch):
    outcomes = [compare_trees.NotCompiled("proved slower"), {"seconds": 1.0}]

    def in_fresh_folder(*_):
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(compare_trees, "in_fresh_folder", in_fresh_folder)
    way = compare_trees.Way("theirs", "fp32", "yes")
    assert compare_trees.run_once(tmp_path, way, tmp_path, 2, 1, {}, tmp_path) == {"seconds": 1.0}


def test_this_tree_is_run_by_the_same_script(demo_workload, three, tmp_path, monkeypatch):
    monkeypatch.setattr(compare_trees, "pictures", lambda: three)
    run = compare_trees.run_once(ROOT, compare_trees.Way("ours", "fp32"), demo_workload, 2, 3, {}, tmp_path)
    assert run["engine"]["value"] == "torch eager"
    assert 0 < run["bound_ms"] < 3 * run["ms"]


def test_ratios_are_of_runs_of_one_turn():
    theirs = [{"seconds": seconds, "ms": 30.0, "peak_mb": 100.0} for seconds in (4.0, 8.0, 6.0)]
    ours = [{"seconds": seconds, "ms": 20.0, "peak_mb": 120.0, "bound_ms": 19.0} for seconds in (2.0, 2.0, 6.0)]
    figures = ratios.figures_of({"theirs, defaults": theirs, "ours, FP32": ours})
    of_ours = figures["ways"]["ours, FP32"]
    assert of_ours["against"]["theirs, defaults"]["seconds"] == (2.0, 1.0, 4.0)
    assert of_ours["efficiency"] == (0.95, 0.95, 0.95)
    assert figures["ways"]["theirs, defaults"]["seconds"] == (6.0, 4.0, 8.0)
    shown = ratios.table("demo", figures, 200, avx2=True)
    assert "200 pictures 2.00 (1.00 to 4.00) ×, a picture 1.50 (1.50 to 1.50) ×, memory 120%" in shown
    assert "held to AVX2" in shown


def test_the_ways_take_turns_and_preparing_is_not_counted(tmp_path, monkeypatch, capsys):
    ran = []

    def one_run(tree, way, model, count, again, variables, output):
        ran.append((tree.name, way.precision, count))
        precision = {"value": "fp32", "reason": "INT8 is not used"}
        return {"seconds": 1.0, "ms": 1.0, "engine": None, "precision": precision, "batch_size": {"value": 4}}

    monkeypatch.setattr(compare_trees, "one_run", one_run)
    monkeypatch.setattr(compare_trees, "model_for_both", lambda workload, parent: tmp_path)
    ways = {"theirs, defaults": compare_trees.Way("theirs"), "theirs, other": compare_trees.Way("theirs", "fp32")}
    ways["theirs, INT8"] = compare_trees.Way("theirs", "int8")
    runs = compare_trees.compare({"theirs": tmp_path / "old"}, "demo", ways, 2, 200, 64, {})
    prepared = [("old", "auto", 2), ("old", "fp32", 2), ("old", "int8", 2)]
    assert ran == [*prepared, *[("old", "auto", 200), ("old", "fp32", 200)] * 2]  # INT8's verdict did not hold
    assert [len(several) for several in runs.values()] == [2, 2]
    assert "theirs, INT8 · left out: INT8 is not used" in capsys.readouterr().out


def test_held_to_avx2_auto_is_what_it_would_be_there():
    held = compare_trees.held_ways()
    assert held["theirs, defaults"] == compare_trees.Way("theirs", "fp32")
    assert all(way.precision != "auto" for way in held.values())


def test_a_commit_is_laid_out_outside_the_tree_and_goes_again(tmp_path):
    with compare_trees.checkout(str(tmp_path)) as folder:
        assert folder == tmp_path
    with compare_trees.checkout("HEAD") as tree:
        assert not tree.is_relative_to(ROOT)
        assert (tree / "benchmarks" / "one_run.py").exists() or (tree / "wanwu_nb").is_dir()
    assert not tree.exists()
    with (
        pytest.raises(SystemExit, match="no-such-commit is neither a folder nor a commit"),
        compare_trees.checkout("no-such-commit"),
    ):
        pass


def test_a_folder_that_is_no_checkout_is_refused(tmp_path):
    with pytest.raises(SystemExit, match="is no checkout whose own wanwu_nb runs there"):
        compare_trees.check_runs_its_own_code(tmp_path)
    compare_trees.check_runs_its_own_code(ROOT)


# --- on a GPU ---------------------------------------------------------------------------------------------------------


def test_all_ways_of_feeding_a_gpu_run_and_are_told_apart(demo_workload, three, monkeypatch):
    """On the CPU, which can do all of it: torchcodec's decoder for the other device takes nvJPEG's place."""
    for name, value in {"ALONE": 3, "COUNT": 3, "REPEATS": 2}.items():
        monkeypatch.setattr(decoders, name, value)
    monkeypatch.setattr(decoders, "pictures", lambda count: three[:count])
    monkeypatch.setitem(workloads.WORKLOADS, "demo", SimpleNamespace(folder=lambda: demo_workload))
    figures = decoders.compare(["demo"])["workloads"]["demo"]
    assert list(figures["alone"]) == list(decoders.READERS)
    assert list(figures["runs"]) == ["CPU threads", "nvJPEG"]
    for median, low, high in [*figures["alone"].values(), *figures["runs"].values()]:
        assert 0 < low <= median <= high
    assert set(figures["network"]) == {"channels_last", "contiguous"}


def test_without_a_gpu_its_benchmarks_say_so(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(SystemExit, match="no CUDA GPU is visible to torch"):
        decoders.check_gpu()


def test_more_pictures_than_were_drawn_are_links_to_them(three, tmp_path, monkeypatch):
    monkeypatch.setattr(workloads, "demo_folder", lambda count: three[0].parent)
    monkeypatch.setattr(workloads, "user_cache_path", lambda name: tmp_path)
    drawn = sorted(three[0].parent.glob("*.jpg"))
    many = workloads.pictures(2 * len(drawn) + 1)
    assert len({path.name for path in many}) == 2 * len(drawn) + 1
    assert many[len(drawn)].samefile(drawn[0])
    assert workloads.pictures(2 * len(drawn) + 1) == many


@pytest.mark.parametrize(
    ("name", "earlier", "count"),
    [
        (contenders.DEFAULT, [], speed.DEFAULT_COUNT),
        (contenders.DEFAULT, [{"seconds": 0.01}], speed.DEFAULT_COUNT),
        ("ours, FP32", [], workloads.PICTURES),
        ("ours, FP32", [{"seconds": 0.1}], 64),
        ("ours, FP32", [{"seconds": 0.01}], 300),
        ("ours, FP32", [{"seconds": 0.0001}], speed.MOST),
    ],
)
def test_what_is_done_at_once_is_timed_over_more_pictures(name, earlier, count):
    assert speed.count_for(name, earlier, 64) == count


@pytest.mark.parametrize(
    ("agreement", "label"), [(None, "11.2×"), (0.996, "11.2×"), (0.95, "11.2×"), (0.725, "11.2×, 72% agree")]
)
def test_a_bar_says_where_speed_was_bought_with_tags(agreement, label):
    assert chart.label_of({"times_default": 11.17, "agreement": agreement}) == label
