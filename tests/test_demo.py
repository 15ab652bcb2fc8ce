"""The drawn scenes, their ground truth, and the detector trained on them."""

import json

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torch import nn
from torchvision.ops import box_iou

from wanwu_nb.checkpoints import DEMO_FOLDER
from wanwu_nb.demo.accuracy import measure
from wanwu_nb.demo.detector import DemoDetector
from wanwu_nb.demo.products import PRODUCTS, render
from wanwu_nb.demo.scenes import EFFECTS, draw_folder, draw_scene, save_jpeg


def test_the_catalogue_has_five_products_of_each_category():
    categories = [product.category for product in PRODUCTS]
    assert {c: categories.count(c) for c in categories} == {"服装": 5, "3C": 5, "家居": 5, "食品": 5}
    assert len({product.name for product in PRODUCTS}) == 20 and "台灯" in {product.name for product in PRODUCTS}


@pytest.mark.parametrize("product", PRODUCTS, ids=lambda product: product.name)
def test_products_vary_and_fill_their_size(product):
    one, same, other = (render(product, np.random.default_rng(seed), 120) for seed in (1, 1, 2))
    assert max(one.size) == 120 and one.mode == "RGBA"
    assert one.tobytes() == same.tobytes() != other.tobytes()


def test_the_same_seed_gives_the_same_bytes_and_other_seeds_do_not(tmp_path):
    for name in ("one", "two"):
        draw_folder(tmp_path / name, 3, first_seed=5)
    one, two = ([p.read_bytes() for p in sorted((tmp_path / name).iterdir())] for name in ("one", "two"))
    assert one == two and len(set(one)) == 4


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
        assert 0 <= x < x + w <= width and 0 <= y < y + h <= height
    assert [c["name"] for c in truth["categories"]] == [p.name for p in PRODUCTS]


def test_scenes_come_portrait_and_sideways_too(tmp_path):
    draw_folder(tmp_path, 24)
    opened = [Image.open(path) for path in sorted(tmp_path.glob("*.jpg"))]
    assert any(ImageOps.exif_transpose(image).height == 1920 for image in opened)
    assert any(image.getexif().get(0x0112, 1) in (3, 6, 8) for image in opened)


def test_a_scene_looks_alike_at_every_size():
    large, small = draw_scene(3, (1280, 720)), draw_scene(3, (640, 360))
    assert (large.class_ids == small.class_ids).all()
    assert np.allclose(large.boxes / 2, small.boxes, atol=4)


@pytest.mark.parametrize("effect", EFFECTS[1:])
def test_effects_change_the_picture(effect):
    plain, changed = draw_scene(3, (640, 360)), draw_scene(3, (640, 360), effect)
    assert plain.image.tobytes() != changed.image.tobytes()


def test_an_unknown_effect_is_refused():
    with pytest.raises(ValueError, match="'blur', 'overexposed', 'occluded'"):
        draw_scene(3, (640, 360), "sepia")


def test_the_detector_keeps_the_network_contract():
    network = DemoDetector(20).eval()
    with torch.inference_mode():
        boxes, scores, labels = network(torch.randn(3, 3, 640, 640))
    assert boxes.shape == (3, 100, 4) and scores.shape == labels.shape == (3, 100)
    assert scores.min() >= 0 and scores.max() <= 1 and labels.dtype == torch.long
    assert (boxes[..., 2:] >= boxes[..., :2]).all()


def test_the_detector_can_be_scripted_and_exported():
    network, images = DemoDetector(20).eval(), torch.randn(2, 3, 640, 640)
    with torch.inference_mode():
        expected = network(images)
        scripted = torch.jit.script(network)(images)
        exported = torch.export.export(network, (images,)).module()(images)
    for found in (scripted, exported):
        assert all(torch.allclose(a, b, atol=1e-3) for a, b in zip(expected, found, strict=True))


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
    assert figures["recall"] >= 0.9 and figures["precision"] >= 0.9


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_scene_stored_in_any_orientation_gives_boxes_on_the_same_products(model, tmp_path, orientation):
    scene = draw_scene(700_013)
    save_jpeg(scene.image, tmp_path / "upright.jpg", 1)
    save_jpeg(scene.image, tmp_path / "turned.jpg", orientation)
    upright, turned = model.predict([tmp_path / "upright.jpg", tmp_path / "turned.jpg"], conf_threshold=0.5)
    assert (turned.width, turned.height) == scene.image.size
    assert len(upright) >= 1 and sorted(turned.names) == sorted(upright.names)
    overlap = box_iou(torch.tensor(turned.boxes), torch.tensor(upright.boxes))
    for i, name in enumerate(turned.names):
        assert upright.names[int(overlap[i].argmax())] == name and overlap[i].max() > 0.9
