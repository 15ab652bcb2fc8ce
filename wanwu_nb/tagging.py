"""The batch loop: threads decode ahead, the resident model runs full batches, a thread writes behind it."""

import os
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from torch import Tensor

from .detections import Selection, detect
from .images import InputSpec, Placement, UnreadableImage, decode, find_images, fit
from .progress import Progress
from .resident import BATCH_SIZE, ResidentModel, full_batch
from .results import OutputFolder, Summary, run_key
from .settings import Settings, check_settings
from .tuning import Choice, choose_workers, environment


def tag_folder(
    model: ResidentModel,
    image_dir: str | Path,
    output_dir: str | Path,
    *,
    batch_size: int = BATCH_SIZE,
    conf_threshold: float = 0.3,
    nms_iou: float = 0.5,
    top_k: int = 100,
    workers: int = 0,
    resume: bool = True,
    limit: int = 0,
) -> Summary:
    """Tag every picture below `image_dir`: one JSON a picture below `output_dir`/images, and a summary.json.

    A picture that cannot be read is recorded with its reason, and the run goes on. Pictures done before by the same
    model and settings are left alone (`resume`). Stopped at any moment, everything finished is on disk, and the next
    run goes on from there. Raises FileNotFoundError, NotADirectoryError, ValueError or OSError, with nothing written
    over, for folders and settings that cannot be used.
    """
    started = time.perf_counter()
    settings = check_settings(
        image_dir=str(image_dir),
        output_dir=str(output_dir),
        model=model.checkpoint.name,
        batch_size=batch_size,
        conf_threshold=conf_threshold,
        nms_iou=nms_iou,
        top_k=top_k,
        device=model.device.value,
        precision=model.precision.value,
        workers=workers,
        resume=resume,
        limit=limit,
    )
    names = find_images(image_dir, limit)
    selection = Selection(conf_threshold, nms_iou, top_k)
    threads = choose_workers(workers)
    choices = {"batch_size": batch_size, "precision": model.precision.value, "device": model.device.value}
    key = run_key(model.checkpoint.fingerprint, model.precision.value, selection)
    with OutputFolder(output_dir, key, choices) as output:
        to_do = [name for name in names if not (resume and output.resume(name, stat_of(image_dir, name)))]
        with Progress(len(names), output.resumed) as progress:
            tag(model, Path(image_dir), to_do, output, selection, batch_size, threads.value, progress)
        summary = summarise(model, settings, threads, output, len(names), time.perf_counter() - started)
        output.close(summary)
    return summary


def tag(
    model: ResidentModel,
    image_dir: Path,
    names: list[str],
    output: OutputFolder,
    selection: Selection,
    batch_size: int,
    threads: int,
    progress: Progress,
) -> None:
    """Decode ∥ forward ∥ write. Back-pressure: two batches decoded ahead, two not yet written."""

    def write(raw, batch: list[Picture]) -> None:
        readable = [picture for picture in batch if picture.image is not None]
        placements = [picture.placement for picture in readable]
        found = iter(detect(raw, placements, model.checkpoint.labels, selection) if readable else [])
        for picture in batch:
            if picture.image is None:
                output.fail(picture.name, picture.stat, picture.failure)
            else:
                output.write(picture.name, picture.stat, next(found))
        progress.update(output.processed + len(output.failures), len(output.failures))

    read_one = partial(read, image_dir, model.checkpoint.spec)
    unwritten = deque()
    # Left by an exception, Ctrl-C included, the pools finish what was handed to them: a few decodings, two batches.
    with ThreadPoolExecutor(threads, "decode") as decoders, ThreadPoolExecutor(1, "write") as writer:
        pictures = mapped_ahead(decoders, read_one, names, ahead=2 * batch_size + threads)
        for batch in batches(pictures, batch_size):
            images = [picture.image for picture in batch if picture.image is not None]
            raw = model.forward(full_batch(images, batch_size)) if images else None
            unwritten.append(writer.submit(write, raw, batch))
            if len(unwritten) > 2:
                unwritten.popleft().result()
        for waiting in unwritten:
            waiting.result()


@dataclass(frozen=True)
class Picture:
    """A picture of the run: its input and placement once decoded, or why there is none."""

    name: str
    stat: os.stat_result | None
    image: Tensor | None = None
    placement: Placement | None = None
    failure: str = ""


def read(image_dir: Path, spec: InputSpec, name: str) -> Picture:
    stat = stat_of(image_dir, name)  # before the bytes are read: a change meanwhile shows at the next run
    try:
        return Picture(name, stat, *fit(decode(image_dir / name), spec))
    except UnreadableImage as reason:
        return Picture(name, stat, failure=str(reason))


def stat_of(image_dir: str | Path, name: str) -> os.stat_result | None:
    try:
        return os.stat(os.path.join(image_dir, name))
    except OSError:
        return None


def mapped_ahead(pool: ThreadPoolExecutor, function, items: Iterable, ahead: int) -> Iterator:
    """`pool.map`, in order, but never more than `ahead` items in hand: memory stays flat over a million pictures."""
    items = iter(items)
    waiting = deque(pool.submit(function, item) for item in islice(items, ahead))
    while waiting:
        result = waiting.popleft().result()
        waiting.extend(pool.submit(function, item) for item in islice(items, 1))
        yield result


def batches(pictures: Iterable[Picture], batch_size: int) -> Iterator[list[Picture]]:
    """Pictures in order, a batch each time `batch_size` readable ones have come; unreadable ones ride along."""
    batch, readable = [], 0
    for picture in pictures:
        batch.append(picture)
        readable += picture.image is not None
        if readable == batch_size or len(batch) == 4 * batch_size:
            yield batch
            batch, readable = [], 0
    if batch:
        yield batch


def summarise(
    model: ResidentModel, settings: Settings, threads: Choice, output: OutputFolder, total: int, seconds: float
) -> Summary:
    new = output.processed + len(output.failures)
    return Summary(
        total_images=total,
        processed=output.processed,
        resumed=output.resumed,
        failed=len(output.failures),
        objects=output.labels.total(),
        labels=dict(output.labels.most_common()),
        invalid=output.invalid,
        seconds=round(seconds, 3),
        images_per_second=round(new / seconds, 2),
        batch_size={"value": settings.batch_size, "reason": "as asked"},
        precision=model.precision._asdict(),
        device=model.device._asdict(),
        workers=threads._asdict(),
        model=model.facts(),
        settings=settings.model_dump(exclude={"max_failed", "demo_images"}),
        environment=environment(),
    )
