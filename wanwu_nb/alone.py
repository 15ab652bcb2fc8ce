"""Pictures read alone, in a child process with limits: which of those in flight ended the process before?

A decoder that crashes, or takes all memory, takes the whole process with it. The names in flight then lie in the output
folder; the next run has them read here, and fails the one at fault.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .decoding import DEFAULT_LIMITS, Limits
from .fitting import InputSpec
from .images import read

MEMORY = 4 * 2**30  # bytes that reading one picture may take
STARTED = "started "


def find_culprits(
    folder: str | Path, spec: InputSpec, names: Sequence[str], seconds: float, limits: Limits = DEFAULT_LIMITS
) -> dict[str, str]:
    """Read the pictures `names` one after another in a child process, each for at most so many seconds.

    Returns for each that ended the child, by name, how; those that are read or refused in good order are not in it.

    >>> find_culprits("photos", spec, ["a.jpg", "b.jpg"], seconds=120)
    {'b.jpg': 'reading it ends the process (SIGSEGV)'}
    """
    culprits = {}
    remaining = list(names)
    while remaining:
        task = {"folder": str(folder), "spec": spec.to_dict(), "limits": asdict(limits), "seconds": seconds}
        last, reason = _read_in_child(task, remaining)
        if not reason:
            break
        culprits[remaining[last]] = reason
        remaining = remaining[last + 1 :]
    return culprits


def _read_in_child(task: dict[str, Any], names: Sequence[str]) -> tuple[int, str]:
    """The place of the name that the child read last, and how that ended it; "" where it did not."""
    command = [sys.executable, "-m", __name__]
    text = json.dumps({**task, "names": list(names)})
    child = subprocess.run(command, input=text, capture_output=True, text=True)
    started = [line for line in child.stdout.splitlines() if line.startswith(STARTED)]
    if child.returncode == 0:
        return len(names), ""
    if not started:  # it cannot even start: that is no picture's fault
        return len(names), ""
    last = int(started[-1].removeprefix(STARTED))
    return last, _how_it_ended(child.returncode, task["seconds"])


def _how_it_ended(code: int, seconds: float) -> str:
    if code == -signal.SIGALRM:
        return f"reading it takes over {seconds:g} s"
    if code == -signal.SIGKILL:
        return "reading it takes all memory"
    if code < 0:
        return f"reading it ends the process ({signal.Signals(-code).name})"
    return f"reading it ends the process (exit code {code})"


def main() -> None:
    """What the child does: tell which picture it starts on, read it, forget it."""
    task: dict[str, Any] = json.load(sys.stdin)
    spec, limits = InputSpec.from_dict(task["spec"]), Limits(**task["limits"])
    _limit_memory()
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the process, even one that holds the interpreter
    for i, name in enumerate(task["names"]):
        print(f"{STARTED}{i}", flush=True)
        signal.setitimer(signal.ITIMER_REAL, task["seconds"])
        read(task["folder"], spec, name, limits)
        signal.setitimer(signal.ITIMER_REAL, 0)


def _limit_memory() -> None:
    """Above what is mapped already, which torch makes large."""
    import resource  # not on Windows

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    mapped = pages * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY, mapped + MEMORY))


if __name__ == "__main__":
    main()
