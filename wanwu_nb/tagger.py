"""Pictures in, Tagged or Failed out: no folder, no thread, no file. The folder loop, `predict` and others share it.

A batch whose memory runs out is run again in smaller ones; where it fails otherwise, the picture at fault is sought.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from .deciding import NEXT_BEST, Decision
from .detecting import detect, unpack
from .errors import DeviceError, ModelError, first_line
from .images import Picture
from .tagged import Failed, Tagged

NO_HALF_KERNEL = ("not implemented for 'BFloat16'", "not implemented for 'Half'")
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


class Model(Protocol):
    """What a Tagger asks of a model: names by class id, and a way to start one batch."""

    @property
    def labels(self) -> Mapping[int, str]:
        """Returns the names by class id."""
        ...

    def launch(self, batch: Tensor) -> Tensor:
        """Start uint8 [B,3,H,W]; returns what `detections.pack` makes, still on the device."""
        ...


class Tagger:
    """Runs decoded pictures through `model` in batches of `batch_size`, each filled up by repeating its last picture.

    `batch_size` halves, for good, where memory runs out. A picture that cannot run even alone is given the reason; its
    neighbours cost a few forwards more, and nothing else.

    >>> tagger = Tagger(model, Decision(), batch_size=8)
    >>> for launched in tagger.launch(pictures):
    ...     results = launched.results()
    """

    def __init__(self, model: Model, decision: Decision, batch_size: int):
        self.model = model
        self.decision = decision
        self.batch_size = batch_size

    def launch(self, pictures: Sequence[Picture]) -> Iterator["Launched"]:
        """Start the pictures batch by batch; device work is only started, `Launched.results` waits for it.

        Yields the unreadable ones first, then batches in order. Raises ModelError for a network that needs another
        precision, and DeviceError where the device is lost.
        """
        readable, unreadable = [], []
        for picture in pictures:
            if picture.image is None:
                failed = Failed(picture.name, picture.version, picture.stage, picture.reason)
                unreadable.append(failed)
            else:
                readable.append(picture)
        if unreadable:
            yield Launched([], None, unreadable, self)
        if readable:
            yield from self._launch_all(readable)

    def _launch_all(self, pictures: Sequence[Picture]) -> Iterator["Launched"]:
        waiting = [pictures]
        while waiting:
            part = waiting.pop()
            batch, rest = part[: self.batch_size], part[self.batch_size :]
            if rest:
                waiting.append(rest)
            output = self._attempt(batch)
            if isinstance(output, Tensor):
                yield Launched(batch, output, [], self)
            elif output.is_memory and self.batch_size > 1:
                self.batch_size //= 2
                waiting.append(batch)
            elif len(batch) > 1:
                middle = len(batch) // 2
                waiting += [batch[middle:], batch[:middle]]
            else:
                (picture,) = batch
                reason = f"the network cannot run it: {output.reason}"
                failed = Failed(picture.name, picture.version, "forward", reason)
                yield Launched([], None, [failed], self)

    def _attempt(self, batch: Sequence[Picture]) -> "Tensor | _Problem":
        problem = self._run(batch)
        if isinstance(problem, Tensor):
            return problem
        if problem.is_memory and torch.cuda.is_available():
            torch.cuda.empty_cache()  # here, where no traceback holds the batch's tensors any more
        return problem

    def _run(self, batch: Sequence[Picture]) -> "Tensor | _Problem":
        images = [picture.image for picture in batch if picture.image is not None]
        try:
            return self.model.launch(full_batch(images, self.batch_size))
        except Exception as error:  # whatever a network, a driver or an allocator may say
            problem = _Problem(_is_out_of_memory(error), first_line(error))
            if any(words in problem.reason for words in NO_HALF_KERNEL):
                raise ModelError(f"{problem.reason}: this network needs precision=fp32") from None
            if isinstance(error, torch.AcceleratorError) and not problem.is_memory:
                advice = "what is finished is kept; start a new process, and run again"
                raise DeviceError(f"the device was lost ({problem.reason}): {advice}") from error
            return problem


class _Problem(NamedTuple):
    """Why a forward failed. Not the exception itself: that would keep the batch's memory alive."""

    is_memory: bool
    reason: str


class Launched:
    """A batch that was started, or pictures that could not be."""

    def __init__(self, pictures: Sequence[Picture], output: Tensor | None, failed: Sequence[Failed], tagger: Tagger):
        self._pictures = pictures
        self._output = output
        self._failed = failed
        self._labels = tagger.model.labels
        self._decision = tagger.decision

    def results(self) -> list[Tagged | Failed]:
        """Wait for the device; then NMS, names, the photo's pixels. May be called on another thread.

        Returns one result a picture, in order. Raises ModelError for an output that cannot be meant.
        """
        results: list[Tagged | Failed] = list(self._failed)
        if self._output is None:
            return results
        raw = unpack(self._output)
        placements = [picture.placement for picture in self._pictures if picture.placement is not None]
        all_detections = detect(raw, placements, self._labels, self._decision.asked, NEXT_BEST)
        for picture, detections in zip(self._pictures, all_detections, strict=True):
            decided = self._decision.decide(detections)
            tagged = Tagged(picture.name, picture.version, decided, picture.damaged, detections)
            results.append(tagged)
        return results


def full_batch(images: Sequence[Tensor], batch_size: int) -> Tensor:
    """Stack fitted pictures, repeating the last, to the one batch shape: so results cannot depend on how many came.

    By NumPy where they lie in the CPU's memory: torch would wake a team of threads, which then spins beside OpenVINO's,
    and which waits for its last where others use the cores.

    Returns uint8 [batch_size,3,H,W].

    >>> full_batch([image], 8).shape
    torch.Size([8, 3, 640, 640])
    """
    missing = batch_size - len(images)
    padding = [images[-1]] * missing
    pictures = [*images, *padding]
    on_gpu = [image.device for image in images if image.is_cuda]  # those that it decoded
    if on_gpu:
        return torch.stack([picture.to(on_gpu[0]) for picture in pictures])
    return torch.from_numpy(np.stack([picture.numpy() for picture in pictures]))


def _is_out_of_memory(error: Exception) -> bool:
    """CUDA has a class for it; the CPU's allocator says it in words."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error)
    return any(words in text for words in OUT_OF_MEMORY)
