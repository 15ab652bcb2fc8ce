"""The end of a run: the table of labels to edit, what should be known, and the summary."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from .deciding import Decision
from .finding import Listing
from .hardware import Choice, environment
from .progress import Progress
from .resident import ResidentModel
from .results import OutputFolder
from .results.occurrences import add_resumed
from .results.vocabulary_file import VOCABULARY, write_vocabulary
from .settings import DEMO_TRUTH, AdvancedSettings, TagBatchSettings, TagSettings
from .summary import Summary
from .tuning import Plan


def warn_of_demo(model: ResidentModel, image_dir: str | Path) -> list[str]:
    """Returns a sentence where the demo's detector is run on other pictures than the demo's.

    >>> warn_of_demo(ResidentModel.load("demo"), "photos")[0][:32]
    'the demo detector knows 20 drawn'
    """
    is_demo = model.checkpoint.architecture == "wanwu_nb/demo_detector" and model.checkpoint.name == "demo detector"
    if not is_demo or (Path(image_dir) / DEMO_TRUTH).exists():
        return []
    count = len(model.labels)
    return [f"the demo detector knows {count} drawn products and nothing else: use model=everyday for photographs"]


def leave_vocabulary(
    model: ResidentModel, decision: Decision, listing: Listing, output: OutputFolder, progress: Progress
) -> list[str]:
    """Write the labels that occurred as a table to edit, where anything is new.

    Returns a sentence where the vocabulary leaves nothing of what occurred.

    >>> leave_vocabulary(model, decision, listing, output, progress)
    []
    """
    anything_new = output.processed or output.bits  # bits: of a run that was killed, perhaps before this table
    if output.source is None or not anything_new:
        return []
    add_resumed(output.occurrences, output.folder, output.source, model.labels, listing.names)
    seen = output.occurrences.count(decision)
    path = write_vocabulary(output.folder, model.labels, seen, decision.vocabulary)
    if path.name != VOCABULARY:
        progress.say(f"{VOCABULARY} is not as a run left it, and stays: today's labels are in {path.name}")
    occurred = sum(each.count for each in seen.values())
    if occurred and not output.labels.total():
        warning = f"the vocabulary leaves out all {occurred:,} objects, of {len(seen):,} labels"
        progress.say(warning)
        return [warning]
    return []


def sum_up(
    model: ResidentModel,
    precision: Choice[str],
    settings: TagSettings,
    plan: Plan,
    output: OutputFolder,
    listing: Listing,
    started: datetime,
    seconds: float,
    warnings: Sequence[str],
) -> Summary:
    """Returns the totals of the run that began at `started`, took so many seconds, and tagged in this precision.

    >>> output.close(sum_up(model, precision, settings, plan, output, listing, started, seconds, []))
    """
    new = output.processed + len(output.failures)
    finished = started + timedelta(seconds=seconds)
    return Summary(
        started=started.isoformat(timespec="seconds"),
        finished=finished.isoformat(timespec="seconds"),
        complete=True,
        total_images=len(listing.names),
        processed=output.processed,
        redecided=output.redecided,
        resumed=output.resumed,
        edited=output.edited,
        corrected=len(set(output.corrections.images).intersection(listing.names).difference(output.failures)),
        failed=len(output.failures),
        orphaned=output.orphaned,
        left_out=listing.left_out,
        unreadable=listing.unreadable,
        warnings=list(warnings),
        objects=output.labels.total(),
        labels=dict(output.labels.most_common()),
        damaged=output.damaged,
        invalid=output.invalid,
        seconds=round(seconds, 3),
        images_per_second=round(new / seconds, 2),
        device=model.device,
        precision=precision,
        batch_size=plan.batch_size,
        engine=plan.engine,
        compiled=plan.compiled,
        memory_format=plan.memory_format,
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
