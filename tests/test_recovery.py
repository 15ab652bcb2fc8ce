"""Batches that fail: memory that runs out, and pictures that a network cannot run."""

import csv
import json
from pathlib import Path

import pytest
import torch
from conftest import SCENES, contents
from PIL import Image
from small_networks import Afraid, Limited, demo_within
from torch import nn
from torchvision.ops import nms

from wanwu_nb import tag_folder
from wanwu_nb.recovery import out_of_memory


def failures(output: Path) -> list[dict]:
    return list(csv.DictReader((output / "failures.csv").read_text(encoding="utf-8-sig").splitlines()))


@pytest.mark.parametrize("limit", [1, 3])
def test_oom_halves_the_batch_retries_the_same_pictures_and_is_recorded(model, scenes, tmp_path, limit):
    limited = demo_within(lambda network: Limited(network, limit))
    summary = tag_folder(limited, scenes, tmp_path / "out", batch_size=8)
    size = 1 if limit == 1 else 2
    assert (summary.processed, summary.failed) == (SCENES, 0)
    assert summary.batch_size == {"value": size, "reason": "8 ran out of memory in the middle (as asked)"}
    sizes = limited.network.sizes
    assert sizes[: len(sizes) - SCENES // size] == [8, 4, 2][: 3 if size == 1 else 2]  # never tried again
    tag_folder(model, scenes, tmp_path / "plenty", batch_size=size)
    objects = [
        {name: [o["label"] for o in json.loads(content)["objects"]] for name, content in contents(folder).items()}
        for folder in (tmp_path / "out", tmp_path / "plenty")
    ]
    assert objects[0] == objects[1]


def test_oom_at_size_one_fails_that_picture_with_its_reason(scenes, tmp_path):
    summary = tag_folder(demo_within(lambda network: Limited(network, 0)), scenes, tmp_path / "out", batch_size=4)
    assert (summary.processed, summary.failed) == (0, SCENES)
    reason = "the network cannot run it: CUDA out of memory. Tried to allocate 2.00 GiB."
    assert {row["reason"] for row in failures(tmp_path / "out")} == {reason}


@pytest.mark.parametrize("batch_size", [1, 8, 16])
def test_bisect_finds_the_pictures_at_fault_and_neighbours_keep_every_bit(model, scenes, tmp_path, batch_size):
    for path in scenes.glob("*.jpg"):
        (tmp_path / "in" / path.name).parent.mkdir(exist_ok=True)
        (tmp_path / "in" / path.name).symlink_to(path)
    white = ["a_white.png", "scene_700004a.png", "z_white.png"]
    for name in white:
        Image.new("RGB", (640, 640), "white").save(tmp_path / "in" / name)
    summary = tag_folder(demo_within(Afraid), tmp_path / "in", tmp_path / "out", batch_size=batch_size)
    assert (summary.processed, summary.failed) == (SCENES, len(white))
    assert summary.batch_size == {"value": batch_size, "reason": "as asked"}
    rows = failures(tmp_path / "out")
    reason = "the network cannot run it: index 7 is out of bounds"
    assert [(row["image"], row["reason"]) for row in rows] == [(name, reason) for name in white]
    tag_folder(model, scenes, tmp_path / "alone", batch_size=batch_size)
    assert contents(tmp_path / "out") == contents(tmp_path / "alone")


def test_a_lost_device_stops_the_run_and_keeps_what_was_done(scenes, tmp_path):
    broken = demo_within(lambda network: network)
    real, calls = broken.launch, []

    def launch(batch):
        calls.append(1)
        if len(calls) > 2:
            raise torch.AcceleratorError("CUDA error: unspecified launch failure")
        return real(batch)

    broken.launch = launch
    with pytest.raises(torch.AcceleratorError):
        tag_folder(broken, scenes, tmp_path / "out", batch_size=2)
    assert len(contents(tmp_path / "out")) == 4 and not (tmp_path / "out/summary.json").exists()


def test_an_operator_without_half_precision_stops_the_run_and_says_what_to_set(scenes, tmp_path):
    """Where the picture of noise that a model is tried out on did not come to that operator."""

    class Suppressing(nn.Module):
        def __init__(self, network):
            super().__init__()
            self.network = network

        def forward(self, images):
            boxes, scores, labels = self.network(images)
            nms(boxes[0].bfloat16(), scores[0].bfloat16(), 0.5)
            return boxes, scores, labels

    with pytest.raises(ValueError, match=r"'BFloat16': this network needs precision=fp32"):
        tag_folder(demo_within(Suppressing), scenes, tmp_path / "out")


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (MemoryError(), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("shape mismatch"), False),
    ],
)
def test_oom_is_told_from_other_errors(error, is_memory):
    assert out_of_memory(error) == is_memory


def test_oom_is_what_the_cpu_says_when_it_has_no_more():
    with pytest.raises(RuntimeError) as error:
        torch.empty(2**60, dtype=torch.uint8)
    assert out_of_memory(error.value)
