"""Pictures at another size: torchvision's pixels, without torchvision."""

import platform

import pytest
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2.functional import center_crop, pad, resize

from wanwu_nb import fitting, resizing
from wanwu_nb.fitting import IMAGENET_MEAN, IMAGENET_STD, InputSpec, fit
from wanwu_nb.resizing import resized

SIZES = [(64, 48), (640, 360), (1, 1), (3, 500), (31, 17), (1001, 333)]


def picture(width: int, height: int, channels_last: bool = False) -> torch.Tensor:
    generator = torch.Generator().manual_seed(width + height)
    pixels = torch.randint(0, 256, (height, width, 3), dtype=torch.uint8, generator=generator).permute(2, 0, 1)
    return pixels if channels_last else pixels.contiguous()


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("new", [(64, 48), (224, 126), (1, 7), (500, 500)])
@pytest.mark.parametrize("size", SIZES)
def test_bilinear_pixels_are_torchvisions(size, new, channels_last):
    image = picture(*size, channels_last)
    expected = resize(image, [new[1], new[0]], antialias=True)
    assert torch.equal(resized(image, *new, "bilinear"), expected)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("new", [(32, 24), (15, 8), (1, 2)])
@pytest.mark.parametrize("size", [(64, 48), (640, 360), (1001, 333)])
def test_bicubic_pixels_of_pictures_that_are_halved_at_least_are_torchvisions(size, new, channels_last):
    image = picture(*size, channels_last)
    expected = resize(image, [new[1], new[0]], InterpolationMode.BICUBIC, antialias=True)
    assert torch.equal(resized(image, *new, "bicubic"), expected)


@pytest.mark.parametrize("machine", ["x86_64", "arm64", "aarch64"])
@pytest.mark.parametrize("capability", ["DEFAULT", "AVX2", "AVX512"])
@pytest.mark.parametrize("size", [(64, 48), (640, 360)])
def test_on_every_processor_the_pixels_are_those_of_torchvision_there(monkeypatch, size, capability, machine):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    image = picture(*size)
    assert torch.equal(resized(image, 41, 23, "bilinear"), resize(image, [23, 41], antialias=True))


def test_without_avx2_bytes_are_scaled_as_floats_and_rounded(monkeypatch):
    """So that the test above tells two ways apart."""
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "DEFAULT")
    assert not resizing._mixes_bytes(picture(8, 8), "bilinear")


@pytest.mark.parametrize(
    "spec",
    [
        InputSpec(64, 60, "crop", IMAGENET_MEAN, IMAGENET_STD, shorter_side=64),
        InputSpec(64, 33, "crop", IMAGENET_MEAN, IMAGENET_STD, shorter_side=32),
        InputSpec(65, 64, "letterbox", IMAGENET_MEAN, IMAGENET_STD),
        InputSpec(64, 60, "stretch", IMAGENET_MEAN, IMAGENET_STD),
    ],
)
@pytest.mark.parametrize("size", [*SIZES, (60, 61), (33, 65), (64, 64)])
def test_a_fitted_picture_is_what_torchvisions_own_steps_give(size, spec):
    """Odd halves among them: which side gets the pixel more, of a crop and of padding."""
    image = picture(*size)
    fitted, placement = fit(image, spec)
    if max(placement.scaled) > fitting.FAR * 32:
        pytest.skip("cut before it is resized")
    width, height = placement.scaled
    expected = resize(image, [height, width], antialias=True)
    left, top = placement.offset
    if min(left, top) >= 0:
        right, bottom = spec.width - width - left, spec.height - height - top
        expected = pad(expected, [left, top, right, bottom], fill=spec.pad)
    else:
        expected = center_crop(expected, [spec.height, spec.width])
    assert torch.equal(fitted, expected)
