"""A picture fitted to a network's input, and boxes on their way back."""

import numpy as np
import pytest
import torch

from wanwu_nb import fitting
from wanwu_nb.fitting import InputSpec, fit, place

MEAN = STD = (0.5, 0.5, 0.5)


@pytest.mark.parametrize("size", [(1920, 1080), (1080, 1920), (640, 640), (37, 2000), (1, 1)])
@pytest.mark.parametrize("how", ["stretch", "letterbox", "crop"])
def test_boxes_find_their_way_back_to_the_photo(size, how):
    spec = InputSpec(640, 640, how, MEAN, STD, shorter_side=640)
    placement = place(*size, spec)
    photo = np.array([[0.25, 0.25, 0.75, 0.75]]) * (size * 2)
    in_input = photo * (np.array(placement.scaled * 2) / (size * 2)) + placement.offset * 2
    assert np.allclose(placement.to_photo(in_input), photo)


@pytest.mark.parametrize("how", ["stretch", "letterbox", "crop"])
@pytest.mark.parametrize("size", [(300, 200), (200, 300), (5, 900)])
def test_fit_gives_the_input_size(how, size):
    fitted, _ = fit(torch.zeros(3, *size[::-1], dtype=torch.uint8), InputSpec(64, 96, how, MEAN, STD, shorter_side=96))
    assert fitted.shape == (3, 96, 64)
    assert fitted.dtype == torch.uint8


def test_letterbox_keeps_the_aspect_and_pads_with_grey():
    fitted, placement = fit(torch.full((3, 90, 160), 200, dtype=torch.uint8), InputSpec(64, 64, "letterbox", MEAN, STD))
    assert placement.scaled == (64, 36)
    assert placement.offset == (0, 14)
    assert (fitted[:, :14] == 114).all()
    assert (fitted[:, 14:50] == 200).all()
    assert (fitted[:, 50:] == 114).all()


def test_an_unknown_fit_is_refused():
    with pytest.raises(ValueError, match='"stretch", "letterbox" or "crop"'):
        InputSpec(64, 64, "squash", MEAN, STD)


def noise(width: int, height: int) -> torch.Tensor:
    """Smooth noise: every pixel differs from its neighbours, as in a photograph."""
    generator = torch.Generator().manual_seed(width)
    coarse = torch.rand(1, 3, max(1, height // 4), max(1, width // 4), generator=generator)
    fine = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    return (fine[0] * 255).to(torch.uint8)


@pytest.mark.parametrize("size", [(4000, 7), (7, 4001), (3001, 90), (91, 3000), (20_011, 600), (9000, 500)])
@pytest.mark.parametrize("shorter_side", [64, 73])
def test_what_is_cropped_first_lies_where_it_would_have_been(monkeypatch, size, shorter_side):
    spec = InputSpec(64, 60, "crop", MEAN, STD, shorter_side=shorter_side)
    picture = noise(*size)
    cut_first, placement = fit(picture, spec)
    monkeypatch.setattr(fitting, "FAR", 10**9)
    whole, same = fit(picture, spec)
    assert placement == same
    assert (cut_first.int() - whole.int()).abs().max() <= 1


@pytest.mark.parametrize("size", [(600, 400), (400, 600), (1920, 1080), (900, 64), (64, 930)])
def test_pictures_that_are_not_far_too_long_keep_every_bit(monkeypatch, size):
    spec = InputSpec(64, 64, "crop", MEAN, STD, shorter_side=70)
    asked = []
    real = fitting.resized

    def resized(image, *wanted):
        asked.append(tuple(image.shape[1:]))
        return real(image, *wanted)

    monkeypatch.setattr(fitting, "resized", resized)
    fit(noise(*size), spec)
    assert asked == [size[::-1]]


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 1), (1, 9), (40, 1)])
def test_the_smallest_pictures_fit_the_largest_enlargement(size):
    fitted, _ = fit(noise(*size), InputSpec(8, 8, "crop", MEAN, STD, shorter_side=300))
    assert fitted.shape == (3, 8, 8)
