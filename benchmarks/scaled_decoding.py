"""Would decoding JPEGs at a half or a quarter of their size pay? libjpeg can scale as it decodes (DCT scaling).

    python -m benchmarks.scaled_decoding [--photographs FOLDER] [--record benchmarks/results/scaled_decoding.json]

The rule: kept if it gains over 10 % end to end, and tags agree with those of full decoding on 99.5 % or more. Scaled
decoding is Pillow's `draft`, never below the size that the network's input wants, or twice that; full decoding is ours.
End to end is decoding with all cores plus the compiled network with all cores, as `tag_folder` does both in turns. Of
photographs, the everyday tagger's tags are compared: those of a folder that are large enough for either.
"""

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image

from wanwu_nb import ResidentModel
from wanwu_nb.agreement import agreement
from wanwu_nb.deciding import Decision
from wanwu_nb.decoding import decode
from wanwu_nb.detections import Tag
from wanwu_nb.finding import find_images
from wanwu_nb.fitting import InputSpec, fit, place
from wanwu_nb.hardware import usable_cores
from wanwu_nb.images import Picture, read
from wanwu_nb.process import single_core_threads
from wanwu_nb.tagged import Failed
from wanwu_nb.tagger import Tagger
from wanwu_nb.timing import forward_seconds

from . import harness
from .workloads import USUAL, WORKLOADS, pictures

BATCH_SIZE, REPEATS = 8, 5
DECODED = 64  # pictures that decoding is timed on
FULL_HD = 1080
Way = Callable[[Path, InputSpec, str], Picture]


def read_scaled(folder: Path, spec: InputSpec, name: str, times: int = 1) -> Picture:
    """Decoded at 1/2, 1/4 or 1/8, the smallest that is not below so many times what the input wants, and resized."""
    with Image.open(folder / name) as file:
        turned = is_turned(file)
        placement = place(*swapped(file.size, turned), spec)
        width, height = swapped(placement.scaled, turned)
        file.draft("RGB", (times * width, times * height))
        image, _ = fit(decode(file), spec)
    return Picture(name, None, image, placement)


def is_turned(file: Image.Image) -> bool:
    """Width and height of what is stored are swapped in the upright picture."""
    orientation: int = file.getexif().get(ExifTags.Base.Orientation, 1)
    return orientation >= 5


def swapped(size: tuple[int, int], turned: bool) -> tuple[int, int]:
    width, height = size
    if turned:
        return height, width
    return width, height


FULL = "full"
WAYS: dict[str, Way] = {FULL: read, "scaled": read_scaled, "scaled, twice": partial(read_scaled, times=2)}


def main() -> None:
    parser = harness.command_line(__doc__)
    parser.add_argument("--photographs", type=Path)
    options = parser.parse_args()
    workloads = {workload: measure(workload, pictures()) for workload in USUAL}
    if options.photographs:
        workloads["everyday, photographs"] = measure("everyday", large(options.photographs))
    if options.record:
        harness.write_record(options.record, {"workloads": workloads})


def large(folder: Path) -> list[Path]:
    """The JPEGs of a folder whose shorter side is at least that of a full HD picture."""
    paths = []
    for name in find_images(folder):
        with Image.open(folder / name) as file:
            if file.format == "JPEG" and min(file.size) >= FULL_HD:
                paths.append(folder / name)
    return paths


def measure(workload: str, paths: list[Path]) -> dict[str, Any]:
    model = ResidentModel.load(str(WORKLOADS[workload].folder()), precision="fp32")
    decoding = decoding_seconds(paths[:DECODED], model.checkpoint.spec)
    problem = model.compile(BATCH_SIZE)
    assert not problem, problem
    forward = forward_seconds(model, BATCH_SIZE) / BATCH_SIZE
    milliseconds = f"decoding {1000 * decoding[FULL]:.2f} ms, network {1000 * forward:.2f} ms"
    print(f"{workload}, {len(paths)} pictures: {milliseconds}")
    tags = tags_of_ways(model, paths)
    scaled = {}
    for way in list(WAYS)[1:]:
        gain = (decoding[FULL] + forward) / (decoding[way] + forward) - 1
        share = agreement(zip(tags[FULL], tags[way], strict=True))
        assert share is not None, "no object in any picture"
        print(f"    {way}: {1000 * decoding[way]:.2f} ms, {gain:.1%} end to end, {share.value:.2%} of tags", flush=True)
        scaled[way] = {"gain": gain, "agreement": [share.hits, share.trials, share.low, share.high]}
    return {"decoding": decoding, "forward": forward, "pictures": len(paths), "scaled": scaled}


def decoding_seconds(paths: list[Path], spec: InputSpec) -> dict[str, float]:
    """Seconds a picture each way takes with all cores: medians, the ways in turns."""
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    with single_core_threads("decode", usable_cores()) as pool:
        for _ in range(REPEATS):
            for way in WAYS:
                started = time.perf_counter()
                read_all(pool, paths, spec, way)
                seconds[way].append((time.perf_counter() - started) / len(paths))
    return {way: statistics.median(values) for way, values in seconds.items()}


def read_all(pool: ThreadPoolExecutor, paths: list[Path], spec: InputSpec, way: str) -> list[Picture]:
    folders = [path.parent for path in paths]
    names = [path.name for path in paths]
    return list(pool.map(WAYS[way], folders, [spec] * len(paths), names))


def tags_of_ways(model: ResidentModel, paths: list[Path]) -> dict[str, list[list[Tag]]]:
    tags = {}
    for way in WAYS:
        with single_core_threads("decode", usable_cores()) as pool:
            read_pictures = read_all(pool, paths, model.checkpoint.spec, way)
        tags[way] = tag(model, read_pictures)
    return tags


def tag(model: ResidentModel, read_pictures: list[Picture]) -> list[list[Tag]]:
    """The tags of each picture, at the package's own threshold."""
    tagger = Tagger(model, Decision(), BATCH_SIZE)
    tags = []
    for launched in tagger.launch(read_pictures):
        for result in launched.results():
            assert not isinstance(result, Failed), result
            tags.append(result.objects)
    return tags


if __name__ == "__main__":
    main()
