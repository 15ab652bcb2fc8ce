"""A notebook's parameters, read from its kernel: a misspelt one is refused, whatever else the kernel holds."""

import ast
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .advice import closest
from .errors import SettingsError
from .settings import Kind, Settings, check_settings

INJECTED = "# Parameters"  # how papermill begins the cell that it puts behind the parameters cell
ENOUGH = 0.5  # of the parameters: a cell that assigns so many of them is the parameters cell


def read_parameters(namespace: Mapping[str, Any], kind: type[Kind]) -> Kind:
    """Returns settings from a notebook's `globals()`, where papermill put its parameters.

    A variable with a plain value that is no parameter is taken for a misspelt one, and refused: papermill itself would
    run on the defaults. In a notebook only those count that the parameters cell and papermill's own assigned when they
    were last run; in a script, all of them. Keep variables of your own private there, with a leading underscore.
    Raises SettingsError.

    >>> settings = read_parameters(globals(), TagBatchSettings)
    """
    parameters = {name: namespace[name] for name in kind.model_fields if name in namespace}
    unknown = _unknown(namespace, kind)
    missing = [name for name in kind.model_fields if name not in parameters]
    if missing and not unknown:  # an unknown one is likely the missing one, misspelt
        names = ", ".join(missing)
        raise SettingsError(f"parameters {names} are gone: restore them in the parameters cell")
    return check_settings(kind, **parameters, **unknown)


def _unknown(namespace: Mapping[str, Any], kind: type[Settings]) -> dict[str, Any]:
    """The variables that look like misspelt parameters."""
    fields = set(kind.model_fields)
    assigned = _assigned_by_parameter_cells(namespace.get("In"), fields)
    if assigned:
        absent = fields - assigned
    else:  # no notebook
        assigned = set(namespace) - {"In", "Out"}  # what IPython keeps
        absent = set()
    unknown = {}
    for name, value in namespace.items():
        if name in fields or name not in assigned or name.startswith("_"):
            continue
        if _is_plain(value) or closest(name, absent):
            unknown[name] = value
    return unknown


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, str | int | float | list | dict)


def _assigned_by_parameter_cells(cells: object, fields: set[str]) -> set[str]:
    """What the parameters cell assigned when it was last run, and papermill's cell after it.

    `cells` is IPython's list of the cells run so far: a cell that was mended and run again is in it twice. Empty where
    there is no such list, or no such cell.
    """
    if not isinstance(cells, list):
        return set()
    injected: set[str] = set()
    for source in reversed(cells):
        assigned = set(_assigned_by(source))
        if len(assigned & fields) >= ENOUGH * len(fields):
            return assigned | injected
        if source.startswith(INJECTED) and not injected:
            injected = assigned
    return injected


def _assigned_by(source: str) -> Iterator[str]:
    """The names that a cell assigns: not in loops and the like, and not after it has read the parameters."""
    for statement in _statements(source):
        if _reads_parameters(statement):
            return
        targets: Iterable[ast.expr] = []
        if isinstance(statement, ast.Assign):
            targets = statement.targets
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            targets = [statement.target]
        for target in targets:
            yield from _names_in(target)


def _statements(source: str) -> list[ast.stmt]:
    """None where the cell is no Python; IPython keeps magics as calls."""
    try:
        with warnings.catch_warnings(action="ignore"):  # they were shown when the cell was run
            return ast.parse(source).body
    except (SyntaxError, ValueError):
        return []


def _reads_parameters(statement: ast.stmt) -> bool:
    names = [node.id for node in ast.walk(statement) if isinstance(node, ast.Name)]
    return read_parameters.__name__ in names


def _names_in(target: ast.expr) -> Iterator[str]:
    """Those that are assigned: several in `a, b = 1, 2`, none in `table["a"] = 1`."""
    for node in ast.walk(target):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
