"""The resident model: loaded once, on one device, in one precision, and then asked again and again."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from . import process
from .checkpoints import Checkpoint, open_checkpoint
from .collector import collector_paused
from .deciding import Decision
from .describing import Words, as_line, as_table, words_of
from .detecting import RawOutput, pack, unpack
from .detections import Detections, Selection
from .engines import COMPILED, EAGER, Normalised, Run, compiled
from .errors import ModelError, first_line
from .hardware import DTYPES, Choice, choose_device, choose_precision
from .images import fit_now
from .settings import CONF_THRESHOLD, NMS_IOU, TOP_K, ModelSettings, check_settings
from .tagged import Failed
from .tagger import Tagger

BATCH_SIZE = 8
ANY_SIZE = -1
MEMORY_FORMATS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}


class ResidentModel:
    """A network in memory, in evaluation mode, that tags batches of pictures.

    `checkpoint` holds the name, input spec, labels and fingerprint; `device` and `precision` are Choices with reasons;
    `opened`, the parameters it was loaded with. What kind of model it was made from is no concern of this room.
    """

    int8: tuple[str, Run, str] | None = None  # for the next run: an engine's identity, the engine, its answers

    def __init__(
        self,
        checkpoint: Checkpoint,
        device: Choice[str],
        precision: Choice[str],
        opened: ModelSettings | None = None,
    ):
        self.checkpoint = checkpoint
        self.device = device
        self.precision = precision
        self.opened = opened or ModelSettings(model=checkpoint.name)
        self.load_seconds = 0.0
        self.engine = EAGER  # what runs batches of `compiled_for`; others run as loaded
        self.compiled_for = 0  # the one batch size that an engine was prepared for, or ANY_SIZE; 0: none
        self._dtype = DTYPES[precision.value]
        network = checkpoint.network.eval()
        network.to(device.value, self._dtype)
        self.network: nn.Module = network.to(memory_format=torch.channels_last)
        self.normalised = Normalised(self.network, checkpoint.spec, self._dtype)
        self.normalised.to(device.value).eval()
        self._prepared: Run | None = None
        if device.value == "cpu":
            process.keep_freed_memory()

    @classmethod
    def load(
        cls,
        model: str | Path = "demo",
        *,
        labels: str | Path = "",
        architecture: str = "",
        trust_pickle: bool = False,
        device: str = "auto",
        precision: str = "auto",
    ) -> "ResidentModel":
        """Load a model for good, and run it once; docs/models.md lists what `model` may be.

        A network that cannot run in the half precision chosen or asked for runs in FP32, and `precision` says why.
        Returns the model. Raises MissingFile, ModelError or SettingsError, in one sentence, for what cannot be had.

        >>> model = ResidentModel.load("demo", device="cpu")
        """
        started = time.perf_counter()
        chosen = choose_device(device)
        wanted = choose_precision(precision, chosen.value)
        opened = check_settings(
            ModelSettings,
            model=model,
            labels=labels,
            architecture=architecture,
            trust_pickle=trust_pickle,
            device=device,
            precision=precision,
        )
        resident = cls._open(opened, chosen, wanted)
        problem = resident.try_out()
        if problem and wanted.value != "fp32":
            reason = f"{wanted.value} ({wanted.reason}) failed on this network: {problem}"
            resident = cls._open(opened, chosen, Choice("fp32", reason))  # anew: half has lost bits
            problem = resident.try_out()
        if problem:
            raise ModelError(f"model {opened.model!r} cannot run: {problem}")
        resident.load_seconds = time.perf_counter() - started
        return resident

    @classmethod
    def _open(cls, opened: ModelSettings, device: Choice[str], precision: Choice[str]) -> "ResidentModel":
        with collector_paused():
            checkpoint = open_checkpoint(opened.model, opened.labels, opened.architecture, opened.trust_pickle)
            return cls(checkpoint, device, precision, opened)

    @property
    def labels(self) -> Mapping[int, str]:
        """Returns the names by class id."""
        return self.checkpoint.labels

    def load_network(self) -> nn.Module:
        """Returns the network. A model that was recalled loads it now: what then goes wrong is no picture's failure.

        >>> model.load_network()
        """
        return self.network

    def try_out(self) -> str:
        """Run a picture of noise; two where the network brings its own code, which may have been made for one alone.

        Returns what went wrong, "" if nothing did.
        """
        if not self.checkpoint.architecture:
            try:
                return self._problem_with(2)
            except Exception:  # as below; one at a time may still do
                pass
        try:
            return self._problem_with(1)
        except Exception as error:  # whatever a network may say
            return first_line(error)

    def _problem_with(self, count: int) -> str:
        generator = torch.Generator().manual_seed(0)
        spec = self.checkpoint.spec
        noise = torch.randint(0, 256, (count, 3, spec.height, spec.width), dtype=torch.uint8, generator=generator)
        _, scores, class_ids = self.forward(noise)
        if len(scores) != count:
            return f"it gives {len(scores)} outputs for {count} pictures: the first dimension must be the batch"
        if not scores.isfinite().all():
            return "its scores are not finite"
        scored = class_ids[scores > 0].tolist()
        highest, last = max(scored, default=0), max(self.labels)
        if highest > last:
            return f"it knows a class {highest}, and the labels name classes only to {last}: name all of them"
        return ""

    def compile(self, batch_size: int) -> str:
        """Compile the network for batches of this size, which takes seconds to minutes.

        Returns what went wrong, "" if nothing did; the network then runs as it was loaded.
        """
        try:
            run = compiled.prepare(self.normalised, self.checkpoint.spec, self.precision.value, batch_size)
        except Exception as error:  # any of the compiler's own: no C++ compiler, an operator unknown to it
            self.undo_compile()
            return first_line(error)
        self.use_engine(COMPILED, run, batch_size)
        return ""

    def use_memory_format(self, memory_format: str) -> None:
        """Let weights and batches lie "channels_last" or "contiguous"; what was compiled for the other is forgotten.

        >>> model.use_memory_format("contiguous")
        """
        wanted = MEMORY_FORMATS[memory_format]
        if self.normalised.memory_format == wanted:
            return
        self.undo_compile()
        self.normalised.memory_format = wanted
        self.network.to(memory_format=wanted)

    def use_engine(self, engine: str, run: Run, batch_size: int) -> None:
        """Let what an engine prepared run the batches of this size.

        >>> model.use_engine("OpenVINO", run, 8)
        """
        self.engine = engine
        self.compiled_for = batch_size
        self._prepared = run
        if self.device.value == "cpu":
            process.keep_freed_memory()

    def undo_compile(self) -> None:
        """Go back to the network as it was loaded."""
        self.engine = EAGER
        self.compiled_for = 0
        self._prepared = None

    def forward(self, batch: Tensor) -> RawOutput:
        """Run one batch, uint8 [B,3,H,W].

        Returns boxes [B,K,4] or None, scores [B,K], class ids [B,K], on the CPU.
        """
        packed = self.launch(batch)
        return unpack(packed)

    @torch.inference_mode()
    def launch(self, batch: Tensor) -> Tensor:
        """Start one batch, uint8 [B,3,H,W]; returns what comes out in one tensor on the device: `unpack` waits for it.

        Transferred as bytes; cast and normalised on the device, once for the whole batch.
        """
        run: Run | None = None
        if self.compiled_for in (len(batch), ANY_SIZE):  # another size would be prepared anew
            run = self._prepared
        if run is None:
            run = self.normalised
        on_device = batch.to(self.device.value, non_blocking=True)
        boxes, scores, class_ids = run(on_device)
        return pack(boxes, scores, class_ids)

    def predict(
        self,
        pictures: Sequence[str | Path | Image.Image],
        conf_threshold: float = CONF_THRESHOLD,
        nms_iou: float = NMS_IOU,
        top_k: int = TOP_K,
        batch_size: int = BATCH_SIZE,
    ) -> list[Detections]:
        """Tag a few pictures (paths or PIL images), in batches of at most `batch_size`.

        Returns one Detections each, boxes in the photo's pixels. Raises images.UnreadableImage for one that cannot be
        decoded, ModelError for one that cannot be run; for folders, `tag_folder` carries on instead.

        >>> model.predict(["photo.jpg"])[0].names
        ['台灯']
        """
        size = max(1, min(batch_size, len(pictures)))
        selection = Selection(conf_threshold, nms_iou, top_k)
        tagger = Tagger(self, Decision(selection), size)
        detections = []
        for start in range(0, len(pictures), size):
            fitted = [fit_now(picture, self.checkpoint.spec) for picture in pictures[start : start + size]]
            for launched in tagger.launch(fitted):
                for result in launched.results():
                    if isinstance(result, Failed):
                        raise ModelError(result.reason)
                    detections.append(result.detections)
        return detections

    def record(self) -> dict[str, Any]:
        """Returns what stands of the model in summary.json: numbers as numbers."""
        checkpoint, spec = self.checkpoint, self.checkpoint.spec
        parameters = list(self.network.parameters())
        return {
            "name": checkpoint.name,
            "kind": checkpoint.kind,
            "classes": len(checkpoint.labels),
            "input": {"width": spec.width, "height": spec.height, "fit": spec.fit},
            "parameters": sum(parameter.numel() for parameter in parameters),
            "bytes": sum(parameter.nbytes for parameter in parameters),
            "load_seconds": round(self.load_seconds, 3),
            "fingerprint": checkpoint.fingerprint,
        }

    def _words(self) -> Words:
        return words_of(self.record(), self.checkpoint.spec, self.device, self.precision)

    def __repr__(self) -> str:
        return f"ResidentModel({as_line(self._words())})"

    def _repr_html_(self) -> str:
        return as_table(self._words())
