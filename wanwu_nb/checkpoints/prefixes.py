"""Names in a state dict, without what trainers and compilers put before every one of them."""

from collections.abc import Collection, Iterator, Mapping

from torch import Tensor

# Data-parallel training · torch.compile · a Lightning module's own attribute, two habits · transformers around timm
PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "timm_model.")
COUNTER = "n_averaged"  # torch's AveragedModel keeps it beside the weights


def without_wrappers(state: Mapping[str, Tensor], wanted: Collection[str]) -> dict[str, Tensor]:
    """Strip the prefixes that all names share, in any order and depth, as far as the network's names ask for it.

    Returns the names and tensors that have most names in common with `wanted`, the least stripped where several do.

    >>> list(without_wrappers({"module._orig_mod.fc.bias": bias}, ["fc.bias"]))
    ['fc.bias']
    """
    weights = dict(state)
    if COUNTER not in wanted:
        weights.pop(COUNTER, None)
    best, most = weights, _in_common(weights, wanted)
    for stripped in _stripped(weights):
        in_common = _in_common(stripped, wanted)
        if in_common > most:
            best, most = stripped, in_common
    return best


def _stripped(state: dict[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    """Without one prefix, without two, and so on, as long as all names have one."""
    prefix = _prefix_of_all(state)
    while prefix:
        state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
        yield state
        prefix = _prefix_of_all(state)


def _prefix_of_all(state: Collection[str]) -> str:
    if not state:
        return ""
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in state):
            return prefix
    return ""


def _in_common(state: Collection[str], wanted: Collection[str]) -> int:
    return sum(1 for name in wanted if name in state)
