"""A contender that has loaded, as all benchmarks run it. Without torch: each contender imports what it needs."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

BATCH_SIZE = 8


@dataclass(frozen=True)
class Ready:
    """It warms up apart from the clock, where it is told to, and `run` does the job.

    `limit` measures what no loop gets below.
    """

    run: Callable[[], object]
    warm_up: Callable[[], object]
    limit: Callable[[], dict[str, float]] | None = None


Prepare = Callable[[Path, list[Path], Path], Ready]  # workload's folder, pictures, output
