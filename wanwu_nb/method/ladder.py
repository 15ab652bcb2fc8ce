"""The method measured: its steps on the same pictures, one row a step, each judged beside the others."""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd

from ..advice import suggestion
from ..demo import TRUTH, demo_folder
from ..detections import Tag
from ..errors import SettingsError, first_line
from ..quality import Share, Truth, accuracy, agreement, read_truth
from ..results import read_result
from ..settings import INT8, SpeedUpSettings
from . import verdict
from .job import Job, job_of, why_no_int8
from .limits import batch_size_curve, seconds_of
from .steps import DEFAULT, LOWER, STEPS, Step, steps_before, steps_between
from .trial import Row, attempt, in_own_process
from .verdict import TagsChanged as TagsChanged

PATIENCE = 100  # seconds that one run of any step may take; one that takes longer must beat the default

Tags = list[Tag]


def ladder_of(settings: SpeedUpSettings, output: Path) -> "Ladder":
    """Returns the ladder that notebook 02's parameters describe; it works and writes in `output`.

    Raises SettingsError for a step that is none, TruthError for ground truth that does not fit, and what `job_of` does.

    >>> ladder = ladder_of(read_parameters(globals(), SpeedUpSettings), Path("scratch"))
    """
    steps = _chosen(settings.steps)  # a misspelt one stops here, before a model is loaded
    job = job_of(settings, output, settings.batch_size)
    truth = _truth_for(settings, job)
    return Ladder(job, steps, settings.repeats, truth, settings.min_agreement)


class Ladder:
    """Measures the steps of a job one by one; `rows` holds a Row for each.

    `steps`: names of those to run; `truth`: of pictures of the job (see `quality.read_truth`), for accuracy. INT8 that
    surely keeps a smaller share of the tags than `min_agreement` is measured, and not used by the steps after it.

    >>> ladder = Ladder(job, repeats=5)
    >>> print(ladder.measure("default"))
    """

    def __init__(
        self,
        job: Job,
        steps: Sequence[str] = tuple(STEPS),
        repeats: int = 3,
        truth: Truth | None = None,
        min_agreement: float = 0.99,
    ):
        self.asked_batch_size = job.batch_size
        batch_size = min(job.batch_size, len(job.names))
        self.job = replace(job, batch_size=batch_size)
        self.steps = steps
        self.repeats = repeats
        self.truth = truth or Truth({})
        self.min_agreement = min_agreement
        self.rows: dict[str, Row] = {}

    def __str__(self) -> str:
        batch_size = self.job.batch_size
        size = f"batches of 批大小 {batch_size}"
        if self.asked_batch_size > batch_size:
            size += f": batch_size={self.asked_batch_size} is more than there are pictures"
        truth = "no ground truth: agreement only 无标注"
        if self.truth:
            truth = f"ground truth for {len(self.truth)} 有标注\n{self.truth.unshared()}"
        return f"{self.job}\n{size}\n{truth}".rstrip()

    @property
    def measured(self) -> dict[str, Row]:
        """Returns the rows that hold a measurement, by step."""
        measured = {}
        for name, row in self.rows.items():
            if not row.reason:
                measured[name] = row
        return measured

    @property
    def default(self) -> Row:
        """Returns the row that the others are compared with."""
        return self.row(DEFAULT.name)

    def row(self, name: str) -> Row:
        """Returns the row of a step, also of one that has not run."""
        return verdict.row_of(self.rows, name)

    def predict(self, name: str) -> str:
        """Returns what a step should bring over the fastest so far, as a sentence to read before it is run.

        >>> print(ladder.predict("resident"))
        """
        base = self.fastest_before(name)
        if base is None:
            return "no step has run that a prediction could start from"
        gain = self._predicted_gain(name, base)
        seconds = base.spread.median / gain
        return f"{base.step} → {name}, predicted 预测: × {gain:.2f}, {seconds:.4f} s/picture 秒/张"

    def measure(self, name: str) -> Row:
        """Run a step. Returns its row; one that cannot run has a row with the reason, and the next ones go on.

        >>> print(ladder.measure("resident"))
        """
        row = self._run(STEPS[name])
        if not row.reason:
            row = self._judged(row)
        self.rows[name] = row
        return row

    def fastest_before(self, name: str) -> Row | None:
        """Returns what a step builds on: the fastest of those before it, since one that lost does not stay."""
        before = steps_before(name)
        rows = [self.row(step.name) for step in before]
        return verdict.fastest(rows)

    def patience(self) -> float:
        """Returns seconds a run may take: any time for the default, and the default's for those that should beat it."""
        if self.default.reason:
            return math.inf
        whole = self.default.spread.median * len(self.job.names)
        return max(PATIENCE, whole)

    def tags(self, row: Row) -> dict[str, Tags]:
        """Returns what a step's JSONs hold, by picture. Raises ResultsError for a broken one, MissingFile for none."""
        tags = {}
        for name in self.job.names:
            result = read_result(row.output, name)
            tags[name] = result.objects
        return tags

    def pairs(self, reference: Row, other: Row) -> list[tuple[Tags, Tags]]:
        """Returns the tags of two steps, a pair a picture, in the order of the job's names. Raises as `tags` does."""
        first = self.tags(reference)
        second = self.tags(other)
        return list(zip(first.values(), second.values(), strict=True))

    def precision_rows(self) -> list[Row]:
        """Returns the rows of the step before lower precision and of the one in it; of other precisions below FP32 that
        the device runs, too."""
        *_, full = steps_before(LOWER.name)
        rows = [self.row(full.name), self.row(LOWER.name)]
        if rows[-1].reason:
            return rows
        for precision in self._other_precisions():
            job = replace(self.job, lower=precision, output=self.job.output / precision)
            rows.append(attempt(LOWER, job, self.repeats, self.patience()))
        return rows

    def _other_precisions(self) -> list[str]:
        if self.job.device.startswith("cuda"):
            return ["bf16"]
        if self.job.lower == INT8 or why_no_int8(self.job.device):
            return []
        return [INT8]

    def curve(self) -> pd.DataFrame:
        """Returns `limits.batch_size_curve` of the package's model; an empty table where it cannot run."""
        try:
            return in_own_process(batch_size_curve, self.job.open_resident)
        except Exception as error:  # as in trial.attempt
            print(f"not run 未运行: {first_line(error)}")
            return pd.DataFrame()

    def advice(self) -> str:
        """Returns what to run here, and what to leave out: see `verdict.advice`."""
        return verdict.advice(self.rows)

    def check(self, min_agreement: float) -> str:
        """Raise TagsChanged where a step surely changes too many tags: see `verdict.check`. Returns what else to say.

        >>> print(ladder.check(min_agreement=0.99))
        """
        return verdict.check(self.rows, min_agreement)

    def _run(self, step: Step) -> Row:
        if step.name not in self.steps:
            return Row(step.name, "left out by the parameter steps")
        if step is not DEFAULT and len(self.job.names) < 2:
            return Row(step.name, "with one picture there is nothing to do once for several: give at least 2")
        output = self.job.output / step.name
        job = replace(self.job, output=output)
        if step.ours and self._runs_in_int8:
            job = replace(job, open_resident=partial(job.open_resident, precision=INT8))
        return attempt(step, job, self.repeats, self.patience())

    @property
    def _runs_in_int8(self) -> bool:
        """Whether the package's own loop does, as it would by a verdict of its own on more pictures."""
        lower = self.row(LOWER.name)
        return self.job.lower == INT8 and not lower.reason and not lower.refused

    def _judged(self, row: Row) -> Row:
        """The row beside the others: gain, agreement with the default step, accuracy where there is ground truth."""
        base = self.fastest_before(row.step)
        if base is not None:
            predicted = self._predicted_gain(row.step, base)
            gain = base.spread.median / row.spread.median
            row = replace(row, base=base.step, predicted=predicted, gain=gain)
        if row.step != DEFAULT.name and not self.default.reason:
            pairs = self.pairs(self.default, row)
            share = agreement(pairs, by_id=True)
            row = replace(row, agreement=share, refused=self._refused(row, share))
        if self.truth:
            tags = self.tags(row)
            row = replace(row, accuracy=accuracy(self.truth, tags))
        return row

    def _refused(self, row: Row, share: Share | None) -> str:
        """Why INT8 is not used; other precisions are taken unasked, and their tags are for `check` to judge."""
        if row.step != LOWER.name or row.precision != INT8 or share is None:
            return ""
        return verdict.too_low(share, self.min_agreement)

    def _predicted_gain(self, name: str, base: Row) -> float:
        """How many times as fast as `base`, going by its stages. Steps between that were left out are part of it."""
        stages = base.stages
        for step in steps_between(base.step, name):
            if step.name == name or self._was_left_out(step):
                stages = step.expects(stages, self.job.batch_size, self.job.device)
        before = seconds_of(base.stages, self.job.device)
        after = seconds_of(stages, self.job.device)
        return before / after

    def _was_left_out(self, step: Step) -> bool:
        wanted = step.name in self.steps
        has_row = step.name in self.rows
        return not (wanted and has_row)


def _chosen(steps: str) -> list[str]:
    """All, or names separated by commas; the default always runs, since the others are compared with it."""
    if steps == "all":
        return list(STEPS)
    parts = [part.strip() for part in steps.split(",")]
    names = [DEFAULT.name, *filter(None, parts)]
    for name in names:
        if name not in STEPS:
            hint = suggestion(name, STEPS)
            raise SettingsError(f"unknown step {name!r} in steps: {hint}")
    return names


def _truth_for(settings: SpeedUpSettings, job: Job) -> Truth:
    """The ground truth that the parameters name, or that the demo brings; without either, none."""
    is_demo = settings.image_dir == settings.model == "demo" and not settings.labels
    if settings.truth:
        path = Path(settings.truth).absolute()
    elif is_demo:
        path = demo_folder(settings.limit) / TRUTH
    else:
        return Truth({})
    truth = read_truth(path, job.names, job.labels)
    # Those in the folder are beyond the limit, or left out.
    truth.only_here = [name for name in truth.only_here if not Path(settings.image_dir, name).exists()]
    return truth
