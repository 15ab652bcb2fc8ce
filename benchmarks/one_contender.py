"""One contender tags some pictures, and the process ends: it imports what this contender needs, and no more.

    python -m benchmarks.one_contender FOLDER PICTURES NAME COUNT OUTPUT

FOLDER is the workload's, PICTURES the folder of pictures. `benchmarks.first_picture` times such processes.
"""

import sys
from functools import partial
from pathlib import Path

from . import harness
from .ready import Prepare


def main() -> None:
    folder, pictures, name, count, output = sys.argv[1:]
    harness.answer(tag(name, Path(folder), Path(pictures), int(count), Path(output)))


def tag(name: str, folder: Path, pictures: Path, count: int, output: Path) -> str:
    """Everything that the contender does with the first pictures."""
    paths = sorted(pictures.glob("*.jpg"))[:count]
    preparing_of(name)(folder, paths, output).run()
    return name


def preparing_of(name: str) -> Prepare:
    if not name.startswith("ours"):
        from .contenders import OTHERS

        return OTHERS[name].prepare
    from . import ours

    if name == ours.NOTHING_SET:
        return ours.nothing_set
    return partial(ours.ours, *ours.WAYS[name])


if __name__ == "__main__":
    main()
