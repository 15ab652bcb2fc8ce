"""A script's network in INT8: quantised by NNCF, run by OpenVINO."""

from collections.abc import Callable, Sequence
from pathlib import Path

from torch import nn

from ..engines import Run
from ..engines.openvino_int8 import build, open_built, quantise
from ..fitting import InputSpec
from .pictures import prepared

CALIBRATED = 32  # pictures at most: of more, the tags are no nearer to FP32's (docs/speed.md)


def open_in_int8(open_network: Callable[[], nn.Module], spec: InputSpec, pictures: Sequence[Path]) -> Run:
    """Returns what runs batches of normalised pictures: each layer in the range that it has on these `pictures`.

    Raises whatever torch, OpenVINO and NNCF do: a network that branches on its data cannot be exported.

    >>> boxes, scores, class_ids = open_in_int8(open_network, spec, [Path("photo.jpg")])(batch)
    """
    images = [prepared(path, spec)[0] for path in pictures[:CALIBRATED]]
    network = open_network().eval()
    quantised = quantise(network, images)
    return open_built(build(quantised))
