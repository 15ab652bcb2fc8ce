"""What users meet first: the lists of packages agree, the README is true, a broken torch says so."""

import importlib
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torchvision
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from benchmarks.readme import pages
from wanwu_nb.settings import Settings

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def constraints() -> dict[str, Version]:
    lines = (ROOT / "constraints.txt").read_text().split()
    assert all(re.fullmatch(r"[\w.\-]+==[\w.\-+!]+", line) for line in lines), "names and versions only"
    return {canonicalize_name(name): Version(version) for name, version in (line.split("==") for line in lines)}


def test_every_dependency_is_pinned_within_its_bounds():
    pinned = constraints()
    extras = PROJECT["optional-dependencies"]
    for requirement in map(Requirement, PROJECT["dependencies"] + extras["lab"] + extras["test"]):
        assert pinned[canonicalize_name(requirement.name)] in requirement.specifier, requirement


def test_conda_users_get_the_same_packages():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    *conda, pip = environment["dependencies"]
    (python,) = [line for line in conda if line.startswith("python=")]
    version = python.removeprefix("python=")
    assert Version(version) in Requirement(f"python{PROJECT['requires-python']}").specifier
    assert pip == {"pip": ["--constraint constraints.txt", "-e .[lab,test]"]}
    assert set(conda) == {python, "pip"}  # the list of packages is pyproject.toml's alone


def test_the_users_packages_are_all_asked_for():
    extras = PROJECT["optional-dependencies"]
    asked = {Requirement(line).name for line in PROJECT["dependencies"] + extras["lab"] + extras["test"]}
    named = {"jupyterlab", "papermill", "torch", "torchvision", "pillow", "matplotlib", "pandas", "nbval"}
    assert named <= asked


def test_the_readme_lists_the_parameters_as_they_are():
    rows = [
        f"| `{name}` | `{field.default if not isinstance(field.default, str) else repr(field.default)}` "
        f"| {field.description} |".replace("'", '"')
        for name, field in Settings.model_fields.items()
    ]
    assert "\n".join(rows) in README


def test_the_readmes_accuracy_is_the_records():
    record = json.loads((ROOT / "benchmarks/results/demo_accuracy.json").read_text())
    for name in ("recall", "precision"):
        low, high = record[f"{name}_95"]
        assert f"| {name} | {record[name]:.1%} | {low:.1%} to {high:.1%} |" in README
    assert f"| mAP@0.5 | {record['mAP@0.5']:.1%} | |" in README
    assert f"{record['pictures']} scenes" in README and f"{record['products']} products" in README


def test_the_figures_in_the_pages_are_the_records():
    for path, text in pages().items():
        assert path.read_text(encoding="utf-8") == text, "run `python -m benchmarks.readme`"


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda path: path.stem)
def test_every_benchmark_can_be_imported(path):
    importlib.import_module(f"benchmarks.{path.stem}")


def test_the_readmes_tree_and_links_exist():
    tree = README.split("## What is where")[1].split("```text\n")[1].split("```")[0]
    for line in tree.splitlines():
        assert (ROOT / line.split("  ")[0].strip()).exists(), line
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_torch_and_torchvision_that_do_not_fit_say_so_in_one_line(tmp_path):
    """The real fault: torchvision without the compiled operators that belong to this torch."""
    package = Path(torchvision.__file__).parent
    (tmp_path / "torchvision").mkdir()
    for path in package.iterdir():
        if not path.name.startswith("_C"):
            (tmp_path / "torchvision" / path.name).symlink_to(path)
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import wanwu_nb"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 1
    last = run.stderr.splitlines()[-1]
    assert "do not fit together: run `pip install" in last and "torchvision" in last


def test_the_font_is_found_and_holds_every_demo_label():
    from matplotlib.ft2font import FT2Font

    from wanwu_nb.demo.products import PRODUCTS
    from wanwu_nb.plots import chinese_font

    characters = FT2Font(str(chinese_font())).get_charmap()
    assert all(ord(character) in characters for product in PRODUCTS for character in product.name)
