"""The batch loop: threads decode, the resident model runs full batches, a thread writes behind it."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path

import torch
from torch import Tensor

from .detections import Selection, detect
from .gpu_decoding import NVJPEG, choose_decoder, read_on_gpu
from .images import Picture, find_images, read, stat_of
from .progress import Progress
from .recovery import BatchRunner
from .resident import ResidentModel, unpacked
from .results import OutputFolder, Summary, run_key
from .settings import Settings, check_settings
from .tuning import Choice, choose_ahead, choose_batch_size, choose_compile, choose_workers, environment

Submit = Callable[..., Future]
UNWRITTEN = 2  # batches that may wait for the writer


def tag_folder(
    model: ResidentModel,
    image_dir: str | Path,
    output_dir: str | Path,
    *,
    batch_size: int = 0,
    conf_threshold: float = 0.3,
    nms_iou: float = 0.5,
    top_k: int = 100,
    compile: bool | str = "auto",
    workers: int = 0,
    resume: bool = True,
    limit: int = 0,
) -> Summary:
    """Tag every picture below `image_dir`: one JSON a picture below `output_dir`/images, and a summary.json.

    A picture that cannot be read or run is recorded with its reason, and the run goes on. Pictures done before by the
    same model and settings are left alone (`resume`). Stopped at any moment, everything finished is on disk, and the
    next run goes on from there. `batch_size` 0 and `compile` "auto" are decided by measuring, where that pays. Raises
    FileNotFoundError, NotADirectoryError, ValueError or OSError, with nothing written over, for folders and settings
    that cannot be used.
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
        compile=compile,
        workers=workers,
        resume=resume,
        limit=limit,
    )
    names = find_images(image_dir, limit)
    selection = Selection(conf_threshold, nms_iou, top_k)
    with OutputFolder(output_dir, run_key(model.checkpoint.fingerprint, model.precision.value, selection)) as output:
        to_do = [name for name in names if not (resume and output.resume(name, stat_of(image_dir, name)))]
        with Progress(len(names), output.resumed) as progress:
            choices = choose(settings, model, to_do, output, progress)
            choices["batch_size"] = tag(model, Path(image_dir), to_do, output, selection, choices, progress)
        summary = summarise(model, settings, choices, output, len(names), time.perf_counter() - started)
        output.close(summary)
    return summary


def choose(
    settings: Settings, model: ResidentModel, names: list[str], output: OutputFolder, progress: Progress
) -> dict[str, Choice]:
    """How these pictures will be run; what decides the bits of a result is noted in the output folder."""
    begun, device = output.choices, model.device.value
    size = choose_batch_size(settings.batch_size, begun.get("batch_size", 0), len(names), model)
    workers = choose_workers(settings.workers)
    choices = {"batch_size": size, "workers": workers, "decoding": choose_ahead(device, size.value, workers.value)}
    if not names:
        nothing = Choice(False, "there is nothing to do")
        return {**choices, "compiled": nothing, "decoder": nothing}
    compiled = choose_compile(settings.compile, begun.get("compiled"), len(names), size.value, model, progress.say)
    sample = Path(settings.image_dir), model.checkpoint.spec, device, names, workers.value
    decoder = choose_decoder(begun.get("decoder", ""), *sample)
    output.begin({"batch_size": size.value, "compiled": compiled.value, "decoder": decoder.value})
    return {**choices, "compiled": compiled, "decoder": decoder}


def tag(
    model: ResidentModel,
    image_dir: Path,
    names: list[str],
    output: OutputFolder,
    selection: Selection,
    choices: dict[str, Choice],
    progress: Progress,
) -> Choice:
    """Decode, forward, write. Back-pressure: so many rounds decoded ahead, so many batches not yet written.

    Returns the batch size as it was chosen or, where memory ran out, what it came down to.
    """

    def write(part: list[Picture], raw: Tensor | None, reason: str) -> None:
        if raw is None:
            for picture in part:
                output.fail(picture.name, picture.stat, picture.failure or reason)
        else:
            placements = [picture.placement for picture in part]
            found = detect(unpacked(raw), placements, model.checkpoint.labels, selection)
            for picture, detections in zip(part, found, strict=True):
                output.write(picture.name, picture.stat, detections)
        progress.update(output.processed + len(output.failures), len(output.failures))

    progress.start()
    size, decoding = choices["batch_size"], choices["decoding"]
    runner = BatchRunner(model.launch, size.value)
    read_round = reader(choices["decoder"], image_dir, model)
    unwritten: deque[Future] = deque()
    # Left by an exception, Ctrl-C included, the pools finish what was handed to them: a round of decoding, two batches.
    with threads("decode", choices["workers"].value) as decoders, threads("write", 1) as writer:
        for pictures in rounds(decoders, read_round, names, decoding.value, decoding.measured["ahead"]):
            unreadable = [picture for picture in pictures if picture.image is None]
            readable = [picture for picture in pictures if picture.image is not None]
            for part in chain([(unreadable, None, "")], runner.run(readable)):
                unwritten.append(writer.submit(write, *part))
                if len(unwritten) > UNWRITTEN:
                    unwritten.popleft().result()
        for waiting in unwritten:
            waiting.result()
    if runner.size == size.value:
        return size
    return Choice(runner.size, f"{size.value} ran out of memory in the middle ({size.reason})", size.measured)


@contextmanager
def threads(name: str, count: int) -> Iterator[ThreadPoolExecutor]:
    """A pool in which torch keeps to one core a thread: with teams of their own they would hinder the network's."""
    before = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(count, name, torch.set_num_threads, (1,)) as pool:
            yield pool
    finally:
        torch.set_num_threads(before)


def reader(decoder: Choice, image_dir: Path, model: ResidentModel) -> Callable[[Submit, list[str]], list[Future]]:
    """How a round is read: a picture a thread, or all of them on the GPU. The futures hold lists of pictures."""
    spec, device = model.checkpoint.spec, model.device.value
    if decoder.value == NVJPEG:
        return lambda submit, names: [submit(read_on_gpu, image_dir, spec, device, names)]
    return lambda submit, names: [submit(lambda name: [read(image_dir, spec, name)], name) for name in names]


def rounds(
    decoders: ThreadPoolExecutor, read_round, names: list[str], count: int, ahead: int
) -> Iterator[list[Picture]]:
    """The pictures in order, `count` at a time, while threads decode the next `ahead` rounds; 0: none meanwhile."""
    names, waiting = iter(names), deque()
    while True:
        while len(waiting) <= ahead and (some := list(islice(names, count))):
            waiting.append(read_round(decoders.submit, some))
        if not waiting:
            return
        yield [picture for future in waiting.popleft() for picture in future.result()]


def summarise(
    model: ResidentModel,
    settings: Settings,
    choices: dict[str, Choice],
    output: OutputFolder,
    total: int,
    seconds: float,
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
        **{name: choice.record() for name, choice in choices.items()},
        precision=model.precision.record(),
        device=model.device.record(),
        model=model.facts(),
        settings=settings.model_dump(exclude={"max_failed", "demo_images"}),
        environment=environment(model.device.value),
    )
