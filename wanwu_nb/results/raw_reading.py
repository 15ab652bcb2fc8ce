"""The reader of raw.jsonl for people: what the network said of a run's pictures, before anything was decided."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..deciding import Decision
from ..detections import Selection
from ..errors import MissingFile, ResultsError
from ..paths import local_path
from ..tagged import Tagged
from .folder import LABELS
from .ledger import read_ledger
from .lines import parse_line
from .raw import RAW, RawSource, last_lines, raw_of
from .records import LEDGER


def read_raw(output_dir: str | Path, images: Iterable[str] | None = None) -> Iterator[Tagged]:
    """Yields what the network said of each picture that the ledger calls done, down to the floor, in exact values.

    In the model's own labels, one picture at a time, in the order of the file; the newest line of a picture counts.
    `images`: only those of these pictures. Lines of another network or NMS than the last complete run's, and broken
    ones, are passed over. Raises MissingFile where there is no raw.jsonl, ResultsError for labels that cannot be read.

    >>> for picture in read_raw("runs/tags"):
    ...     print(picture.image, picture.detections.scores.max())
    """
    folder = Path(local_path(output_dir))
    path = folder / RAW
    if not path.exists():
        raise MissingFile(f"{path} does not exist: run again with resume=False, and the network writes it")
    labels = read_labels(folder)
    entries = read_ledger(folder / LEDGER).entries
    wanted = {image for image, entry in entries.items() if entry["status"] == "done"}
    if images is not None:
        wanted.intersection_update(images)
    offsets = last_lines(path, wanted, _key_of_last_run(folder))
    with open(path, "rb") as file:
        for offset in offsets:
            file.seek(offset)
            record = parse_line(file.readline())
            tagged = raw_of(record, labels) if record else None
            if tagged is not None:
                yield tagged


def read_labels(folder: Path) -> dict[int, str]:
    """Returns the model's names by class id, as they stand in an output folder's labels.json.

    Raises MissingFile where there is none, ResultsError where it is broken.

    >>> read_labels(Path("runs/tags"))[0]
    'T恤'
    """
    path = folder / LABELS
    try:
        names = json.loads(path.read_bytes())
        return {int(class_id): name for class_id, name in names.items()}
    except FileNotFoundError:
        raise MissingFile(f"{path} does not exist: run again, and it is written") from None
    except (ValueError, AttributeError) as error:
        raise ResultsError(f"{path} is broken ({error}): run again, and it is written anew") from None


def _key_of_last_run(folder: Path) -> str:
    """Of its network and NMS; "" where no run is complete."""
    try:
        summary = json.loads((folder / "summary.json").read_bytes())
        selection = Selection(nms_iou=summary["settings"]["nms_iou"])
        fingerprint, precision = summary["model"]["fingerprint"], summary["precision"]["value"]
        return RawSource.of(fingerprint, precision, Decision(selection)).key
    except (OSError, ValueError, KeyError, TypeError):
        return ""
