"""100,000 finished pictures in other formats: how long, and how much memory?

    python -m benchmarks.exports [--record FILE.json] [--count N] [--kinds csv,coco,parquet --kinds xlsx]

Each list of kinds is exported by a process of its own, which has imported no torch: its memory is all that the process
has. The results are those of the demo detector on drawn scenes, under 100,000 names. At last a night with nothing new:
the run that finds all done, and the tables that it leaves as they are.
"""

import re
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wanwu_nb.exports import export

from . import harness

KINDS = ("csv,coco,parquet", "xlsx")
COUNT = 100_000
NIGHTS = 3


def main() -> None:
    parser = harness.command_line(__doc__)
    parser.add_argument("--count", type=int, default=COUNT, help="finished pictures")
    parser.add_argument("--kinds", action="append", help="exports of one process, as in csv,coco")
    options = parser.parse_args()
    if options.child:
        what, *arguments = options.child
        harness.answer(MEASURED[what](*arguments))
        return
    with tempfile.TemporaryDirectory() as parent:
        figures = measure(Path(parent), options.count, options.kinds or KINDS)
    for kinds, figure in figures["exports"].items():
        print(
            f"{kinds} of {options.count:,} pictures: {figure['seconds']:.1f} s, CPU {figure['cpu_seconds']:.1f} s; "
            f"{figure['megabytes']:.0f} MB written; {figure['peak_mb']:.0f} MB of memory in all"
        )
    print(f"a night with nothing new: {figures['night_seconds']:.1f} s")
    if options.record:
        harness.write_record(options.record, figures)


def measure(parent: Path, count: int = COUNT, all_kinds: Sequence[str] = KINDS) -> dict[str, Any]:
    from .memory import link_pictures
    from .redecide import finish

    folder, output = parent / "pictures", parent / "tags"
    link_pictures(folder, count)
    finish(folder, output)
    exports = {}
    for kinds in all_kinds:
        exports[kinds] = harness.run_child("benchmarks.exports", ["export", output, kinds])
    night = harness.run_child("benchmarks.exports", ["night", folder, output])
    assert night["resumed"] == count, night
    return {"pictures": count, "exports": exports, "night_seconds": night["seconds"]}


def measure_export(output: str, kinds: str) -> dict[str, Any]:
    """In a child process: one export, and what that took."""
    started, cpu_before = time.perf_counter(), time.process_time()
    exports = export(output, kinds)
    seconds = time.perf_counter() - started
    cpu_seconds = time.process_time() - cpu_before
    exports.check()
    sizes = [path.stat().st_size for paths in exports.files.values() for path in paths]
    return {
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu_seconds, 2),
        "peak_mb": round(peak_mb(), 1),
        "megabytes": round(sum(sizes) / 1e6, 1),
    }


def measure_night(folder: str, output: str) -> dict[str, Any]:
    """In a child process: a run and its tables, once they are there; the quickest, as other work only adds."""
    from wanwu_nb import tag_folder
    from wanwu_nb.remembering import load_or_recall

    model = load_or_recall(Path(output), model="demo", precision="fp32")
    nights = []
    for _ in range(1 + NIGHTS):
        started = time.perf_counter()
        summary = tag_folder(model, folder, output)
        exports = export(output, "csv", if_changed=True)
        nights.append(time.perf_counter() - started)
    assert exports.unchanged, exports
    seconds = min(nights[1:])  # the first writes them
    return {"seconds": round(seconds, 2), "resumed": summary.resumed}


def peak_mb() -> float:
    """As wanwu_nb.measure has it, which would bring torch along."""
    status = Path("/proc/self/status").read_text()
    kilobytes = re.search(r"VmHWM:\s+(\d+)", status)
    assert kilobytes, status
    return int(kilobytes[1]) / 1024


MEASURED = {"export": measure_export, "night": measure_night}


if __name__ == "__main__":
    main()
