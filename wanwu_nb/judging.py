"""INT8 made for an output folder: calibrated on pictures of its own, and judged by others before it is used."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from torch import Tensor

from .agreement import Share, agreement
from .deciding import Decision
from .decoding import Limits
from .detections import Tag
from .engines import Run
from .engines.answers import answers_of
from .engines.openvino_int8 import Quantised, quantise, versions
from .errors import ModelError, first_line
from .hardware import cpu_name
from .images import Picture
from .int8_engine import open_int8
from .int8_folder import Verdict
from .int8_sample import Sample
from .reading import CPU_THREADS, PictureReader, read_rounds
from .resident import ResidentModel
from .results import OutputFolder
from .settings import TagSettings
from .tagged import Tagged
from .tagger import Tagger
from .threads import heartbeat, reading_threads
from .tuning import choose_workers

ROUND = 16  # pictures that are decoded, and then run, at a time
SIZE = 4  # pictures in one forward
SPARED = 3  # layers: what the first ones lose, all others work on (docs/speed.md)

Pair = tuple[Sequence[Tag], Sequence[Tag]]


class NotMade(Exception):
    """INT8 cannot be made; its text says why. `for_good`: another run would meet the same."""

    def __init__(self, reason: str, for_good: bool):
        super().__init__(reason)
        self.for_good = for_good


@dataclass(frozen=True)
class Made:
    """A network that was quantised but for so many first layers, from so many pictures and in so many seconds; it is
    run, and gives `answers`.
    """

    network: Quantised
    run: Run
    answers: str
    calibrated: int
    spared: int
    seconds: float


Worth = Callable[[Made], str]


@dataclass(frozen=True)
class Maker:
    """Makes INT8 for an output folder, from its own pictures and for what is decided there."""

    model: ResidentModel
    settings: TagSettings
    sample: Sample
    decision: Decision
    output: OutputFolder
    tags: dict[str, Sequence[Tag]] = field(default_factory=dict)  # FP32's of the judges, as far as they are known

    def make_and_judge(self, worth: Worth) -> tuple[Verdict, Quantised | None]:
        """Quantise the whole network; where too many tags change, once more without its first layers.

        `worth`: says why what was made is not worth judging, "" where it is. Returns the verdict, and the network where
        that holds. Raises NotMade.

        >>> verdict, network = maker.make_and_judge(lambda made: "")
        """
        verdict, network = self._attempt(0, worth)
        if verdict.used or verdict.agreement is None:
            return verdict, network
        with suppress(NotMade):
            sparing, its_network = self._attempt(SPARED, worth)
            if sparing.agreement is not None and sparing.agreement.value > verdict.agreement.value:
                return sparing, its_network
        return verdict, network

    def _attempt(self, spared: int, worth: Worth) -> tuple[Verdict, Quantised | None]:
        made = self._make(spared)
        problem = worth(made)
        if problem:
            raise NotMade(problem, for_good=False)
        verdict = self._judge(made)
        return verdict, made.network if verdict.used else None

    def _make(self, spared: int) -> Made:
        """Quantise the model's network, but for so many first layers, on pictures of the folder."""
        started = time.perf_counter()
        with self._rounds(self.sample.calibration) as rounds:
            images = _images(rounds)
        if not images:
            raise NotMade("none of the pictures to calibrate on can be read", for_good=False)
        try:
            network = quantise(self.model.normalised.in_fp32(), images, spared)
            run, answers = open_int8(self.model, network.digest, lambda: network)
        except (OSError, MemoryError) as error:
            raise NotMade(f"the network could not be quantised ({first_line(error)})", for_good=False) from None
        except Exception as error:  # whatever torch, OpenVINO and NNCF say: branches on the data, an unknown operator
            raise NotMade(f"the network cannot be quantised ({first_line(error)})", for_good=True) from None
        seconds = time.perf_counter() - started
        return Made(network, run, answers, len(images), spared, seconds)

    def _judge(self, made: Made) -> Verdict:
        """Compare its tags with those of the model on other pictures of the folder.

        Used where the lower end of the agreement is high enough.
        """
        started = time.perf_counter()
        try:
            with self._rounds(self.sample.judges) as rounds:
                pairs = list(_pairs(rounds, self.model, made.run, self.decision, self.tags))
        except ModelError as error:  # an output that cannot be meant
            raise NotMade(f"the quantised network cannot be judged ({first_line(error)})", for_good=True) from None
        seconds = time.perf_counter() - started
        share = agreement(pairs)
        used = holds(share, self.settings.int8_agreement)
        checkpoint = self.model.checkpoint
        return Verdict(
            fingerprint=checkpoint.fingerprint,
            spec=checkpoint.spec.to_dict(),
            made_by=versions(),
            cpu=cpu_name(),
            used=used,
            reason=words_of(share, len(pairs), made.spared),
            digest=made.network.digest if used else "",
            calibrated=made.calibrated,
            judged=len(pairs),
            agreement=share,
            answers=made.answers,
            measured={"quantising": round(made.seconds, 2), "judging": round(seconds, 2)},
        )

    @contextmanager
    def _rounds(self, names: Sequence[str]) -> Iterator[Iterator[list[Picture]]]:
        """The pictures, read as a run reads them: those in flight are noted, and none may hang."""
        settings = self.settings
        limits = Limits(settings.max_pixels, settings.max_bytes)
        spec, device = self.model.checkpoint.spec, self.model.device.value
        reader = PictureReader(settings.image_dir, spec, device, CPU_THREADS, limits)
        workers = choose_workers(settings.workers)
        with heartbeat(settings.picture_timeout), reading_threads(workers.value, settings.picture_timeout) as threads:
            yield read_rounds(reader, threads, names, ROUND, 0, self.output.note_in_flight)


def refusal(model: ResidentModel, reason: str) -> Verdict:
    """Returns the verdict on a network that INT8 cannot be made from.

    >>> refusal(model, "the network cannot be quantised").used
    False
    """
    checkpoint = model.checkpoint
    spec = checkpoint.spec.to_dict()
    return Verdict(checkpoint.fingerprint, spec, versions(), cpu_name(), used=False, reason=reason)


def holds(share: Share | None, wanted: float) -> bool:
    """Returns whether INT8 surely gives so many of FP32's tags.

    >>> holds(Share(300, 300, 0.987, 1.0), 0.95)
    True
    """
    return share is not None and share.low >= wanted


def words_of(share: Share | None, judged: int, spared: int) -> str:
    """Returns what was seen of INT8 with so many first layers spared, as it stands in reasons.

    >>> words_of(Share(300, 300, 0.987, 1.0), 300, 0)
    '300 of 300 tags are those of FP32 on 300 other pictures, surely 98.7%'
    """
    if share is None:
        return f"neither INT8 nor FP32 tags anything on the {judged} pictures to judge by"
    tags = f"{share.hits:,} of {share.trials:,} tags"
    seen = f"{tags} are those of FP32 on {judged} other pictures, surely {share.low:.1%}"
    if spared:
        seen += f", its first {spared} layers in FP32"
    return seen


def _images(rounds: Iterator[list[Picture]]) -> list[Tensor]:
    images = []
    for pictures in rounds:
        images += [picture.image for picture in pictures if picture.image is not None]
    return images


@dataclass(frozen=True)
class _Running:
    """An engine as a Tagger wants it."""

    labels: Mapping[int, str]
    run: Run

    def launch(self, batch: Tensor) -> Tensor:
        return answers_of(self.run, batch)


def _pairs(
    rounds: Iterator[list[Picture]],
    model: ResidentModel,
    run: Run,
    decision: Decision,
    known: dict[str, Sequence[Tag]],
) -> Iterator[Pair]:
    """The tags of FP32 and of INT8, picture by picture; in the model's own words, as the run keeps them.

    Those of FP32 are `known` from then on.
    """
    in_own_words = Decision(decision.selection, raw_floor=decision.raw_floor)
    in_fp32 = Tagger(model, in_own_words, SIZE)
    in_int8 = Tagger(_Running(model.labels, run), in_own_words, SIZE)
    for pictures in rounds:
        known |= _tags(in_fp32, [picture for picture in pictures if picture.name not in known])
        of_int8 = _tags(in_int8, pictures)
        for picture in pictures:
            if picture.name in known:
                yield known[picture.name], of_int8.get(picture.name, [])


def _tags(tagger: Tagger, pictures: Sequence[Picture]) -> dict[str, Sequence[Tag]]:
    """Of those that can be read and run."""
    tags: dict[str, Sequence[Tag]] = {}
    for launched in tagger.launch(pictures):
        for result in launched.results():
            if isinstance(result, Tagged):
                tags[result.image] = result.objects
    return tags
