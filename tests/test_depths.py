"""Pictures deeper than 8 bits: which level is white."""

import io
import struct

import numpy as np
import pytest
from picture_files import chunk, difference, png, saved
from PIL import Image

from wanwu_nb.decoding import decode, decode_content
from wanwu_nb.decoding.depths import to_8_bits, white_of

MAX_SAMPLE_VALUE = 281


@pytest.fixture
def grey(photograph) -> Image.Image:
    return photograph.convert("L")


def levels_of(grey: Image.Image, white: int) -> np.ndarray:
    return np.round(np.asarray(grey, dtype=float) * white / 255).astype(np.uint16)


def full_range(grey: Image.Image) -> Image.Image:
    """The same picture, its brightest pixel white."""
    levels = np.asarray(grey, dtype=float)
    return Image.fromarray((levels * 255 / levels.max()).round().astype(np.uint8))


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_levels_of_fewer_bits_in_a_file_of_sixteen_are_scaled_by_their_own_depth(grey, form, bits):
    bright = full_range(grey)
    content = saved(Image.fromarray(levels_of(bright, 2**bits - 1)), form)
    assert difference(decode_content(content).image, bright) <= 1


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
@pytest.mark.parametrize("share", [0.9, 0.5, 0.3])
def test_a_dark_photograph_of_sixteen_bits_stays_dark(grey, form, share):
    dark = full_range(grey).point(lambda level: level * share)
    content = saved(Image.fromarray(levels_of(dark, 65535)), form)
    assert difference(decode_content(content).image, dark) <= 1


@pytest.mark.parametrize("share", [0.2, 0.05, 0.01])
@pytest.mark.parametrize("stretched", [256, 257])
def test_eight_bits_stretched_to_sixteen_stay_as_dark_as_they_are(grey, share, stretched):
    dark = full_range(grey).point(lambda level: level * share)
    content = saved(Image.fromarray(np.asarray(dark).astype(np.uint16) * np.uint16(stretched)), "TIFF")
    assert difference(decode_content(content).image, dark) <= 1


@pytest.mark.parametrize("white", [65535, 60000])
def test_what_a_tiff_states_wins_over_what_its_levels_look_like(grey, white):
    dark = grey.point(lambda level: level * 0.03)
    content = saved(Image.fromarray(levels_of(dark, 65535)), "TIFF", tiffinfo={MAX_SAMPLE_VALUE: white})
    assert difference(decode_content(content).image, dark) <= 1


def test_a_tiff_that_states_less_than_it_has_is_not_believed(grey):
    content = saved(Image.fromarray(levels_of(full_range(grey), 65535)), "TIFF", tiffinfo={MAX_SAMPLE_VALUE: 255})
    assert difference(decode_content(content).image, full_range(grey)) <= 1


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
@pytest.mark.parametrize(("high", "expected"), [(4095, [0, 8, 128, 255]), (1023, [0, 32, 255, 255])])
def test_twelve_bits_in_colour_are_not_black(compression, high, expected):
    levels = np.array([[0, 128, 2056, 4095]], np.uint16).clip(0, high)
    content = colour_tiff(np.repeat(levels[..., None], 3, axis=2), compression)
    assert decode_content(content).image[1, 0].tolist() == expected


@pytest.mark.parametrize("order", ["<", ">"])
def test_colours_of_sixteen_bits_keep_their_high_bytes(order):
    levels = np.array([[[0, 300, 65535], [20_000, 40_000, 60_000]]], np.uint16)
    content = colour_tiff(levels, None, order)
    assert decode_content(content).image.permute(1, 2, 0).tolist() == (levels // 256).tolist()


@pytest.mark.parametrize("order", ["<", ">"])
def test_twelve_bits_in_colour_are_read_in_either_byte_order(order):
    levels = np.array([[[0, 300, 4095], [2000, 1000, 77]]], np.uint16)
    content = colour_tiff(levels, None, order)
    expected = (levels.astype(float) * 255 / 4095).round().astype(int)
    assert decode_content(content).image.permute(1, 2, 0).tolist() == expected.tolist()


def colour_tiff(levels: np.ndarray, compression: str | None, order: str = "<") -> bytes:
    """A TIFF of 16 bits a sample, RGB: no writer here makes one."""
    height, width, _ = levels.shape
    pixels = levels.astype(f"{order}u2").tobytes()
    code = 1
    if compression:
        wide = Image.frombytes("I;16", (3 * width, height), pixels)  # compressed as one channel, declared as three
        packed = saved(wide, "TIFF", compression=compression)
        with Image.open(io.BytesIO(packed)) as file:
            (start,), (count,) = file.tag_v2[273], file.tag_v2[279]
            code = file.tag_v2[259]
        pixels = packed[start : start + count]
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 3, 134), (259, 3, 1, code), (262, 3, 1, 2)]
    tags += [(273, 4, 1, 140), (277, 3, 1, 3), (278, 4, 1, height), (279, 4, 1, len(pixels)), (284, 3, 1, 1)]
    directory = struct.pack(f"{order}H", len(tags))
    for tag, kind, count, value in tags:
        number = struct.pack(f"{order}HH", value, 0) if kind == 3 and count == 1 else struct.pack(f"{order}I", value)
        directory += struct.pack(f"{order}HHI", tag, kind, count) + number
    start = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8)
    body = start + directory + bytes(4)
    assert len(body) == 134
    return body + struct.pack(f"{order}3H", 16, 16, 16) + pixels


@pytest.mark.parametrize(
    ("levels", "significant", "expected"),
    [
        ([0, 2048, 4095], 12, [0, 128, 255]),  # left where they were
        ([0, 2048 * 16, 4095 * 16], 12, [0, 128, 255]),  # moved up, as PNG wants it
        ([0, 16, 160], 12, [0, 0, 1]),  # moved up, and dark
        ([0, 100, 1000], 16, [0, 0, 4]),
        ([0, 100, 1000], 10, [0, 25, 249]),
        ([0, 101, 1001], 14, [0, 2, 16]),
        ([0, 500, 1023], 0, [0, 125, 255]),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_png_states_its_significant_bits(levels, significant, expected, channels):
    row = np.array([levels], np.uint16)
    stated = chunk(b"sBIT", bytes([significant] * channels)) if significant else b""
    pixels = row if channels == 1 else np.repeat(row[..., None], 3, axis=2)
    assert decode_content(png(pixels, stated, bits=16)).image[2, 0].tolist() == expected


@pytest.mark.parametrize("opaque", [4095, 65535])
def test_transparency_goes_as_far_as_the_colours_or_to_sixteen_bits(opaque):
    levels = np.array([[[4095, 0, 0, opaque], [4095, 1, 0, 0]]], np.uint16)
    decoded = decode_content(png(levels, bits=16)).image
    assert decoded[:, 0].T.tolist() == [[255, 0, 0], [255, 255, 255]]


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_are_scaled_not_clipped(tmp_path, grey, suffix):
    Image.fromarray(np.asarray(grey).astype(np.uint16) * 257).save(tmp_path / f"deep.{suffix}")
    assert difference(decode(tmp_path / f"deep.{suffix}"), grey) <= 1


def test_floats_in_either_scale(grey):
    levels = np.asarray(full_range(grey), np.float32)
    for scale in (1 / 255, 1, 300):
        content = saved(Image.fromarray(levels * np.float32(scale)), "TIFF")
        assert difference(decode_content(content).image, full_range(grey)) <= 1


def test_floats_that_are_no_numbers_do_not_decide():
    levels = np.array([[0, 0.5, 1, np.nan, np.inf, -np.inf, -3]], np.float32)
    decoded = decode_content(saved(Image.fromarray(levels), "TIFF")).image
    assert decoded[0, 0].tolist() == [0, 128, 255, 0, 255, 0, 0]
    nothing = np.full((2, 2), np.nan, np.float32)
    assert decode_content(saved(Image.fromarray(nothing), "TIFF")).image.unique().tolist() == [0]


def test_a_nan_that_signals_is_black_and_warns_nobody():
    """As damaged bytes make it: warnings are errors here."""
    levels = np.array([[0x7FA00000]], np.uint32).view(np.float32)
    assert to_8_bits(levels, 1.0).tolist() == [[0]]


def test_signed_levels_below_zero_are_black():
    levels = np.array([[-5, 0, 2000, 4095]], np.int32)
    decoded = decode_content(saved(Image.fromarray(levels), "TIFF")).image
    assert decoded[0, 0].tolist() == [0, 0, 125, 255]


def test_a_blank_picture_is_black_whatever_its_depth():
    for dtype in (np.uint16, np.int32, np.float32):
        assert white_of(np.zeros((2, 2), dtype)) >= 1
        assert decode(Image.fromarray(np.zeros((2, 2), dtype))).unique().tolist() == [0]


def test_a_large_picture_is_converted_in_parts():
    levels = np.arange(3 * 3000 * 1000, dtype=np.uint32).reshape(3, 3000, 1000) % 65536
    expected = (levels.astype(np.float64) / 257).round()
    assert (to_8_bits(levels.astype(np.uint16), 65535) == expected).all()
