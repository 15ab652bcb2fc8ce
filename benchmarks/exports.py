"""100,000 finished pictures in other formats: how long, and how much memory?

    python -m benchmarks.exports [--record FILE.json] [--count N] [--kinds csv,coco,parquet --kinds xlsx]

Each list of kinds is exported in one process of its own. The results are those of the demo detector on drawn scenes,
under 100,000 names.
"""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wanwu_nb.exports import export
from wanwu_nb.measure import peak_memory

from . import harness
from .memory import link_pictures
from .redecide import COUNT, finish

KINDS = ("csv,coco,parquet", "xlsx")


def main() -> None:
    parser = harness.command_line(__doc__)
    parser.add_argument("--count", type=int, default=COUNT, help="finished pictures")
    parser.add_argument("--kinds", action="append", help="exports of one process, as in csv,coco")
    options = parser.parse_args()
    if options.child:
        output, kinds = options.child
        harness.answer(measure_export(Path(output), kinds))
        return
    with tempfile.TemporaryDirectory() as parent:
        figures = measure(Path(parent), options.count, options.kinds or KINDS)
    for kinds, figure in figures["exports"].items():
        print(
            f"{kinds} of {options.count:,} pictures: {figure['seconds']:.1f} s, CPU {figure['cpu_seconds']:.1f} s; "
            f"{figure['megabytes']:.0f} MB written; {figure['above_mb']:.0f} MB above the process before it"
        )
    if options.record:
        harness.write_record(options.record, figures)


def measure(parent: Path, count: int = COUNT, all_kinds: Sequence[str] = KINDS) -> dict[str, Any]:
    folder, output = parent / "pictures", parent / "tags"
    link_pictures(folder, count)
    finish(folder, output)
    exports = {}
    for kinds in all_kinds:
        exports[kinds] = harness.run_child("benchmarks.exports", [output, kinds])
    return {"pictures": count, "exports": exports}


def measure_export(output: Path, kinds: str) -> dict[str, Any]:
    """In a child process: one export, and what that took."""
    before = peak_memory()
    started, cpu_before = time.perf_counter(), time.process_time()
    exports = export(output, kinds)
    seconds = time.perf_counter() - started
    cpu_seconds = time.process_time() - cpu_before
    exports.check()
    sizes = [path.stat().st_size for paths in exports.files.values() for path in paths]
    return {
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu_seconds, 2),
        "above_mb": round(peak_memory() - before, 1),
        "megabytes": round(sum(sizes) / 1e6, 1),
    }


if __name__ == "__main__":
    main()
