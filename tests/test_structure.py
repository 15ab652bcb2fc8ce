"""The rooms of the package: who may import whom, what an underscore keeps, which packages a room may need."""

import ast
import functools
import graphlib
import importlib
import json
import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packages import ROOT, names_of
from packaging.utils import canonicalize_name

PACKAGE = ROOT / "wanwu_nb"
FILES = sorted(PACKAGE.rglob("*.py"))
BENCHMARKS = sorted((ROOT / "benchmarks").glob("*.py"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
TESTS = sorted((ROOT / "tests").glob("*.py"))

# All else is the core, which knows none of these.
AROUND_THE_CORE = {"exports", "views", "quality", "method", "demo", "schedule", "scale_out", "measure", "gpus"}
# The extras whose packages a room may need, beside those that all have.
EXTRAS = {
    "decoding": ["heic"],
    "exports": ["exports"],
    "views": ["views"],
    "vocabulary": ["tables"],
    "method": ["method"],
    "measure": ["method"],
    "gpus": ["method"],
    "demo": ["demo", "test"],
}


def stem(path: Path) -> str:
    return str(path.relative_to(ROOT))


def tree_of(path: Path) -> ast.Module:
    """The code of a file; of a notebook, that of all its code cells."""
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = [cell for cell in json.loads(source)["cells"] if cell["cell_type"] == "code"]
        lines = "\n".join("".join(cell["source"]) for cell in cells).splitlines()
        source = "\n".join(line for line in lines if not line.lstrip().startswith(("%", "!")))
    return ast.parse(source)


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """(module, name) of all imports of a file, absolute, inside functions and for type checking too; name "" for none.

    A module that is imported from its package comes as (module, "").
    """
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, ""
        elif isinstance(node, ast.ImportFrom):
            module = absolute(path, node)
            for alias in node.names:
                inner = f"{module}.{alias.name}"
                if file_of(inner):
                    yield inner, ""
                else:
                    yield module, alias.name


def absolute(path: Path, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = path.relative_to(ROOT).parts[: -node.level]
    return ".".join([*package, node.module] if node.module else package)


def file_of(module: str) -> Path | None:
    """The file of a module of ours."""
    base = ROOT.joinpath(*module.split("."))
    candidates = [base / "__init__.py", base.with_suffix(".py")]
    if module.split(".")[0] != "wanwu_nb":
        return None
    return next((path for path in candidates if path.is_file()), None)


def room(path: Path) -> str:
    """A folder of the package, or a file that lies directly in it."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def neighbours(path: Path) -> set[Path]:
    """The files of the package that a file imports."""
    return {target for module, _ in imports(path) if (target := file_of(module))}


def circle(graph: dict) -> list:
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


def test_the_reader_of_imports_sees_them_all(tmp_path):
    """Else every test below would pass."""
    resident = {stem(path) for path in neighbours(PACKAGE / "resident.py")}
    assert {"wanwu_nb/checkpoints/__init__.py", "wanwu_nb/hardware.py"} <= resident
    assert "wanwu_nb/demo/scenes.py" in {stem(path) for path in neighbours(PACKAGE / "demo" / "__init__.py")}
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}}) != []


def test_no_circle_between_files():
    assert [stem(path) for path in circle({path: neighbours(path) for path in FILES})] == []


def test_no_circle_between_rooms():
    rooms: dict[str, set[str]] = {}
    for path in FILES:
        others = {room(target) for target in neighbours(path)} - {room(path)}
        rooms.setdefault(room(path), set()).update(others)
    assert circle(rooms) == []


@pytest.mark.parametrize("path", [path for path in FILES if room(path) not in AROUND_THE_CORE], ids=stem)
def test_the_core_knows_nothing_of_what_is_built_around_it(path):
    known = {room(target) for target in neighbours(path)}
    assert known & AROUND_THE_CORE == set()


def test_views_do_not_know_the_method():
    for path in (PACKAGE / "views").glob("*.py"):
        assert "method" not in {room(target) for target in neighbours(path)}, stem(path)


@pytest.mark.parametrize("path", [*FILES, *BENCHMARKS, *NOTEBOOKS], ids=stem)
def test_what_is_imported_of_the_package_is_there_and_public(path):
    for module, name in imports(path):
        if module.split(".")[0] != "wanwu_nb":
            continue
        parts = [*module.split("."), name]
        private = [part for part in parts if is_private(part)]
        assert private == [], f"{module}: {name}"
        assert not name or hasattr(importlib.import_module(module), name), f"{module} has no {name}"


@pytest.mark.parametrize("path", [*BENCHMARKS, *NOTEBOOKS], ids=stem)
def test_benchmarks_and_notebooks_use_nothing_private(path):
    """Neither as `thing._name`, nor by a name in a string, as getattr and monkeypatch take it."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            owner = node.value.id if isinstance(node.value, ast.Name) else ""
            assert owner in ("self", "cls"), f"line {node.lineno}: {ast.unparse(node)}"
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert not is_private(node.value), f"line {node.lineno}: {node.value}"


def is_private(name: str) -> bool:
    return re.fullmatch(r"_[a-zA-Z]\w*", name) is not None


@pytest.mark.parametrize("path", NOTEBOOKS, ids=stem)
def test_notebooks_import_no_star_and_touch_no_path(path):
    assert "*" not in {name for _, name in imports(path)}
    assert "sys.path" not in path.read_text(encoding="utf-8")


@functools.cache
def brought_by() -> dict[str, set[str]]:
    """The distributions that an importable name comes from."""
    return {name: set(map(canonicalize_name, some)) for name, some in packages_distributions().items()}


@pytest.mark.parametrize("path", [*FILES, *BENCHMARKS, *TESTS], ids=stem)
def test_a_file_needs_only_packages_that_its_extra_brings(path):
    """The core those of `pip install wanwu_nb` alone."""
    if path in BENCHMARKS:
        allowed = names_of("bench")
    elif path in TESTS:
        allowed = names_of("test", "bench")
    else:
        allowed = names_of(*EXTRAS.get(room(path), []))
    ours = {"wanwu_nb", "benchmarks", *(test.stem for test in TESTS)}
    for module, _ in imports(path):
        top = module.split(".")[0]
        if not top or top in sys.stdlib_module_names or top in ours:
            continue
        assert brought_by().get(top, {canonicalize_name(top)}) & allowed, (
            f"{top}: put it into the extra that {stem(path)} belongs to"
        )


@pytest.mark.parametrize("path", TESTS, ids=stem)
def test_an_assert_states_one_fact(path):
    """Of two facts joined by `and`, a failure does not say which one fails."""
    joined = [
        node.lineno
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Assert) and isinstance(node.test, ast.BoolOp) and isinstance(node.test.op, ast.And)
    ]
    assert joined == [], "split the asserts of these lines"
