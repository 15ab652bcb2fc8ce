"""A checkpoint: what every kind of model becomes."""

import hashlib
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from torch import nn

from ..fitting import InputSpec


@dataclass(frozen=True)
class Checkpoint:
    """A network that keeps the contract `forward(images) -> (boxes, scores, labels)`, and what it needs around it.

    >>> open_checkpoint("demo").labels[0]
    'T恤'
    """

    name: str
    kind: str
    network: nn.Module
    spec: InputSpec
    labels: dict[int, str]
    weights: Path
    architecture: str = ""
    scoring: str = "softmax"

    @cached_property
    def fingerprint(self) -> str:
        """Returns the digest of weights, architecture, labels, input spec and scoring: same fingerprint, same tags.

        Read when first asked for, not at loading: the weights are mapped into memory and need no other pass.

        >>> len(open_checkpoint("demo").fingerprint)
        16
        """
        with open(self.weights, "rb") as file:
            digest = hashlib.file_digest(file, "sha256")
        labels = sorted(self.labels.items())
        spec = sorted(asdict(self.spec).items())
        rest = (self.architecture, labels, spec, self.scoring)
        digest.update(repr(rest).encode())
        return digest.hexdigest()[:16]
