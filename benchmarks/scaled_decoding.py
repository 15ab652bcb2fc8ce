"""Would decoding JPEGs at a half or a quarter of their size pay? libjpeg can scale as it decodes (DCT scaling).

    python -m benchmarks.scaled_decoding [--record benchmarks/results/scaled_decoding.json]

The rule: kept if it gains over 10 % end to end, and tags agree with those of full decoding on 99.5 % or more. Scaled
decoding is Pillow's `draft`, never below the size that the network's input wants; full decoding is ours. End to end is
decoding with all cores plus the compiled network with all cores, as `tag_folder` does both in turns.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from wanwu_nb import ResidentModel
from wanwu_nb.detections import Selection, detect
from wanwu_nb.images import InputSpec, decode, fit, place
from wanwu_nb.quality import agreement_of
from wanwu_nb.resident import full_batch, unpacked
from wanwu_nb.results import objects
from wanwu_nb.tagging import threads
from wanwu_nb.tuning import environment, forward_seconds, usable_cores

from .workloads import WORKLOADS, pictures

BATCH_SIZE, REPEATS = 8, 5


def full(path: Path, spec: InputSpec) -> Tensor:
    return fit(decode(path), spec)[0]


def scaled(path: Path, spec: InputSpec) -> Tensor:
    """Decoded at 1/2, 1/4 or 1/8, the smallest that is not below what the input wants, and resized from there."""
    with Image.open(path) as file:
        wanted = place(*upright_size(file), spec).scaled
        file.draft("RGB", wanted[::-1] if turned(file) else wanted)
        return fit(torch.from_numpy(np.array(ImageOps.exif_transpose(file))).permute(2, 0, 1), spec)[0]


def turned(file: Image.Image) -> bool:
    return file.getexif().get(274, 1) >= 5  # EXIF orientations that swap width and height


def upright_size(file: Image.Image) -> tuple[int, int]:
    return file.size[::-1] if turned(file) else file.size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", type=Path)
    given = parser.parse_args()
    record = {"workloads": {name: measure(name) for name in ("resnest101", "demo")}, "environment": environment()}
    if given.record:
        given.record.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def measure(workload: str) -> dict:
    model = ResidentModel.load(str(WORKLOADS[workload].folder()))
    paths = pictures()
    ways: dict[str, Callable] = {"full": full, "scaled": scaled}
    found, times = {}, {way: [] for way in ways}
    with threads("decode", usable_cores()) as pool:
        for _ in range(REPEATS):
            for way, read in ways.items():
                started = time.perf_counter()
                list(pool.map(partial(read, spec=model.checkpoint.spec), paths[:64]))
                times[way].append((time.perf_counter() - started) / 64)
    model.compile(BATCH_SIZE)
    forward = forward_seconds(model, BATCH_SIZE) / BATCH_SIZE
    for way, read in ways.items():
        found[way] = tags(model, [read(path, model.checkpoint.spec) for path in paths], paths)
    agreed = agreement_of(zip(found["full"], found["scaled"], strict=True))
    decoding = {way: statistics.median(values) for way, values in times.items()}
    gain = (decoding["full"] + forward) / (decoding["scaled"] + forward) - 1
    before, after = (f"{1000 * decoding[way]:.2f}" for way in ways)
    print(f"{workload}: decoding {before} → {after} ms, {gain:.1%} end to end")
    print(f"    agreement on {len(paths)} pictures {agreed.value:.2%} ({agreed.low:.2%} to {agreed.high:.2%})")
    return {"decoding": decoding, "forward": forward, "gain": gain, "pictures": len(paths), "agreement": agreed}


def tags(model: ResidentModel, inputs: list[Tensor], paths: list[Path]) -> list[list[dict]]:
    found = []
    for start in range(0, len(inputs), BATCH_SIZE):
        part = inputs[start : start + BATCH_SIZE]
        placements = [
            place(*upright_size(Image.open(path)), model.checkpoint.spec) for path in paths[start : start + BATCH_SIZE]
        ]
        raw = unpacked(model.launch(full_batch(part, BATCH_SIZE)))
        found += [objects(each) for each in detect(raw, placements, model.checkpoint.labels, Selection())]
    return found


if __name__ == "__main__":
    main()
