"""The batch loop: threads decode, the resident model runs full batches, a thread writes behind it."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from .alone import find_culprits
from .decoding import DEFAULT_LIMITS, Limits
from .detections import Selection
from .finding import Listing, list_pictures
from .hardware import Choice, environment
from .images import version_of
from .process import single_core_threads
from .progress import Progress, tell_how_to_go_on
from .reading import PictureReader, read_rounds
from .resident import ResidentModel
from .results import OutputFolder, run_key, set_aside_summary
from .settings import (
    CONF_THRESHOLD,
    MAX_BYTES,
    MAX_PIXELS,
    NMS_IOU,
    PICTURE_TIMEOUT,
    TOP_K,
    AdvancedSettings,
    TagBatchSettings,
    TagSettings,
    check_settings,
)
from .summary import Summary
from .tagger import Failed, Launched, Tagger
from .threads import ReadingThreads, heartbeat, reading_threads
from .tuning import Plan, make_plan

UNWRITTEN = 2  # batches that may wait for the writer

Threads = Callable[[int, float], AbstractContextManager[ReadingThreads]]


def tag_folder(
    model: ResidentModel,
    image_dir: str | Path,
    output_dir: str | Path,
    *,
    batch_size: int = 0,
    conf_threshold: float = CONF_THRESHOLD,
    nms_iou: float = NMS_IOU,
    top_k: int = TOP_K,
    compile: bool | str = "auto",
    workers: int = 0,
    resume: bool = True,
    limit: int = 0,
    orphans: str = "keep",
    max_pixels: int = MAX_PIXELS,
    max_bytes: int = MAX_BYTES,
    picture_timeout: float = PICTURE_TIMEOUT,
) -> Summary:
    """Tag every picture below `image_dir`: one JSON a picture below `output_dir`/images, and a summary.json.

    A picture that cannot be read or run is recorded with its reason, and the run goes on. Pictures done before by the
    same model and settings are left alone (`resume`). Stopped at any moment, everything finished is on disk, and the
    next run goes on from there. Results of pictures that have left the folder are kept aside (`orphans`: "move" puts
    them into orphans/). `batch_size` 0 and `compile` "auto" are decided by measuring, where that pays. Returns the
    totals. Raises MissingFile, NotAFolder, PicturesError, SettingsError or OutputError, with nothing written over,
    for folders and settings that cannot be used.

    >>> tag_folder(model, "photos", "tags", conf_threshold=0.4).processed
    867
    """
    settings = check_settings(
        TagSettings,
        image_dir=image_dir,
        output_dir=output_dir,
        batch_size=batch_size,
        conf_threshold=conf_threshold,
        nms_iou=nms_iou,
        top_k=top_k,
        compile=compile,
        workers=workers,
        resume=resume,
        limit=limit,
        orphans=orphans,
        max_pixels=max_pixels,
        max_bytes=max_bytes,
        picture_timeout=picture_timeout,
    )
    set_aside_summary(settings.output_dir)  # before pictures are looked for: it is not today's
    with tell_how_to_go_on(settings.resume):
        return _tag(model, settings)


def _tag(model: ResidentModel, settings: TagSettings) -> Summary:
    started, clock = datetime.now(UTC), time.perf_counter()
    image_dir = Path(settings.image_dir).absolute()
    listing = list_pictures(image_dir, settings.limit, own=[settings.output_dir])
    selection = Selection(settings.conf_threshold, settings.nms_iou, settings.top_k)
    key = run_key(model.checkpoint.fingerprint, model.precision.value, selection)
    with OutputFolder(settings.output_dir, key, image_dir) as output:
        to_do = _unfinished(listing.names, settings, output)
        if listing.complete and output.same_folder_as_before:
            output.note_orphans(listing.names, move=settings.orphans == "move")
        total = len(listing.names)
        with Progress(total, output.resumed) as progress, tell_how_to_go_on(settings.resume, progress):
            plan = _run(model, settings, to_do, selection, output, progress)
        seconds = time.perf_counter() - clock
        summary = _summarise(model, settings, plan, output, listing, started, seconds)
        output.close(summary)
    return summary


def _run(
    model: ResidentModel,
    settings: TagSettings,
    names: Sequence[str],
    selection: Selection,
    output: OutputFolder,
    progress: Progress,
) -> Plan:
    """Say what is to be known, decide how to run, and run."""
    for note in output.notes:
        progress.say(note)
    plan = make_plan(settings, model, names, output.bits, progress.say)
    bits = plan.bits() if names else {}
    output.begin(bits, model.labels)
    culprits = _culprits(model, settings, names, output, progress)
    others = [name for name in names if name not in culprits]
    return run_plan(
        plan,
        model,
        settings.image_dir,
        others,
        selection,
        output,
        progress,
        culprits=list(culprits.values()),
        limits=_limits(settings),
        picture_timeout=settings.picture_timeout,
    )


def _limits(settings: TagSettings) -> Limits:
    return Limits(settings.max_pixels, settings.max_bytes)


def _unfinished(names: Sequence[str], settings: TagSettings, output: OutputFolder) -> list[str]:
    """The pictures that are to be run; the others are counted."""
    if not settings.resume:
        return list(names)
    unfinished = []
    for name in names:
        version = version_of(settings.image_dir, name)
        if output.done(name, version):
            output.count_resumed(name)
        else:
            unfinished.append(name)
    return unfinished


def _culprits(
    model: ResidentModel, settings: TagSettings, names: Sequence[str], output: OutputFolder, progress: Progress
) -> dict[str, Failed]:
    """Those of the pictures that took a process with them when they were read, found in a child process."""
    to_do = set(names)
    suspects = [name for name in dict.fromkeys(output.suspects) if name in to_do]  # each once
    if not suspects:
        return {}
    progress.say(f"a run ended without a word: the {len(suspects)} pictures that were being read are tried apart")
    spec, folder = model.checkpoint.spec, settings.image_dir
    reasons = find_culprits(folder, spec, suspects, settings.picture_timeout, _limits(settings))
    culprits = {}
    for name, reason in reasons.items():
        version = version_of(folder, name)
        culprits[name] = Failed(name, version, "decode", reason, ended_process=True)
    return culprits


def run_plan(
    plan: Plan,
    model: ResidentModel,
    image_dir: str | Path,
    names: Sequence[str],
    selection: Selection,
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

    >>> plan = run_plan(plan, model, "photos", names, Selection(), output, progress)
    """
    device, spec = model.device.value, model.checkpoint.spec
    tagger = Tagger(model, selection, plan.batch_size.value)
    reader = PictureReader(image_dir, spec, device, plan.decoder.value, limits)
    round_size, rounds_ahead = plan.round_size.value, plan.rounds_ahead.value
    progress.start()
    # Left by an exception, Ctrl-C included, the writer finishes what was handed to it: two batches.
    with (
        heartbeat(picture_timeout),
        threads(plan.workers.value, picture_timeout) as decoders,
        single_core_threads("write", 1) as writer,
    ):
        behind = _Behind(writer, output, progress)
        behind.write(Launched([], None, culprits, tagger))
        for pictures in read_rounds(reader, decoders, names, round_size, rounds_ahead, output.note_in_flight):
            for launched in tagger.launch(pictures):
                behind.write(launched)
        behind.finish()
    return _as_it_ended(plan, tagger.batch_size)


class _Behind:
    """Writes batches on a thread of its own, a few behind the network and no more."""

    def __init__(self, writer: Executor, output: OutputFolder, progress: Progress):
        self.writer = writer
        self.output = output
        self.progress = progress
        self.unwritten: deque[Future[None]] = deque()

    def write(self, launched: Launched) -> None:
        future = self.writer.submit(self._write, launched)
        self.unwritten.append(future)
        if len(self.unwritten) > UNWRITTEN:
            oldest = self.unwritten.popleft()
            oldest.result()

    def _write(self, launched: Launched) -> None:
        for result in launched.results():
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
    if not plan.compiled.value:
        return ended
    eager = f"batches of {planned.value} were compiled, and ran out of memory: those of {batch_size} ran as loaded"
    return replace(ended, compiled=Choice(False, eager, plan.compiled.measured))


def _summarise(
    model: ResidentModel,
    settings: TagSettings,
    plan: Plan,
    output: OutputFolder,
    listing: Listing,
    started: datetime,
    seconds: float,
) -> Summary:
    failed = len(output.failures)
    new = output.processed + failed
    finished = started + timedelta(seconds=seconds)
    return Summary(
        started=started.isoformat(timespec="seconds"),
        finished=finished.isoformat(timespec="seconds"),
        complete=True,
        total_images=len(listing.names),
        processed=output.processed,
        resumed=output.resumed,
        failed=failed,
        orphaned=output.orphaned,
        left_out=listing.left_out,
        unreadable=listing.unreadable,
        objects=output.labels.total(),
        labels=dict(output.labels.most_common()),
        damaged=output.damaged,
        invalid=output.invalid,
        seconds=round(seconds, 3),
        images_per_second=round(new / seconds, 2),
        device=model.device,
        precision=model.precision,
        batch_size=plan.batch_size,
        compiled=plan.compiled,
        decoder=plan.decoder,
        workers=plan.workers,
        round_size=plan.round_size,
        rounds_ahead=plan.rounds_ahead,
        model=model.record(),
        settings=_as_they_were_given(model, settings),
        environment=environment(model.device.value),
    )


def _as_they_were_given(model: ResidentModel, settings: TagSettings) -> dict[str, Any]:
    """The parameters of `load` and `tag_folder`, in the notebook's order."""
    values = model.opened.model_dump()
    values.update(settings.model_dump())
    order = [*TagBatchSettings.model_fields, *AdvancedSettings.model_fields]
    names = [name for name in order if name in values]
    return {name: values[name] for name in names}
