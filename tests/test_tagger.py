"""The Tagger: the same results without a folder or a thread; memory that runs out, pictures that cannot be run."""

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
from wanwu_nb.deciding import Decision
from wanwu_nb.decoding import decode
from wanwu_nb.detecting import pack
from wanwu_nb.detections import Selection
from wanwu_nb.errors import DeviceError
from wanwu_nb.fitting import InputSpec, fit
from wanwu_nb.hardware import Choice
from wanwu_nb.images import Picture
from wanwu_nb.results import result_record, run_key, to_json
from wanwu_nb.tagged import Failed, Tagged
from wanwu_nb.tagger import Tagger, full_batch

SMALL = InputSpec(8, 8, "stretch", (0.5,) * 3, (0.5,) * 3)


def failures(output: Path) -> list[dict]:
    return list(csv.DictReader((output / "failures.csv").read_text(encoding="utf-8-sig").splitlines()))


@pytest.mark.parametrize("limit", [1, 3])
def test_oom_halves_the_batch_retries_the_same_pictures_and_is_recorded(model, scenes, tmp_path, limit):
    limited = demo_within(lambda network: Limited(network, limit))
    summary = tag_folder(limited, scenes, tmp_path / "out", batch_size=8)
    size = 1 if limit == 1 else 2
    assert (summary.processed, summary.failed) == (SCENES, 0)
    assert summary.batch_size.value == size
    assert summary.batch_size.reason == "8 ran out of memory in the middle (as asked)"
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
    assert summary.batch_size == Choice(batch_size, "as asked")
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
    with pytest.raises(DeviceError, match=r"the device was lost \(CUDA error: unspecified launch failure\): what is"):
        tag_folder(broken, scenes, tmp_path / "out", batch_size=2)
    assert len(contents(tmp_path / "out")) == 4
    assert not (tmp_path / "out/summary.json").exists()


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


class Fails:
    """A model that fails as told, every time but where one picture is left."""

    def __init__(self, error: Exception):
        self.error, self.labels = error, {0: "台灯"}

    def launch(self, batch):
        if len(batch) > 1:
            raise self.error
        return torch.zeros(1, 1, 6)


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
    """Only where memory ran out does the batch become smaller for good."""
    tagger = Tagger(Fails(error), Decision(), batch_size=4)
    list(tagger.launch([blank("a")] * 4))
    assert tagger.batch_size == (1 if is_memory else 4)


def test_oom_is_what_the_cpu_says_when_it_has_no_more():
    with pytest.raises(RuntimeError) as error:
        torch.empty(2**60, dtype=torch.uint8)
    tagger = Tagger(Fails(error.value), Decision(), batch_size=2)
    list(tagger.launch([blank("a")] * 2))
    assert tagger.batch_size == 1


# --- the Tagger alone -------------------------------------------------------------------------------------------------


def blank(name: str, **more) -> Picture:
    image, placement = fit(torch.zeros(3, 8, 8, dtype=torch.uint8), SMALL)
    return Picture(name, None, image, placement, **more)


def test_without_folder_or_thread_the_results_are_byte_for_byte_what_tag_folder_writes(model, scenes, tmp_path):
    tag_folder(model, scenes, tmp_path, batch_size=4)
    written = contents(tmp_path)
    pictures = []
    for path in sorted(scenes.glob("*.jpg")):
        image, placement = fit(decode(path), model.checkpoint.spec)
        pictures.append(Picture(path.name, None, image, placement))
    key = run_key(model.checkpoint.fingerprint, "fp32", Selection())
    made = {}
    for launched in Tagger(model, Decision(), batch_size=4).launch(pictures):
        for tagged in launched.results():
            made[f"{tagged.image}.json"] = to_json(result_record(tagged, key))
    assert made == written


def test_unreadable_pictures_come_out_as_failed_with_stage_and_reason(model):
    broken = Picture("b", None, stage="decode", reason="file is empty (0 bytes)")
    image, placement = fit(torch.zeros(3, 8, 8, dtype=torch.uint8), model.checkpoint.spec)
    whole = Picture("a", None, image, placement)
    launched = list(Tagger(model, Decision(), batch_size=1).launch([whole, broken]))
    results = [result for each in launched for result in each.results()]
    assert results[0] == Failed("b", None, "decode", "file is empty (0 bytes)")
    assert isinstance(results[1], Tagged)
    assert (results[1].image, results[1].width, results[1].height) == ("a", 8, 8)


def test_a_tagger_asks_a_model_for_two_things_only():
    class Constant:
        def __init__(self):
            self.labels = {7: "台灯"}

        def launch(self, batch):
            boxes = torch.tensor([[[1.0, 1, 5, 5]]]).expand(len(batch), 1, 4)
            return pack(boxes, torch.full((len(batch), 1), 0.9), torch.full((len(batch), 1), 7))

    (launched,) = Tagger(Constant(), Decision(), batch_size=4).launch([blank("a"), blank("b")])
    results = launched.results()
    assert [result.image for result in results] == ["a", "b"]
    assert [tag.label for tag in results[0].objects] == ["台灯"]
    assert results[0].objects[0].bbox == (1, 1, 5, 5)


def test_a_batch_is_filled_with_its_last_picture():
    images = [torch.zeros(3, 2, 2), torch.ones(3, 2, 2)]
    batch = full_batch(images, 4)
    assert batch.shape == (4, 3, 2, 2)
    assert torch.equal(batch[1:], torch.ones(3, 3, 2, 2))
