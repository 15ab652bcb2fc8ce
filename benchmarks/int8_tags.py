"""How many of a tagger's tags on photographs stay the same in INT8? Whole photographs, and crops of them.

    python -m benchmarks.int8_tags FOLDER [--model everyday] [--avx2] [--record benchmarks/results/int8_tags.json]

A quarter of the photographs calibrates, the others are compared: the best tag of FP32 and of INT8, of each photograph
and of two squares cut from it at random. Once with all layers in INT8, once with the first ones spared, as a run does
that has refused the former. Crops of one photograph are alike: the intervals draw photographs, and not crops.
With --avx2 the engines are held to AVX2.
"""

import random
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wanwu_nb import ResidentModel
from wanwu_nb.decoding import decode
from wanwu_nb.engines import Run
from wanwu_nb.engines.answers import answers_of
from wanwu_nb.engines.openvino_int8 import build, open_built, quantise
from wanwu_nb.finding import find_images
from wanwu_nb.fitting import InputSpec, fit
from wanwu_nb.judging import SPARED
from wanwu_nb.preparing import prepare
from wanwu_nb.timing import seconds_in_turn

from . import harness

CROPS = 2  # of each photograph, besides its whole
CROPPED = (0.55, 0.95)  # of the shorter side
ONE_IN = 4  # photographs calibrates
SURE = 0.3  # scores of FP32 above it
SAMPLES, SEED = 2000, 1
BATCH, TURNS = 4, 15


def main() -> None:
    parser = harness.command_line(__doc__)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--model", default="everyday")
    parser.add_argument("--avx2", action="store_true", help="hold all engines to AVX2")
    options = parser.parse_args()
    if options.child:
        folder, model = options.child
        harness.answer(compare(Path(folder), model))
        return
    if options.folder is None:
        parser.error("name the folder of photographs")
    variables = harness.HELD_TO_AVX2 if options.avx2 else {}
    figures = harness.run_child("benchmarks.int8_tags", [options.folder.absolute(), options.model], variables)
    print(f"{figures['model']}, {figures['photographs']} photographs")
    for name, way in figures["ways"].items():
        shares = ", ".join(f"{what} {in_words(share)}" for what, share in way["same"].items())
        print(f"  {name}: {shares}; {way['ms']:.1f} ms a picture, {way['fp32_ms']:.1f} in FP32", flush=True)
    if options.record:
        harness.write_record(options.record, {"avx2": options.avx2, **figures})


def in_words(share: Sequence[float]) -> str:
    value, low, high = share
    return f"{value:.1%} ({low:.1%} to {high:.1%})"


# --- in a child process -----------------------------------------------------------------------------------------------


def compare(folder: Path, name: str) -> dict[str, Any]:
    """The tags of FP32 and of INT8 in each way, and how long the network alone takes in both."""
    model = ResidentModel.load(name, device="cpu", precision="fp32")
    prepare(model, BATCH, must_be_faster=False)
    names = find_images(folder)
    random.Random(SEED).shuffle(names)
    pieces = [pieces_of(folder / name, model.checkpoint.spec) for name in names]
    calibration = [of_one[0] for of_one in pieces[::ONE_IN]]
    compared = torch.stack([piece for i, of_one in enumerate(pieces) if i % ONE_IN for piece in of_one])
    class_ids, scores = best_tags(model.normalised, compared)
    ways = {}
    for way, spared in {"all layers": 0, f"but the first {SPARED}": SPARED}.items():
        run = open_built(build(quantise(model.normalised.in_fp32(), calibration, spared)))
        same = (best_tags(run, compared)[0] == class_ids).reshape(-1, 1 + CROPS)
        turns = [seconds_in_turn(model.launch, run, compared[:BATCH]) for _ in range(TURNS)]
        fp32, int8 = (statistics.median(of_one) for of_one in zip(*turns, strict=True))
        ways[way] = {
            "same": shares_of(same, scores.reshape(same.shape)),
            "ms": milliseconds(int8),
            "fp32_ms": milliseconds(fp32),
        }
    photographs = len(compared) // (1 + CROPS)
    return {"model": name, "photographs": photographs, "calibrated": len(calibration), "ways": ways}


def milliseconds(batch: float) -> float:
    """A picture, of a batch's seconds."""
    return 1000 * batch / BATCH


def pieces_of(path: Path, spec: InputSpec) -> list[Tensor]:
    """The whole photograph and squares cut from it, each as the network takes it."""
    photograph = decode(path)
    chance = random.Random(path.name)
    _, height, width = photograph.shape
    pieces = [photograph]
    for _ in range(CROPS):
        side = max(1, round(min(height, width) * chance.uniform(*CROPPED)))
        left, top = chance.randint(0, width - side), chance.randint(0, height - side)
        pieces.append(photograph[:, top : top + side, left : left + side])
    return [fit(piece, spec)[0] for piece in pieces]


def best_tags(run: Run, images: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """The class id and the score of each picture's best tag."""
    rows = []
    for batch in images.split(BATCH):
        answers = answers_of(run, batch)
        best = answers[..., 0].argmax(1)
        rows.append(answers[torch.arange(len(batch)), best])
    table = torch.cat(rows).numpy()
    return table[:, 1].astype(int), table[:, 0]


def shares_of(same: np.ndarray, scores: np.ndarray) -> dict[str, tuple[float, float, float]]:
    """Of [photographs, pieces]: how many tags are the same, with the 95 % interval that drawing photographs gives."""
    everything = np.ones_like(same)
    of_whole = everything.copy()
    of_whole[:, 1:] = False
    what = {"whole photographs": of_whole, "with crops": everything, f"surer than {SURE}": scores > SURE}
    return {name: share_of(same & among, among) for name, among in what.items()}


def share_of(hits: np.ndarray, trials: np.ndarray) -> tuple[float, float, float]:
    generator = np.random.default_rng(SEED)
    drawn = generator.integers(0, len(hits), (SAMPLES, len(hits)))
    hits_of, trials_of = hits.sum(1), trials.sum(1)
    samples = hits_of[drawn].sum(1) / trials_of[drawn].sum(1)
    low, high = np.percentile(samples, (2.5, 97.5))
    return float(hits_of.sum() / trials_of.sum()), float(low), float(high)


if __name__ == "__main__":
    main()
