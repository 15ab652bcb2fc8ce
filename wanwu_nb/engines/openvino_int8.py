"""INT8 on CPUs, by OpenVINO: quantised by NNCF, and run one picture a request, a stream a core.

So neither a picture's place nor its neighbours can matter, and batches of any size run.
"""

import hashlib
import tempfile
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from .. import process
from ..hardware import usable_cores
from .normalised import OutputOnDevice, Run
from .openvino_cpu import convert, import_built, why_not, without_side_effects

PRECISION = "fp32"  # of all that is not quantised, and of the network that it is made from
DIGITS = 16
LAYERS = ("Convolution", "GroupConvolution", "MatMul")
LEFT = 8  # times as many layers as are spared: of fewer, hardly any would be quantised


@dataclass(frozen=True)
class Quantised:
    """A network in OpenVINO's own format: its graph, and its weights.

    >>> Quantised(b"<net/>", b"").digest
    'e3ca90cdb0ab0a69'
    """

    graph: bytes
    weights: bytes

    @property
    def digest(self) -> str:
        """Returns what is the same only where both are."""
        content = hashlib.sha256(self.graph)
        content.update(self.weights)
        return content.hexdigest()[:DIGITS]


def why_not_run(device: str) -> str:
    """Returns why no network runs in INT8 on a device, "" where it can be tried.

    >>> why_not_run("cuda")
    'OpenVINO is for CPUs'
    """
    return why_not(device, PRECISION)


def why_not_made() -> str:
    """Returns why no network can be quantised here, "" where it can be tried.

    >>> why_not_made()
    ''
    """
    try:
        version("nncf")
    except PackageNotFoundError:
        return "NNCF is not installed (pip install 'wanwu_nb[int8]')"
    return ""


def versions() -> str:
    """Returns what quantises here, and what runs it.

    >>> versions()
    'openvino 2026.4.1, nncf 3.4.0'
    """
    texts = []
    for name in ("openvino", "nncf"):
        with suppress(PackageNotFoundError):
            texts.append(f"{name} {version(name)}")
    return ", ".join(texts)


def quantise(network: nn.Module, pictures: Sequence[Tensor], spared: int = 0) -> Quantised:
    """Quantise convolutions and linear layers, each in the range that it has on the `pictures`, as the network takes
    them, [3,H,W] each. The first ones are `spared`, so many: they stay as they are.

    Takes about as long as ten times the pictures in FP32. Returns the network. Raises whatever torch, OpenVINO and NNCF
    do, and ValueError where a network is too small to spare so many.

    >>> quantise(model.normalised.in_fp32(), pictures).digest
    '5f3d0c1b9e8a7764'
    """
    batches = [picture.unsqueeze(0) for picture in pictures]
    inputs = [batch.numpy() for batch in batches]
    with without_side_effects(), process.no_warnings_logged():
        nncf = _nncf()
        converted = convert(network, batches[0])
        dataset = nncf.Dataset(inputs)
        scope = nncf.IgnoredScope(names=_first_layers(converted, spared))
        quantised = nncf.quantize(converted, dataset, subset_size=len(inputs), ignored_scope=scope, **_parameters(nncf))
        return _written(quantised)


def _first_layers(model: Any, count: int) -> list[str]:
    """The names of the first layers that could be quantised. Raises ValueError where hardly any would be left."""
    names = [op.get_friendly_name() for op in model.get_ordered_ops() if op.get_type_name() in LAYERS]
    if len(names) < LEFT * count:
        raise ValueError(f"it has {len(names)} layers, too few to spare {count}")
    return names[:count]


def _parameters(nncf: Any) -> dict[str, Any]:
    """Activations that fall below zero keep their resolution; weights have 7 bits, whatever the processor.

    With 8, processors without VNNI add two products in 16 bits, which overflow and change tags; and the folder may move
    to such a machine.
    """
    seven_bits = nncf.AdvancedQuantizationParameters(overflow_fix=nncf.OverflowFix.ENABLE)
    return {"preset": nncf.QuantizationPreset.MIXED, "advanced_parameters": seven_bits}


def _nncf() -> Any:
    """NNCF without word to its makers, without bars and lines for its developers."""
    import nncf
    from nncf.common.logging import track_progress
    from nncf.telemetry import wrapper

    vars(wrapper.telemetry)["_impl"] = None  # where others imported it before: what it would send fails, and it goes on
    for name in ("Progress", "WeightedProgress"):
        kind = getattr(track_progress, name)
        setattr(track_progress, name, _silent(kind))
    return nncf


def _silent(kind: Any) -> Any:
    """A kind of progress bar that shows nothing."""
    if kind.__name__ == "Silent":
        return kind

    class Silent(kind):  # type: ignore[misc]
        def __init__(self, *arguments: Any, **options: Any):
            options["disable"] = True
            super().__init__(*arguments, **options)

    return Silent


def _written(model: Any) -> Quantised:
    import openvino

    with tempfile.TemporaryDirectory() as folder:
        graph, weights = Path(folder) / "model.xml", Path(folder) / "model.bin"
        openvino.save_model(model, graph, compress_to_fp16=False)
        return Quantised(graph.read_bytes(), weights.read_bytes())


def build(network: Quantised) -> memoryview:
    """Returns what OpenVINO makes of a network for this machine, to be kept. Raises RuntimeError for what is none.

    >>> content = build(quantised)
    """
    with without_side_effects():
        import openvino

        core = openvino.Core()
        model = core.read_model(network.graph, network.weights)
        compiled = core.compile_model(model, "CPU", _properties())
    stream = compiled.export_model()
    content: memoryview = stream.getbuffer()
    return content


def open_built(content: memoryview) -> Run:
    """Returns what runs batches of any size, from what `build` returned. Raises RuntimeError for what is none.

    >>> boxes, scores, class_ids = open_built(content)(batch)
    """
    compiled = import_built(content, _properties())
    return _Opened(compiled, content, requests=usable_cores())


def _properties() -> dict[str, Any]:
    """Threads that are bound to their cores would wait for whoever else is there."""
    cores = usable_cores()
    return {
        "NUM_STREAMS": cores,
        "INFERENCE_NUM_THREADS": cores,
        "ENABLE_CPU_PINNING": False,
        "INFERENCE_PRECISION_HINT": "f32",
    }


class _Opened:
    """Runs the pictures of a batch side by side, one a request.

    The one opened last stays till the next is opened: let go while a thread of OpenVINO's own still returns from the
    last picture, that thread would wait for itself, and the process end.
    """

    last: "ClassVar[_Opened | None]" = None

    def __init__(self, compiled: Any, content: memoryview, requests: int):
        _Opened.last = self
        self._kept = compiled, content  # a request keeps neither alive
        self._requests = [compiled.create_infer_request() for _ in range(requests)]
        self._count = len(compiled.outputs)

    def __call__(self, batch: Tensor) -> OutputOnDevice:
        pixels = batch.contiguous().numpy()
        idle, running = deque(self._requests), deque[Any]()
        rows: list[list[Tensor]] = []
        for place in range(len(pixels)):
            if not idle:
                idle.append(self._finish(running.popleft(), rows))
            request = idle.popleft()
            request.start_async([pixels[place : place + 1]], share_inputs=True)
            running.append(request)
        for request in running:
            self._finish(request, rows)
        *boxes, scores, class_ids = [torch.cat(column) for column in zip(*rows, strict=True)]
        if not boxes:
            return None, scores, class_ids
        return boxes[0], scores, class_ids

    def _finish(self, request: Any, rows: list[list[Tensor]]) -> Any:
        """Wait for the request, and add its outputs to the rows. Returns it, idle again."""
        request.wait()
        outputs = [request.get_output_tensor(number).data for number in range(self._count)]
        rows.append([torch.from_numpy(output.copy()) for output in outputs])
        return request
