"""JPEG and PNG files that lack their end: which are read, which are refused, and what is said of them."""

import re

import numpy as np
import pytest
from picture_files import chunk, difference, png, saved
from PIL import ExifTags, Image

from wanwu_nb.decoding import UnreadableImage, decode_content

ENDS_EARLY = r"^cannot be decoded: the file ends early \(truncated\): copy or download it again$"
KINDS = [
    {},
    {"subsampling": 0},
    {"optimize": True},
    {"restart_marker_rows": 1},
    {"restart_marker_blocks": 3},
    {"progressive": True},
    {"progressive": True, "subsampling": 0, "quality": 95},
]
SEQUENTIAL = [options for options in KINDS if "progressive" not in options]


def refused(content: bytes) -> None:
    with pytest.raises(UnreadableImage, match=ENDS_EARLY):
        decode_content(content)


@pytest.mark.parametrize("options", KINDS)
@pytest.mark.parametrize("lacking", [1, 2])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_jpeg_that_lacks_only_its_end_marker_is_read_whole(photograph, options, lacking, mode):
    content = saved(photograph.convert(mode), "JPEG", **options)
    whole, cut = decode_content(content), decode_content(content[:-lacking])
    assert (cut.image == whole.image).all()
    assert cut.damaged
    assert not whole.damaged


@pytest.mark.parametrize("options", SEQUENTIAL)
@pytest.mark.parametrize(("rows", "is_read"), [(0.97, True), (0.93, True), (0.86, False), (0.5, False), (0.1, False)])
def test_of_a_sequential_jpeg_nine_tenths_of_the_rows_must_be_there(photograph, options, rows, is_read):
    """Content is spread evenly here, so a share of the bytes is the same share of the rows."""
    noisy = Image.effect_noise((480, 640), 90).convert("RGB")
    content = saved(noisy, "JPEG", quality=80, **options)
    cut = content[: int(len(content) * rows)]
    if not is_read:
        refused(cut)
        return
    decoded = decode_content(cut)
    there = int(0.9 * 640)
    whole = decode_content(content)
    assert decoded.damaged
    assert (decoded.image[:, :there] == whole.image[:, :there]).all()


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_rows_are_counted_as_they_are_stored(orientation):
    tags = Image.Exif()
    tags[ExifTags.Base.Orientation] = orientation
    content = saved(Image.effect_noise((640, 320), 90), "JPEG", exif=tags)
    assert decode_content(content[: len(content) * 96 // 100]).damaged
    refused(content[: len(content) * 80 // 100])


@pytest.mark.parametrize("level", [0, 128, 255])
def test_rows_that_look_like_those_made_up_are_told_from_them(level):
    """The lower half is of one colour: what a decoder makes up for missing rows looks the same."""
    picture = Image.effect_noise((320, 640), 90)
    picture.paste(level, (0, 320, 320, 640))
    content = saved(picture, "JPEG")
    scan = content.rindex(b"\xff\xda")
    refused(content[: scan + (len(content) - scan) * 9 // 10])


@pytest.mark.parametrize("share", [0.2, 0.6, 0.9, 0.97, 0.999])
def test_a_progressive_jpeg_that_ends_early_is_refused(photograph, share):
    content = saved(photograph, "JPEG", progressive=True)
    refused(content[: int(len(content) * share)])


def test_a_progressive_jpeg_that_ends_between_two_scans_is_refused(photograph):
    content = saved(photograph, "JPEG", progressive=True)
    scans = [match.start() for match in re.finditer(b"\xff\xda", content)]
    assert len(scans) > 5
    for start in scans[1:]:
        refused(content[:start])
        tables = content.rindex(b"\xff\xc4", 0, start)
        refused(content[:tables])


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
@pytest.mark.parametrize("zeros", [64, 5000, 300_000])
def test_zeros_in_the_place_of_data_are_no_data(photograph, options, zeros):
    content = saved(photograph, "JPEG", **options)
    refused(content[: len(content) // 2] + bytes(zeros))
    assert decode_content(content[:-2] + bytes(zeros)).damaged
    assert not decode_content(content + bytes(zeros)).damaged


def test_a_jpeg_that_ends_before_its_pixels_is_refused(photograph):
    content = saved(photograph, "JPEG")
    for length in (3, 20, 300, content.rindex(b"\xff\xda"), content.rindex(b"\xff\xda") + 14):
        with pytest.raises(UnreadableImage, match="cannot be decoded"):
            decode_content(content[:length])


@pytest.mark.parametrize("lacking", [1, 4, 8, 12, 13, 16])
@pytest.mark.parametrize("mode", ["RGB", "P", "1", "RGBA"])
def test_a_png_that_lacks_only_its_end_is_read_whole(photograph, mode, lacking):
    """Up to 12 bytes are the end itself, 4 more the checksum of the last pixels."""
    content = saved(photograph.convert(mode), "PNG")
    whole, cut = decode_content(content), decode_content(content[:-lacking])
    assert (cut.image == whole.image).all()
    assert cut.damaged
    assert not whole.damaged


@pytest.mark.parametrize("share", [0.2, 0.9, 0.97, 0.999])
def test_a_png_that_ends_early_is_refused(photograph, share):
    content = saved(photograph, "PNG")
    refused(content[: int(len(content) * share)])


@pytest.mark.parametrize("share", [0.2, 0.9, 0.97, 0.999])
def test_an_interlaced_png_is_read_without_its_end_and_refused_where_it_ends_early(photograph, share):
    content = png(np.asarray(photograph), interlaced=True)
    assert difference(decode_content(content[:-12]).image, photograph) == 0
    refused(content[: int(len(content) * share)])


def test_a_png_with_something_behind_its_end_is_whole(photograph):
    content = saved(photograph, "PNG")
    for more in (bytes(7000), b"IEND", b"and so on" * 99, content):
        decoded = decode_content(content + more)
        assert difference(decoded.image, photograph) == 0
        assert not decoded.damaged


def test_a_png_keeps_its_transparency_and_its_deep_levels_without_its_end():
    levels = np.zeros((5, 8, 4), np.uint16)
    levels[..., 0] = 3000
    levels[:, :4, 3] = 65535
    content = png(levels, chunk(b"sBIT", bytes([12, 12, 12, 16])), bits=16)
    whole, cut = decode_content(content), decode_content(content[:-12])
    assert (cut.image == whole.image).all()
    assert cut.image[0].unique().tolist() == [187, 255]


@pytest.mark.parametrize("form", ["WEBP", "GIF", "TIFF", "AVIF", "BMP"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.97])
def test_other_formats_that_end_early_are_refused(photograph, form, share):
    content = saved(photograph, form)
    with pytest.raises(UnreadableImage, match=r"^cannot be decoded|^not a picture"):
        decode_content(content[: int(len(content) * share)])
