"""int8/ in an output folder: the quantised network and the verdict on it, made once for all runs there.

int8/verdict.json   how far its tags agree with FP32's, and whether it is used
     model.xml      the network, where it is used
     model.bin
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .agreement import Share
from .engines.openvino_int8 import Quantised
from .errors import first_line
from .results import to_json

FOLDER = "int8"
GRAPH, WEIGHTS, VERDICT = "model.xml", "model.bin", "verdict.json"


class Broken(Exception):
    """What is there is not as it was written; its text says why."""


@dataclass(frozen=True)
class Verdict:
    """On INT8 for one network and its input: `agreement` with FP32 on `judged` pictures that it was not made from.

    `reason`: what was seen, in words. `digest` of the network, "" where it is not used. `answers`: the digest of what
    it gave for the fixed batch, on the processor `cpu`. `made_by` these packages. `measured`: seconds.
    """

    fingerprint: str
    spec: Mapping[str, Any]
    made_by: str
    cpu: str
    used: bool
    reason: str
    digest: str = ""
    calibrated: int = 0
    judged: int = 0
    agreement: Share | None = None
    answers: str = ""
    measured: Mapping[str, float] | None = None

    def is_of(self, fingerprint: str, spec: Mapping[str, Any]) -> bool:
        """Returns whether it is on this network with this input."""
        return self.fingerprint == fingerprint and dict(self.spec) == _as_read(spec)

    def record(self) -> dict[str, Any]:
        """Returns what stands in verdict.json."""
        record = asdict(self)
        if self.agreement is not None:
            record["agreement"] = self.agreement._asdict()
        return record


def _as_read(spec: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON gives it back: lists for tuples."""
    as_read: dict[str, Any] = json.loads(json.dumps(dict(spec)))
    return as_read


def files_of(verdict: Verdict, network: Quantised | None) -> dict[str, bytes]:
    """Returns what the folder is to hold.

    >>> sorted(files_of(verdict, None))
    ['verdict.json']
    """
    files = {VERDICT: to_json(verdict.record())}
    if network is not None:
        files[GRAPH] = network.graph
        files[WEIGHTS] = network.weights
    return files


def read_verdict(output_dir: Path) -> Verdict | None:
    """Returns the verdict in an output folder, None where there is none. Raises Broken.

    >>> read_verdict(Path("runs/tags")).used
    True
    """
    try:
        record = json.loads((output_dir / FOLDER / VERDICT).read_bytes())
        if record["agreement"] is not None:
            record["agreement"] = Share(**record["agreement"])
        return _checked(Verdict(**record))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Broken(f"{VERDICT} cannot be read ({first_line(error)})") from None


def _checked(verdict: Verdict) -> Verdict:
    """Raise TypeError for values of other kinds."""
    texts = (verdict.fingerprint, verdict.reason, verdict.digest, verdict.answers)
    if not all(isinstance(text, str) for text in texts) or not isinstance(verdict.spec, dict):
        raise TypeError("not what a run writes")
    if not isinstance(verdict.used, bool) or type(verdict.judged) is not int:
        raise TypeError("not what a run writes")
    return verdict


def read_network(output_dir: Path, digest: str) -> Quantised:
    """Returns the network in an output folder. Raises Broken where it is not there, or not the one of that digest.

    >>> read_network(Path("runs/tags"), verdict.digest)
    """
    folder = output_dir / FOLDER
    try:
        network = Quantised((folder / GRAPH).read_bytes(), (folder / WEIGHTS).read_bytes())
    except OSError as error:
        raise Broken(f"the network cannot be read ({first_line(error)})") from None
    if network.digest != digest:
        raise Broken("the network is not as it was written")
    return network
