"""Batches that fail: smaller ones where memory runs out, and else the search for the picture that is at fault."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from .images import Picture
from .resident import full_batch
from .tuning import first_line


class Problem(NamedTuple):
    """Why a forward failed. Not the exception itself: that would keep the batch's memory alive."""

    memory: bool
    reason: str


class BatchRunner:
    """Runs pictures through `forward` in batches of `size`, each filled to that size by repeating its last picture.

    `size` halves, for good, where memory runs out. A picture that cannot run even alone is given the reason; its
    neighbours cost a few forwards more, and nothing else.
    """

    def __init__(self, forward: Callable[[Tensor], Tensor], size: int):
        self.forward, self.size, self.first_size = forward, size, size

    def run(self, pictures: list[Picture]) -> Iterator[tuple[list[Picture], Tensor | None, str]]:
        """Parts of `pictures`, in order, with their output; or with None and why there is none."""
        waiting = [pictures] if pictures else []
        while waiting:
            part = waiting.pop()
            batch, rest = part[: self.size], part[self.size :]
            if rest:
                waiting.append(rest)
            output, problem = self.attempt(batch)
            if problem is None:
                yield batch, output, ""
            elif problem.memory and self.size > 1:
                self.size //= 2
                waiting.append(batch)
            elif len(batch) > 1:
                middle = len(batch) // 2
                waiting += [batch[middle:], batch[:middle]]
            else:
                yield batch, None, f"the network cannot run it: {problem.reason}"

    def attempt(self, batch: list[Picture]) -> tuple[Tensor | None, Problem | None]:
        try:
            return self.forward(full_batch([picture.image for picture in batch], self.size)), None
        except Exception as error:
            problem = Problem(out_of_memory(error), first_line(error))
            if "not implemented for 'BFloat16'" in problem.reason or "not implemented for 'Half'" in problem.reason:
                raise ValueError(f"{problem.reason}: this network needs precision=fp32") from None
            if isinstance(error, torch.AcceleratorError) and not problem.memory:
                raise  # the device is lost, and every batch to come with it
        if problem.memory and torch.cuda.is_available():
            torch.cuda.empty_cache()
        return None, problem


def out_of_memory(error: Exception) -> bool:
    """CUDA has a class for it; the CPU's allocator says it in words."""
    said = ("out of memory", "can't allocate memory", "not enough memory")
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(words in str(error) for words in said)
