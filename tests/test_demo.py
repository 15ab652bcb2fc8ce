"""The drawn scenes, their ground truth, and the detector trained on them."""

import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image, ImageOps
from torch import nn
from torchvision.ops import box_iou

from wanwu_nb.checkpoints import DEMO_FOLDER
from wanwu_nb.checkpoints.demo_detector import DemoDetector
from wanwu_nb.demo import EDITION, demo_folder
from wanwu_nb.demo.accuracy import measure
from wanwu_nb.demo.backgrounds import BACKGROUNDS
from wanwu_nb.demo.products import PRODUCTS, render
from wanwu_nb.demo.scenes import draw_folder, draw_scene, save_jpeg


def test_the_catalogue_has_five_products_of_each_category():
    categories = [product.category for product in PRODUCTS]
    names = {product.name for product in PRODUCTS}
    assert {c: categories.count(c) for c in categories} == {"服装": 5, "3C": 5, "家居": 5, "食品": 5}
    assert len(names) == 20
    assert "台灯" in names


@pytest.mark.parametrize("product", PRODUCTS, ids=lambda product: product.name)
def test_products_vary_and_fill_their_size(product):
    one, same, other = (render(product, np.random.default_rng(seed), 120) for seed in (1, 1, 2))
    assert max(one.size) == 120
    assert one.mode == "RGBA"
    assert one.tobytes() == same.tobytes()
    assert one.tobytes() != other.tobytes()


def test_the_same_seed_gives_the_same_bytes_and_other_seeds_do_not(tmp_path):
    for name in ("one", "two"):
        draw_folder(tmp_path / name, 3, first_seed=5)
    one, two = ([p.read_bytes() for p in sorted((tmp_path / name).iterdir())] for name in ("one", "two"))
    assert one == two
    assert len(set(one)) == 4, "three pictures and their truth"


def test_the_drawings_are_those_of_their_edition():
    """Whoever changes a drawing raises EDITION, so that nobody's finished folder is taken for the new one.

    As SVG: what Pillow and the renderer make of it may be rounded otherwise by their next release.
    """
    products = [product.draw(np.random.default_rng(seed)) for product in PRODUCTS for seed in range(3)]
    backgrounds = [draw(np.random.default_rng(seed), 480, 270) for draw in BACKGROUNDS for seed in range(3)]
    drawn = "".join(products + backgrounds)
    assert (EDITION, hashlib.sha256(drawn.encode()).hexdigest()[:12]) == (1, "e9be7584aadb")


def test_truth_is_coco_in_upright_pixels(scenes):
    truth = json.loads((scenes / "truth.coco.json").read_text(encoding="utf-8"))
    sizes = {}
    for image in truth["images"]:
        with Image.open(scenes / image["file_name"]) as picture:
            assert ImageOps.exif_transpose(picture).size == (image["width"], image["height"])
        sizes[image["id"]] = image["width"], image["height"]
    assert (1920, 1080) in sizes.values()
    for annotation in truth["annotations"]:
        x, y, w, h = annotation["bbox"]
        width, height = sizes[annotation["image_id"]]
        assert 0 <= x < x + w <= width
        assert 0 <= y < y + h <= height
    assert [c["name"] for c in truth["categories"]] == [p.name for p in PRODUCTS]


def test_scenes_come_portrait_and_sideways_too(tmp_path):
    draw_folder(tmp_path, 4, first_seed=7)  # the first of the demo's that are
    upright_sizes, orientations = set(), set()
    for path in tmp_path.glob("*.jpg"):
        with Image.open(path) as image:
            upright_sizes.add(ImageOps.exif_transpose(image).size)
            orientations.add(image.getexif()[ExifTags.Base.Orientation])
    assert upright_sizes == {(1920, 1080), (1080, 1920)}
    assert orientations == {1, 3}


def test_a_scene_looks_alike_at_every_size():
    large, small = draw_scene(3, (1280, 720)), draw_scene(3, (640, 360))
    assert (large.class_ids == small.class_ids).all()
    assert np.allclose(large.boxes / 2, small.boxes, atol=4)


SEEDS = (3, 7, 10)


@pytest.mark.parametrize("seed", SEEDS)
def test_blur_softens_edges_and_nothing_else(seed):
    plain, blurred = (draw_scene(seed, (640, 360), effect).image for effect in ("", "blur"))
    assert sharpness(blurred) < 0.6 * sharpness(plain)
    assert brightness(blurred) == pytest.approx(brightness(plain), rel=0.02)
    assert share_covered(plain, blurred) < 0.01


@pytest.mark.parametrize("seed", SEEDS)
def test_overexposed_is_much_brighter_and_burnt_out(seed):
    plain, bright = (draw_scene(seed, (640, 360), effect).image for effect in ("", "overexposed"))
    assert brightness(bright) > 1.3 * brightness(plain)
    assert share_white(bright) > share_white(plain) + 0.02


@pytest.mark.parametrize("seed", SEEDS)
def test_occluded_lays_something_over_a_part_of_the_picture(seed):
    plain, occluded = (draw_scene(seed, (640, 360), effect).image for effect in ("", "occluded"))
    assert 0.02 < share_covered(plain, occluded) < 0.5
    assert sharpness(occluded) > 0.6 * sharpness(plain)


def test_what_is_hidden_is_not_in_the_truth():
    visible = [draw_scene(seed, (640, 360)).boxes for seed in range(8)]
    occluded = [draw_scene(seed, (640, 360), "occluded").boxes for seed in range(8)]
    assert sum(map(box_area, occluded)) < sum(map(box_area, visible))


def box_area(boxes: np.ndarray) -> float:
    return (boxes[:, 2:] - boxes[:, :2]).prod(axis=1).sum()


def grey(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("L"), np.float64)


def sharpness(image: Image.Image) -> float:
    """How steep the steepest edges are: those of products, far steeper than grain."""
    return np.percentile(np.abs(np.diff(grey(image), axis=1)), 99.9)


def brightness(image: Image.Image) -> float:
    return grey(image).mean()


def share_white(image: Image.Image) -> float:
    """Of all pixels, those with a channel that is, but for grain, at its end."""
    return (np.asarray(image).max(axis=2) >= 245).mean()


def share_covered(plain: Image.Image, changed: Image.Image) -> float:
    """Of the picture's 8 x 8 blocks, those that changed otherwise than the picture as a whole (light, exposure)."""
    ratio = (grey(changed.reduce(8)) + 1) / (grey(plain.reduce(8)) + 1)
    return (np.abs(ratio / np.median(ratio) - 1) > 0.25).mean()


def test_an_unknown_effect_is_refused():
    with pytest.raises(ValueError, match="'blur', 'overexposed', 'occluded'"):
        draw_scene(3, (640, 360), "sepia")


def test_the_detector_keeps_the_network_contract():
    network = DemoDetector(20).eval()
    with torch.inference_mode():
        boxes, scores, labels = network(torch.randn(3, 3, 640, 640))
    assert boxes.shape == (3, 100, 4)
    assert scores.shape == labels.shape == (3, 100)
    assert labels.dtype == torch.long
    assert scores.min() >= 0
    assert scores.max() <= 1
    assert (boxes[..., 2:] >= boxes[..., :2]).all()


def test_the_detector_can_be_scripted_and_exported():
    network, images = DemoDetector(20).eval(), torch.randn(2, 3, 640, 640)
    with torch.inference_mode():
        expected = network(images)
        scripted = torch.jit.script(network)(images)
        exported = torch.export.export(network, (images,)).module()(images)
    for outputs in (scripted, exported):
        for output, as_expected in zip(outputs, expected, strict=True):
            assert torch.allclose(output, as_expected, atol=1e-3)


def test_the_detector_is_small():
    multiply_adds = []
    network = DemoDetector(20).eval()
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(lambda m, _, out: multiply_adds.append(out.numel() * m.weight[0].numel()))
    with torch.inference_mode():
        network(torch.zeros(1, 3, 640, 640))
    assert sum(multiply_adds) <= 3e9
    assert sum(path.stat().st_size for path in DEMO_FOLDER.iterdir()) <= 8e6


def test_the_detector_finds_unseen_products(tmp_path):
    """Small form of `make accuracy`: 40 scenes; the full one asks 200 for 95 %."""
    figures = measure(40, 0.3, "", tmp_path)
    assert figures["pictures"] == 40
    assert figures["recall"] >= 0.9
    assert figures["precision"] >= 0.9
    assert figures["mAP@0.5"] >= 0.9


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_scene_stored_in_any_orientation_gives_boxes_on_the_same_products(model, tmp_path, orientation):
    scene = draw_scene(700_013)
    save_jpeg(scene.image, tmp_path / "upright.jpg", 1)
    save_jpeg(scene.image, tmp_path / "turned.jpg", orientation)
    upright, turned = model.predict([tmp_path / "upright.jpg", tmp_path / "turned.jpg"], conf_threshold=0.5)
    assert (turned.width, turned.height) == scene.image.size
    assert len(upright) >= 1
    assert sorted(turned.names) == sorted(upright.names)
    overlap = box_iou(torch.tensor(turned.boxes), torch.tensor(upright.boxes))
    for i, name in enumerate(turned.names):
        assert upright.names[int(overlap[i].argmax())] == name
        assert overlap[i].max() > 0.9


WITHOUT_RESVG = """
import sys
sys.modules["resvg_py"] = None  # as if it were not installed
from wanwu_nb.demo import demo_folder
from wanwu_nb.errors import WanwuError
try:
    demo_folder(3)
except WanwuError as error:
    print(error)
"""


def test_drawing_without_the_extra_is_one_sentence_and_leaves_nothing(tmp_path):
    command = [sys.executable, "-c", WITHOUT_RESVG]
    run = subprocess.run(command, env={"XDG_CACHE_HOME": str(tmp_path)}, capture_output=True, text=True)
    assert run.stdout == "drawing demo pictures needs an extra: run `pip install 'wanwu_nb[demo]'`\n", run.stderr
    assert list(tmp_path.rglob("*")) == []


def test_the_demo_folder_is_drawn_once(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = demo_folder(2)
    drawn = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert set(drawn) == {"scene_00000.jpg", "scene_00001.jpg", "truth.coco.json"}
    assert demo_folder(2) == folder
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == drawn
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
