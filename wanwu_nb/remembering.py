"""A model that an earlier run left word of: known by its files, and loaded at its first forward, not before.

Where only thresholds or words changed, no forward comes, and no network is built. Nor where an engine runs that was
prepared earlier.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch import nn

from .checkpoints import Checkpoint
from .checkpoints.checkpoint import WeightsFile
from .errors import ModelError
from .fitting import InputSpec
from .hardware import Choice, choose_device, choose_precision
from .paths import local_path
from .resident import ResidentModel
from .results import LABELS, OutputFolder, to_json
from .results.raw_reading import read_labels
from .settings import ModelSettings, check_settings

MEMORY = ".model.json"
PACKAGES = ("wanwu_nb", "torch", "torchvision", "timm")  # what builds a network, and may build another
MOST_FILES = 1_000  # beside the weights: a folder of more is some other folder

LOADED = ("network", "normalised", "_dtype")  # what a model has only once it is loaded
OF_ITS_ENGINE = ("engine", "compiled_for", "_prepared")  # may be in use before, and stay

Files = list[list[Any]]


def remember(model: ResidentModel, output: OutputFolder) -> None:
    """Leave word of the model in an output folder, beside its labels, for `load_or_recall`.

    >>> remember(model, output)
    """
    checkpoint = model.checkpoint
    files = _files(checkpoint.weights, model.opened)
    if not files:
        return
    memory = {
        "asked": model.opened.model_dump(),
        "chosen": _chosen(model.opened),
        "packages": _packages(),
        "weights": str(checkpoint.weights),
        "files": files,
        "labels": _digest(output.folder / LABELS),
        "spec": checkpoint.spec.to_dict(),
        "precision": model.precision.record(),
        "model": model.record(),
        "architecture": checkpoint.architecture,
    }
    output.write(to_json(memory), MEMORY)


def load_or_recall(output_dir: str | Path, **parameters: Any) -> ResidentModel:
    """Load a model with the parameters of `ResidentModel.load`, or recall the one that a run in `output_dir` had.

    Recalled where parameters, hardware, packages and the files of the model agree; the network is then built at the
    first forward. Returns the model. Raises what `ResidentModel.load` does.

    >>> model = load_or_recall("runs/tags", model="wanwu")
    """
    opened = check_settings(ModelSettings, **parameters)
    folder = Path(local_path(output_dir)).absolute()
    memory: dict[str, Any] = {}
    with suppress(OSError, ValueError):
        memory = json.loads((folder / MEMORY).read_bytes())
    try:
        if _is_of(memory, opened, folder):
            return _Recalled(memory, opened, read_labels(folder))
    except (KeyError, TypeError, ValueError, OSError):
        pass  # of another shape: the model itself tells
    return ResidentModel.load(**parameters)


def _is_of(memory: Mapping[str, Any], opened: ModelSettings, folder: Path) -> bool:
    if memory.get("asked") != opened.model_dump() or memory.get("packages") != _packages():
        return False
    if memory["chosen"] != _chosen(opened) or memory["labels"] != _digest(folder / LABELS):
        return False
    return bool(memory["files"] == _files(Path(memory["weights"]), opened))


def _chosen(opened: ModelSettings) -> list[str]:
    """The device and precision that this machine gives for what was asked."""
    device = choose_device(opened.device).value
    precision = choose_precision(opened.precision, device).value
    return [device, precision]


def _packages() -> dict[str, str]:
    return {name: version(name) for name in PACKAGES}


def _files(weights: Path, opened: ModelSettings) -> Files:
    """Path, inode, size and time of all that may decide: what lies beside the weights, the model's folder, the labels.

    Nothing where that cannot be told.
    """
    places = {weights.parent}
    for asked in (opened.model, opened.labels):
        path = Path(local_path(asked)).absolute()
        if asked and path.is_dir():
            places.add(path)
        elif asked and path.is_file():
            places.add(path.parent)
    files: Files = []
    for place in sorted(places):
        files += _stats(place.iterdir())
        if len(files) > MOST_FILES:
            return []
    return files


def _stats(paths: Iterable[Path]) -> Files:
    files: Files = []
    for path in sorted(paths):
        if path.is_file():
            file = WeightsFile.of(path)
            files.append([str(path), file.inode, file.size, file.mtime_ns])
    return files


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class _Recalled(ResidentModel):
    """Answers from memory what takes no network; asked for the network, it becomes the model that is loaded."""

    def __init__(self, memory: Mapping[str, Any], opened: ModelSettings, labels: dict[int, str]):
        self._record: dict[str, Any] = memory["model"]
        self.checkpoint = Checkpoint(
            self._record["name"],
            self._record["kind"],
            nn.Identity(),
            InputSpec.from_dict(memory["spec"]),
            labels,
            Path(memory["weights"]),
            memory["architecture"],
            recalled_fingerprint=self._record["fingerprint"],
        )
        self.opened = opened
        self.device = choose_device(opened.device)
        self.precision = Choice(memory["precision"]["value"], memory["precision"]["reason"])
        self.load_seconds = 0.0
        self.undo_compile()

    def __getattr__(self, name: str) -> Any:
        """What only a loaded model has: called where this one has no attribute of that name."""
        if name not in LOADED or "network" in self.__dict__:
            raise AttributeError(f"a resident model has no {name}")
        model = ResidentModel.load(**self.opened.model_dump())
        recalled = self.checkpoint.fingerprint, self.precision.value
        if (model.checkpoint.fingerprint, model.precision.value) != recalled:
            raise ModelError(f"model {self.opened.model!r} has changed since the run before: run again")
        loaded = {name: value for name, value in vars(model).items() if name not in OF_ITS_ENGINE}
        self.__dict__.update(loaded)
        return self.__dict__[name]

    def record(self) -> dict[str, Any]:
        """Returns what stands of the model in summary.json."""
        if "network" in self.__dict__:
            return super().record()
        return {**self._record, "load_seconds": 0.0}
