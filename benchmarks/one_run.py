"""One run of `tag_folder` as notebook 03 has it, told in JSON. It runs any checkout's code.

    cd CHECKOUT && PYTHONPATH=CHECKOUT python -P benchmarks/one_run.py MODEL PICTURES OUTPUT [options]

It tags `--count` pictures as a user would: that is the run. Then, apart from it, it goes over `--again` of them with
the same model, whose engine is ready by now, and with `--bound` measures what no loop gets below.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import wanwu_nb
from wanwu_nb import ResidentModel, tag_folder


def main() -> None:
    options = parser().parse_args()
    compile = {"auto": "auto", "yes": True}[options.compile]
    model = load(options.output / "run", options.model, options.precision)
    tag_folder(model, options.pictures, options.output / "run", compile=compile, limit=options.count)
    ended = time.perf_counter()
    summary = json.loads((options.output / "run" / "summary.json").read_text(encoding="utf-8"))
    told: dict[str, Any] = {"peak_mb": peak_mb()}
    for name in ("precision", "batch_size", "engine", "compiled"):
        told[name] = summary.get(name)
    if options.again:
        started = time.perf_counter()
        tag_folder(model, options.pictures, options.output / "again", compile=compile, limit=options.again)
        told["ms"] = 1000 * (time.perf_counter() - started) / options.again
    if options.bound:
        told["bound_ms"] = 1000 * bound_of(model, options, told["batch_size"]["value"])
    told["seconds_after_the_run"] = time.perf_counter() - ended
    print(json.dumps(told))


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("pictures", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--compile", choices=["auto", "yes"], default="auto")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--again", type=int, default=0)
    parser.add_argument("--bound", action="store_true")
    return parser


def load(output: Path, model: str, precision: str) -> ResidentModel:
    package = Path(wanwu_nb.__file__).parent
    if not (package / "remembering.py").exists():  # an import could find that of another tree
        return ResidentModel.load(model, precision=precision)
    from wanwu_nb.remembering import load_or_recall

    return load_or_recall(output, model=model, precision=precision)


def peak_mb() -> float:
    """MB that this process had resident at most: what its parent had when it forked is not counted."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("Linux tells it, and this is another system")


def bound_of(model: Any, options: argparse.Namespace, batch_size: int) -> float:
    """Seconds a picture of decoding alone plus the network alone. Only trees of today can tell."""
    from wanwu_nb.method.limits import bound, seconds_of
    from wanwu_nb.quantising import as_tagged

    names = sorted(path.name for path in options.pictures.glob("*.jpg"))
    with as_tagged(model, options.output / "again"):
        parts = bound(model, options.pictures, names[: options.again], batch_size)
    return seconds_of(parts, model.device.value)


if __name__ == "__main__":
    main()
