"""A Hugging Face folder of a timm network: config.json, and the weights in safetensors or as a state dict."""

import json
import warnings
from dataclasses import fields
from pathlib import Path
from typing import Any

from ..errors import MissingFile, ModelError, WanwuError, first_line
from .checkpoint import Checkpoint
from .labels import Labels, cleaned
from .lone_file import LABEL_FILES, Recipe, labels_beside, open_network

CONFIG = "config.json"
WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
# What says where weights come from, which is this folder, and what would make another kind of network of it.
NOT_OPTIONS = {"pretrained", "checkpoint_path", "cache_dir", "features_only", "pretrained_cfg"}
SOURCES = {"url", "file", "state_dict", "hf_hub_id", "hf_hub_filename", "source", "custom_load"}
NO_NAME = "LABEL_"  # what transformers calls classes that nobody named


def is_hugging_face(folder: Path) -> bool:
    """Returns whether a folder holds the file by which Hugging Face's downloads are known.

    >>> is_hugging_face(DEMO_FOLDER)
    False
    """
    return (folder / CONFIG).is_file()


def open_hugging_face(folder: Path, labels: Labels | None = None, trust_pickle: bool = False) -> Checkpoint:
    """Open the timm network that config.json names; without `labels`, with a labels file's names, or config.json's.

    Returns the checkpoint. Raises MissingFile for a folder that is not whole, ModelError for other networks.

    Example: `open_hugging_face(Path("resnet18.a1_in1k"))`
    """
    try:
        return _open(folder, labels, trust_pickle)
    except WanwuError:
        raise
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        reason = first_line(error)
        raise ModelError(f"{folder / CONFIG} cannot be used ({reason}): download it again") from error


def _open(folder: Path, labels: Labels | None, trust_pickle: bool) -> Checkpoint:
    config = _read_config(folder / CONFIG)
    name = _timm_name(config, folder)
    weights = _weights(folder)
    labels = labels or _labels_there(config, weights)
    arguments = _model_arguments(config, folder)
    options = {"pretrained_cfg": _about_weights(config), **arguments}
    architecture = f"timm/{name}"
    scoring = "sigmoid" if config.get("problem_type") == "multi_label_classification" else "softmax"
    recipe = Recipe(architecture, scoring, trust_pickle=trust_pickle, options=options)
    opened = open_network(weights, labels, recipe)
    if arguments:
        architecture = f"{architecture} {sorted(arguments.items())}"  # another network, of the same weights
    kind = f"Hugging Face folder, {opened.kind}"
    return Checkpoint(
        folder.name,
        kind,
        opened.network,
        opened.spec,
        opened.labels,
        weights,
        architecture,
        scoring,
        files=opened.files,
    )


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise ModelError(f"{path} is not JSON: {error}") from None
    if not isinstance(config, dict):
        raise ModelError(f"{path} is not a JSON object: download it again")
    return config


def _timm_name(config: dict[str, Any], folder: Path) -> str:
    name = config.get("architecture")
    if isinstance(name, str) and name:
        return name
    others = config.get("architectures") or [config.get("model_type", "no architecture")]
    kind = others[0] if isinstance(others, list) else others
    raise ModelError(
        f"folder {folder} is a Hugging Face model of {kind}, and only timm's are served from such a folder: export it "
        "with torch.export and give that file, or add a model.json (see docs/models.md)"
    )


def _weights(folder: Path) -> Path:
    for name in WEIGHTS:
        if (folder / name).is_file():
            return folder / name
    listed = ", ".join(WEIGHTS)
    raise MissingFile(
        f"Hugging Face folder {folder} has none of {listed}: download all of it, "
        "hf download OWNER/NAME --local-dir FOLDER"
    )


def _labels_there(config: dict[str, Any], weights: Path) -> Labels:
    """A labels file's, else those that config.json brings."""
    files = [weights.parent / name for name in LABEL_FILES]
    source = str(weights.parent / CONFIG)
    names = _names(config, source)
    if not names or any(path.is_file() for path in files):
        return labels_beside(weights)
    return Labels(source, (cleaned(source, names),))


def _names(config: dict[str, Any], source: str) -> dict[int, object]:
    """timm's label_names, in words where label_descriptions has them; or transformers' id2label."""
    inner = _pretrained(config)
    listed = config.get("label_names") or inner.get("label_names") or inner.get("labels") or config.get("id2label")
    words = config.get("label_descriptions") or inner.get("label_descriptions") or {}
    if isinstance(listed, list):
        listed = dict(enumerate(listed))
    if not isinstance(listed, dict):
        return {}
    try:
        names = {int(class_id): words.get(name, name) for class_id, name in listed.items()}
    except (ValueError, TypeError, AttributeError):
        raise ModelError(f"{source}: its labels are not class ids and names: set labels=…") from None
    if all(str(name).startswith(NO_NAME) for name in names.values()):
        return {}
    return names


def _pretrained(config: dict[str, Any]) -> dict[str, Any]:
    """What timm knows of the weights; older files have it beside the architecture."""
    inner = config.get("pretrained_cfg", config)
    return inner if isinstance(inner, dict) else {}


def _model_arguments(config: dict[str, Any], folder: Path) -> dict[str, Any]:
    """How the network differs from the one of its name; its number of classes is the labels'."""
    arguments = dict(config.get("model_args") or {})
    arguments.pop("num_classes", None)
    unwanted = NOT_OPTIONS.intersection(arguments)
    if unwanted:
        names = ", ".join(sorted(unwanted))
        raise ModelError(f"{folder / CONFIG}: model_args with {names} is not served: take it out")
    return arguments


def _about_weights(config: dict[str, Any]) -> dict[str, Any]:
    """The input that the weights were trained with, and what else timm notes of them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as in architectures.py
        from timm.models import PretrainedCfg

    known = {field.name for field in fields(PretrainedCfg)} - SOURCES
    about_weights = {}
    for name, value in _pretrained(config).items():
        if name in known:
            about_weights[name] = tuple(value) if isinstance(value, list) else value
    return about_weights
