"""A network with what comes before it, in one module: all engines start from it."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..fitting import InputSpec

OutputOnDevice = tuple[Tensor | None, Tensor, Tensor]
Run = Callable[[Tensor], OutputOnDevice]


class Normalised(nn.Module):
    """uint8 [B,3,H,W] in: cast, normalised, given to the network; one module, so that it is compiled in one piece.

    >>> boxes, scores, class_ids = Normalised(network, spec, torch.float32)(batch)
    """

    mean: Tensor
    std: Tensor
    memory_format = torch.channels_last  # how the batch lies

    def __init__(self, network: nn.Module, spec: InputSpec, dtype: torch.dtype):
        super().__init__()
        self.network, self.dtype = network, dtype
        self.register_buffer("mean", _of_bytes(spec.mean))
        self.register_buffer("std", _of_bytes(spec.std))

    def forward(self, batch: Tensor) -> OutputOnDevice:
        """Returns the network's output, on its device."""
        centred = batch.float() - self.mean
        images = centred / self.std
        in_precision = images.to(self.dtype, memory_format=self.memory_format)
        output: OutputOnDevice = self.network(in_precision)
        return output

    def in_fp32(self) -> "Normalised":
        """Returns a copy in FP32, whatever this is in."""
        single = copy.deepcopy(self).float()
        single.dtype = torch.float32
        return single


def _of_bytes(values: tuple[float, float, float]) -> Tensor:
    """A channel's mean or deviation for values in 0…255, [1,3,1,1]."""
    in_unit = torch.tensor(values)
    return in_unit.view(1, 3, 1, 1) * 255
