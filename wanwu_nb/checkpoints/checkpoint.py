"""A checkpoint: what every kind of model becomes."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from torch import nn

from ..errors import MissingFile, ModelError
from ..fitting import InputSpec


@dataclass(frozen=True)
class WeightsFile:
    """A file of weights as it was when it was opened: another under the same name has another inode, size or time.

    Example: `WeightsFile.of(Path("model.safetensors")).size` in bytes.
    """

    path: Path
    inode: int
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> "WeightsFile":
        """Returns the file that has this name now: asked for before it is opened."""
        return cls._from_stat(path, path.stat())

    @classmethod
    def _from_stat(cls, path: Path, status: os.stat_result) -> "WeightsFile":
        return cls(path, status.st_ino, status.st_size, status.st_mtime_ns)

    def add_to(self, digest: "hashlib._Hash") -> "hashlib._Hash":
        """Returns `digest` with the file's bytes behind. Raises ModelError, MissingFile where it is another by now."""
        try:
            with open(self.path, "rb") as stream:
                self._check(stream)
                longer = hashlib.file_digest(stream, digest.copy)
                self._check(stream)
        except FileNotFoundError:
            raise MissingFile(
                f"the weights {self.path} are gone since they were opened: put them back, and load the model again"
            ) from None
        return longer

    def _check(self, stream: BinaryIO) -> None:
        status = os.fstat(stream.fileno())
        if self._from_stat(self.path, status) != self:
            raise ModelError(
                f"the weights {self.path} were replaced or changed since they were opened: load the model again"
            )


@dataclass(frozen=True)
class Checkpoint:
    """A network that keeps the contract `forward(images) -> (boxes, scores, labels)`, and what it needs around it.

    `files`: what was opened of the weights (several for shards); `weights_key`: which entry of them a model.json names;
    `recalled_fingerprint`: as an earlier run read it, of files that are the same.

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
    files: tuple[WeightsFile, ...] = ()
    weights_key: str = ""
    recalled_fingerprint: str = ""

    @cached_property
    def fingerprint(self) -> str:
        """Returns the digest of weights, architecture, labels, input spec and scoring: same fingerprint, same tags.

        Read when first asked for, not at loading: the weights are mapped into memory and need no other pass. Raises
        ModelError or MissingFile for weights that are not those that were opened.

        >>> len(open_checkpoint("demo").fingerprint)
        16
        """
        if self.recalled_fingerprint:
            return self.recalled_fingerprint
        files: Sequence[WeightsFile] = self.files or [WeightsFile.of(self.weights)]
        digest = hashlib.sha256()
        for file in files:
            digest = file.add_to(digest)
        labels = sorted(self.labels.items())
        spec = sorted(self.spec.to_dict().items())
        rest: tuple[object, ...] = (self.architecture, labels, spec, self.scoring)
        if self.weights_key:
            rest = (*rest, self.weights_key)
        digest.update(repr(rest).encode())
        return digest.hexdigest()[:16]
