"""From a model's name to its checkpoint: which family is it?"""

from pathlib import Path

from ..errors import MissingFile, ModelError
from ..packages import import_of_torch
from ..paths import local_path
from .checkpoint import Checkpoint
from .everyday import open_everyday
from .hugging_face import is_hugging_face, open_hugging_face
from .labels import Labels, open_labels
from .lone_file import open_lone_file
from .model_folder import is_model_folder, open_model_folder
from .modelscope import is_modelscope, open_modelscope

DEMO_FOLDER = Path(__file__).parent / "demo_model"


def open_checkpoint(model: str, labels: str = "", architecture: str = "", trust_pickle: bool = False) -> Checkpoint:
    """Open what the parameters of that name stand for; docs/models.md lists all that `model` may be.

    `labels`: a labels file, for models that come without or with others; `architecture`: for a file of weights alone;
    `trust_pickle`: run the code inside a pickled module.

    Returns the network with its input and labels, on the CPU. Raises MissingFile for what is not there, ModelError for
    what is not a model.

    >>> open_checkpoint("demo").kind
    'model folder, safetensors, wanwu_nb/demo_detector'
    """
    import_of_torch("torchvision")  # most families build with it: said here where it cannot be used
    path = _path_of(model)
    names = _read_asked_labels(labels)
    if model == "everyday":
        return open_everyday(names, architecture)
    if model.startswith("torchvision/") and not path.exists():
        from .torchvision_detectors import open_by_name

        return open_by_name(model, names)
    if not path.exists():
        raise MissingFile(
            f'model {model!r} does not exist (looked for {path}): use "demo", "everyday", a model folder, a weights '
            "file, or a torchvision detector such as torchvision/fasterrcnn_resnet50_fpn_v2"
        )
    if path.is_file():
        return open_lone_file(path, names, architecture, trust_pickle)
    if architecture:
        raise ModelError(f"architecture={architecture!r} is for a lone weights file, and {path} is a folder")
    return _open_folder(path, names, trust_pickle)


def _path_of(model: str) -> Path:
    if model == "demo":
        return DEMO_FOLDER
    return Path(local_path(model)).absolute()


def _read_asked_labels(labels: str) -> Labels | None:
    """The labels that the user names; None where the model's own are to be taken."""
    if not labels:
        return None
    path = Path(local_path(labels))
    return open_labels(path.absolute())


def _open_folder(folder: Path, labels: Labels | None, trust_pickle: bool) -> Checkpoint:
    if is_model_folder(folder):
        return open_model_folder(folder, labels, trust_pickle)
    if is_modelscope(folder):
        return open_modelscope(folder, labels)
    if is_hugging_face(folder):
        return open_hugging_face(folder, labels, trust_pickle)
    raise ModelError(
        f"folder {folder} holds neither a model.json nor ModelScope's pytorch_model.pt and meta_info.txt nor Hugging "
        "Face's config.json: give the weights file itself, or add a model.json (see docs/models.md)"
    )
