"""The method measured: its steps on the same pictures, one row a step, and what they say together."""

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch

from .demo import TRUTH, demo_folder
from .forecast import expected, seconds_of
from .quality import Share, accuracy, agreement, differences, read_truth, score_drift
from .settings import SpeedUpSettings, suggestion
from .steps import STEPS, Job, job_of
from .trial import PATIENCE, Row, attempt, batch_size_curve, in_own_process
from .tuning import first_line

ARTICLE_STAGES = {"load": 1.8, "preprocess": 0.6, "forward": 1.5, "postprocess": 0.3}  # its default, s / picture
ARTICLE = {  # what it says of 867 pictures on an RTX 4090
    "s/picture 秒/张": [4.2, 2.1, 0.65, 0.38],
    "GPU busy 占用": ["28%", "45%", "92%", "92%"],
    "GPU GB 显存": [10.1, 11.3, 18.2, 12.4],
    "accuracy 准确率": ["92.1%", "92.3%", "", "92.7%"],
}


class TagsChanged(Exception):
    """A faster step gives other tags than the default script: speed bought with wrong tags."""


def ladder_of(settings: SpeedUpSettings, output: Path) -> "Ladder":
    """The ladder that notebook 02's parameters describe; works and writes in `output`."""
    wanted = chosen(settings.steps)  # a misspelt one stops here, before a model is loaded
    job = job_of(settings, output, batch_size=settings.batch_size)
    path = Path(settings.truth).absolute() if settings.truth else None
    if settings.image_dir == settings.model == "demo" and not settings.labels:
        path = path or demo_folder(settings.limit) / TRUTH
    truth = read_truth(path, job.names, job.labels.values()) if path else {}
    return Ladder(job, wanted, settings.repeats, truth)


class Ladder:
    """Measures the steps of a Job one by one; `rows` holds a Row for each.

    `wanted`: the steps to run; `truth`: objects by picture of the job (see quality.read_truth), for accuracy.
    """

    def __init__(
        self,
        job: Job,
        wanted: Sequence[str] = tuple(STEPS),
        repeats: int = 3,
        truth: dict[str, list[dict]] | None = None,
    ):
        self.job, self.asked = replace(job, batch_size=min(job.batch_size, len(job.names))), job.batch_size
        self.wanted, self.repeats, self.truth = wanted, repeats, truth or {}
        self.rows: dict[str, Row] = {}

    def __str__(self) -> str:
        size = f"batches of 批大小 {self.job.batch_size}"
        if self.asked > self.job.batch_size:
            size += f": batch_size={self.asked} is more than there are pictures"
        truth = f"ground truth for {len(self.truth)} 有标注" if self.truth else "no ground truth: agreement only 无标注"
        return f"{self.job}\n{size}\n{truth}"

    def measure(self, step: str) -> Row:
        """Run a step; one that cannot run has a row with the reason, and the next ones go on."""
        if step not in self.wanted:
            row = Row(step, "left out by the parameter steps")
        elif step != "default" and len(self.job.names) < 2:
            row = Row(step, "with one picture there is nothing to do once for several: give at least 2")
        else:
            job = replace(self.job, output=self.job.output / step)
            row = self.judged(attempt(step, job, self.repeats, self.patience()))
        self.rows[step] = row
        return row

    def row(self, step: str) -> Row:
        return self.rows.get(step, Row(step, "not measured yet"))

    def patience(self) -> float:
        """Seconds a run may take: any time for the default, and the default's for those that should beat it."""
        default = self.row("default")
        return math.inf if default.reason else max(PATIENCE, default.spread.median * len(self.job.names))

    def judged(self, row: Row) -> Row:
        """The row beside the others: gain, agreement with the default step, accuracy where there is ground truth."""
        if row.reason:
            return row
        if base := self.fastest_before(row.step):
            gain = base.spread.median / row.spread.median
            row = replace(row, base=base.step, predicted=self.gain_of(row.step, base), gain=gain)
        images, default = row.output / "images", self.row("default")
        compare = row.step != "default" and not default.reason
        agreed = share_of(agreement, default.output / "images", images) if compare else None
        return replace(row, agreement=agreed, accuracy=share_of(accuracy, self.truth, images))

    def predict(self, step: str) -> str:
        """What the step should bring over the fastest so far, said before it is run."""
        base = self.fastest_before(step)
        if base is None:
            return "no step has run that a prediction could start from"
        gain = self.gain_of(step, base)
        seconds = base.spread.median / gain
        return f"{base.step} → {step}, predicted 预测: × {gain:.2f}, {seconds:.4f} s/picture 秒/张"

    def gain_of(self, step: str, base: Row) -> float:
        """How many times as fast as `base`, going by its stages. Steps between that were left out are part of it."""
        names, stages, device = list(STEPS), base.stages, self.job.device
        for name in names[names.index(base.step) + 1 : names.index(step) + 1]:
            if name == step or name not in self.rows or name not in self.wanted:
                stages = expected(name, stages, self.job.batch_size, device)
        return seconds_of(base.stages, device) / seconds_of(stages, device)

    def fastest_before(self, step: str) -> Row | None:
        """What a step builds on: the fastest of those before it, since one that lost is not kept."""
        before = [self.row(name) for name in list(STEPS)[: list(STEPS).index(step)]]
        return min((row for row in before if not row.reason), key=lambda row: row.spread.median, default=None)

    def table(self) -> pd.DataFrame:
        """The rows so far, for people; columns that say nothing are left out."""
        table = pd.DataFrame.from_dict({row.step: self.line(row) for row in self.rows.values()}, orient="index").fillna(
            ""
        )
        return table.loc[:, (table != "").any()]

    def line(self, row: Row) -> dict[str, str]:
        if row.reason:
            return {"note 备注": str(row)}
        (median, low, high), default = row.spread, self.row("default")
        return {
            "s/picture 秒/张": f"{median:.4f}",
            "from–to 范围": between(low, high, 4) if len(row.seconds) > 1 else "one run 仅一次",
            "pictures/s 张/秒": f"{1 / median:.1f}",
            "× default 比默认": "" if default.reason else f"{default.spread.median / median:.2f}",
            "× fastest before 比此前最快": f"{row.gain:.2f}" if row.base else "",
            "ready s 就绪": f"{row.ready:.1f}",
            "CPU busy 占用": percent(row.cpu_busy),
            "GPU busy 占用": percent(row.gpu_busy),
            "memory MB 内存": f"{row.peak_mb:,.0f}",
            "GPU MB 显存": "" if row.peak_gpu_mb is None else f"{row.peak_gpu_mb:,.0f}",
            "accuracy 准确率 95 %": percent(row.accuracy),
            "agreement 一致率 95 %": percent(row.agreement),
            "precision 精度": row.precision.split(" ")[0],
        }

    def beside_article(self) -> pd.DataFrame:
        """The article's figures, and its ratios beside ours: other hardware and model, the same steps."""
        table = pd.DataFrame(ARTICLE, index=list(STEPS)[:4]).reindex(list(STEPS))
        ours = pd.Series({row.step: row.spread.median for row in self.rows.values() if not row.reason}, dtype=float)
        for who, seconds in {"article 原文": table.iloc[:, 0], "here 本机": ours}.items():
            ratios = seconds.get("default", float("nan")) / seconds
            table[f"× default, {who}"] = ratios.map("{:.2f}".format, na_action="ignore")
        return table.astype(object).fillna("")

    def advice(self) -> str:
        """What to run here, and what to leave out: by the rows so far."""
        measured = [row for row in self.rows.values() if not row.reason]
        if not measured:
            return "no step has run 没有一步能运行"
        best, default = min(measured, key=lambda row: row.spread.median), self.row("default")
        times = "" if default.reason else f", × {default.spread.median / best.spread.median:.2f}"
        said = [f"fastest here 本机最快: {best.step}{times}"]
        if lost := [f"{row.step} (× {row.gain:.2f} of {row.base})" for row in measured if row.base and row.gain < 1]:
            said.append(f"brought nothing here 本机无收益: {', '.join(lost)}")
        return "\n".join(said)

    def changed_tags(self) -> pd.DataFrame:
        """Every object that only the default found, or only the other step: a row each, the surest first."""
        default = self.row("default")
        others = [row for row in self.rows.values() if row.agreement] if not default.reason else []
        found = [
            {"step": row.step, **each}
            for row in others
            for each in differences(default.output / "images", row.output / "images")
        ]
        columns = ["step", "image", "only in", "label", "confidence"]
        return pd.DataFrame(found, columns=columns).sort_values("confidence", ascending=False, ignore_index=True)

    def precisions(self) -> pd.DataFrame:
        """The batched loop in FP32 and in half precision: speed, memory, changed tags, drift of the scores."""
        whole, half = self.row("batched"), self.row("half precision")
        rows = [whole, half]
        if self.job.device.startswith("cuda") and not half.reason:
            job = replace(self.job, half=torch.bfloat16, output=self.job.output / "bfloat16")
            rows.append(attempt("half precision", job, self.repeats))
        return pd.DataFrame.from_dict({row.precision or row.step: compared(row, whole) for row in rows}, orient="index")

    def curve(self) -> pd.DataFrame:
        """Batches of 1, 2, 4, … through the package's model: see trial.batch_size_curve. Empty where it cannot run."""
        try:
            return in_own_process(batch_size_curve, self.job.open_resident)
        except Exception as error:  # as in trial.attempt
            print(f"not run 未运行: {first_line(error)}")
            return pd.DataFrame()

    def check(self, min_agreement: float) -> str:
        """Raise TagsChanged where a step's agreement lies, with its whole interval, below `min_agreement`.

        Returns what can be said else. Raises ValueError where there is nothing to compare with.
        """
        if reason := self.row("default").reason:
            raise ValueError(f"the default step was not run ({reason}): there is nothing to compare the others with")
        for row in self.rows.values():
            if row.agreement and row.agreement.high < min_agreement:
                said = f"agrees with the default on {row.agreement.value:.1%} of the tags (95 % interval "
                said += f"{row.agreement.low:.1%} to {row.agreement.high:.1%}), below min_agreement={min_agreement:g}"
                raise TagsChanged(f"{row.step}, {row.precision}, {said}: leave it out, or look at what it changes")
        if all(row.reason for row in self.rows.values() if row.step != "default"):
            return "only the default step ran: there is nothing to compare 只有默认步骤运行，无从比较"
        if any(row.agreement for row in self.rows.values()):
            return "no step surely changes more tags than min_agreement allows 没有一步确定超出允许的标签变化"
        return "nothing was found in any picture: tags could not be compared 所有图片均无结果，无法比较标签"


def chosen(steps: str) -> list[str]:
    """ "all", or names separated by commas; the default always runs, since the others are compared with it."""
    names = list(STEPS) if steps == "all" else ["default", *(name.strip() for name in steps.split(",") if name.strip())]
    for name in names:
        if name not in STEPS:
            raise ValueError(f"unknown step {name!r} in steps: {suggestion(name, STEPS)}")
    return names


def compared(row: Row, whole: Row) -> dict[str, str]:
    """A line of `precisions`: a row against the one in full precision."""
    if row.reason or whole.reason:
        return {"note 备注": str(row if row.reason else whole)}
    folders = whole.output / "images", row.output / "images"
    drift, same = pd.Series(score_drift(*folders), dtype=float), share_of(agreement, *folders)
    return {
        "s/picture 秒/张": f"{row.spread.median:.4f}",
        "× FP32": f"{whole.spread.median / row.spread.median:.2f}",
        "memory MB 内存": f"{row.peak_gpu_mb or row.peak_mb:,.0f}",
        "changed tags 变化的标签": f"{same.trials - same.hits} of {same.trials}" if same else "",
        "score drift, median 分数漂移中位数": f"{drift.median():.4f}",
        "largest 最大": f"{drift.max():.4f}",
    }


def share_of(judge: Callable[..., Share], *arguments) -> Share | None:
    with suppress(ValueError):  # neither side has an object
        return judge(*arguments)


def percent(share: float | Share | None) -> str:
    if isinstance(share, Share):
        return f"{share.value:.1%} {between(100 * share.low, 100 * share.high, 1)}"
    return "" if share is None else f"{share:.0%}"


def between(low: float, high: float, digits: int) -> str:
    """Word joiners keep the two together where a table's cell is narrow."""
    return f"{low:.{digits}f}\u2060–\u2060{high:.{digits}f}"
