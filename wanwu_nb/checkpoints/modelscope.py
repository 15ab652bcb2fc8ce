"""The real model: ModelScope's folder of damo/cv_resnest101_general_recognition (万物识别-中文-通用领域).

A ResNeSt-101 (Zhang et al., 2020) that gives one tag for the whole picture. timm's `resnest101e` is the same network,
key by key.
"""

from pathlib import Path

from ..images import InputSpec
from . import Checkpoint
from .architectures import IMAGENET, build_with
from .formats import read_weights

INPUT = InputSpec(224, 224, "crop", **IMAGENET, shorter_side=256)
ARCHITECTURE = "timm/resnest101e"


def is_one(folder: Path) -> bool:
    return (folder / "pytorch_model.pt").is_file() or (folder / "meta_info.txt").is_file()


def open_modelscope(folder: Path, labels: dict[int, str] | None = None) -> Checkpoint:
    """Open the folder as ModelScope's download leaves it. Raises FileNotFoundError or ValueError, in one sentence."""
    missing = [name for name in ("pytorch_model.pt", "meta_info.txt") if not (folder / name).is_file()]
    if missing:
        raise FileNotFoundError(
            f"ModelScope folder {folder} lacks {', '.join(missing)}: "
            "modelscope download --model damo/cv_resnest101_general_recognition --local_dir FOLDER"
        )
    names = names_of(folder / "meta_info.txt")
    weights = folder / "pytorch_model.pt"
    network, _ = build_with(ARCHITECTURE, read_weights(weights), len(names), weights)
    kind = "ModelScope folder, ResNeSt-101"
    return Checkpoint(folder.name, kind, network, INPUT, labels or names, weights, ARCHITECTURE)


def names_of(path: Path) -> dict[int, str]:
    """A line a class, tab-separated, the label second."""
    names = {}
    for i, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
        names[i] = line.partition("\t")[2].partition("\t")[0].strip()
        if not names[i]:
            raise ValueError(f"{path}: line {i + 1} has no tab-separated label: download it again")
    return names
