"""The notebooks: committed with outputs, run by nbval and by papermill, wrong parameters stopped."""

import copy
import json
import os
import shutil
import subprocess
import sys

import nbformat
import pytest
from conftest import NOTEBOOKS, SCENES, contents, papermill
from execute_notebooks import normalised
from model_files import classifier
from PIL import Image

from wanwu_nb import settings

ALL = sorted(NOTEBOOKS.glob("*.ipynb"))
PROFILE, SPEED_UP = NOTEBOOKS / "01_profile_baseline.ipynb", NOTEBOOKS / "02_speed_up.ipynb"


def test_every_notebook_has_its_settings():
    assert [path.stem for path in ALL] == sorted(settings.NOTEBOOKS)


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_committed_notebooks_are_executed_and_normalised(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert notebook == normalised(copy.deepcopy(notebook)), "run `make notebooks`"
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not any(output.output_type == "error" for cell in code for output in cell.outputs)
    compared = [cell for cell in code if "nbval-check-output" in cell.metadata.get("tags", [])]
    assert compared, "nbval compares nothing"
    assert all(cell.outputs for cell in compared), "nbval compares nothing"
    assert not any("/root/" in str(cell) or "/home/" in str(cell) for cell in notebook.cells)


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_nbval(path, tmp_path):
    """In a temporary copy: what an earlier run left beside the notebook must not change what it shows."""
    shutil.copy(path, tmp_path)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--nbval-lax",
        "--nbval-current-env",
        "-p",
        "no:cacheprovider",
        path.name,
    ]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=900)
    assert run.returncode == 0, run.stdout[-3000:]


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_the_parameters_cell_is_the_settings(path):
    """Same names, order, defaults and help; one a line, as `papermill --help-notebook` reads them."""
    kind = settings.NOTEBOOKS[path.stem]
    notebook = nbformat.read(path, as_version=4)
    (cell,) = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    lines = [
        f"{name}: {field.annotation.__name__ if isinstance(field.annotation, type) else 'str'} = "
        f"{json.dumps(field.default) if isinstance(field.default, str) else field.default}  # {field.description}"
        for name, field in kind.model_fields.items()
    ]
    assert cell.source.splitlines() == lines


def test_papermill_with_other_parameters_from_another_folder(scenes, tmp_path):
    arguments = "-p", "image_dir", scenes, "-p", "output_dir", "tags", "-p", "batch_size", "4", "-p", "limit", "6"
    run = papermill(tmp_path, *arguments, "-p", "exports", "jsonl")
    assert run.returncode == 0, run.stderr[-3000:]
    summary = json.loads((tmp_path / "tags/summary.json").read_text(encoding="utf-8"))
    assert (summary["total_images"], summary["processed"], summary["batch_size"]["value"]) == (6, 6, 4)
    assert len(contents(tmp_path / "tags")) == 6 < SCENES
    assert len((tmp_path / "tags/tags.jsonl").read_bytes().splitlines()) == 6
    assert not (tmp_path / "tags/tags.csv").exists()
    again = papermill(tmp_path, *arguments, "-p", "resume", "false")  # the text "false"
    assert again.returncode == 0, again.stderr[-3000:]
    assert json.loads((tmp_path / "tags/summary.json").read_text(encoding="utf-8"))["processed"] == 6


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("-p", "conf_treshold", "0.5"), "unknown parameter conf_treshold: did you mean conf_threshold?"),
        (("-p", "image_dir", "nowhere"), "does not exist: check image_dir"),
        (("-p", "exports", "csv,xslx"), "unknown export xslx: did you mean xlsx?"),
    ],
)
def test_papermill_stops_at_wrong_parameters(tmp_path, arguments, says):
    run = papermill(tmp_path, "-p", "demo_images", "1", *arguments)
    assert run.returncode == 1
    assert says in run.stderr
    assert not (tmp_path / "runs").exists()


def test_papermill_fails_when_too_many_pictures_did_but_writes_the_rest(scenes, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    shutil.copy(next(scenes.glob("*.jpg")), folder / "good.jpg")
    (folder / "bad.jpg").write_text("no picture")
    run = papermill(tmp_path, "-p", "image_dir", "pictures")
    assert run.returncode == 1
    assert "1 of 2 pictures failed" in run.stderr
    summary = json.loads((tmp_path / "runs/tags/summary.json").read_text(encoding="utf-8"))
    assert (summary["processed"], summary["failed"]) == (1, 1)
    assert len((tmp_path / "runs/tags/tags.csv").read_bytes().splitlines()) == 2


def test_an_export_that_fails_fails_the_run_after_all_else_is_written(scenes, tmp_path):
    """Somebody's own folder lies where one would go."""
    (tmp_path / "tags" / "voc").mkdir(parents=True)
    run = papermill(tmp_path, "-p", "image_dir", scenes, "-p", "output_dir", "tags", "-p", "exports", "voc,csv")
    assert run.returncode == 1
    assert "not exported: voc: " in run.stderr
    assert "voc is there and no export wrote it: move it away" in run.stderr
    assert len((tmp_path / "tags/tags.csv").read_bytes().splitlines()) == 1 + SCENES
    summary = json.loads((tmp_path / "tags/summary.json").read_text(encoding="utf-8"))
    assert (summary["processed"], summary["failed"]) == (SCENES, 0)
    *others, last = [c for c in nbformat.read(tmp_path / "out.ipynb", as_version=4).cells if c.cell_type == "code"]
    assert last.metadata.papermill.exception
    shown = "".join(str(output.get("data", {}).get("text/html", "")) for cell in others for output in cell.outputs)
    assert '<a href="tags/tags.csv">tags.csv</a>' in shown


def test_a_picture_that_has_left_an_inbox_does_not_stop_the_next_night(scenes, tmp_path):
    """The sheet shows this run's pictures, not all that were ever tagged into the folder."""
    first, second, third = sorted(scenes.glob("*.jpg"))[:3]
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for tonight in ((first, second), (third,)):
        for path in inbox.iterdir():
            path.unlink()
        for path in tonight:
            shutil.copy(path, inbox)
        run = papermill(tmp_path, "-p", "image_dir", "inbox")
        assert run.returncode == 0, run.stderr[-3000:]
    assert len(contents(tmp_path / "runs/tags")) == 3
    summary = json.loads((tmp_path / "runs/tags/summary.json").read_text(encoding="utf-8"))
    assert (summary["total_images"], summary["processed"]) == (1, 1)
    with Image.open(tmp_path / "runs/tags/contact_sheet.jpg") as sheet:
        assert sheet.height < sheet.width / 3  # one row, for one picture


@pytest.mark.parametrize("path", [PROFILE, SPEED_UP], ids=lambda path: path.stem)
def test_the_teaching_notebooks_take_other_models_and_pictures_and_their_first_cells_run_again(path, scenes, tmp_path):
    """Without ground truth, without boxes; and at the end the cell that checks the parameters once more."""
    notebook = nbformat.read(path, as_version=4)
    check = next(cell for cell in notebook.cells if "read_parameters(globals()" in cell.source)
    notebook.cells.append(nbformat.v4.new_code_cell(check.source))
    nbformat.write(notebook, tmp_path / path.name)
    model = classifier(tmp_path, "timm")
    arguments = {"image_dir": scenes, "model": model, "architecture": "timm/resnet18", "limit": 3}
    arguments |= {"repeats": 1, "steps": "resident, overlapped"} if path == SPEED_UP else {}
    parameters = [part for name, value in arguments.items() for part in ("-p", name, value)]
    run = papermill(tmp_path, *parameters, "-p", "labels", tmp_path / "labels.txt", notebook=tmp_path / path.name)
    assert run.returncode == 0, run.stderr[-3000:]
    outputs = [o for cell in nbformat.read(tmp_path / "out.ipynb", as_version=4).cells for o in cell.get("outputs", [])]
    streams = [output for output in outputs if output.output_type == "stream"]
    assert not [output.text for output in streams if output.name == "stderr"]
    printed = "".join(output.text for output in streams)
    assert "3 pictures" in printed
    assert "% of the time" in printed
    if path == SPEED_UP:
        assert "no ground truth" in printed
        assert "left out by the parameter steps" in printed
        assert "no step surely changes more tags" in printed


@pytest.mark.parametrize(
    ("network", "says"),
    [
        ("Odd", "batched, fp32, agrees with the default on 0.0% of the tags"),
        ("TooLarge", "the default step was not run (CUDA out of memory. Tried to allocate 9 GiB.)"),
    ],
)
def test_the_verdict_fails_the_run_after_all_else_is_shown(scenes, tmp_path, network, says):
    """Speed bought with wrong tags; or nothing that could run."""
    (tmp_path / "odd.py").write_text(ODD, encoding="utf-8")
    (tmp_path / "labels.txt").write_text("台灯\n椅子", encoding="utf-8")
    environment = {"PYTHONPATH": str(tmp_path)}
    make = f"import odd, torch; torch.save(odd.{network}(), 'odd.pth')"
    subprocess.run([sys.executable, "-c", make], cwd=tmp_path, env=os.environ | environment, check=True)
    arguments = "-p", "image_dir", scenes, "-p", "model", "odd.pth", "-p", "trust_pickle", "true", "-p", "repeats", "1"
    run = papermill(tmp_path, *arguments, "-p", "steps", "batched", notebook=SPEED_UP, environment=environment)
    assert run.returncode == 1
    assert says in run.stderr
    code = [cell for cell in nbformat.read(tmp_path / "out.ipynb", as_version=4).cells if cell.cell_type == "code"]
    assert [bool(cell.metadata.papermill.exception) for cell in code[-2:]] == [False, True]


ODD = """
import torch

class Odd(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.scores = torch.nn.Parameter(torch.tensor([2.0, 1.0]))

    def forward(self, images):
        scores = self.scores if len(images) == 1 else self.scores.flip(0)
        return scores.expand(len(images), 2)

class TooLarge(Odd):
    def forward(self, images):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB.")
"""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("-p", "steps", "residnet"), "did you mean resident?"),
        (("-p", "truth", "nowhere.json"), "nowhere.json does not exist: check truth"),
        (("-p", "repeats", "0"), "repeats=0 is not valid"),
    ],
)
def test_the_speed_up_stops_at_wrong_parameters_before_anything_is_measured(tmp_path, arguments, says):
    run = papermill(tmp_path, *arguments, notebook=SPEED_UP)
    assert run.returncode == 1
    assert says in run.stderr
