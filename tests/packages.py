"""The lists of packages: pyproject.toml's own, extra by extra, and the versions in constraints.txt."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def requirements(*extras: str) -> list[Requirement]:
    """What pip installs of our own list, for these extras; some of them ask for others of ours."""
    lines = list(PROJECT["dependencies"])
    wanted = list(extras)
    for extra in wanted:
        for line in PROJECT["optional-dependencies"][extra]:
            if Requirement(line).name == PROJECT["name"]:
                wanted += [name for name in Requirement(line).extras if name not in wanted]
            else:
                lines.append(line)
    return [Requirement(line) for line in lines]


def names_of(*extras: str) -> set[str]:
    return {canonicalize_name(requirement.name) for requirement in requirements(*extras)}


def constraints() -> dict[str, Version]:
    lines = (ROOT / "constraints.txt").read_text().split()
    assert all(re.fullmatch(r"[\w.\-]+==[\w.\-+!]+", line) for line in lines), "names and versions only"
    return {canonicalize_name(name): Version(version) for name, version in (line.split("==") for line in lines)}
