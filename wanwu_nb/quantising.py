"""The precision of a run: the model's, or INT8, made once for each output folder from its own pictures.

The verdict comes before the speed: INT8 runs only where its tags surely agree with those of FP32. Whatever goes wrong,
the run goes on as before, and why is one sentence.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from .deciding import Decision
from .engines import INT8, OPENVINO
from .engines.openvino_int8 import Quantised, versions, why_not_made, why_not_run
from .errors import WanwuError, first_line
from .finding import Listing
from .hardware import Choice
from .int8_engine import use_int8
from .int8_folder import FOLDER, Broken, Verdict, files_of, read_network, read_verdict
from .int8_sample import CALIBRATED, Sample
from .int8_worth import may_be_faster, why_it_does_not_pay, why_not_worth_judging
from .judging import Made, Maker, NotMade, holds, refusal
from .resident import ResidentModel
from .results import OutputFolder, precision_in_keys, run_key
from .settings import INT8 as PRECISION
from .settings import TagSettings

FEWEST = 8  # pictures: of fewer, none are left to judge by
FEWEST_UNASKED = CALIBRATED + 150
MORE = 2  # so many times as many pictures to judge by may decide otherwise

Say = Callable[[str], None]


class PrecisionOfRun:
    """Decides whether a run tags in INT8: by the verdict that an earlier run left in its output folder, or by one that
    is made now, where INT8 is asked for or pays: from pictures of all that are there, also of those beyond a limit.

    >>> PrecisionOfRun(model, settings, list_pictures("photos"), decision, output).choose().value
    'fp32'
    """

    def __init__(
        self,
        model: ResidentModel,
        settings: TagSettings,
        listing: Listing,
        decision: Decision,
        output: OutputFolder,
        say: Say = print,
    ):
        self.model = model
        self.settings = settings
        self.pictures = len(listing.names)
        self.decision = decision
        self.output = output
        self.say = say
        self.asked = model.opened.precision == PRECISION
        suspects = set(output.suspects)  # one of them may have ended a process
        sound = [name for name in [*listing.names, *listing.beyond] if name not in suspects]
        self.sound = len(sound)
        self.sample = Sample.of(sound)

    def choose(self) -> Choice[str]:
        """Returns the precision; where that is "int8", it runs the model now: see `int8_for_this_run`."""
        if not self.asked and not self._may_be_taken():
            return self.model.precision
        before = self.model.engine
        choice = self._choose()
        if self.model.engine == OPENVINO != before:
            self.model.undo_compile()
        if self.asked and choice.value != PRECISION:
            self.say(f"tagging in {choice.value}: {choice.reason}")
        return choice

    def _may_be_taken(self) -> bool:
        """Unasked, for whoever leaves all to us."""
        left_to_us = self.model.opened.precision == "auto" and self.settings.compile == "auto"
        return left_to_us and may_be_faster(self.model)

    def _choose(self) -> Choice[str]:
        problem = why_not_run(self.model.device.value)
        if problem:
            return self._without(problem)
        try:
            verdict = self._verdict_left()
            if verdict is not None and self._stands(verdict):
                return self._by(verdict)
        except Broken as error:
            self.say(f"what an earlier run left in {FOLDER}/ is not used, since {error}")
            self.output.remove_folder(FOLDER)
        problem = self._why_not_made()
        if problem:
            return self._without(problem)
        return self._make()

    def _without(self, problem: str, measured: Mapping[str, Any] | None = None) -> Choice[str]:
        precision = self.model.precision
        before = "INT8 was asked for" if self.asked else precision.reason
        return Choice(precision.value, f"{before}; INT8 is not used: {problem}", measured)

    def _verdict_left(self) -> Verdict | None:
        """What an earlier run left of this network with this input. Raises Broken."""
        checkpoint = self.model.checkpoint
        verdict = read_verdict(self.output.folder)
        if verdict is None or not verdict.is_of(checkpoint.fingerprint, checkpoint.spec.to_dict()):
            return None
        return verdict

    def _stands(self, verdict: Verdict) -> bool:
        """Whether it is not to be sought anew: the network may not be there, or more pictures than then."""
        share, wanted = verdict.agreement, self.settings.int8_agreement
        if verdict.used:
            return True
        if holds(share, wanted):  # less is wanted than was then
            return False
        many_more = len(self.sample.judges) >= MORE * verdict.judged
        if verdict.judged == 0:  # it could not be made
            return verdict.made_by == versions()
        if share is None:
            return not many_more
        return share.value < wanted or not many_more

    def _by(self, verdict: Verdict) -> Choice[str]:
        """Raises Broken as `_use` does."""
        share = verdict.agreement
        if share is None:
            return self._without(verdict.reason, measured_of(verdict))
        if not holds(share, self.settings.int8_agreement):
            wanted = f"int8_agreement is {self.settings.int8_agreement:g}"
            return self._without(f"{verdict.reason}, and {wanted}", measured_of(verdict))
        if not self.asked and self._tagged_without(verdict):
            return self._without("most pictures here were tagged without")
        return self._use(verdict, partial(read_network, self.output.folder, verdict.digest))

    def _tagged_without(self, verdict: Verdict) -> bool:
        fingerprint, decision = self.model.checkpoint.fingerprint, self.decision
        counts = []
        for precision in (self.model.precision, Choice(PRECISION, "", measured_of(verdict))):
            key = run_key(fingerprint, precision_in_keys(precision.record()), decision.selection, decision.vocabulary)
            counts.append(self.output.count_done_with(key))
        without, in_int8 = counts
        return without > in_int8

    def _use(self, verdict: Verdict, read: Callable[[], Quantised]) -> Choice[str]:
        """Raises Broken where its network has to be read, and is not as it was written."""
        try:
            answers = use_int8(self.model, verdict.digest, read)
        except Broken:
            raise
        except Exception as error:  # whatever OpenVINO says
            return self._without(f"it cannot be run ({first_line(error)})")
        if answers != verdict.answers:
            self.say(f"INT8 rounds otherwise here than where it was made, on {verdict.cpu}: results may differ in bits")
        return Choice(PRECISION, verdict.reason, measured_of(verdict))

    def _why_not_made(self) -> str:
        fewest = FEWEST if self.asked else FEWEST_UNASKED
        if self.sound < fewest:
            return f"it is not made from fewer than {fewest} pictures"
        if not self.asked and self.output.count_done_with():
            return "pictures here were tagged without"
        problem = why_not_made()
        if problem or self.asked:
            return problem
        return why_it_does_not_pay(self.model, self.pictures, len(self.sample.judges), self.say)

    def _make(self) -> Choice[str]:
        calibration, judges = self.sample.sizes
        self.say(
            f"making INT8 from {calibration} pictures of this folder and judging it by {judges} others, "
            "once for this output folder: takes minutes"
        )
        kept = None
        try:
            in_fp32 = self._in_fp32()
            maker = Maker(in_fp32, self.settings, self.sample, self.decision, self.output)
            verdict, kept = maker.make_and_judge(lambda made: self._why_not_worth(made, in_fp32))
        except NotMade as error:
            if not error.for_good:
                return self._without(str(error))
            verdict = refusal(self.model, str(error))
        self.output.write_folder(files_of(verdict, kept), FOLDER)
        return self._by(verdict)

    def _in_fp32(self) -> ResidentModel:
        """The model; one in half precision anew, since that has lost bits. Raises NotMade."""
        if self.model.precision.value == "fp32":
            return self.model
        try:
            anew = ResidentModel.load(**{**self.model.opened.model_dump(), "precision": PRECISION})
        except WanwuError as error:
            raise NotMade(f"the model cannot be loaded in FP32 ({first_line(error)})", for_good=False) from None
        if anew.checkpoint.fingerprint != self.model.checkpoint.fingerprint:
            raise NotMade("the model's files have changed since it was loaded", for_good=False)
        return anew

    def _why_not_worth(self, made: Made, in_fp32: ResidentModel) -> str:
        """What is asked for is judged in any case."""
        if self.asked:
            return ""
        return why_not_worth_judging(self.model, in_fp32, made.run, self.pictures, len(self.sample.judges))


def measured_of(verdict: Verdict) -> dict[str, Any]:
    """Returns the figures of a verdict, as they stand in summary.json.

    >>> measured_of(verdict)["judged"]
    300
    """
    figures: dict[str, Any] = {"calibrated": verdict.calibrated, "judged": verdict.judged}
    if verdict.digest:
        figures["digest"] = verdict.digest
    share = verdict.agreement
    if share is not None:
        figures |= {"agreement": round(share.value, 5), "low": round(share.low, 5), "high": round(share.high, 5)}
    return figures | dict(verdict.measured or {})


@contextmanager
def int8_for_this_run(model: ResidentModel) -> Iterator[None]:
    """After the `with` block the model runs as it was loaded again, where it ran in INT8.

    >>> with int8_for_this_run(model):
    ...     precision = PrecisionOfRun(model, settings, listing, decision, output).choose()
    """
    try:
        yield
    finally:
        if model.engine == INT8:
            model.undo_compile()


@contextmanager
def as_tagged(model: ResidentModel, folder: Path) -> Iterator[None]:
    """In the `with` block a model that INT8 was asked of runs in it, where runs in this output folder do: to be timed.

    Raises OSError, or whatever OpenVINO does.

    >>> with as_tagged(model, Path("runs/tags")):
    ...     seconds = forward_seconds(model, 4)
    """
    with int8_for_this_run(model):
        verdict = read_verdict(folder)
        if model.opened.precision == PRECISION and verdict is not None and verdict.used:
            use_int8(model, verdict.digest, partial(read_network, folder, verdict.digest))
        yield
