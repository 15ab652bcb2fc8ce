"""Networks by the name of their architecture, filled with a state dict."""

import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ModelError, first_line
from ..fitting import IMAGENET_MEAN, IMAGENET_STD, InputSpec
from ..process import without_initialisation
from .contract import Contract
from .prefixes import without_wrappers

Builder = Callable[[str, int], tuple[nn.Module, InputSpec]]  # name and number of classes in

SHOWN = 5  # keys of a misfit


def build_with(
    architecture: str,
    state: dict[str, Tensor],
    classes: int,
    source: Path,
    scoring: str = "softmax",
    options: Mapping[str, Any] | None = None,
) -> tuple[Contract, InputSpec]:
    """Build the network of `architecture` with `classes` classes around the tensors of `state`, without copying them.

    Prefixes that a trainer put before all names are stripped. `options` go to timm's create_model.

    Returns the network and the input it wants. Raises ModelError for an unknown architecture, and, with the first five
    keys, for weights from `source` that do not fit.

    Example: `build_with("timm/resnet50", read_state_dict(path), 1000, path)`
    """
    family, _, name = architecture.partition("/")
    builder = _builder_of(family, architecture)
    if options:
        builder = partial(builder, **options)
    network, spec = _build_empty(builder, name, classes)
    wanted = network.state_dict()
    state = without_wrappers(state, wanted)
    problem = _misfit(wanted, state)
    if problem:
        raise ModelError(f"the weights in {source} do not fit {architecture} with {classes} classes: {problem}")
    network.load_state_dict(state, assign=True)
    return Contract(network, classes, scoring), spec


def _builder_of(family: str, architecture: str) -> Builder:
    match family:
        case "timm":
            return _timm_classifier
        case "torchvision":
            from .torchvision_networks import torchvision_network

            return torchvision_network
        case "wanwu_nb":
            return _demo_detector
    raise ModelError(
        f"architecture {architecture!r} is not known: use timm/… (e.g. timm/resnet50), torchvision/… (e.g. "
        "torchvision/fasterrcnn_resnet50_fpn_v2) or wanwu_nb/demo_detector"
    )


def _build_empty(builder: Builder, name: str, classes: int) -> tuple[nn.Module, InputSpec]:
    """Built without memory, so that nothing is initialised; with it, where a network computes tensors of its own."""
    with without_initialisation():
        try:
            with torch.device("meta"):
                network, spec = builder(name, classes)
        except NotImplementedError:
            return builder(name, classes)
        if _computes_tensors(network):
            return builder(name, classes)
    return network, spec


def _computes_tensors(network: nn.Module) -> bool:
    """Whether a network built without memory has buffers that no weights file will fill."""
    saved = network.state_dict()
    computed = [buffer for name, buffer in network.named_buffers() if name not in saved]
    return any(buffer.is_meta for buffer in computed)


def _misfit(wanted: dict[str, Tensor], state: dict[str, Tensor]) -> str:
    """The first five keys that are missing, unknown or of another shape; "" where all fit."""
    missing = [name for name in wanted if name not in state]
    unknown = [name for name in state if name not in wanted]
    shared = [name for name in wanted if name in state]
    problems = [f"{name} is missing in the file" for name in missing]
    problems += [f"{name} is unknown to the network" for name in unknown]
    for name in shared:
        in_file = list(state[name].shape)
        in_network = list(wanted[name].shape)
        if in_file != in_network:
            problems.append(f"{name} is {in_file} in the file and {in_network} in the network")
    sentence = "; ".join(problems[:SHOWN])
    more = len(problems) - SHOWN
    if more > 0:
        sentence += f", and {more} more"
    return sentence


def _demo_detector(name: str, classes: int) -> tuple[nn.Module, InputSpec]:
    if name != "demo_detector":
        raise ModelError(f'architecture "wanwu_nb/{name}" is not known: wanwu_nb/demo_detector is')
    from .demo_detector import DemoDetector

    spec = InputSpec(640, 640, "letterbox", IMAGENET_MEAN, IMAGENET_STD)
    network = DemoDetector(classes)
    return network, spec


def _timm_classifier(name: str, classes: int, **options: Any) -> tuple[nn.Module, InputSpec]:
    """Shorter side to the size timm evaluates at, then the centre: `crop_pct` is the ratio of the two."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # in a notebook, tqdm asks for widgets that nothing here uses
        import timm
        from timm.data.config import resolve_model_data_config

    if not timm.is_model(name):
        similar = timm.list_models(f"*{name[:6]}*")
        advice = ", ".join(similar[:5]) or "see timm.list_models()"
        raise ModelError(f"timm knows no architecture {name!r}: {advice}")
    try:
        network = timm.create_model(name, num_classes=classes, **options)
    except (TypeError, KeyError, AssertionError) as error:
        reason = first_line(error)
        raise ModelError(f"timm cannot build {name} as its config.json asks: {reason}") from error
    data: dict[str, Any] = resolve_model_data_config(network)
    channels = data["input_size"][0]
    if channels != 3:
        raise ModelError(f"timm's {name} takes {channels} channels here, and pictures have 3")
    side = data["input_size"][1]
    shorter_side = int(side / data["crop_pct"])
    mean = tuple(data["mean"])
    std = tuple(data["std"])
    spec = InputSpec(side, side, "crop", mean, std, shorter_side=shorter_side)
    return network, spec
