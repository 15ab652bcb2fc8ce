"""What users meet first: the lists of packages agree, the README is true, light imports, a broken torch says so."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torchvision
import yaml
from packages import PROJECT, ROOT, constraints, names_of, requirements
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from PIL import Image

from wanwu_nb.settings import AdvancedSettings, TagBatchSettings

README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
EXTRAS = "notebooks,test"  # what make and conda install


def python(code: str, cwd: Path) -> subprocess.CompletedProcess:
    """Run some lines in a fresh process, in which nothing has been imported yet."""
    return subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True)


# --- packages ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("extra", PROJECT["optional-dependencies"])
def test_every_dependency_is_pinned_within_its_bounds(extra):
    pinned = constraints()
    for requirement in requirements(extra):
        assert pinned[canonicalize_name(requirement.name)] in requirement.specifier, requirement


def test_conda_and_make_install_the_same_packages():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    *conda, pip = environment["dependencies"]
    (interpreter,) = [line for line in conda if line.startswith("python=")]
    version = interpreter.removeprefix("python=")
    assert Version(version) in Requirement(f"python{PROJECT['requires-python']}").specifier
    assert pip == {"pip": ["--constraint constraints.txt", f"-e .[{EXTRAS}]"]}
    assert set(conda) == {interpreter, "pip"}, "the list of packages is pyproject.toml's alone"
    assert f"--constraint constraints.txt --editable '.[{EXTRAS}]'" in MAKEFILE


def test_the_users_packages_are_all_asked_for():
    named = {"jupyterlab", "papermill", "torch", "torchvision", "pillow", "matplotlib", "pandas", "nbval"}
    assert named <= names_of(*EXTRAS.split(","))


def test_tagging_alone_needs_nothing_that_draws_teaches_or_opens_notebooks():
    extras = names_of("notebooks") - names_of()
    assert extras >= {"matplotlib", "pandas", "zhplot", "resvg-py", "psutil", "nvidia-ml-py", "jupyterlab", "papermill"}


def test_the_changelog_begins_with_this_version():
    newest = re.search(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert newest[1] == Version(PROJECT["version"]).base_version


# --- make and pytest --------------------------------------------------------------------------------------------------


def test_make_help_shows_every_target():
    targets = re.search(r"^\.PHONY: (.+)$", MAKEFILE, flags=re.MULTILINE)[1].split()
    run = subprocess.run(["make", "--silent", "help"], cwd=ROOT, capture_output=True, text=True)
    shown = [line.split()[1] for line in run.stdout.splitlines()]
    assert shown == targets
    assert shown[0] == "help"
    assert all(len(line.split()) > 3 for line in run.stdout.splitlines()), "each says what it is for"


def test_make_bench_renews_every_record_before_the_pages():
    recipe = MAKEFILE.split("\nbench:")[1].split("\n\n")[0]
    for record in (ROOT / "benchmarks" / "results").glob("*.json"):
        if record.stem == "demo_accuracy":
            continue  # `make accuracy`
        if record.stem == "decoders" or record.stem.endswith("_gpu"):
            continue  # `make gpu`
        name = record.stem.split("_")[0] if record.stem.startswith("speed_") else record.stem
        assert f"-m benchmarks.{name} --record" in recipe, record.name
    assert recipe.splitlines()[-1].endswith("-m benchmarks.readme")


def test_make_gpu_renews_its_records_before_the_pages():
    recipe = MAKEFILE.split("\ngpu:")[1].split("\n\n")[0].splitlines()
    assert recipe[-2].endswith("-m benchmarks.on_gpu --record $(RESULTS)")
    assert recipe[-1].endswith("-m benchmarks.readme")


@pytest.mark.parametrize("mode", [[], ["-P"]], ids=["python -m pytest", "pytest"])
def test_benchmarks_can_be_imported_however_pytest_is_called(mode, tmp_path):
    """-P: the current folder is not on the path, as it is not for the bare command."""
    (tmp_path / "test_import.py").write_text("import benchmarks\n\n\ndef test_it():\n    pass\n")
    command = [sys.executable, *mode, "-m", "pytest", "-c", ROOT / "pyproject.toml", "-p", "no:cacheprovider", tmp_path]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-2000:]
    assert "1 passed" in run.stdout


# --- README -----------------------------------------------------------------------------------------------------------


def test_the_readme_lists_the_parameters_as_they_are():
    rows = []
    for name, field in TagBatchSettings.model_fields.items():
        default = json.dumps(field.default) if isinstance(field.default, str) else field.default
        rows.append(f"| `{name}` | `{default}` | {field.description} |")
    assert "\n".join(rows) in README


def test_the_promises_are_held_by_tests_that_exist_and_what_is_rarely_set_is_listed_as_it_is():
    page = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    for name in re.findall(r"`(test_\w+\.py)`", page):
        assert (ROOT / "tests" / name).exists(), name
    for name, field in AdvancedSettings.model_fields.items():
        default = json.dumps(field.default).removesuffix(".0")
        assert f"| `{name}` | `{default}` | " in page, name


def test_the_readmes_accuracy_is_the_records():
    record = json.loads((ROOT / "benchmarks/results/demo_accuracy.json").read_text())
    for name in ("recall", "precision"):
        low, high = record[f"{name}_95"]
        assert f"| {name} | {record[name]:.1%} | {low:.1%} to {high:.1%} |" in README
    assert f"| mAP@0.5 | {record['mAP@0.5']:.1%} | |" in README
    assert f"{record['pictures']} scenes" in README
    assert f"{record['products']} products" in README


def test_the_readmes_tree_and_links_exist():
    tree = README.split("## What is where")[1].split("```text\n")[1].split("```")[0]
    for line in tree.splitlines():
        assert (ROOT / line.split("  ")[0].strip()).exists(), line
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


# --- imports ----------------------------------------------------------------------------------------------------------

HEAVY = ("torch", "torchvision", "torchcodec", "numpy", "PIL", "pandas", "matplotlib", "timm")


@pytest.mark.parametrize("module", ["wanwu_nb", "wanwu_nb.settings", "wanwu_nb.errors"])
def test_what_a_schedule_checks_beforehand_is_imported_without_torch(module, tmp_path):
    run = python(f"import sys, {module}; print([name for name in {HEAVY} if name in sys.modules])", tmp_path)
    assert run.stdout.strip() == "[]", run.stderr


def test_torchvision_is_not_waited_for_before_something_needs_it(tmp_path):
    """With what it imports it takes a second, of every process; with torch's compiler it would bring Triton, too."""
    code = "from wanwu_nb import ResidentModel, tag_folder; from wanwu_nb.remembering import load_or_recall; "
    slow = "torchvision", "torch._dynamo", "triton", "timm", "openvino", "pandas"
    run = python(f"{code}import sys; print([name for name in {slow} if name in sys.modules])", tmp_path)
    assert run.stdout.strip() == "[]", run.stderr


def test_no_search_for_garbage_goes_through_torch_if_it_comes_with_the_package(tmp_path):
    code = "import gc; from wanwu_nb import tag_folder; print(gc.isenabled(), gc.get_freeze_count() > 100_000)"
    assert python(code, tmp_path).stdout.strip() == "True True"


def test_what_was_there_before_the_package_is_searched_for_garbage_as_before(tmp_path):
    code = "import gc, torch; from wanwu_nb import tag_folder; print(gc.isenabled(), gc.get_freeze_count())"
    assert python(code, tmp_path).stdout.strip() == "True 0"


def test_the_public_names_are_shown_and_are_there(tmp_path):
    public = ["ResidentModel", "__version__", "read_results", "tag_folder"]
    run = python(f"import wanwu_nb; print(sorted(set({public}) & set(dir(wanwu_nb))))", tmp_path)
    assert run.stdout.strip() == str(public), run.stderr
    run = python("from wanwu_nb import *; print(ResidentModel.__name__, tag_folder.__name__)", tmp_path)
    assert run.stdout.strip() == "ResidentModel tag_folder", run.stderr
    run = python("import wanwu_nb; wanwu_nb.tag_foldr", tmp_path)
    assert run.stderr.splitlines()[-1].startswith("AttributeError: module 'wanwu_nb' has no attribute 'tag_foldr'")


def test_the_version_is_the_projects():
    import wanwu_nb

    assert Version(wanwu_nb.__version__).base_version == Version(PROJECT["version"]).base_version


TAGGING_ALONE = """
import sys

class Without:
    "A finder that does not find some packages, as if they were not installed."

    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {hidden}:
            return None
        return self.finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]

from wanwu_nb import ResidentModel, read_results, tag_folder

model = ResidentModel.load("demo", device="cpu", precision="fp32")
summary = tag_folder(model, "pictures", "tags")
names = [tagged.image for tagged in read_results("tags")]
print(summary.processed, summary.failed, *names)
"""
HIDDEN = {
    "matplotlib",
    "pandas",
    "xlsxwriter",
    "pyarrow",
    "zhplot",
    "resvg_py",
    "psutil",
    "pynvml",
    "IPython",
    "jupyterlab",
    "papermill",
}


def test_tagging_works_without_any_extra(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.new("RGB", (320, 240), "white").save(folder / "a.jpg")
    Image.linear_gradient("L").save(folder / "b.jpg")
    run = python(TAGGING_ALONE.format(hidden=HIDDEN), tmp_path)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1] == "2 0 a.jpg b.jpg"


@pytest.fixture
def torchvision_for_another_torch(tmp_path) -> str:
    """The real fault: torchvision without the compiled operators that belong to this torch. Lines that put it first."""
    package = Path(torchvision.__file__).parent
    (tmp_path / "torchvision").mkdir()
    for path in package.iterdir():
        if not path.name.startswith("_C"):
            (tmp_path / "torchvision" / path.name).symlink_to(path)
    return f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"


def test_torch_and_torchvision_that_do_not_fit_say_so_in_one_line_and_show_the_cause(
    torchvision_for_another_torch, tmp_path
):
    code = "from wanwu_nb import ResidentModel\nResidentModel.load('demo', device='cpu')"
    run = python(torchvision_for_another_torch + code, tmp_path)
    assert run.returncode == 1
    last = run.stderr.splitlines()[-1]
    assert last.startswith("ImportError: torch ")
    assert "do not fit together: run `pip install" in last
    assert "RuntimeError: operator torchvision::nms does not exist" in run.stderr
    assert "The above exception was the direct cause of the following exception" in run.stderr


def test_the_error_of_a_torchvision_that_does_not_fit_keeps_its_cause(torchvision_for_another_torch, tmp_path):
    code = "from wanwu_nb.checkpoints import open_checkpoint\n"
    code += "try:\n    open_checkpoint('demo')\nexcept ImportError as error:\n    print(repr(error.__cause__))"
    run = python(torchvision_for_another_torch + code, tmp_path)
    assert run.stdout.strip() == "RuntimeError('operator torchvision::nms does not exist')", run.stderr
