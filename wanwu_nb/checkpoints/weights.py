"""Weights read from a file: which of those that a training script saved, and from how many files."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypeGuard

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ..errors import MissingFile, ModelError, first_line
from .checkpoint import WeightsFile
from .formats import SAFETENSORS, SHARDED, format_of
from .pickles import load_pickle

PLAIN = ("state_dict", "model_state_dict", "model")  # what training scripts wrap the weights in
AVERAGED = ("state_dict_ema", "model_ema", "ema_state_dict", "ema")  # and their moving average
SHOWN = 8  # entries of a file that are named


class Weights(NamedTuple):
    """A state dict or a pickled module; and which entry of the file it is, "" where there was nothing to choose."""

    content: dict[str, Tensor] | nn.Module
    entry: str


def read_weights(path: Path, trust_pickle: bool = False, weights_key: str = "") -> Weights:
    """Read a file of weights, mapped into memory rather than copied.

    Of what a training script saved, the weights as trained are taken, their moving average where it is alone, or the
    entry `weights_key`. Returns a state dict (name → tensor) or, where trusted, a pickled module. Raises ModelError for
    a file that is damaged, of another kind, or code where only tensors were expected.

    Example: `network, _ = read_weights(Path("module.pth"), trust_pickle=True)`
    """
    saved = _load(path, trust_pickle)
    if weights_key:
        content, entry = _entry(saved, weights_key, path), weights_key
    else:
        content, entry = _choose(saved)
    if isinstance(content, nn.Module):
        return Weights(content, entry)
    state = _checked(content, path)
    return Weights(state, entry)


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read a file of tensors alone, mapped into memory rather than copied.

    Returns name → tensor. Raises ModelError for a file that is damaged, or of another kind.

    >>> state = read_state_dict(DEMO_FOLDER / "model.safetensors")
    >>> state["class_logits.bias"].shape
    torch.Size([20])
    """
    saved = _load(path, trust_pickle=False)
    content, _ = _choose(saved)
    return _checked(content, path)


def weights_files(path: Path, form: str) -> tuple[WeightsFile, ...]:
    """Returns the files that opening `path`, of the format `form`, opens: itself, and the shards that an index names.

    >>> len(weights_files(DEMO_FOLDER / "model.safetensors", SAFETENSORS))
    1
    """
    paths = [path]
    if form == SHARDED:
        paths += _shards(path)
    return tuple(WeightsFile.of(each) for each in paths)


def _load(path: Path, trust_pickle: bool) -> object:
    form = format_of(path)
    if form != SHARDED:
        return _load_file(path, form, trust_pickle)
    state: dict[str, object] = {}
    for shard in _shards(path):
        content = _load_file(shard, format_of(shard), trust_pickle=False)
        state |= _checked(content, shard)
    return state


def _load_file(path: Path, form: str, trust_pickle: bool) -> object:
    if form != SAFETENSORS:
        return load_pickle(path, trust_pickle)
    try:
        return load_file(path)
    except (SafetensorError, RuntimeError, EOFError) as error:
        reason = first_line(error)
        raise ModelError(f"the weights in {path} are damaged ({reason}): copy them again") from error


def _shards(index: Path) -> list[Path]:
    """The files beside an index that hold its tensors."""
    content = json.loads(index.read_text(encoding="utf-8"))
    shards = []
    for name in sorted(set(content["weight_map"].values())):
        shard = index.parent / name
        if shard.parent != index.parent:
            raise ModelError(f"{index} names {name}, which does not lie beside it: put all shards into one folder")
        if not shard.is_file():
            raise MissingFile(f"{index} names {name}, which is not there: download all files of the model")
        shards.append(shard)
    return shards


def _choose(saved: object) -> tuple[object, str]:
    """The weights as trained, else their moving average; and which, where there are both or only the latter."""
    plain, averaged = _entries(saved, PLAIN), _entries(saved, AVERAGED)
    if plain and averaged:
        return _unwrapped(saved), f"{plain[0]}, not {averaged[0]}"
    if averaged and isinstance(saved, dict):
        name = averaged[0]
        return _unwrapped(saved[name]), name
    return _unwrapped(saved), ""


def _entry(saved: object, weights_key: str, path: Path) -> object:
    if isinstance(saved, dict) and isinstance(saved.get(weights_key), dict | nn.Module):
        return _unwrapped(saved[weights_key])
    there = _named_entries(saved)
    raise ModelError(f"{path} holds no weights as {weights_key!r}, which weights_key asks for: {there}")


def _entries(saved: object, names: Sequence[str]) -> list[str]:
    """Those of `names` under which weights may lie."""
    if not isinstance(saved, dict):
        return []
    return [name for name in names if isinstance(saved.get(name), dict | nn.Module)]


def _unwrapped(content: object) -> object:
    """The state dict, or module, in what a training script saved."""
    for name in PLAIN:
        if _entries(content, [name]) and isinstance(content, dict):
            content = content[name]
    return content


def _checked(content: object, path: Path) -> dict[str, Tensor]:
    if _is_state_dict(content):
        return content
    there = _named_entries(content)
    advice = ""
    if isinstance(content, dict):
        advice = ": where one of its entries is, name it as weights_key in a model.json (see docs/models.md)"
    raise ModelError(f"{path} holds {there}, not a state dict (names and tensors){advice}")


def _named_entries(content: object) -> str:
    if not isinstance(content, dict):
        kind = type(content).__name__
        return f"a {kind}"
    names = [str(name) for name in content]
    some = ", ".join(names[:SHOWN])
    return f"a dict of {some or 'nothing'}"


def _is_state_dict(content: object) -> TypeGuard[dict[str, Tensor]]:
    if not isinstance(content, dict):
        return False
    have_names = all(isinstance(name, str) for name in content)
    return have_names and all(isinstance(value, Tensor) for value in content.values())
