"""A plan carried out: threads decode, the resident model runs full batches, two threads decide and write behind it."""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from .deciding import Decision
from .decoding import DEFAULT_LIMITS, Limits
from .engines import EAGER, INT8
from .hardware import Choice
from .process import single_core_threads
from .progress import Progress
from .reading import PictureReader, read_rounds
from .resident import ResidentModel
from .results import OutputFolder
from .settings import PICTURE_TIMEOUT
from .tagged import Failed, Tagged
from .tagger import Launched, Tagger
from .threads import ReadingThreads, heartbeat, reading_threads
from .tuning import Plan

UNWRITTEN = 2  # batches that may wait for the writer

Threads = Callable[[int, float], AbstractContextManager[ReadingThreads]]


def run_plan(
    plan: Plan,
    model: ResidentModel,
    image_dir: str | Path,
    names: Sequence[str],
    decision: Decision,
    output: OutputFolder,
    progress: Progress,
    *,
    culprits: Sequence[Failed] = (),
    limits: Limits = DEFAULT_LIMITS,
    picture_timeout: float = PICTURE_TIMEOUT,
    threads: Threads = reading_threads,
) -> Plan:
    """Decode, forward, write. Back-pressure: so many rounds decoded ahead, so many batches not yet written.

    `culprits` are not read again: what is known of them is written. A picture beyond the `limits`, or that takes longer
    to read than `picture_timeout` seconds, fails. Returns the plan as it was or, where memory ran out, with what the
    batch size came down to.

    >>> plan = run_plan(plan, model, "photos", names, Decision(), output, progress)
    """
    device, spec = model.device.value, model.checkpoint.spec
    tagger = Tagger(model, decision, plan.batch_size.value)
    reader = PictureReader(image_dir, spec, device, plan.decoder.value, limits)
    round_size, rounds_ahead = plan.round_size.value, plan.rounds_ahead.value
    progress.start()
    # Left by an exception, Ctrl-C included, the writer finishes what was handed to it: two batches.
    with (
        heartbeat(picture_timeout),
        threads(plan.workers.value, picture_timeout) as decoders,
        single_core_threads("write", 1) as writer,
        single_core_threads("decide", 1) as decider,
    ):
        behind = _Behind(decider, writer, output, progress)
        behind.write(Launched([], None, culprits, tagger))
        for pictures in read_rounds(reader, decoders, names, round_size, rounds_ahead, output.note_in_flight):
            for launched in tagger.launch(pictures):
                behind.write(launched)
        behind.finish()
    return _as_it_ended(plan, tagger.batch_size)


class _Behind:
    """Decides and writes batches on a thread each, a few behind the network and no more."""

    def __init__(self, decider: Executor, writer: Executor, output: OutputFolder, progress: Progress):
        self.decider = decider
        self.writer = writer
        self.output = output
        self.progress = progress
        self.unwritten: deque[Future[None]] = deque()

    def write(self, launched: Launched) -> None:
        decided = self.decider.submit(launched.results)
        future = self.writer.submit(self._write, decided)
        self.unwritten.append(future)
        if len(self.unwritten) > UNWRITTEN:
            oldest = self.unwritten.popleft()
            oldest.result()

    def _write(self, decided: Future[list[Tagged | Failed]]) -> None:
        for result in decided.result():
            self.output.put(result)
        failed = len(self.output.failures)
        done = self.output.processed + failed
        self.progress.update(done, failed)

    def finish(self) -> None:
        for future in self.unwritten:
            future.result()


def _as_it_ended(plan: Plan, batch_size: int) -> Plan:
    planned = plan.batch_size
    if batch_size == planned.value:
        return plan
    reason = f"{planned.value} ran out of memory in the middle ({planned.reason})"
    ended = replace(plan, batch_size=Choice(batch_size, reason, planned.measured))
    if plan.engine.value in (EAGER, INT8):
        return ended
    prepared = "compiled" if plan.compiled.value else f"prepared for {plan.engine.value}"
    eager = f"batches of {planned.value} were {prepared}, and ran out of memory: those of {batch_size} ran as loaded"
    return replace(ended, engine=Choice(EAGER, eager, plan.engine.measured))
