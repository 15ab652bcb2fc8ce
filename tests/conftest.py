"""Shared by the tests: the demo model, a folder of drawn scenes, and real photographs."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import skimage
from consumers import KEPT_OUT
from PIL import Image

from wanwu_nb import ResidentModel
from wanwu_nb.demo.scenes import draw_folder
from wanwu_nb.engines.cache import FOLDER

SCENES = 10
NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
TAG_BATCH = NOTEBOOKS / "03_tag_batch.ipynb"
FIRST_SEED = 700_000  # seen neither by the demo nor in training

for library in KEPT_OUT:
    sys.modules[library] = None  # as if it were not installed: whoever needs one asks consumers.py


@pytest.fixture(scope="session", autouse=True)
def engines(tmp_path_factory) -> Path:
    """Where engines are kept, here and in all processes that tests start: not among the user's."""
    folder = tmp_path_factory.mktemp("engines")
    os.environ[FOLDER] = str(folder)
    return folder


@pytest.fixture(scope="session")
def model() -> ResidentModel:
    return ResidentModel.load("demo", device="cpu", precision="fp32")


@pytest.fixture(scope="session")
def scenes(tmp_path_factory) -> Path:
    """Ten drawn scenes with ground truth; read only."""
    folder = tmp_path_factory.mktemp("scenes")
    draw_folder(folder, SCENES, FIRST_SEED)
    return folder


@pytest.fixture(scope="session")
def files(tmp_path_factory) -> Callable[[str], Path]:
    """The demo's weights in every form that is served, made when first asked for."""
    made = {}

    def file(form: str) -> Path:
        from model_files import demo_as  # here: it takes a second, and few tests ask for it

        if form not in made:
            made[form] = demo_as(form, tmp_path_factory.mktemp(form.replace(" ", "_")))
        return made[form]

    return file


@pytest.fixture(scope="session")
def photograph() -> Image.Image:
    """A real photograph: a cup of coffee, 600 x 400, from scikit-image."""
    return Image.open(Path(skimage.__file__).parent / "data" / "coffee.png").convert("RGB")


def papermill(
    cwd: Path, *arguments: str, notebook: Path = TAG_BATCH, environment: dict | None = None
) -> subprocess.CompletedProcess:
    """Run a notebook as a schedule does, from any folder."""
    command = [sys.executable, "-m", "papermill", "-k", "python3", notebook, "out.ipynb", *map(str, arguments)]
    variables = os.environ | (environment or {})
    return subprocess.run(command, cwd=cwd, env=variables, capture_output=True, text=True, timeout=300)


def contents(output: Path) -> dict[str, bytes]:
    """Every file below output/images, by relative path."""
    images = output / "images"
    return {str(path.relative_to(images)): path.read_bytes() for path in images.rglob("*") if path.is_file()}
