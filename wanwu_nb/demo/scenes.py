"""Product scenes drawn with ground truth: what the demo tags, and what its detector is trained and judged on.

A scene holds one to five products with light, shadow, scale, rotation and overlap. Everything follows from its
seed: the same seed and size give the same bytes. Lengths are shares of the shorter side, so that a scene drawn
small (training) looks like the same scene drawn at 1920x1080.
"""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageChops, ImageEnhance, ImageFilter

from .backgrounds import draw_background
from .products import PRODUCTS, cut_to_visible, render
from .truth import Drawn, write_truth

LANDSCAPE = (1920, 1080)
EFFECTS = ("", "blur", "overexposed", "occluded")
MIN_VISIBLE = 0.4  # a product less visible than this is not in the ground truth
KEEP_VISIBLE = 0.6  # placement keeps every product at least this visible, so that the truth is not a coin toss

Owner = NDArray[np.uint8]  # which product, from 1, each pixel [H,W] shows; 0: none


@dataclass(frozen=True, eq=False)
class Scene:
    """One drawn picture: `image` upright RGB; `boxes` [N,4] xyxy pixels of the visible extent; `class_ids` [N]."""

    image: Image.Image
    boxes: NDArray[np.float64]
    class_ids: NDArray[np.int64]


def _ignore(done: int) -> None:
    pass


def draw_folder(
    folder: Path,
    count: int,
    first_seed: int = 0,
    effect: str = "",
    processes: int = 2,
    tell: Callable[[int], None] = _ignore,
) -> Path:
    """Draw `count` scenes as JPEG files into `folder`, with COCO ground truth beside them; return the truth's path.

    Boxes are in the upright picture's pixels. About one picture in six is portrait, one in six stored sideways
    with an EXIF orientation, as a phone does. `tell` is told how many are drawn, whenever it is one more.
    """
    folder.mkdir(parents=True, exist_ok=True)
    seeds = range(first_seed, first_seed + count)
    draw = partial(draw_file, folder, effect=effect)
    with ProcessPoolExecutor(min(processes, count)) as pool:
        drawn = []
        for scene in pool.map(draw, seeds, chunksize=4):
            drawn.append(scene)
            tell(len(drawn))
    categories = [{"id": i, "name": p.name, "supercategory": p.category} for i, p in enumerate(PRODUCTS)]
    return write_truth(folder, drawn, categories)


def draw_file(folder: Path, seed: int, effect: str = "") -> Drawn:
    """Draw one scene to a JPEG file. Returns what is in it."""
    rng = np.random.default_rng([seed, 1])  # a stream apart from the scene's own
    portrait, sideways = rng.random(2) < 1 / 6
    size = LANDSCAPE[::-1] if portrait else LANDSCAPE
    scene = draw_scene(seed, size, effect)
    orientation = int(rng.choice([3, 6, 8])) if sideways else 1
    name = f"scene_{seed:05d}.jpg"
    save_jpeg(scene.image, folder / name, orientation)
    corners, sides = scene.boxes[:, :2], scene.boxes[:, 2:] - scene.boxes[:, :2]
    xywh = np.concatenate([corners, sides], axis=1)
    products = list(zip(xywh.tolist(), scene.class_ids.tolist(), strict=True))
    return Drawn(name, scene.image.width, scene.image.height, products)


# The inverse of what a viewer does for each value of the EXIF tag.
TURN_FOR_ORIENTATION = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def save_jpeg(image: Image.Image, path: Path, orientation: int = 1, quality: int = 90) -> None:
    """Store an upright picture in one of the eight EXIF orientations: the pixels turned, the tag telling so."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    stored = image
    if orientation != 1:
        stored = image.transpose(TURN_FOR_ORIENTATION[orientation])
    stored.save(path, quality=quality, exif=exif)


def draw_scene(seed: int, size: tuple[int, int] = LANDSCAPE, effect: str = "", most: int = 5) -> Scene:
    """Draw the scene of `seed` at `size` = (width, height), one to `most` products, with one of `EFFECTS`."""
    if effect not in EFFECTS:
        raise ValueError(f"effect {effect!r} is none of {', '.join(map(repr, EFFECTS))}")
    rng = np.random.default_rng(seed)
    canvas = draw_background(rng, size)
    owner = np.zeros(size[::-1], np.uint8)
    light = rng.uniform(-1, 1)  # -1: from the left, 1: from the right
    sizes: list[int] = []
    class_ids: list[int] = []
    for _ in range(rng.integers(1, most + 1)):
        class_id = int(rng.integers(len(PRODUCTS)))
        sprite = _render_turned(rng, class_id, min(size))
        area = _place(rng, canvas, owner, sprite, light, sizes)
        if area:
            sizes.append(area)
            class_ids.append(class_id)
    if effect == "occluded":
        _occlude(rng, canvas, owner)
    boxes, visible = _visible_extents(owner, sizes, class_ids)
    return Scene(_finish(rng, canvas, light, effect), boxes, visible)


def _render_turned(rng: np.random.Generator, class_id: int, short_side: int) -> Image.Image:
    """A product at a random scale and small rotation, cut tight."""
    share = np.exp(rng.uniform(np.log(0.2), np.log(0.62)))
    sprite = render(PRODUCTS[class_id], rng, round(short_side * share))
    turned = sprite.rotate(rng.normal(0, 12), Image.Resampling.BICUBIC, expand=True)
    return cut_to_visible(turned)


def _place(
    rng: np.random.Generator, canvas: Image.Image, owner: Owner, sprite: Image.Image, light: float, sizes: list[int]
) -> int:
    """Find a spot that keeps every product `KEEP_VISIBLE`, and paint there; return the product's area, 0 if none."""
    width, height = canvas.size
    solid = np.asarray(sprite.getchannel("A")) > 127
    area = int(solid.sum())
    for _ in range(12):
        x = int(rng.uniform(-0.1 * sprite.width, width - 0.9 * sprite.width))
        y = int(rng.uniform(-0.1 * sprite.height, height - 0.9 * sprite.height))
        window = owner[max(y, 0) : y + sprite.height, max(x, 0) : x + sprite.width]
        rows, columns = window.shape
        inside = solid[max(-y, 0) :, max(-x, 0) :][:rows, :columns]
        enough_of_it = inside.sum() >= KEEP_VISIBLE * area
        if enough_of_it and _others_stay_visible(owner, window[inside], sizes):
            window[inside] = len(sizes) + 1
            _cast_shadow(rng, canvas, sprite, (x, y), light)
            canvas.paste(sprite, (x, y), sprite)
            return area
    return 0


def _others_stay_visible(owner: Owner, covered_pixels: Owner, sizes: list[int]) -> bool:
    """Would the products painted so far stay visible enough if these pixels were painted over?"""
    covered = np.bincount(covered_pixels, minlength=len(sizes) + 1)
    for number, size in enumerate(sizes, start=1):
        if not covered[number]:
            continue
        still_visible = (owner == number).sum() - covered[number]
        if still_visible < KEEP_VISIBLE * size:
            return False
    return True


def _cast_shadow(
    rng: np.random.Generator, canvas: Image.Image, sprite: Image.Image, at: tuple[int, int], light: float
) -> None:
    """A soft shadow away from the light; blurred small, since it has no detail to lose."""
    reach = max(4, round(0.06 * max(sprite.size)))
    small = sprite.getchannel("A").resize((max(1, sprite.width // 4), max(1, sprite.height // 4)))
    padded = Image.new("L", (small.width + reach, small.height + reach))
    padded.paste(small, (reach // 2, reach // 2))
    blurred = padded.filter(ImageFilter.GaussianBlur(reach / 6))
    soft = blurred.resize((padded.width * 4, padded.height * 4))
    strength = rng.uniform(0.3, 0.6)
    right, down = round(-light * reach * 1.2), round(reach * rng.uniform(0.3, 0.9))
    corner = (at[0] + right - 2 * reach, at[1] + down - 2 * reach)
    canvas.paste((18, 14, 20), corner, soft.point(lambda alpha: round(alpha * strength)))


def _occlude(rng: np.random.Generator, canvas: Image.Image, owner: Owner) -> None:
    """Lay one to three blurred bars (a strap, a rail, a finger) across the picture."""
    width, height = canvas.size
    for _ in range(rng.integers(1, 4)):
        length, thickness = round(1.5 * max(canvas.size)), round(min(canvas.size) * rng.uniform(0.04, 0.1))
        bar = Image.new("L", (length, thickness), 255)
        bar = bar.rotate(rng.uniform(0, 180), expand=True)
        x, y = rng.uniform(0.2, 0.8, 2) * (width, height)
        mask = Image.new("L", canvas.size)
        mask.paste(bar, (round(x - bar.width / 2), round(y - bar.height / 2)))
        grey = int(rng.integers(30, 200))
        skin = (grey, grey * 9 // 10, grey * 8 // 10)
        canvas.paste(skin, (0, 0), mask.filter(ImageFilter.GaussianBlur(2)))
        owner[np.asarray(mask) > 127] = 0


def _visible_extents(
    owner: Owner, sizes: list[int], class_ids: list[int]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The box of what can still be seen of each product that is at least `MIN_VISIBLE` visible, and its class id."""
    boxes: list[list[int]] = []
    visible: list[int] = []
    for number, (area, class_id) in enumerate(zip(sizes, class_ids, strict=True), start=1):
        mask = owner == number
        if mask.sum() < MIN_VISIBLE * area:
            continue
        rows = np.flatnonzero(mask.any(axis=1))
        columns = np.flatnonzero(mask.any(axis=0))
        boxes.append([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
        visible.append(class_id)
    return np.array(boxes, np.float64).reshape(-1, 4), np.array(visible, np.int64)


def _finish(rng: np.random.Generator, canvas: Image.Image, light: float, effect: str) -> Image.Image:
    """Light falling off across the picture, colour temperature, exposure, sensor grain; then the effect asked for."""
    lit = ImageChops.multiply(canvas, _light_field(rng, canvas.size, light))
    gain = rng.uniform(1.7, 2.3) if effect == "overexposed" else rng.uniform(0.9, 1.25)
    image = ImageEnhance.Brightness(lit).enhance(gain)
    if effect == "blur":
        radius = min(canvas.size) * rng.uniform(0.004, 0.008)
        image = image.filter(ImageFilter.GaussianBlur(radius))
    return ImageChops.add(image, _grain(rng, canvas.size), scale=1, offset=-128)


def _light_field(rng: np.random.Generator, size: tuple[int, int], light: float) -> Image.Image:
    """How much of each colour reaches each pixel; computed small, since it has no detail to lose."""
    sideways = np.linspace(-light, light, 16)[None, :] * 0.16
    downwards = np.linspace(0.06, -0.06, 9)[:, None]
    warm = rng.uniform(-0.05, 0.05)
    tint = np.array([1 + warm, 1.0, 1 - warm])
    field = (0.88 + (sideways + downwards))[..., None] * tint * 255
    small = Image.fromarray(field.clip(0, 255).astype(np.uint8))
    return small.resize(size, Image.Resampling.BICUBIC)


def _grain(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """A sensor's noise around 128, the same in all colours; one tile of it, repeated."""
    width, height = size
    tile = rng.normal(128, rng.uniform(1, 4), (256, 256)).clip(0, 255).astype(np.uint8)
    tiles = np.tile(tile, (height // 256 + 1, width // 256 + 1))
    grain = Image.fromarray(tiles[:height, :width])
    return Image.merge("RGB", [grain] * 3)
