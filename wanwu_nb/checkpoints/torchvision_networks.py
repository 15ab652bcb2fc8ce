"""torchvision's networks by name: its classifiers and its detectors."""

from typing import Any

import torch
from torch import nn
from torchvision import models

from ..errors import ModelError
from ..fitting import InputSpec

DETECTOR_SIDE = 640  # torchvision's own 800 x 1333 would be square in a batch, and four times the work
NO_MEAN, NO_STD = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)  # for networks that normalise by themselves


def torchvision_network(name: str, classes: int) -> tuple[nn.Module, InputSpec]:
    """Build torchvision's network of that name, for `classes` classes, without weights.

    Returns it and the input it wants. Raises ModelError for a name that torchvision does not have.

    >>> network, spec = torchvision_network("fasterrcnn_resnet50_fpn_v2", 91)
    """
    if name in models.list_models(module=models.detection):
        return _detector(name, classes)
    if name in models.list_models(module=models):
        return _classifier(name, classes)
    raise ModelError(f"torchvision knows no architecture {name!r}: see torchvision.models.list_models()")


def _classifier(name: str, classes: int) -> tuple[nn.Module, InputSpec]:
    """With the input that its published weights are evaluated with."""
    network = models.get_model(name, weights=None, num_classes=classes)
    published = models.get_model_weights(name).DEFAULT
    preset = published.transforms()
    (side,) = preset.crop_size
    (shorter_side,) = preset.resize_size
    mean = tuple(preset.mean)
    std = tuple(preset.std)
    spec = InputSpec(side, side, "crop", mean, std, shorter_side=shorter_side)
    return network, spec


def _detector(name: str, classes: int) -> tuple[nn.Module, InputSpec]:
    with torch.device("cpu"):  # anchors are computed as it is built
        network = models.get_model(name, weights=None, weights_backbone=None, num_classes=classes)
    network.register_forward_pre_hook(_refuse_half_on_cpu)
    return network, _detector_input(network)


def _refuse_half_on_cpu(_: nn.Module, inputs: tuple[Any, ...]) -> None:
    """Said at once, since a picture of noise may leave nothing for NMS, and the first real one would fail."""
    image = inputs[0][0]
    if image.device.type == "cpu" and image.dtype != torch.float32:
        raise NotImplementedError("torchvision's NMS has no kernel for half precision on the CPU")


def _detector_input(network: nn.Module) -> InputSpec:
    """torchvision's detectors normalise by themselves; they are set to take the letterboxed input at its own size."""
    transform: Any = network.transform
    if transform.fixed_size:
        width, height = transform.fixed_size
        return InputSpec(width, height, "stretch", NO_MEAN, NO_STD)
    transform.min_size = (DETECTOR_SIDE,)
    transform.max_size = DETECTOR_SIDE
    return InputSpec(DETECTOR_SIDE, DETECTOR_SIDE, "letterbox", NO_MEAN, NO_STD)
