"""Networks that misbehave or wait on purpose, each inside a real ResidentModel."""

import time
from dataclasses import replace

import torch
from torch import nn

from wanwu_nb import ResidentModel
from wanwu_nb.checkpoints import Checkpoint, open_checkpoint
from wanwu_nb.fitting import InputSpec
from wanwu_nb.hardware import Choice

CPU, FP32 = Choice("cpu", "for the test"), Choice("fp32", "for the test")


class Limited(nn.Module):
    """A network on a device whose memory holds `limit` pictures; `sizes` notes every batch that came."""

    def __init__(self, network: nn.Module, limit: int):
        super().__init__()
        self.network, self.limit, self.sizes = network, limit, []

    def forward(self, images):
        self.sizes.append(len(images))
        if len(images) > self.limit:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return self.network(images)


class Afraid(nn.Module):
    """Raises where a white picture is in the batch."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, images):
        if (images.amin((1, 2, 3)) > 1.5).any():
            raise RuntimeError("index 7 is out of bounds\nand a stack of C++ frames")
        return self.network(images)


class Waiting(nn.Module):
    """Takes as long for any batch up to `width` pictures, and nearly three times as long for twice as many."""

    def __init__(self, width: int):
        super().__init__()
        self.width, self.weight = width, nn.Parameter(torch.ones(3))

    def forward(self, images):
        times = max(1, len(images) / self.width)
        time.sleep(0.1 * times**1.5)
        scores = (images.mean((2, 3)) * self.weight).softmax(1)
        return None, scores, torch.arange(3).expand(len(images), 3)


def demo_within(wrap) -> ResidentModel:
    checkpoint = open_checkpoint("demo")
    wrapped = replace(checkpoint, network=wrap(checkpoint.network))
    return ResidentModel(wrapped, CPU, FP32)


def tagger(network: nn.Module, tmp_path) -> ResidentModel:
    """Three classes, 8 x 8 input: so small that torch uses one thread, and only the waiting counts."""
    weights = tmp_path / "weights"
    weights.write_bytes(b"weights")
    spec = InputSpec(8, 8, "stretch", (0.5,) * 3, (0.5,) * 3)
    labels = dict(enumerate("甲乙丙"))
    checkpoint = Checkpoint("small", "test", network, spec, labels, weights)
    return ResidentModel(checkpoint, CPU, FP32)


class Colours(nn.Module):
    """Three sure classes of a picture, by its colours."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 3, 3))

    def forward(self, images):
        scores = self.body(images).mean((2, 3)).softmax(1)
        best, class_ids = scores.topk(3, dim=1)
        return None, best, class_ids


class MeanColour(nn.Module):
    """Three class scores of a picture: its mean red, green and blue."""

    def forward(self, images):
        return images.mean((2, 3))
