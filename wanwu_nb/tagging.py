"""The batch loop: threads decode, the resident model runs full batches, a thread writes behind it."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

from .detections import Selection
from .finding import list_pictures
from .hardware import Choice, environment
from .images import version_of
from .output_folder import OutputFolder
from .process import single_core_threads
from .progress import Progress
from .reading import PictureReader, read_rounds
from .resident import ResidentModel
from .results import run_key
from .settings import CONF_THRESHOLD, NMS_IOU, TOP_K, TagBatchSettings, TagSettings, check_settings
from .summary import Summary
from .tagger import Launched, Tagger
from .tuning import Plan, make_plan

UNWRITTEN = 2  # batches that may wait for the writer

Threads = Callable[[str, int], AbstractContextManager[ThreadPoolExecutor]]


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
) -> Summary:
    """Tag every picture below `image_dir`: one JSON a picture below `output_dir`/images, and a summary.json.

    A picture that cannot be read or run is recorded with its reason, and the run goes on. Pictures done before by the
    same model and settings are left alone (`resume`). Stopped at any moment, everything finished is on disk, and the
    next run goes on from there. `batch_size` 0 and `compile` "auto" are decided by measuring, where that pays. Returns
    the totals. Raises MissingFile, NotAFolder, PicturesError, SettingsError or OutputError, with nothing written over,
    for folders and settings that cannot be used.

    >>> tag_folder(model, "photos", "tags", conf_threshold=0.4).processed
    867
    """
    started = time.perf_counter()
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
    )
    listing = list_pictures(settings.image_dir, settings.limit, own=[settings.output_dir])
    names = listing.names
    selection = Selection(settings.conf_threshold, settings.nms_iou, settings.top_k)
    key = run_key(model.checkpoint.fingerprint, model.precision.value, selection)
    with OutputFolder(settings.output_dir, key) as output:
        to_do = _unfinished(names, settings, output)
        with Progress(len(names), output.resumed) as progress:
            plan = make_plan(settings, model, to_do, output.bits, progress.say)
            output.begin(plan.bits() if to_do else {}, model.labels)
            plan = run_plan(plan, model, settings.image_dir, to_do, selection, output, progress)
        seconds = time.perf_counter() - started
        summary = _summarise(model, settings, plan, output, len(names), seconds)
        output.close(summary)
    return summary


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


def run_plan(
    plan: Plan,
    model: ResidentModel,
    image_dir: str | Path,
    names: Sequence[str],
    selection: Selection,
    output: OutputFolder,
    progress: Progress,
    threads: Threads = single_core_threads,
) -> Plan:
    """Decode, forward, write. Back-pressure: so many rounds decoded ahead, so many batches not yet written.

    Returns the plan as it was or, where memory ran out, with what the batch size came down to.

    >>> plan = run_plan(plan, model, "photos", names, Selection(), output, progress)
    """
    device, spec = model.device.value, model.checkpoint.spec
    tagger = Tagger(model, selection, plan.batch_size.value)
    reader = PictureReader(image_dir, spec, device, plan.decoder.value)
    round_size, rounds_ahead = plan.round_size.value, plan.rounds_ahead.value
    progress.start()
    # Left by an exception, Ctrl-C included, the pools finish what was handed to them: a round of decoding, two batches.
    with threads("decode", plan.workers.value) as decoders, threads("write", 1) as writer:
        behind = _Behind(writer, output, progress)
        for pictures in read_rounds(reader, decoders, names, round_size, rounds_ahead):
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
    model: ResidentModel, settings: TagSettings, plan: Plan, output: OutputFolder, total: int, seconds: float
) -> Summary:
    failed = len(output.failures)
    new = output.processed + failed
    return Summary(
        total_images=total,
        processed=output.processed,
        resumed=output.resumed,
        failed=failed,
        objects=output.labels.total(),
        labels=dict(output.labels.most_common()),
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
    names = [name for name in TagBatchSettings.model_fields if name in values]
    return {name: values[name] for name in names}
