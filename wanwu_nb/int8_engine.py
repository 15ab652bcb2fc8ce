"""A quantised network of a model opened to run it: as an earlier process built it, or built now, in a second or two."""

from collections.abc import Callable
from contextlib import suppress

from torch import Tensor

from .engines import INT8, Run, cache
from .engines.answers import answers_of, digest, fixed_batch
from .engines.identity import identity
from .engines.openvino_int8 import Quantised, build, open_built
from .resident import ANY_SIZE, ResidentModel

ANSWERED = 4  # pictures of the fixed batch
ONE = 1  # picture a request


def use_int8(model: ResidentModel, digest: str, read: Callable[[], Quantised]) -> str:
    """Let a quantised network run all batches of the model, until `undo_compile`. Returns and raises as `open_int8`.

    >>> answers = use_int8(model, network.digest, lambda: network)
    """
    run, answers = open_int8(model, digest, read)
    model.use_engine(INT8, run, ANY_SIZE)
    return answers


def open_int8(model: ResidentModel, digest: str, read: Callable[[], Quantised]) -> tuple[Run, str]:
    """Returns what runs batches of any size, and the digest of its answers to the fixed batch.

    `digest`: of the network, which `read` returns: it is called where no earlier run opened it or built it.

    An earlier run's of this model is taken again; kept in the user's cache where that can be written. Raises whatever
    OpenVINO and `read` do.

    >>> run, answers = open_int8(model, network.digest, lambda: network)
    """
    checkpoint = model.checkpoint
    spec = checkpoint.spec
    name = identity(INT8, checkpoint.fingerprint, spec.to_dict(), digest)
    if model.int8 is None or model.int8[0] != name:
        batch = fixed_batch(spec, ANSWERED)
        opened = _cached(name, batch) or _built(name, read(), batch)
        model.int8 = (name, *opened)
    _, run, answers = model.int8
    return run, answers


def _cached(name: str, batch: Tensor) -> tuple[Run, str] | None:
    """What an earlier process built, None where it is not there or does not answer as it did then."""
    try:
        entry = cache.read(name, ONE)
        if entry is None:
            return None
        run = open_built(entry.built)
        answers = digest(answers_of(run, batch))
    except Exception:  # refused, or of another version, or of none
        return None
    return (run, answers) if answers == entry.answers else None


def _built(name: str, network: Quantised, batch: Tensor) -> tuple[Run, str]:
    built = build(network)
    run = open_built(built)
    answers = digest(answers_of(run, batch))
    entry = cache.Entry(built, answers, True, {})
    cache.forget(name, ONE)
    with suppress(OSError, cache.Refused):  # the next process builds it again
        cache.keep(name, ONE, entry)
    return run, answers
