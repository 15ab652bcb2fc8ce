"""Every record that a machine with a CUDA GPU is needed for, in about ten minutes.

    python -m benchmarks.on_gpu --record benchmarks/results

What feeds the GPU (`benchmarks.decoders`), then ours against what people use instead (`benchmarks.speed`). Left out are
what is compiled, which takes longer than all the pictures do; pipelines, which take as long to start as all the others;
and two rows that tell nothing more than a CPU's table does.
"""

import time
from pathlib import Path

from . import decoders, harness, speed

WORKLOADS = ("demo", "resnest101")  # a detector, and a tagger
LEFT_OUT = ("compiled", "transformers", "ModelScope", "DataLoader, FP32", "article's")
REPEATS, PLACE = 2, "gpu"


def main() -> None:
    options = harness.command_line(__doc__, record="folder for the records").parse_args()
    started = time.perf_counter()
    decoders.check_gpu()
    record(options.record, "decoders", decoders.compare(WORKLOADS))
    for workload in WORKLOADS:
        names = [name for name in speed.contenders_for(workload) if not any(part in name for part in LEFT_OUT)]
        figures = speed.compare(workload, REPEATS, speed.QUICK_COUNT, names)
        print(speed.table(figures), flush=True)
        record(options.record, f"speed_{workload}_{PLACE}", figures)
    print(f"all of it took {time.perf_counter() - started:.0f} s")


def record(folder: Path | None, name: str, figures: dict[str, object]) -> None:
    """Each at once: whatever ends the next one costs no figures."""
    if folder is not None:
        harness.write_record(folder / f"{name}.json", figures)


if __name__ == "__main__":
    main()
