"""Networks by the name of their architecture, filled with a state dict."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from ..images import InputSpec
from .contract import Contract

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
DETECTOR_SIDE = 640  # torchvision's own 800 x 1333 would be square in a batch, and four times the work


def build_with(architecture: str, state: dict[str, Tensor], classes: int, source: Path) -> tuple[Contract, InputSpec]:
    """A network of `classes` classes holding `state`, and the input it wants.

    Given the file's tensors as they are: nothing is copied. Raises ValueError, with the first five keys that do not
    fit.
    """
    family, _, name = architecture.partition("/")
    if family not in BUILDERS:
        raise ValueError(
            f"architecture {architecture!r} is not known: use timm/… (e.g. timm/resnet50), torchvision/… (e.g. "
            "torchvision/fasterrcnn_resnet50_fpn_v2) or wanwu_nb/demo_detector"
        )
    network, spec = empty(BUILDERS[family], name, classes)
    problem = misfit(network.state_dict(), state)
    if problem:
        raise ValueError(f"the weights in {source} do not fit {architecture} with {classes} classes: {problem}")
    network.load_state_dict(state, assign=True)
    return Contract(network, classes), spec


def empty(builder: Callable, name: str, classes: int) -> tuple[nn.Module, InputSpec]:
    """Built without memory, so that nothing is initialised; with it, where a network computes tensors of its own."""
    with without_initialisation():
        try:
            with torch.device("meta"):
                network, spec = builder(name, classes)
        except NotImplementedError:
            return builder(name, classes)
        saved = network.state_dict()
        if any(buffer.is_meta and key not in saved for key, buffer in network.named_buffers()):
            return builder(name, classes)
    return network, spec


@contextmanager
def without_initialisation() -> Iterator[None]:
    """No random weights, which the file's replace at once: two thirds of the time of building a large network."""
    saved = {name: value for name, value in vars(nn.init).items() if name.endswith("_") and name[0] != "_"}
    for name in saved:
        setattr(nn.init, name, lambda tensor, *_, **__: tensor)
    try:
        yield
    finally:
        for name, value in saved.items():
            setattr(nn.init, name, value)


def demo_detector(name: str, classes: int) -> tuple[nn.Module, InputSpec]:
    from ..demo.detector import DemoDetector

    if name != "demo_detector":
        raise ValueError(f'architecture "wanwu_nb/{name}" is not known: wanwu_nb/demo_detector is')
    return DemoDetector(classes), InputSpec(640, 640, "letterbox", **IMAGENET)


def timm_classifier(name: str, classes: int) -> tuple[nn.Module, InputSpec]:
    """Shorter side to the size timm evaluates at, then the centre: `crop_pct` is the ratio of the two."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # in a notebook, tqdm asks for widgets that nothing here uses
        import timm

    if not timm.is_model(name):
        close = ", ".join(timm.list_models(f"*{name[:6]}*")[:5]) or "see timm.list_models()"
        raise ValueError(f"timm knows no architecture {name!r}: {close}")
    network = timm.create_model(name, num_classes=classes)
    data = timm.data.resolve_model_data_config(network)
    side = data["input_size"][1]
    mean, std = tuple(data["mean"]), tuple(data["std"])
    return network, InputSpec(side, side, "crop", mean, std, shorter_side=int(side / data["crop_pct"]))


def torchvision_network(name: str, classes: int) -> tuple[nn.Module, InputSpec]:
    from torchvision import models

    if name in models.list_models(module=models.detection):
        with torch.device("cpu"):  # anchors are computed as it is built
            network = models.get_model(name, weights=None, weights_backbone=None, num_classes=classes)
        network.register_forward_pre_hook(refuse_half_on_cpu)
        return network, detector_input(network)
    if name not in models.list_models(module=models):
        raise ValueError(f"torchvision knows no architecture {name!r}: see torchvision.models.list_models()")
    preset = models.get_model_weights(name).DEFAULT.transforms()
    side, shorter = preset.crop_size[0], preset.resize_size[0]
    spec = InputSpec(side, side, "crop", tuple(preset.mean), tuple(preset.std), shorter_side=shorter)
    return models.get_model(name, weights=None, num_classes=classes), spec


def refuse_half_on_cpu(_: nn.Module, inputs: tuple) -> None:
    """Said at once, since a picture of noise may leave nothing for NMS, and the first real one would fail."""
    images = inputs[0]
    if images[0].device.type == "cpu" and images[0].dtype != torch.float32:
        raise NotImplementedError("torchvision's NMS has no kernel for half precision on the CPU")


def detector_input(network: nn.Module) -> InputSpec:
    """torchvision's detectors normalise by themselves; they are set to take the letterboxed input at its own size."""
    plain = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
    if network.transform.fixed_size:
        return InputSpec(*network.transform.fixed_size, "stretch", **plain)
    network.transform.min_size, network.transform.max_size = (DETECTOR_SIDE,), DETECTOR_SIDE
    return InputSpec(DETECTOR_SIDE, DETECTOR_SIDE, "letterbox", **plain)


BUILDERS = {"wanwu_nb": demo_detector, "timm": timm_classifier, "torchvision": torchvision_network}


def misfit(wanted: dict[str, Tensor], given: dict[str, Tensor]) -> str:
    """The first five keys that are missing, unknown or of another shape; "" where all fit."""
    problems = [f"{key} is missing in the file" for key in wanted if key not in given]
    problems += [f"{key} is unknown to the network" for key in given if key not in wanted]
    problems += [
        f"{key} is {list(given[key].shape)} in the file and {list(tensor.shape)} in the network"
        for key, tensor in wanted.items()
        if key in given and given[key].shape != tensor.shape
    ]
    more = f", and {len(problems) - 5} more" if len(problems) > 5 else ""
    return "; ".join(problems[:5]) + more
