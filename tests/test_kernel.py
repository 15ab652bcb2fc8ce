"""Kind to whoever tries, in a real kernel: corrected cells, sentences instead of tracebacks, interrupts, progress."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from conftest import SCENES, TAG_BATCH, contents, papermill
from kernels import PATIENCE, Kernel

from wanwu_nb import tag_folder

NOTEBOOK = nbformat.read(TAG_BATCH, as_version=4)
PARAMETERS = next(cell.source for cell in NOTEBOOK.cells if "parameters" in cell.metadata.get("tags", []))
CHECK = """
from wanwu_nb.parameters import read_parameters
from wanwu_nb.settings import TagBatchSettings

settings = read_parameters(globals(), TagBatchSettings)
print(settings.image_dir, settings.conf_threshold)
"""
MISSPELT = PARAMETERS.replace("conf_threshold: float = 0.3", "conf_treshold: float = 0.7")


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kernel")
    kernel = Kernel(folder, os.environ | {"XDG_CACHE_HOME": str(folder / "cache")})
    kernel.folder = folder
    yield kernel
    kernel.stop()


@pytest.fixture
def kernel(running):
    """The same process for all tests, since torch takes seconds; what earlier cells left is what this is about."""
    running.run("%reset -f")
    running.run("get_ipython().history_manager.reset(new_session=False)")
    return running


def test_a_misspelt_parameter_is_named_and_no_missing_one(kernel):
    kernel.run(MISSPELT)
    shown = kernel.run(CHECK)
    assert shown.value == "unknown parameter conf_treshold: did you mean conf_threshold?"


def test_a_corrected_cell_runs_although_the_kernel_remembers_the_misspelt_name(kernel):
    kernel.run(PARAMETERS + "\nconf_treshold = 0.7")
    assert "did you mean conf_threshold?" in kernel.run(CHECK).value
    kernel.run(PARAMETERS.replace("= 0.3", "= 0.7"))
    shown = kernel.run(CHECK)
    assert shown.error == ""
    assert shown.text == "demo 0.7\n"
    assert kernel.run("print(conf_treshold)").text == "0.7\n"  # it lives on


def test_variables_of_other_cells_refuse_no_run(kernel):
    kernel.run("threshold = 0.5\nnames = ['a']")
    kernel.run(PARAMETERS)
    kernel.run("for i in range(3):\n    limits = i")
    assert kernel.run(CHECK).error == ""
    assert kernel.run("batchsize = 3\n" + CHECK).error == ""


def test_what_papermill_puts_in_is_checked_until_the_parameters_cell_is_run_again(kernel):
    kernel.run(PARAMETERS)
    kernel.run('# Parameters\nimage_dir = "photos"\ntop_kk = None\n')
    assert kernel.run(CHECK).value.startswith("unknown parameter top_kk: did you mean top_k?")
    kernel.run('# Parameters\nimage_dir = "photos"\n')
    assert kernel.run(CHECK).text == "photos 0.3\n"
    kernel.run(PARAMETERS)
    assert kernel.run(CHECK).text == "demo 0.3\n"


def test_magics_and_cells_that_are_no_python_are_no_obstacle(kernel):
    kernel.run("%precision 3\n" + MISSPELT + "\n!true")
    kernel.run("%%time\nx = 1")
    kernel.run("this is no Python\n" + PARAMETERS)
    assert "did you mean conf_threshold?" in kernel.run(CHECK).value
    kernel.run("%precision 3\n" + PARAMETERS)
    kernel.run("!true")
    assert kernel.run(CHECK).error == ""


def test_one_cell_for_all_runs_twice(kernel):
    """What is assigned after the parameters were read is none."""
    cell = PARAMETERS + CHECK + "\noutput = settings.output_dir\nfor i in range(2):\n    pass"
    kernel.run(cell)
    assert kernel.run(cell).error == ""


@pytest.mark.parametrize("name", ["Image_dir", "IMAGE_DIR", "imageDir"])
def test_a_parameter_in_another_case_gets_a_suggestion(kernel, name):
    kernel.run(PARAMETERS.replace("image_dir: str", name))
    assert kernel.run(CHECK).value == f"unknown parameter {name}: did you mean image_dir?"


def test_a_path_is_taken_and_a_misspelt_one_refused(kernel):
    """Although `image_dir` of the run before lives on in the kernel."""
    cell = 'from pathlib import Path\nroot = Path("data")\n' + PARAMETERS
    kernel.run(cell.replace('image_dir: str = "demo"', 'image_dir = root / "photos"'))
    assert kernel.run(CHECK).text == "data/photos 0.3\n"
    kernel.run(cell.replace('image_dir: str = "demo"', 'image_dirs = root / "photos"'))
    assert kernel.run(CHECK).value == "unknown parameter image_dirs: did you mean image_dir?"


@pytest.mark.parametrize("typed", ["2024_01_15", "007", "2024.10", "1e5"])
def test_the_advice_keeps_a_folders_name_as_it_was(kernel, typed):
    """What papermill writes into the notebook has lost it; the folder itself has not."""
    folder = kernel.folder / typed
    number = repr(float(typed) if "." in typed or "e" in typed else int(typed))
    kernel.run(PARAMETERS)
    kernel.run(f"# Parameters\nimage_dir = {number}\n")
    advice = f"image_dir must be text, not {number}: papermill's -p makes numbers of digits, use -r image_dir"
    assert kernel.run(CHECK).value == f"{advice} NAME, with the name as it was typed"
    folder.mkdir()
    assert kernel.run(CHECK).value == f"{advice} {typed}"


def test_an_error_is_its_sentence_and_the_traceback_comes_on_request(kernel):
    kernel.run(MISSPELT)
    shown = kernel.run(CHECK)
    assert shown.error == "SettingsError"
    assert shown.lines == [f"SettingsError: {shown.value}"]
    asked = "\n".join(kernel.run("%tb").lines)
    assert "read_parameters" in asked
    assert shown.value in asked
    kernel.run("%env WANWU_NB_TRACEBACK=1")
    at_once = "\n".join(kernel.run(CHECK).lines)
    kernel.run("%env WANWU_NB_TRACEBACK=0")
    assert "read_parameters" in at_once


def test_an_error_raised_from_another_is_its_sentence_too(kernel):
    kernel.run("from wanwu_nb.errors import ModelError")
    shown = kernel.run(
        "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise ModelError('no model') from error"
    )
    assert shown.lines == ["ModelError: no model"]
    assert "ZeroDivisionError" in "\n".join(kernel.run("%tb").lines)


def test_papermill_shows_the_sentence_and_the_folders_name(tmp_path):
    (tmp_path / "2024_01_15").mkdir()
    run = papermill(tmp_path, "-p", "image_dir", "2024_01_15")
    assert run.returncode == 1
    assert "use -r image_dir 2024_01_15\n" in run.stderr
    cells = nbformat.read(tmp_path / "out.ipynb", as_version=4).cells
    (error,) = [output for cell in cells for output in cell.get("outputs", []) if output.output_type == "error"]
    assert error.traceback == [f"SettingsError: {error.evalue}"]


def in_batches_of_two(scenes: Path, output: Path, resume: bool = True) -> str:
    return f"tag_folder(model, {str(scenes)!r}, {str(output)!r}, batch_size=2, compile=False, resume={resume})"


HELD = """
import time
from wanwu_nb import ResidentModel, tag_folder

model = ResidentModel.load("demo", device="cpu", precision="fp32")
launch, batches = model.launch, []

def hold_the_third(batch):
    batches.append(batch)
    if len(batches) == 3:
        print("held", flush=True)
        time.sleep(600)
    return launch(batch)

model.launch = hold_the_third
"""


def test_an_interrupt_says_in_one_line_what_is_done_and_how_to_go_on(kernel, scenes, tmp_path):
    kernel.run(HELD)
    cell = in_batches_of_two(scenes, tmp_path)
    shown = kernel.run(cell, interrupt_at="held")
    assert shown.error == "KeyboardInterrupt"
    sentence = f"stopped: 4 of {SCENES} pictures are done and stay so; run the same again to go on"
    assert shown.lines == [f"KeyboardInterrupt: {sentence}"]
    assert "hold_the_third" in "\n".join(kernel.run("%tb").lines)
    assert len(contents(tmp_path)) == 4
    assert not (tmp_path / "summary.json").exists()
    again = kernel.run(f"summary = {cell}\nprint(summary.resumed, summary.processed)")  # the kernel goes on
    assert again.error == ""
    assert again.text.endswith("4 6\n")


def test_an_interrupt_of_a_run_that_does_not_resume_says_so(kernel, scenes, tmp_path):
    kernel.run(HELD)
    shown = kernel.run(in_batches_of_two(scenes, tmp_path, resume=False), interrupt_at="held")
    assert shown.value.endswith("run the same again with resume=True to go on")


def test_an_interrupt_before_pictures_are_known_is_one_line_too(kernel, scenes, tmp_path):
    kernel.run(HELD)
    kernel.run(
        "from wanwu_nb import tagging\n"
        "def hold(*arguments, **keywords):\n    print('held', flush=True)\n    time.sleep(600)\n"
        "find, tagging.list_pictures = tagging.list_pictures, hold"
    )
    shown = kernel.run(in_batches_of_two(scenes, tmp_path), interrupt_at="held")
    kernel.run("tagging.list_pictures = find")
    assert shown.lines == ["KeyboardInterrupt: stopped: what is done stays so; run the same again to go on"]


# A shell starts background jobs with SIGINT ignored, and what they start inherits it: the tests may run in one.
AS_IN_A_TERMINAL = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)"


def test_a_script_that_is_interrupted_ends_as_one_that_was():
    """So that a loop in a shell stops too: Python does it for KeyboardInterrupt alone, not for a class below it."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == -signal.SIGINT
    assert errors.endswith("KeyboardInterrupt: stopped: what is done stays so; run the same again to go on\n")


SCRIPT = f"""{AS_IN_A_TERMINAL}
import time
from wanwu_nb.progress import tell_how_to_go_on

with tell_how_to_go_on(resume=True):
    print("held", flush=True)
    time.sleep(600)
"""


def test_papermill_that_is_interrupted_fails_and_leaves_a_folder_to_go_on_with(model, scenes, tmp_path):
    pictures, output = tmp_path / "pictures", tmp_path / "runs/tags"
    pictures.mkdir()
    for number in range(COPIES):
        for scene in scenes.glob("*.jpg"):
            os.link(scene, pictures / f"{number:03}_{scene.name}")
    start = f"{AS_IN_A_TERMINAL}\nfrom papermill.cli import papermill\npapermill()"
    parameters = "image_dir=pictures model=demo batch_size=2 compile=False device=cpu precision=fp32"
    arguments = [part for one in parameters.split() for part in ("-p", *one.split("="))]
    command = [sys.executable, "-c", start, TAG_BATCH, "out.ipynb", "-k", "python3", *arguments]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE)
    until = time.monotonic() + PATIENCE
    while not list(output.glob("images/*.json")):
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert process.returncode != 0
    assert not (output / "summary.json").exists()
    assert len(contents(output)) < COPIES * SCENES
    summary = tag_folder(model, pictures, output, batch_size=2, compile=False, limit=4)  # nobody holds the folder
    assert summary.resumed > 0


COPIES = 60  # of each scene: the signal may be late on a busy machine


def test_drawing_demo_pictures_shows_how_far_it_is_and_nothing_where_they_lie(kernel):
    cell = "from wanwu_nb.demo import demo_folder\nfolder = demo_folder(2)"
    first, last = kernel.run(cell).text.splitlines()
    assert first == "demo pictures are drawn, once for all runs"
    assert last.startswith("2 of 2 pictures · 0 failed · ")
    assert " 0.0 pictures/s" not in last
    assert kernel.run(cell).text == ""
    assert "scene_00001.jpg" in kernel.run("print(sorted(path.name for path in folder.iterdir()))").text


def test_drawing_shows_a_bar_to_somebody_who_watches(kernel):
    shown = kernel.run("from wanwu_nb.demo import demo_folder\ndemo_folder(1)", watched=True).text
    assert "demo pictures are drawn" in shown
    assert "1/1" in shown
