"""What the benchmarks share: the command line, a measurement in a process of its own, and the record of a run.

A benchmark measures in child processes, so that neither memory nor settings of one measurement reach the next. A child
is the benchmark itself, called with `--child` and what to measure; it answers with JSON in its last line.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
OPENVINO_CACHE = "BENCHMARKS_OPENVINO"  # environment variable: where OpenVINO's own loops keep what they made
HELD_TO_AVX2 = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}  # environment: what engines heed
OTHERS = ("transformers", "modelscope", "addict", "timm")  # packages that contenders need
LAST_WORDS = 3_000  # characters of a failed child's standard error that are shown


@dataclass(frozen=True)
class Finished:
    """A process that ended well: its answer, when it was started (seconds since 1970), and how long it took."""

    answer: Any
    started: float
    seconds: float


def command_line(description: str | None, record: str = "JSON file for the figures") -> argparse.ArgumentParser:
    """Returns the parser of a benchmark: `--record`, and `--child …` for what a child process is to measure."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", type=Path, help=record)
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    return parser


def check_that_others_are_here() -> None:
    """Raise SystemExit, before anything is measured, where a package is missing that ours is compared with."""
    missing = [name for name in OTHERS if find_spec(name) is None]
    if missing:
        raise SystemExit(f"{', '.join(missing)} not installed: pip install --editable '.[bench]'")


def positive(text: str) -> int:
    """Returns the number that an option was given. Raises argparse's error for one below 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least one")
    return number


def answer(result: Any) -> None:
    """Print what a child measured, for the process that called it."""
    print(json.dumps(result))


def run_child(
    module: str, arguments: Sequence[str | Path], variables: Mapping[str, str] | None = None, checkout: Path = ROOT
) -> Any:
    """Run `python -m MODULE --child ARGUMENTS…` in `checkout`, and return its answer.

    `variables` are added to the environment. Raises RuntimeError, with what the child last said, where it fails.
    """
    return finished(["-m", module, "--child", *arguments], variables, checkout).answer


def finished(
    arguments: Sequence[str | Path], variables: Mapping[str, str] | None = None, checkout: Path = ROOT
) -> Finished:
    """Run `python ARGUMENTS…` in `checkout`, and return its answer and how long it took, from start to end.

    `variables` are added to the environment. Raises RuntimeError, with what the process last said, where it fails.
    """
    words = [str(argument) for argument in arguments]
    command = [sys.executable, *words]
    started, clock = time.time(), time.perf_counter()
    done = subprocess.run(command, cwd=checkout, env=surroundings(variables), capture_output=True, text=True)
    seconds = time.perf_counter() - clock
    if done.returncode:
        what = " ".join(word for word in words if word not in ("-m", "-P", "--child"))
        raise RuntimeError(f"{what} failed:\n{done.stderr[-LAST_WORDS:]}")
    last_line = done.stdout.splitlines()[-1]
    return Finished(json.loads(last_line), started, seconds)


def caches(folder: Path) -> dict[str, str]:
    """Returns the environment variables that keep what engines prepare, ours and others', below a folder."""
    from wanwu_nb.engines.cache import FOLDER as ENGINES
    from wanwu_nb.process import INDUCTOR_CACHE

    for name in ("openvino", "inductor"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    return {
        ENGINES: str(folder / "engines"),
        OPENVINO_CACHE: str(folder / "openvino"),
        INDUCTOR_CACHE: str(folder / "inductor"),
    }


def surroundings(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """Returns this process's environment with `variables` added."""
    return {**os.environ, **(variables or {})}


def write_record(path: Path, figures: Mapping[str, Any]) -> None:
    """Write a benchmark's figures, and the machine and versions they were measured with, as JSON."""
    record = {**figures, "environment": machine_here()}
    text = json.dumps(record, indent=1, ensure_ascii=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n", encoding="utf-8")


def machine_here() -> dict[str, str | int]:
    """Returns the machine and versions; of the instructions those that engines may use."""
    from wanwu_nb.hardware import environment  # here: a child whose memory is measured may want no torch

    machine = environment()
    if held_to_avx2():
        machine["instructions"] = "held to AVX2"
    return machine


def held_to_avx2() -> bool:
    """Returns whether the environment holds engines to AVX2. torch and OpenVINO then still see what the processor has,
    and would choose bfloat16 where there are no instructions left for it.
    """
    return all(os.environ.get(name) == value for name, value in HELD_TO_AVX2.items())


def read_record(path: Path) -> dict[str, Any]:
    """Returns a benchmark's record as `write_record` left it."""
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return record


def machine_of(record: Mapping[str, Any]) -> str:
    """Returns the machine a record names, in words, as in "2 cores of Intel Xeon (AVX2, AMX_BF16)"."""
    machine = record["environment"]
    words = f"{machine['cores']} cores of {machine['cpu']}"
    instructions = machine.get("instructions", "")  # older records do not have them
    if instructions:
        words = f"{words} ({instructions})"
    if machine["gpu"]:
        words = f"{machine['gpu']}, {words}"
    return words


def one_machine(records: Mapping[str, Mapping[str, Any]]) -> str:
    """Returns the machine that all records, by name, were measured on. Raises ValueError where they differ."""
    machines = {name: machine_of(record) for name, record in records.items()}
    different = set(machines.values())
    if len(different) > 1:
        measured = "; ".join(f"{name} on {machine}" for name, machine in machines.items())
        raise ValueError(f"one table cannot hold records of two machines ({measured}): measure them anew on one")
    return different.pop()
