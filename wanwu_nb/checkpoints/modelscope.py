"""The real model: ModelScope's folder of damo/cv_resnest101_general_recognition (万物识别-中文-通用领域).

A ResNeSt-101 (Zhang et al., 2020) that gives one tag for the whole picture. timm's `resnest101e` is the same network,
key by key.
"""

from pathlib import Path

from ..errors import MissingFile, ModelError
from ..fitting import IMAGENET_MEAN, IMAGENET_STD, InputSpec
from .architectures import build_with
from .checkpoint import Checkpoint, WeightsFile
from .label_tables import lines_of
from .labels import Labels, cleaned, read_text
from .weights import read_state_dict

WEIGHTS, NAMES = "pytorch_model.pt", "meta_info.txt"
INPUT = InputSpec(224, 224, "crop", IMAGENET_MEAN, IMAGENET_STD, shorter_side=256)
ARCHITECTURE = "timm/resnest101e"


def is_modelscope(folder: Path) -> bool:
    """Returns whether a folder holds a file by which ModelScope's download is known, even if the other is missing.

    Example: `is_modelscope(Path("cv_resnest101_general_recognition"))`
    """
    return len(_missing(folder)) < 2


def open_modelscope(folder: Path, labels: Labels | None = None) -> Checkpoint:
    """Open the folder as ModelScope's download leaves it, with its own names or with `labels`.

    Returns the checkpoint. Raises MissingFile for a folder that is not whole, ModelError for files that are damaged.

    Example: `open_modelscope(Path("cv_resnest101_general_recognition"))`
    """
    missing = _missing(folder)
    if missing:
        names = ", ".join(missing)
        raise MissingFile(
            f"ModelScope folder {folder} lacks {names}: "
            "modelscope download --model damo/cv_resnest101_general_recognition --local_dir FOLDER"
        )
    own_labels = _read_labels(folder / NAMES)
    classes = len(own_labels)
    if labels:
        own_labels = labels.for_classes(classes)
    weights = folder / WEIGHTS
    files = (WeightsFile.of(weights),)
    state = read_state_dict(weights)
    network, _ = build_with(ARCHITECTURE, state, classes, weights)
    kind = "ModelScope folder, ResNeSt-101"
    return Checkpoint(folder.name, kind, network, INPUT, own_labels, weights, ARCHITECTURE, files=files)


def _missing(folder: Path) -> list[str]:
    missing = []
    for name in (WEIGHTS, NAMES):
        path = folder / name
        if not path.is_file():
            missing.append(name)
    return missing


def _read_labels(path: Path) -> dict[int, str]:
    """A line a class, tab-separated, the label second."""
    lines = lines_of(read_text(path))
    if not lines[-1]:
        lines.pop()  # behind the last line's end
    labels: dict[int, object] = {}
    for i, line in enumerate(lines):
        columns = line.split("\t")
        if len(columns) < 2 or not columns[1].strip():
            raise ModelError(f"{path}: line {i + 1} has no tab-separated label: download it again")
        labels[i] = columns[1]
    return cleaned(str(path), labels)
