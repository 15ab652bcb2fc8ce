"""Product scenes drawn with ground truth: what the demo tags, and what its detector is trained and judged on.

A scene holds one to five products with light, shadow, scale, rotation and overlap. Everything follows from its
seed: the same seed and size give the same bytes. Lengths are shares of the shorter side, so that a scene drawn
small (training) looks like the same scene drawn at 1920x1080.
"""

import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageEnhance, ImageFilter

from . import TRUTH
from .backgrounds import draw_background
from .products import PRODUCTS, render

LANDSCAPE = (1920, 1080)
EFFECTS = ("", "blur", "overexposed", "occluded")
MIN_VISIBLE = 0.4  # a product less visible than this is not in the ground truth
KEEP_VISIBLE = 0.6  # placement keeps every product at least this visible, so that the truth is not a coin toss


@dataclass(frozen=True)
class Scene:
    """One drawn picture: `image` upright RGB; `boxes` [N,4] xyxy pixels of the visible extent; `class_ids` [N]."""

    image: Image.Image
    boxes: np.ndarray
    class_ids: np.ndarray


def draw_folder(folder: Path, count: int, first_seed: int = 0, effect: str = "", processes: int = 2) -> Path:
    """Draw `count` scenes as JPEG files into `folder`, with COCO ground truth beside them; return the truth's path.

    Boxes are in the upright picture's pixels. About one picture in six is portrait, one in six stored sideways
    with an EXIF orientation, as a phone does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    seeds = range(first_seed, first_seed + count)
    with ProcessPoolExecutor(min(processes, count)) as pool:
        records = list(pool.map(partial(draw_file, folder, effect=effect), seeds, chunksize=4))
    images = [{"id": i, **image} for i, (image, _) in enumerate(records, start=1)]
    flat = [(i, box, class_id) for i, (_, found) in enumerate(records, start=1) for box, class_id in found]
    annotations = [
        {"id": k, "image_id": i, "category_id": class_id, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
        for k, (i, box, class_id) in enumerate(flat, start=1)
    ]
    categories = [{"id": i, "name": p.name, "supercategory": p.category} for i, p in enumerate(PRODUCTS)]
    truth = folder / TRUTH
    content = {"images": images, "annotations": annotations, "categories": categories}
    truth.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return truth


def draw_file(folder: Path, seed: int, effect: str = "") -> tuple[dict, list]:
    """Draw one scene to a JPEG file; return its COCO image record and its (box xywh, class id) pairs."""
    rng = np.random.default_rng([seed, 1])  # a stream apart from the scene's own
    portrait, sideways = rng.random(2) < 1 / 6
    scene = draw_scene(seed, LANDSCAPE[::-1] if portrait else LANDSCAPE, effect)
    name = f"scene_{seed:05d}.jpg"
    save_jpeg(scene.image, folder / name, orientation=int(rng.choice([3, 6, 8])) if sideways else 1)
    xywh = np.concatenate([scene.boxes[:, :2], scene.boxes[:, 2:] - scene.boxes[:, :2]], axis=1)
    found = list(zip(xywh.tolist(), scene.class_ids.tolist(), strict=True))
    return {"file_name": name, "width": scene.image.width, "height": scene.image.height}, found


def save_jpeg(image: Image.Image, path: Path, orientation: int = 1, quality: int = 90) -> None:
    """Store an upright picture in one of the eight EXIF orientations: the pixels turned, the tag telling so."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = image if orientation == 1 else image.transpose(TURN_FOR_ORIENTATION[orientation])
    stored.save(path, quality=quality, exif=exif)


# The inverse of what a viewer does for each value of the EXIF tag 0x0112.
TURN_FOR_ORIENTATION = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def draw_scene(seed: int, size: tuple[int, int] = LANDSCAPE, effect: str = "", most: int = 5) -> Scene:
    """Draw the scene of `seed` at `size` = (width, height), one to `most` products, with one of `EFFECTS`."""
    if effect not in EFFECTS:
        raise ValueError(f"effect {effect!r} is none of {', '.join(map(repr, EFFECTS))}")
    rng = np.random.default_rng(seed)
    canvas = draw_background(rng, size)
    owner = np.zeros(size[::-1], np.uint8)  # which product, from 1, each pixel shows
    light = rng.uniform(-1, 1)  # -1: from the left, 1: from the right
    sizes, class_ids = [], []
    for _ in range(rng.integers(1, most + 1)):
        class_id = int(rng.integers(len(PRODUCTS)))
        area = place(rng, canvas, owner, render_turned(rng, class_id, min(size)), light, sizes)
        if area:
            sizes.append(area)
            class_ids.append(class_id)
    if effect == "occluded":
        occlude(rng, canvas, owner)
    boxes, class_ids = visible_extents(owner, sizes, class_ids)
    return Scene(finish(rng, canvas, light, effect), boxes, class_ids)


def render_turned(rng, class_id: int, short_side: int) -> Image.Image:
    """A product at a random scale and small rotation, cut tight."""
    length = round(short_side * np.exp(rng.uniform(np.log(0.2), np.log(0.62))))
    sprite = render(PRODUCTS[class_id], rng, length)
    turned = sprite.rotate(rng.normal(0, 12), Image.Resampling.BICUBIC, expand=True)
    return turned.crop(turned.getchannel("A").point(lambda a: 255 * (a > 8)).getbbox())


def place(rng, canvas, owner, sprite, light: float, sizes: list[int]) -> int:
    """Find a spot that keeps every product `KEEP_VISIBLE`, and paint there; return the product's area, 0 if none."""
    width, height = canvas.size
    solid = np.asarray(sprite.getchannel("A")) > 127
    area = int(solid.sum())
    for _ in range(12):
        x = int(rng.uniform(-0.1 * sprite.width, width - 0.9 * sprite.width))
        y = int(rng.uniform(-0.1 * sprite.height, height - 0.9 * sprite.height))
        window = owner[max(y, 0) : y + sprite.height, max(x, 0) : x + sprite.width]
        inside = solid[max(-y, 0) :, max(-x, 0) :][: window.shape[0], : window.shape[1]]
        covered = np.bincount(window[inside], minlength=len(sizes) + 1)[1:]
        still_visible = [(owner == i + 1).sum() - covered[i] for i in np.flatnonzero(covered)]
        kept = all(v >= KEEP_VISIBLE * sizes[i] for v, i in zip(still_visible, np.flatnonzero(covered), strict=True))
        if kept and inside.sum() >= KEEP_VISIBLE * area:
            window[inside] = len(sizes) + 1
            cast_shadow(rng, canvas, sprite, (x, y), light)
            canvas.paste(sprite, (x, y), sprite)
            return area
    return 0


def cast_shadow(rng, canvas, sprite, at: tuple[int, int], light: float) -> None:
    """A soft shadow away from the light; blurred small, since it has no detail to lose."""
    reach = max(4, round(0.06 * max(sprite.size)))
    small = sprite.getchannel("A").resize((max(1, sprite.width // 4), max(1, sprite.height // 4)))
    padded = Image.new("L", (small.width + reach, small.height + reach))
    padded.paste(small, (reach // 2, reach // 2))
    soft = padded.filter(ImageFilter.GaussianBlur(reach / 6)).resize((padded.width * 4, padded.height * 4))
    strength = rng.uniform(0.3, 0.6)
    offset = (round(-light * reach * 1.2), round(reach * rng.uniform(0.3, 0.9)))
    corner = (at[0] + offset[0] - 2 * reach, at[1] + offset[1] - 2 * reach)
    canvas.paste((18, 14, 20), corner, soft.point(lambda a: round(a * strength)))


def occlude(rng, canvas, owner) -> None:
    """Lay one to three blurred bars (a strap, a rail, a finger) across the picture."""
    width, height = canvas.size
    for _ in range(rng.integers(1, 4)):
        bar = Image.new("L", (round(1.5 * max(canvas.size)), round(min(canvas.size) * rng.uniform(0.04, 0.1))), 255)
        bar = bar.rotate(rng.uniform(0, 180), expand=True)
        x, y = rng.uniform(0.2, 0.8, 2) * (width, height)
        mask = Image.new("L", canvas.size)
        mask.paste(bar, (round(x - bar.width / 2), round(y - bar.height / 2)))
        shade = int(rng.integers(30, 200))
        canvas.paste((shade, shade * 9 // 10, shade * 8 // 10), (0, 0), mask.filter(ImageFilter.GaussianBlur(2)))
        owner[np.asarray(mask) > 127] = 0


def visible_extents(owner, sizes: list[int], class_ids: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """The box of what can still be seen of each product that is at least `MIN_VISIBLE` visible."""
    boxes, kept = [], []
    for number, (area, class_id) in enumerate(zip(sizes, class_ids, strict=True), start=1):
        mask = owner == number
        if mask.sum() < MIN_VISIBLE * area:
            continue
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        boxes.append([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
        kept.append(class_id)
    return np.array(boxes, np.float64).reshape(-1, 4), np.array(kept, np.int64)


def finish(rng, canvas, light: float, effect: str) -> Image.Image:
    """Light falling off across the picture, colour temperature, exposure, sensor grain; then the effect asked for."""
    width, height = canvas.size
    falloff = np.linspace(-light, light, 16)[None, :] * 0.16 + np.linspace(0.06, -0.06, 9)[:, None]
    tint = np.array([1 + (warm := rng.uniform(-0.05, 0.05)), 1.0, 1 - warm])
    field = (0.88 + falloff)[..., None] * tint * 255
    field = Image.fromarray(field.clip(0, 255).astype(np.uint8)).resize(canvas.size, Image.Resampling.BICUBIC)
    image = ImageChops.multiply(canvas, field)
    gain = rng.uniform(1.7, 2.3) if effect == "overexposed" else rng.uniform(0.9, 1.25)
    image = ImageEnhance.Brightness(image).enhance(gain)
    if effect == "blur":
        image = image.filter(ImageFilter.GaussianBlur(min(canvas.size) * rng.uniform(0.004, 0.008)))
    tile = rng.normal(128, rng.uniform(1, 4), (256, 256)).clip(0, 255).astype(np.uint8)
    grain = Image.fromarray(np.tile(tile, (height // 256 + 1, width // 256 + 1))[:height, :width])
    return ImageChops.add(image, Image.merge("RGB", [grain] * 3), scale=1, offset=-128)
