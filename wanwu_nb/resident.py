"""The resident model: loaded once, on one device, in one precision, and then asked again and again."""

import ctypes
import gc
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from html import escape
from pathlib import Path

import torch
from PIL import Image
from platformdirs import user_cache_path
from torch import Tensor, nn

from .checkpoints import Checkpoint, open_checkpoint
from .detections import Detections, Selection, detect
from .images import InputSpec, decode, fit
from .tuning import DTYPES, Choice, choose_device, choose_precision, first_line

BATCH_SIZE = 8
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h


class ResidentModel:
    """A network in memory, in evaluation mode, that tags batches of pictures.

    `checkpoint` holds the name, input spec, labels and fingerprint; `device` and `precision` are Choices with reasons.
    What kind of model it was made from is no concern of this room.
    """

    def __init__(self, checkpoint: Checkpoint, device: Choice, precision: Choice):
        self.checkpoint, self.device, self.precision = checkpoint, device, precision
        self.dtype = DTYPES[precision.value]
        network: nn.Module = checkpoint.network.eval()
        self.network = network.to(device.value, self.dtype, memory_format=torch.channels_last)
        self.eager = Normalised(self.network, checkpoint.spec, self.dtype).to(device.value).eval()
        self.compiled, self.compiled_for = None, 0
        self.load_seconds = 0.0
        if device.value == "cpu":
            keep_freed_memory()

    @classmethod
    def load(
        cls,
        model: str = "demo",
        *,
        labels: str = "",
        architecture: str = "",
        trust_pickle: bool = False,
        device: str = "auto",
        precision: str = "auto",
    ) -> "ResidentModel":
        """Load a model for good, and run it once; docs/models.md lists what `model` may be.

        A network that cannot run in the half precision chosen or asked for runs in FP32, and `precision` says why.
        Raises FileNotFoundError or ValueError, in one sentence, for what cannot be had.
        """
        started = time.perf_counter()
        chosen = choose_device(device)
        wanted = choose_precision(precision, chosen.value)
        given = (model, labels, architecture, trust_pickle)
        with collector_paused():
            resident = cls(open_checkpoint(*given), chosen, wanted)
        problem = resident.try_out()
        if problem and wanted.value != "fp32":
            reason = f"{wanted.value} ({wanted.reason}) failed on this network: {problem}"
            resident = cls(open_checkpoint(*given), chosen, Choice("fp32", reason))  # anew: half has lost bits
            problem = resident.try_out()
        if problem:
            raise ValueError(f"model {model!r} cannot run: {problem}")
        resident.load_seconds = time.perf_counter() - started
        return resident

    def try_out(self) -> str:
        """Run one picture of noise; return what went wrong, "" if nothing did."""
        shape = (1, 3, self.checkpoint.spec.height, self.checkpoint.spec.width)
        noise = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
        try:
            _, scores, _ = self.forward(noise)
        except (RuntimeError, NotImplementedError, TypeError, ValueError, IndexError, AttributeError) as error:
            return first_line(error)
        overflown = self.precision.value != "fp32" and not scores.isfinite().all()
        return "its scores are not finite" if overflown else ""

    def compile(self, batch_size: int) -> str:
        """Compile the network for batches of this size, which takes seconds to minutes; return what went wrong, or "".

        The C++ code's compiler output is kept in the user's cache, where the next process finds it.
        """
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(user_cache_path("wanwu_nb") / "inductor"))
        from torch._inductor import config as inductor  # takes a second, and reads the variable

        spec = self.checkpoint.spec
        mode = "reduce-overhead" if self.device.value.startswith("cuda") else "default"  # CUDA graphs
        self.compiled, self.compiled_for = torch.compile(self.eager, dynamic=False, mode=mode), batch_size
        try:
            with inductor.patch(freezing=True):  # as an option of torch.compile it comes too late for the tracing
                for _ in range(3):  # a graph is recorded in the second
                    self.forward(torch.zeros(batch_size, 3, spec.height, spec.width, dtype=torch.uint8))
            return ""
        except Exception as error:  # any of the compiler's own: no C++ compiler, an operator unknown to it
            self.undo_compile()
            return first_line(error)

    def undo_compile(self) -> None:
        """Go back to the network as it was loaded."""
        self.compiled, self.compiled_for = None, 0

    def forward(self, batch: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        """Run one batch, uint8 [B,3,H,W]; boxes [B,K,4] or None, scores [B,K], class ids [B,K] come back on the CPU."""
        return unpacked(self.launch(batch))

    @torch.inference_mode()
    def launch(self, batch: Tensor) -> Tensor:
        """Start one batch, and leave what comes out on the device, in one tensor: `unpacked` waits for it.

        Transferred as bytes; cast and normalised on the device, once for the whole batch.
        """
        run = self.compiled if len(batch) == self.compiled_for else self.eager  # another size would be compiled anew
        boxes, scores, class_ids = run(batch.to(self.device.value, non_blocking=True))
        parts = [scores[..., None].float(), class_ids[..., None].float()]  # class ids are exact up to 2**24
        return torch.cat(parts if boxes is None else [*parts, boxes.float()], dim=2)

    def predict(
        self,
        pictures: Sequence[str | Path | Image.Image],
        conf_threshold: float = 0.3,
        nms_iou: float = 0.5,
        top_k: int = 100,
        batch_size: int = BATCH_SIZE,
    ) -> list[Detections]:
        """Tag a few pictures (paths or PIL images): one Detections each, boxes in the photo's pixels.

        Raises images.UnreadableImage for one that cannot be decoded; for folders, `tag_folder` carries on instead.
        """
        selection = Selection(conf_threshold, nms_iou, top_k)
        found = []
        for start in range(0, len(pictures), batch_size):
            fitted = [fit(decode(picture), self.checkpoint.spec) for picture in pictures[start : start + batch_size]]
            batch = full_batch([image for image, _ in fitted], batch_size)
            placements = [placement for _, placement in fitted]
            found += detect(self.forward(batch), placements, self.checkpoint.labels, selection)
        return found

    def facts(self) -> dict[str, str]:
        """What stands in the summary and on the screen."""
        spec, parameters = self.checkpoint.spec, list(self.network.parameters())
        megabytes = sum(p.numel() * p.element_size() for p in parameters) / 1e6
        return {
            "name": self.checkpoint.name,
            "kind": self.checkpoint.kind,
            "classes": f"{len(self.checkpoint.labels):,}",
            "input": f"{spec.width} x {spec.height}, {spec.fit}",
            "device": f"{self.device.value} ({self.device.reason})",
            "precision": f"{self.precision.value} ({self.precision.reason})",
            "parameters": f"{sum(p.numel() for p in parameters):,} ({megabytes:,.1f} MB)",
            "loaded in": f"{self.load_seconds:.2f} s",
            "fingerprint": self.checkpoint.fingerprint,
        }

    def __repr__(self) -> str:
        return f"ResidentModel({', '.join(f'{name}: {value}' for name, value in self.facts().items())})"

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><th>{name}</th><td>{escape(value)}</td></tr>" for name, value in self.facts().items())
        return f"<table>{rows}</table>"


class Normalised(nn.Module):
    """uint8 [B,3,H,W] in: cast, normalised, given to the network; one module, so that it is compiled in one piece."""

    def __init__(self, network: nn.Module, spec: InputSpec, dtype: torch.dtype):
        super().__init__()
        self.network, self.dtype = network, dtype
        self.register_buffer("mean", torch.tensor(spec.mean).view(1, 3, 1, 1) * 255)
        self.register_buffer("std", torch.tensor(spec.std).view(1, 3, 1, 1) * 255)

    def forward(self, batch: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        images = (batch.float() - self.mean) / self.std
        return self.network(images.to(self.dtype, memory_format=torch.channels_last))


@contextmanager
def collector_paused() -> Iterator[None]:
    """Loading makes hundreds of thousands of small objects, none of them garbage: looking for it doubles the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def unpacked(output: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
    """Boxes, scores and class ids on the CPU, with one copy from the device."""
    output = output.cpu()
    return output[..., 2:] if output.shape[2] > 2 else None, output[..., 0], output[..., 1].long()


def keep_freed_memory() -> None:
    """Ask glibc to keep what is freed instead of giving it back to the system, where glibc is.

    It returns large tensors at once, so that every batch's activations come as new pages, to be zeroed and mapped:
    up to half of a forward's time on the CPU.
    """
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(M_MMAP_THRESHOLD, 2**30)
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def full_batch(images: list[Tensor], batch_size: int) -> Tensor:
    """Stack fitted pictures, repeating the last, to the one batch shape: so results cannot depend on how many came."""
    return torch.stack(images + images[-1:] * (batch_size - len(images)))
