"""`python -m wanwu_nb.prepare MODEL`: prepare a model's engine apart from any run, so that the next is fast at once."""

import argparse
import sys
import time
from collections.abc import Sequence

from .engines import OPENVINO, cache, openvino_cpu
from .errors import WanwuError
from .preparing import prepare
from .resident import ResidentModel
from .settings import INT8
from .tuning import CPU_START


def main(arguments: Sequence[str] | None = None) -> int:
    """Prepare the model that the arguments name, or clear what is cache. Returns the exit status: 1 where that failed.

    >>> main(["everyday", "--batch-size", "8"])
    0
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.batch_size < 1:
        parser.error("--batch-size must be 1 or more")
    if options.clear:
        count = cache.clear()
        print(f"{count} prepared engines removed from {cache.folder_of_engines()}")
        return 0
    try:
        return _prepare(options)
    except WanwuError as error:
        print(error, file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m wanwu_nb.prepare",
        description="Prepare a model's engine, so that the next runs are fast from their first picture on.",
    )
    parser.add_argument("model", nargs="?", default="demo", help="as in notebook 03, e.g. everyday")
    parser.add_argument("--batch-size", type=int, default=CPU_START, metavar="N", help="pictures in one forward")
    parser.add_argument("--precision", default="auto", metavar="P", help="auto, fp32, bf16")
    parser.add_argument("--labels", default="", help="labels file, where the run has one")
    parser.add_argument("--architecture", default="", help="where the run has one")
    parser.add_argument("--trust-pickle", action="store_true", help="open a pickled module, which runs its code")
    parser.add_argument("--clear", action="store_true", help="remove all that was prepared, of all models")
    return parser


def _prepare(options: argparse.Namespace) -> int:
    model = ResidentModel.load(
        options.model,
        labels=options.labels,
        architecture=options.architecture,
        trust_pickle=options.trust_pickle,
        device="cpu",
        precision=options.precision,
    )
    problem = openvino_cpu.why_not(model.device.value, model.precision.value)
    if options.precision == INT8:
        problem = "INT8 is made for each output folder, by the first run there"
    if problem:
        print(f"{model.checkpoint.name}: nothing can be prepared: {problem}", file=sys.stderr)
        return 1
    started = time.perf_counter()
    engine = prepare(model, options.batch_size)
    seconds = time.perf_counter() - started
    batches = f"batches of {options.batch_size} in {model.precision.value}"
    print(f"{model.checkpoint.name}, {batches}: {engine.value} ({engine.reason}), {seconds:.0f} s")
    return 0 if engine.value == OPENVINO else 1


if __name__ == "__main__":
    sys.exit(main())
