"""`tag_folder`: find, resume, decide anew, plan, run, sum up."""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from .alone import find_culprits
from .concluding import leave_vocabulary, sum_up, warn_of_demo
from .corrections import KEPT, Corrections, KnownLabels, gathered, of_no_picture
from .deciding import Decision
from .decoding import Limits
from .finding import list_pictures
from .hardware import Choice
from .images import version_with_content
from .progress import Progress, tell_how_to_go_on
from .quantising import PrecisionOfRun, int8_for_this_run
from .redeciding import redecide
from .remembering import remember
from .resident import ResidentModel
from .results import OutputFolder, RawSource, precision_in_keys, run_key, set_aside_summary
from .running import run_plan
from .settings import (
    CONF_THRESHOLD,
    INT8_AGREEMENT,
    MAX_BYTES,
    MAX_PIXELS,
    NMS_IOU,
    PICTURE_TIMEOUT,
    RAW_FLOOR,
    TOP_K,
    TagSettings,
    check_settings,
)
from .summary import Summary
from .tagged import Failed
from .tuning import Plan, make_plan
from .versions import FileVersion, version_of


def tag_folder(
    model: ResidentModel,
    image_dir: str | Path,
    output_dir: str | Path,
    *,
    batch_size: int = 0,
    conf_threshold: float = CONF_THRESHOLD,
    nms_iou: float = NMS_IOU,
    top_k: int = TOP_K,
    vocabulary: str | Path = "",
    corrections: str | Path = "",
    compile: bool | str = "auto",
    workers: int = 0,
    resume: bool = True,
    limit: int = 0,
    orphans: str = "keep",
    max_pixels: int = MAX_PIXELS,
    max_bytes: int = MAX_BYTES,
    picture_timeout: float = PICTURE_TIMEOUT,
    verify: bool = False,
    raw_floor: float = RAW_FLOOR,
    int8_agreement: float = INT8_AGREEMENT,
) -> Summary:
    """Tag every picture below `image_dir`: one JSON a picture below `output_dir`/images, and a summary.json.

    A picture that cannot be read or run is recorded with its reason, and the run goes on. Pictures done before by the
    same model and settings are left alone (`resume`). Stopped at any moment, everything finished is on disk, and the
    next run goes on from there. Where only the threshold, `top_k` or the `vocabulary` changed, a table of the user's
    own words, results are decided anew from what the network said, down to `raw_floor`. What persons said is merged
    into them: `corrections`, a table, on top of those that were given before; a JSON that was edited by hand stays as
    it is. Results of pictures that have left the folder are kept aside (`orphans`: "move" puts them into orphans/).
    `verify` tells a changed picture by its content. `batch_size` 0 and `compile` "auto" are decided by measuring, where
    that pays. INT8 is used where `int8_agreement` of FP32's tags are surely its own, too. Returns the totals. Raises
    MissingFile, NotAFolder, PicturesError, SettingsError, VocabularyError, CorrectionsError or OutputError, with
    nothing written over, for folders and settings that cannot be used.

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
        vocabulary=vocabulary,
        corrections=corrections,
        compile=compile,
        workers=workers,
        resume=resume,
        limit=limit,
        orphans=orphans,
        max_pixels=max_pixels,
        max_bytes=max_bytes,
        picture_timeout=picture_timeout,
        verify=verify,
        raw_floor=raw_floor,
        int8_agreement=int8_agreement,
    )
    decision = Decision.of(settings, model.labels)
    said = gathered(settings.corrections, settings.output_dir)
    set_aside_summary(settings.output_dir)  # before pictures are looked for: it is not today's
    with tell_how_to_go_on(settings.resume):
        return _tag(model, settings, decision, said)


def _tag(model: ResidentModel, settings: TagSettings, decision: Decision, said: Corrections) -> Summary:
    started, clock = datetime.now(UTC), time.perf_counter()
    image_dir = Path(settings.image_dir).absolute()
    listing = list_pictures(image_dir, settings.limit, own=[settings.output_dir])
    with OutputFolder(settings.output_dir, image_dir=image_dir) as output, int8_for_this_run(model):
        precision = PrecisionOfRun(model, settings, listing, decision, output, _say).choose()
        _aim(output, model, precision, decision)
        output.correct(said, KnownLabels.of(said, model.labels, decision.vocabulary))
        unfinished = _unfinished(listing.names, settings, output)
        if listing.complete and output.same_folder_as_before:
            output.note_orphans(listing.names, move=settings.orphans == "move")
        warnings = warn_of_demo(model, image_dir)
        if settings.corrections:
            output.write(said.table(), KEPT)
            strangers = of_no_picture(said, [*listing.names, *listing.beyond])
            warnings += [strangers] if strangers else []
        total = len(listing.names)
        with Progress(total, output.resumed) as progress, tell_how_to_go_on(settings.resume, progress):
            for note in [*output.notes, *warnings]:
                progress.say(note)
            plan = _run(model, settings, unfinished, decision, output, progress)
            warnings += leave_vocabulary(model, decision, listing, output, progress)
        seconds = time.perf_counter() - clock
        summary = sum_up(model, precision, settings, plan, output, listing, started, seconds, warnings)
        output.close(summary)
    return summary


def _say(text: str) -> None:
    """Before there is a bar."""
    print(text, flush=True)


def _aim(output: OutputFolder, model: ResidentModel, precision: Choice[str], decision: Decision) -> None:
    fingerprint, name = model.checkpoint.fingerprint, precision_in_keys(precision.record())
    key = run_key(fingerprint, name, decision.selection, decision.vocabulary)
    source = RawSource.of(fingerprint, name, decision)
    output.aim(key, source)


def _run(
    model: ResidentModel,
    settings: TagSettings,
    unfinished: Mapping[str, FileVersion | None],
    decision: Decision,
    output: OutputFolder,
    progress: Progress,
) -> Plan:
    """Decide anew what needs no network, decide how to run the rest, and run."""
    names = list(unfinished)
    if settings.resume:
        names = redecide(decision, model.labels, unfinished, output, progress)
    plan = make_plan(settings, model, names, output.bits, progress.say)
    bits = plan.bits() if names else {}
    output.begin(bits, model.labels)
    remember(model, output)
    culprits = _culprits(model, settings, names, output, progress)
    others = [name for name in names if name not in culprits]
    return run_plan(
        plan,
        model,
        settings.image_dir,
        others,
        decision,
        output,
        progress,
        culprits=list(culprits.values()),
        limits=_limits(settings),
        picture_timeout=settings.picture_timeout,
    )


def _limits(settings: TagSettings) -> Limits:
    return Limits(settings.max_pixels, settings.max_bytes)


def _unfinished(names: Sequence[str], settings: TagSettings, output: OutputFolder) -> dict[str, FileVersion | None]:
    """The pictures that are to be run or decided anew, with the versions of their files; the others are counted."""
    unfinished = {}
    for name in names:
        version = _version(name, settings)
        done = output.done(name, version)
        if output.is_edited(name, version) or (done and settings.resume):
            output.count_resumed(name, version)
        else:
            unfinished[name] = version
    return unfinished


def _version(name: str, settings: TagSettings) -> FileVersion | None:
    if settings.verify:
        return version_with_content(settings.image_dir, name, _limits(settings))
    return version_of(settings.image_dir, name)


def _culprits(
    model: ResidentModel, settings: TagSettings, names: Sequence[str], output: OutputFolder, progress: Progress
) -> dict[str, Failed]:
    """Those of the pictures that took a process with them when they were read, found in a child process."""
    to_do = set(names)
    suspects = [name for name in dict.fromkeys(output.suspects) if name in to_do]  # each once
    if not suspects:
        return {}
    progress.say(f"{len(suspects)} pictures that were being read when a run ended are tried apart")
    spec, folder = model.checkpoint.spec, settings.image_dir
    reasons = find_culprits(folder, spec, suspects, settings.picture_timeout, _limits(settings))
    culprits = {}
    for name, reason in reasons.items():
        version = version_of(folder, name)
        culprits[name] = Failed(name, version, "decode", reason, ended_process=True)
    return culprits
