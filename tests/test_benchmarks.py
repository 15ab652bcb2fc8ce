"""Benchmarks: the figures in the pages are the records, each with its machine; every variant is what it says."""

import importlib
import inspect
import json
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from benchmarks import choices, compare_trees, contenders, harness, pipelines, readme, scaled_decoding, speed, workloads
from wanwu_nb import running
from wanwu_nb.finding import find_images
from wanwu_nb.fitting import InputSpec
from wanwu_nb.images import read
from wanwu_nb.quality import agreement
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
    assert tables == 5


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
    assert re.match(r"On .+ memory stays flat: .+ On 40 cores of Intel Xeon the 629 MB model is ready", apart)


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
    with pytest.raises(RuntimeError, match=r"benchmarks\.broken failed on demo ours:\nno such model"):
        harness.run_child("benchmarks.broken", ["demo", "ours"], checkout=tree)


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
    import torch

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


@pytest.mark.parametrize("name", ["DataLoader, FP32", "ours"])
def test_a_contender_writes_whole_results_that_agree(name, demo_workload, three, reference, tmp_path):
    ready = contenders.CONTENDERS[name].prepare(demo_workload, three, tmp_path)
    ready.run()
    pairs = []
    for path in three:
        expected, result = read_result(reference, path.name), read_result(tmp_path, path.name)
        assert (result.image, result.width, result.height) == (path.name, 1920, 1080)
        pairs.append((expected.objects, result.objects))
    assert agreement(pairs).value > 0.9
    if name == "ours":
        limits = speed.limits(ready)
        assert limits["bound"] >= max(limits["decode"], limits["forward"]) > 0


def test_a_whole_pictures_tags_are_written_like_everybodys(tmp_path):
    pipelines.write_tags(tmp_path, "a.jpg", (640, 480), ["灯", "椅"], [1, 0], [0.75, 0.25])
    result = read_result(tmp_path, "a.jpg")
    assert [tag[:4] for tag in result.objects] == [("灯", 1, 0.75, None), ("椅", 0, 0.25, None)]
    assert (result.width, result.height) == (640, 480)


def test_a_row_is_made_of_medians():
    runs = [{"seconds": seconds, "peak_mb": 100 * seconds, "bound": 1.0} for seconds in (2.0, 4.0, 1.0)]
    row = speed.row_of("ours", runs, default=8.0, share=None)
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


@pytest.mark.parametrize("orientation", [1, 6])
def test_scaled_decoding_gives_the_same_input_and_the_photos_own_size(orientation, tmp_path):
    ramp = np.add.outer(np.arange(800), np.arange(1200)) * 255 // 2000
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Image.fromarray(ramp.astype(np.uint8)).convert("RGB").save(tmp_path / "a.jpg", exif=exif)
    spec = InputSpec(160, 160, "letterbox", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    full, scaled = read(tmp_path, spec, "a.jpg"), scaled_decoding.read_scaled(tmp_path, spec, "a.jpg")
    assert scaled.placement == full.placement
    assert (scaled.image.int() - full.image.int()).abs().float().mean() < 2


def test_scaled_decoding_tags_with_the_packages_tagger(model, three, monkeypatch):
    monkeypatch.setattr(scaled_decoding, "BATCH_SIZE", 3)
    pictures = [read(path.parent, model.checkpoint.spec, path.name) for path in three]
    tags = scaled_decoding.tag(model, pictures)
    assert tags == [detections.tags for detections in model.predict(three)]


# --- two trees --------------------------------------------------------------------------------------------------------

FAKE_SPEED = """
import json, sys
workload, contender, count, output = sys.argv[2:]
print(json.dumps({{"seconds": {seconds}, "peak_mb": {peak_mb}, "pictures": int(count)}}))
"""


def test_two_trees_are_compared_run_by_run(tmp_path, capsys):
    old = checkout(tmp_path / "old", "speed", FAKE_SPEED.format(seconds=0.02, peak_mb=100))
    new = checkout(tmp_path / "new", "speed", FAKE_SPEED.format(seconds=0.01, peak_mb=150))
    figures = compare_trees.compare(old, new, "demo", "ours, compiled", repeats=1)
    assert figures["ms"]["ratio"] == (0.5, 0.5, 0.5)
    assert figures["ms"]["noise"] == (1.0, 1.0, 1.0)
    assert figures["peak_mb"]["ratio"][0] == 1.5
    assert "demo · ours, compiled · ms a picture: old 20.00 " in capsys.readouterr().out


def test_the_noise_is_the_old_tree_against_itself():
    comparison = compare_trees.compare_figure([1.0, 2.0, 1.0], [1.5, 1.5, 3.0], [2.0, 1.0, 1.0])
    assert comparison.ratio == (1.0, 1.0, 3.0)
    assert comparison.noise == (1.0, 0.5, 2.0)


def test_a_folder_that_is_no_checkout_is_refused(tmp_path):
    with pytest.raises(SystemExit, match="is no checkout whose own wanwu_nb runs there"):
        compare_trees.check_runs_its_own_code(tmp_path)
    compare_trees.check_runs_its_own_code(ROOT)
