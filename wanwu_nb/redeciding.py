"""Decided anew without the network: from what it said before, under another threshold or in other words."""

from collections.abc import Mapping
from dataclasses import replace

from .deciding import Decision
from .progress import Progress
from .results import OutputFolder, RawObjects
from .versions import FileVersion


def redecide(
    decision: Decision,
    labels: Mapping[int, str],
    unfinished: Mapping[str, FileVersion | None],
    output: OutputFolder,
    progress: Progress,
) -> list[str]:
    """Write the results of those `unfinished` pictures, by name, that raw.jsonl holds as they are now.

    Equal byte for byte to those of a run of the network. Returns the names of the others, which the network has to
    run on; of those that were tagged before, it is said why.

    >>> redecide(decision, model.labels, unfinished, output, progress)
    ['new.jpg']
    """
    if output.source is None or not unfinished:  # with nothing to do, a long file need not be read
        return list(unfinished)
    with RawObjects(output.folder, output.source, labels, unfinished) as raw:
        redecided = set()
        for image in raw.in_order():
            version = unfinished[image]
            tagged = raw.read(image, version) if version else None
            if tagged is None:
                continue
            output.occurrences.add(image, tagged.detections)
            output.put(replace(tagged, detections=decision.decide(tagged.detections)))
            redecided.add(image)
            progress.update(len(redecided), failed=0)
    output.redecided = len(redecided)
    remaining = [image for image in unfinished if image not in redecided]
    _say_why(remaining, raw, output, progress)
    return remaining


def _say_why(remaining: list[str], raw: RawObjects, output: OutputFolder, progress: Progress) -> None:
    """Once, of pictures that were tagged before under other settings."""
    again = output.count_done_otherwise(remaining)
    if again == 0:
        return
    reason = "the lines are missing, or of other versions of the files"
    if raw.problems:
        ((reason, _),) = raw.problems.most_common(1)
    progress.say(f"the network runs on {again:,} pictures that were tagged before: in raw.jsonl {reason}")
