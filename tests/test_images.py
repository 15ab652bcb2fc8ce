"""Decoding and fitting pictures. The photographs are real ones, from scikit-image."""

import os

import numpy as np
import pytest
import torch
from PIL import Image

from wanwu_nb.demo.scenes import save_jpeg
from wanwu_nb.fitting import InputSpec, fit, place
from wanwu_nb.images import FileVersion, UnreadableImage, decode, read, version_of

MEAN = STD = (0.5, 0.5, 0.5)


def difference(decoded: torch.Tensor, expected: Image.Image) -> float:
    """Mean absolute difference in grey levels."""
    wanted = np.asarray(expected.convert("RGB")).transpose(2, 0, 1).astype(float)
    assert decoded.dtype == torch.uint8
    assert decoded.shape == wanted.shape
    return float(np.abs(decoded.numpy() - wanted).mean())


@pytest.mark.parametrize(
    ("name", "convert", "options", "tolerance"),
    [
        ("a.jpg", lambda p: p, {"quality": 95}, 3),
        ("a.JPEG", lambda p: p, {"quality": 95, "progressive": True}, 3),
        ("grey.jpg", lambda p: p.convert("L"), {"quality": 95}, 3),
        ("cmyk.jpg", lambda p: p.convert("CMYK"), {"quality": 95}, 3),
        ("a.png", lambda p: p, {}, 0),
        ("palette.png", lambda p: p.quantize(256), {}, 0),
        ("grey.png", lambda p: p.convert("L"), {}, 0),
        ("one_bit.png", lambda p: p.convert("1"), {}, 0),
        ("a.webp", lambda p: p, {"quality": 95}, 4),
        ("a.gif", lambda p: p.quantize(64), {}, 0),
        ("a.avif", lambda p: p, {"quality": 95}, 4),
        ("a.tif", lambda p: p, {}, 0),
        ("cmyk.tif", lambda p: p.convert("CMYK"), {}, 3),
        ("a.bmp", lambda p: p, {}, 0),
    ],
)
def test_formats_decode_to_the_right_picture(tmp_path, photograph, name, convert, options, tolerance):
    saved = convert(photograph)
    saved.save(tmp_path / name, **options)
    assert difference(decode(tmp_path / name), saved) <= tolerance


@pytest.mark.parametrize("name", ["deep.png", "deep.tif"])
def test_sixteen_bits_are_scaled_not_clipped(tmp_path, photograph, name):
    grey = photograph.convert("L")
    Image.fromarray(np.asarray(grey).astype(np.uint16) * 257).save(tmp_path / name)
    assert difference(decode(tmp_path / name), grey) <= 1


@pytest.mark.parametrize("name", ["cut_out.png", "cut_out.webp", "cut_out.tif", "cut_out_la.png"])
def test_transparency_lies_on_white(tmp_path, photograph, name):
    mask = Image.linear_gradient("L").resize(photograph.size)
    expected = Image.composite(photograph, Image.new("RGB", photograph.size, "white"), mask)
    cut_out = photograph.copy()
    cut_out.putalpha(mask)
    if "_la" in name:
        expected, cut_out = expected.convert("L"), cut_out.convert("LA")
    cut_out.save(tmp_path / name, **({"lossless": True, "exact": True} if name.endswith("webp") else {}))
    assert difference(decode(tmp_path / name), expected) <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_exif_orientation_is_applied(tmp_path, photograph, orientation, suffix):
    upright = photograph.crop((0, 0, 400, 240))
    save_jpeg(upright, tmp_path / "turned.jpg", orientation, quality=95)
    if suffix == "tif":  # decoded by Pillow, not by torchcodec
        with Image.open(tmp_path / "turned.jpg") as stored:
            stored.save(tmp_path / "turned.tif", exif=stored.getexif())
    assert difference(decode(tmp_path / f"turned.{suffix}"), upright) <= 3


def test_a_png_named_jpg_is_read_for_what_it_is(tmp_path, photograph):
    photograph.save(tmp_path / "really.png")
    (tmp_path / "really.png").rename(tmp_path / "claims.jpg")
    assert difference(decode(tmp_path / "claims.jpg"), photograph) == 0


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "gif", "tif"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.97])
def test_truncated_files_are_refused_not_half_decoded(tmp_path, photograph, suffix, share):
    photograph.save(tmp_path / f"whole.{suffix}")
    content = (tmp_path / f"whole.{suffix}").read_bytes()
    (tmp_path / f"part.{suffix}").write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UnreadableImage):
        decode(tmp_path / f"part.{suffix}")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "file is empty"),
        (b"<html>Not found</html>", "not a picture"),
        (b"\xff\xd8\xff" + bytes(99), "known format|cannot be decoded"),
    ],
)
def test_what_is_no_picture_says_so(tmp_path, content, reason):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(UnreadableImage, match=reason):
        decode(tmp_path / "a.jpg")


def test_a_bomb_is_refused_before_it_is_decoded(tmp_path):
    Image.new("1", (30_000, 20_000)).save(tmp_path / "bomb.png")
    with pytest.raises(UnreadableImage, match="too many pixels"):
        decode(tmp_path / "bomb.png")


def test_a_folder_named_like_a_picture_and_a_missing_file_have_reasons(tmp_path):
    with pytest.raises(UnreadableImage, match="cannot be read") as error:
        decode(tmp_path)
    assert error.value.stage == "read"
    with pytest.raises(UnreadableImage, match="No such file"):
        decode(tmp_path / "gone.jpg")


def test_a_picture_that_cannot_be_read_says_at_which_stage_and_why(tmp_path):
    spec = InputSpec(64, 64, "stretch", MEAN, STD)
    (tmp_path / "empty.jpg").touch()
    gone, empty = read(tmp_path, spec, "gone.jpg"), read(tmp_path, spec, "empty.jpg")
    assert (gone.image, gone.version, gone.stage) == (None, None, "read")
    assert "No such file" in gone.reason
    assert (empty.image, empty.stage, empty.reason) == (None, "decode", "file is empty (0 bytes)")
    assert empty.version.size == 0


def test_the_version_of_a_file_is_its_size_and_time_of_change_and_no_more(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"picture")
    before = version_of(tmp_path, "a.jpg")
    assert before == FileVersion(7, path.stat().st_mtime_ns)
    os.utime(path, ns=(5, before.mtime_ns))  # read, not changed
    assert version_of(tmp_path, "a.jpg") == before
    assert version_of(tmp_path, "gone.jpg") is None


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
