"""Reading a picture as a network's input."""

import os

import numpy as np
import pytest
import torch
from PIL import Image

from wanwu_nb import images
from wanwu_nb.decoding import Limits
from wanwu_nb.fitting import InputSpec
from wanwu_nb.images import read
from wanwu_nb.versions import FileVersion, version_of

STRETCH = InputSpec(64, 64, "stretch", (0.5,) * 3, (0.5,) * 3)
CROP = InputSpec(224, 224, "crop", (0.5,) * 3, (0.5,) * 3, shorter_side=256)


def test_a_picture_that_cannot_be_read_says_at_which_stage_and_why(tmp_path):
    (tmp_path / "empty.jpg").touch()
    gone, empty = read(tmp_path, STRETCH, "gone.jpg"), read(tmp_path, STRETCH, "empty.jpg")
    assert (gone.image, gone.version, gone.stage) == (None, None, "read")
    assert "No such file" in gone.reason
    assert (empty.image, empty.stage, empty.reason) == (None, "decode", "file is empty (0 bytes)")
    assert empty.version.size == 0


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            RuntimeError("decode_avif, DecodeAvif.cpp:145, decoder error -2\nframe #0: c10::Error"),
            "its data are damaged",
        ),
        (MemoryError(), "there is not enough memory for it"),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
            "there is not enough memory for it",
        ),
        (RecursionError("maximum recursion depth exceeded"), "its data are damaged"),
        (OSError("image file is truncated (178 bytes not processed)"), "the file ends early (truncated)"),
        (AssertionError(), "its data are damaged"),
    ],
)
@pytest.mark.parametrize("part", ["decode_content", "fit"])
def test_whatever_a_decoder_or_the_fit_says_is_that_pictures_reason(
    tmp_path, photograph, monkeypatch, part, error, reason
):
    def fail(*_):
        raise error

    photograph.save(tmp_path / "a.jpg")
    monkeypatch.setattr(images, part, fail)
    picture = read(tmp_path, STRETCH, "a.jpg")
    assert (picture.stage, picture.image) == ("decode", None)
    assert picture.reason.startswith(f"cannot be decoded: {reason}")
    assert "\n" not in picture.reason


def test_a_damaged_picture_is_marked_and_others_are_not(tmp_path, photograph):
    photograph.save(tmp_path / "whole.jpg")
    content = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "no_end.jpg").write_bytes(content[:-2])
    assert not read(tmp_path, STRETCH, "whole.jpg").damaged
    assert read(tmp_path, STRETCH, "no_end.jpg").damaged


@pytest.mark.parametrize("size", [(60_000, 1), (1, 45_000), (99_999, 2)])
def test_a_line_for_a_network_that_crops_takes_no_memory_to_speak_of(tmp_path, monkeypatch, size):
    resized = []

    def resize(image, width, height, interpolation):
        resized.append(width * height)
        return torch.nn.functional.interpolate(image[None].float(), (height, width))[0].to(torch.uint8)

    monkeypatch.setattr("wanwu_nb.fitting.resized", resize)
    Image.new("L", size, 77).save(tmp_path / "line.png")
    picture = read(tmp_path, CROP, "line.png")
    assert picture.reason == ""
    assert picture.image.unique().tolist() == [77]
    assert max(resized) < 10**6
    assert (picture.placement.width, picture.placement.height) == size


def test_limits_are_those_of_the_call(tmp_path):
    Image.fromarray(np.zeros((20, 30), np.uint8)).save(tmp_path / "a.png")
    assert read(tmp_path, STRETCH, "a.png", Limits(max_pixels=600)).reason == ""
    too_many = read(tmp_path, STRETCH, "a.png", Limits(max_pixels=599))
    assert (too_many.stage, too_many.reason) == (
        "decode",
        "too many pixels: 30 x 20 are 600, more than max_pixels=599",
    )
    too_large = read(tmp_path, STRETCH, "a.png", Limits(max_bytes=9))
    assert too_large.stage == "read"
    assert too_large.reason.endswith("bytes are more than max_bytes=9")


def test_a_name_that_no_file_can_have_is_a_picture_that_cannot_be_read(tmp_path):
    for name in ("a\0b.jpg", "x" * 5000 + ".jpg", "gone/a.jpg"):
        picture = read(tmp_path, STRETCH, name)
        assert (picture.version, picture.stage) == (None, "read")
        assert picture.reason.startswith("cannot be read: ")


def test_the_version_of_a_file_is_its_size_and_time_of_change_and_no_more(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"picture")
    before = version_of(tmp_path, "a.jpg")
    assert before == FileVersion(7, path.stat().st_mtime_ns)
    os.utime(path, ns=(5, before.mtime_ns))  # read, not changed
    assert version_of(tmp_path, "a.jpg") == before
    assert version_of(tmp_path, "gone.jpg") is None
