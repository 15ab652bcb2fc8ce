"""A run in a process of its own, which kills itself at an exact place, or is killed.

Run(inbox, output, "before replace summary.json", 1).end() == -signal.SIGKILL
"""

import multiprocessing
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path

TEMPORARY = ".partial", ".compact"
# Each process is forked from one that has imported all it needs, and run nothing.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["wanwu_nb.resident", "wanwu_nb.tagging", "wanwu_nb.checkpoints"])


class Run:
    """A run in a process of its own; it is heard when it starts and, unless it is killed, when it is done."""

    def __init__(self, inbox: Path, output: Path, event: str = "", number: int = 0):
        self.log = output.with_name(f"{output.name}.log")
        self._ear, mouth = PROCESSES.Pipe(duplex=False)
        arguments = (inbox, output, event, number, mouth, self.log)
        self.process = PROCESSES.Process(target=tag, args=arguments)
        self.process.start()
        mouth.close()

    def hear(self):
        try:
            return self._ear.recv()
        except EOFError:
            raise RuntimeError(f"the run ended before its time: {self.last_words}") from None

    def end(self) -> int:
        self.process.join()
        return self.process.exitcode

    @property
    def last_words(self) -> str:
        return self.log.read_text(errors="replace")[-1000:]


class Events:
    """Counts what a run does to its output folder; at the one that is asked for, the process kills itself."""

    def __init__(self, event: str, number: int):
        self.event = event
        self.number = number
        self.counts: Counter[str] = Counter()

    def happens(self, event: str) -> None:
        self.counts[event] += 1
        if self.number and event == self.event and self.counts[event] == self.number:
            os.kill(os.getpid(), signal.SIGKILL)

    def due(self, event: str) -> bool:
        return bool(self.number) and event == self.event and self.counts[event] + 1 == self.number

    def around(self, output: Path, name: str) -> None:
        """Have `os.replace` or `os.unlink` tell before and after it touches the output folder."""
        real = getattr(os, name)

        def told(*paths, **keywords):
            what = _what(Path(paths[-1]), output)
            if not what:
                return real(*paths, **keywords)
            if name == "replace" and str(paths[0]).endswith(TEMPORARY):
                self.half_written(Path(paths[0]), what)
            self.happens(f"before {name} {what}")
            result = real(*paths, **keywords)
            self.happens(f"after {name} {what}")
            return result

        setattr(os, name, told)

    def half_written(self, path: Path, what: str) -> None:
        """A temporary file as it is in the middle of its writing."""
        event = f"half of {what}"
        if self.due(event):
            os.truncate(path, path.stat().st_size // 2)
        self.happens(event)


def _what(path: Path, output: Path) -> str:
    """What a file of the output folder is; "" for one elsewhere."""
    if not path.is_relative_to(output):
        return ""
    first, *inner = path.relative_to(output).parts
    return f"{first}/" if inner else first


def install(output: Path, events: Events) -> None:
    """Half of a temporary file, before and after each move; half a line of ledger and raw objects, and behind it."""
    from wanwu_nb.results.jsons import to_json
    from wanwu_nb.results.lines import LineFile

    events.around(output, "replace")
    events.around(output, "unlink")
    note = LineFile.note

    def note_half(lines: LineFile, line, **form) -> None:
        kind = f"{lines.path.name} {line.get('status') or next(iter(line))}"
        event = f"half a line of {kind}"
        if events.due(event):
            content = to_json(line, **form)
            with open(lines.path, "ab") as file:
                file.write(content[: len(content) // 2])
        events.happens(event)
        note(lines, line, **form)
        events.happens(f"after a line of {kind}")

    LineFile.note = note_half


def tag(inbox: Path, output: Path, event: str, number: int, mouth, log: Path) -> None:
    """What the process does."""
    import torch

    from wanwu_nb import ResidentModel, tag_folder

    with open(log, "w") as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
    events = Events(event, number)
    install(output.absolute(), events)
    torch.set_num_threads(1)
    model = ResidentModel.load("demo", device="cpu", precision="fp32")
    mouth.send("started")
    started = time.perf_counter()
    tag_folder(model, inbox, output, batch_size=4, compile=False, workers=2, orphans="move")
    mouth.send((events.counts, time.perf_counter() - started))
