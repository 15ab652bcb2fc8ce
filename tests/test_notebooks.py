"""The notebooks: committed with outputs, run by nbval and by papermill, wrong parameters stopped."""

import copy
import json
import shutil
import subprocess
import sys

import nbformat
import pytest
from conftest import SCENES, TAG_BATCH, contents, papermill
from execute_notebooks import NOTEBOOKS, normalised

from wanwu_nb.settings import Settings

ALL = sorted(NOTEBOOKS.glob("*.ipynb"))


def test_there_are_notebooks():
    assert TAG_BATCH in ALL


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_committed_notebooks_are_executed_and_normalised(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert notebook == normalised(copy.deepcopy(notebook)), "run `make notebooks`"
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not any(output.output_type == "error" for cell in code for output in cell.outputs)
    compared = [cell for cell in code if "nbval-check-output" in cell.metadata.get("tags", [])]
    assert compared and all(cell.outputs for cell in compared), "nbval compares nothing"
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
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stdout[-3000:]


def test_the_parameters_cell_is_the_settings():
    """Same names, order, defaults and help; one a line, as `papermill --help-notebook` reads them."""
    notebook = nbformat.read(TAG_BATCH, as_version=4)
    (cell,) = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    lines = [
        f"{name}: {field.annotation.__name__ if isinstance(field.annotation, type) else 'str'} = "
        f"{json.dumps(field.default) if isinstance(field.default, str) else field.default}  # {field.description}"
        for name, field in Settings.model_fields.items()
    ]
    assert cell.source.splitlines() == lines


def test_papermill_with_other_parameters_from_another_folder(scenes, tmp_path):
    arguments = "-p", "image_dir", scenes, "-p", "output_dir", "tags", "-p", "batch_size", "4", "-p", "limit", "6"
    run = papermill(tmp_path, *arguments)
    assert run.returncode == 0, run.stderr[-3000:]
    summary = json.loads((tmp_path / "tags/summary.json").read_text(encoding="utf-8"))
    assert (summary["total_images"], summary["processed"], summary["batch_size"]["value"]) == (6, 6, 4)
    assert len(contents(tmp_path / "tags")) == 6 < SCENES
    again = papermill(tmp_path, *arguments, "-p", "resume", "false")  # the text "false"
    assert again.returncode == 0, again.stderr[-3000:]
    assert json.loads((tmp_path / "tags/summary.json").read_text(encoding="utf-8"))["processed"] == 6


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("-p", "conf_treshold", "0.5"), "unknown parameter conf_treshold: did you mean conf_threshold?"),
        (("-p", "image_dir", "nowhere"), "does not exist: check image_dir"),
    ],
)
def test_papermill_stops_at_wrong_parameters(tmp_path, arguments, says):
    run = papermill(tmp_path, "-p", "demo_images", "1", *arguments)
    assert run.returncode != 0 and says in run.stderr
    assert not (tmp_path / "runs").exists()


def test_papermill_fails_when_too_many_pictures_did_but_writes_the_rest(scenes, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    shutil.copy(next(scenes.glob("*.jpg")), folder / "good.jpg")
    (folder / "bad.jpg").write_text("no picture")
    run = papermill(tmp_path, "-p", "image_dir", "pictures")
    assert run.returncode != 0 and "1 of 2 pictures failed" in run.stderr
    summary = json.loads((tmp_path / "runs/tags/summary.json").read_text(encoding="utf-8"))
    assert (summary["processed"], summary["failed"]) == (1, 1)
