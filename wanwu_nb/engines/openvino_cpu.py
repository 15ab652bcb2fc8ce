"""OpenVINO on the CPU: needs no compiler, and what it built can be kept and opened again in a fraction of a second."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .. import process
from ..fitting import InputSpec
from ..hardware import usable_cores
from .normalised import Normalised, OutputOnDevice, Run

HINTS = {"fp32": "f32"}  # precision → OpenVINO's name of it: those that it is used for
TELEMETRY = "openvino_telemetry"  # comes along with it, and would send word of every import


def why_not(device: str, precision: str) -> str:
    """Returns why OpenVINO is not used for a device and a precision, "" where it can be tried.

    >>> why_not("cuda", "fp16")
    'OpenVINO is for CPUs'
    """
    if device != "cpu":
        return "OpenVINO is for CPUs"
    if precision not in HINTS:
        return f"OpenVINO is not used for {precision}"
    try:
        version("openvino")
    except PackageNotFoundError:
        return "OpenVINO is not installed (pip install openvino)"
    return ""


def prepare(network: Normalised, spec: InputSpec, precision: str, batch_size: int) -> Run:
    """Convert a network for batches of this size. Returns what runs them. Raises what torch or OpenVINO does.

    >>> boxes, scores, class_ids = prepare(network, spec, "fp32", 8)(batch)
    """
    content = build(network, spec, precision, batch_size)
    return open_built(content, precision)


def build(network: Normalised, spec: InputSpec, precision: str, batch_size: int) -> memoryview:
    """Returns what OpenVINO makes of a network, to be kept. Raises what torch or OpenVINO does: a network that branches
    on its data cannot be exported.

    >>> content = build(network, spec, "fp32", 8)
    """
    with without_side_effects():
        import openvino

        blank = torch.zeros(batch_size, 3, spec.height, spec.width, dtype=torch.uint8)
        model = convert(network.in_fp32(), blank)
        compiled = openvino.Core().compile_model(model, "CPU", _properties(precision))
    stream = compiled.export_model()
    content: memoryview = stream.getbuffer()
    return content


def convert(network: nn.Module, batch: Tensor) -> Any:
    """Returns a network as OpenVINO has it, for batches like this one. Call it without_side_effects.

    Raises what torch or OpenVINO does.

    >>> model = convert(network, torch.zeros(8, 3, 640, 640))
    """
    import openvino

    with torch.no_grad():
        program = torch.export.export(network, (batch,))
        return openvino.convert_model(program)


def open_built(content: memoryview, precision: str) -> Run:
    """Returns what runs batches, from what `build` returned. Raises RuntimeError for what is none.

    >>> boxes, scores, class_ids = open_built(content, "fp32")(batch)
    """
    compiled = import_built(content, _properties(precision))
    return _Opened(compiled, content)


def import_built(content: memoryview, properties: dict[str, Any]) -> Any:
    """Returns what OpenVINO compiled, from what it exported; it goes on reading `content` where that can be written.

    Raises RuntimeError for what is none.

    >>> compiled = import_built(content, {"NUM_STREAMS": 1})
    """
    values = np.frombuffer(content, np.uint8)
    with without_side_effects():
        import openvino

        tensor = openvino.Tensor(values, shared_memory=values.flags.writeable)  # a copy of a large network is as large
        return openvino.Core().import_model(tensor, "CPU", properties)


def _properties(precision: str) -> dict[str, Any]:
    """One request at a time with all cores: decoding and the network take turns, and a picture's place cannot matter.

    Threads that are bound to their cores would wait for whoever else is there.
    """
    return {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": usable_cores(),
        "ENABLE_CPU_PINNING": False,
        "INFERENCE_PRECISION_HINT": HINTS[precision],
    }


class _Opened:
    """Runs one batch after another, in one thread at a time."""

    def __init__(self, compiled: Any, content: memoryview):
        self._kept = compiled, content  # a request keeps neither alive
        self._request = compiled.create_infer_request()
        self._count = len(compiled.outputs)

    def __call__(self, batch: Tensor) -> OutputOnDevice:
        pixels = batch.contiguous().numpy()
        outputs = self._request.infer([pixels], share_inputs=True)
        *boxes, scores, class_ids = [torch.from_numpy(outputs[i]) for i in range(self._count)]
        if not boxes:
            return None, scores, class_ids
        return boxes[0], scores, class_ids


@contextmanager
def without_side_effects() -> Iterator[None]:
    """OpenVINO without its telemetry, without warnings that are for its developers, and without its signal stack.

    Each of its cores puts one in place. Of two cores, the one that goes last puts the first one's back, which is gone.

    >>> with without_side_effects():
    ...     import openvino
    """
    with warnings.catch_warnings(), _without_telemetry(), process.signal_stack_restored():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _without_telemetry() -> Iterator[None]:
    """Importing or converting would send word of it, and leave files in the user's home folder.

    Where the package cannot be imported, OpenVINO takes a stub; where others imported it before, it is given its stub.
    """
    with process.module_hidden(TELEMETRY):
        from openvino.tools.ovc import convert_impl, telemetry_stub, telemetry_utils, utils

        for module in (convert_impl, telemetry_utils, utils):
            module.tm = telemetry_stub
        yield
