"""The totals of one run, as they stand in summary.json: typed here, plain JSON there."""

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from .errors import MissingFile, ResultsError, WanwuError
from .hardware import Choice
from .paths import local_path


class TooManyFailed(WanwuError):
    """More of a run's pictures failed than its owner allows."""


@dataclass(frozen=True)
class Summary:
    """Totals and choices of one run: total_images = processed + resumed + failed, always.

    `started` and `finished` are UTC, ISO 8601; a summary that is there is that of a complete run. `redecided`: how many
    of the processed were decided anew, without the network; `corrected`: how many of all hold what a person said;
    `edited`: how many are JSONs that a person edited. `labels` counts objects by name. `damaged`: pictures that were
    tagged without their end; `invalid`: what networks gave that cannot be, and was dropped (see Detections).
    `orphaned`: results of pictures that have left the folder; `left_out`, by reason: what lies there and is no picture
    to tag; `unreadable`: sub-folders that could not be searched; `warnings`: sentences that whoever uses the results
    should know. `settings` are those that were given, `device` to `rounds_ahead` what was chosen, each with its reason.
    """

    started: str
    finished: str
    complete: bool
    total_images: int
    processed: int
    redecided: int
    resumed: int
    failed: int
    orphaned: int
    left_out: dict[str, int]
    unreadable: list[str]
    warnings: list[str]
    objects: int
    labels: dict[str, int]
    damaged: int
    invalid: int
    seconds: float
    images_per_second: float
    device: Choice[str]
    precision: Choice[str]
    batch_size: Choice[int]
    corrected: int = field(default=0, kw_only=True)
    edited: int = field(default=0, kw_only=True)
    engine: Choice[str] = field(default=Choice("", "not noted by the version that wrote this"), kw_only=True)
    memory_format: Choice[str] = field(default=Choice("", "not noted by the version that wrote this"), kw_only=True)
    compiled: Choice[bool]
    decoder: Choice[str]
    workers: Choice[int]
    round_size: Choice[int]
    rounds_ahead: Choice[int]
    model: dict[str, Any]
    settings: dict[str, Any]
    environment: dict[str, str | int]

    @property
    def choices(self) -> dict[str, Choice[Any]]:
        """Returns what was chosen, by name.

        >>> {name: choice.value for name, choice in summary.choices.items()}
        """
        choices = {}
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, Choice):
                choices[each.name] = value
        return choices

    def record(self) -> dict[str, Any]:
        """Returns what stands in summary.json."""
        record = asdict(self)
        for name, choice in self.choices.items():
            record[name] = choice.record()
        return record

    @classmethod
    def read(cls, path: str | Path) -> "Summary":
        """Returns the summary in a file, or in an output folder.

        Raises MissingFile where there is none, since the run did not complete; ResultsError where it is broken or of
        another version.

        >>> Summary.read("runs/tags").total_images
        24
        """
        path = Path(local_path(path))
        if path.is_dir():
            path = path / "summary.json"
        try:
            content = json.loads(path.read_bytes())
            return _SUMMARY.validate_python(content)
        except FileNotFoundError:
            raise MissingFile(f"{path} does not exist: the run there is not complete") from None
        except ValidationError as error:
            fault = error.errors()[0]
            where = ".".join(map(str, fault["loc"]))
            raise ResultsError(
                f"{path} is no summary of this version ({where}: {fault['msg']}): run it again"
            ) from None
        except ValueError as error:
            raise ResultsError(f"{path} is broken ({error}): run it again") from None

    def check(self, max_failed: float) -> None:
        """Raise TooManyFailed where more than this share of the pictures failed.

        >>> summary.check(max_failed=0.1)
        """
        if self.failed > max_failed * self.total_images:
            raise TooManyFailed(
                f"{self.failed} of {self.total_images} pictures failed, more than max_failed={max_failed:g}: "
                "see failures.csv; what could be tagged is written, and the next run tries the failed ones again"
            )


_SUMMARY = TypeAdapter(Summary)
