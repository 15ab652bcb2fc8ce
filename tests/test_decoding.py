"""Decoding, format by format. The photographs are real ones, from scikit-image."""

import io
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from picture_files import chunk, difference, png, saved, with_chunk, with_segment
from PIL import ExifTags, Image, ImageFile, PngImagePlugin

from wanwu_nb.decoding import Limits, UnreadableImage, decode, decode_content
from wanwu_nb.demo.scenes import save_jpeg

FRAMES = [Image.new("RGB", (90, 60), (250 - 40 * i, 40 * i, 30)) for i in range(4)]
BROKEN_EXIF = b"Exif\0\0" + b"neither II nor MM" * 3


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
    picture = convert(photograph)
    picture.save(tmp_path / name, **options)
    assert difference(decode(tmp_path / name), picture) <= tolerance


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


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("AVIF", {"quality": 95}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("WEBP", {"lossless": True, "save_all": True}),
    ],
)
@pytest.mark.parametrize("orientation", [3, 6, 7])
def test_orientation_is_taken_from_where_each_format_keeps_it(photograph, form, options, orientation):
    upright = photograph.crop((0, 0, 160, 256))
    method = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE}[orientation]
    tags = Image.Exif()
    tags[ExifTags.Base.Orientation] = orientation
    where = {"tiffinfo": {ExifTags.Base.Orientation: orientation}} if form == "TIFF" else {"exif": tags}
    stored = upright.transpose(method)
    more = {"append_images": [Image.new("RGB", stored.size)]} if "save_all" in options else {}
    content = saved(stored, form, **where, **options, **more)
    assert difference(decode_content(content).image, upright) <= 4


@pytest.mark.parametrize("form", ["GIF", "WEBP", "AVIF", "PNG", "TIFF", "MPO"])
def test_of_several_frames_the_first_is_taken(form):
    content = saved(FRAMES[0], form, save_all=True, append_images=FRAMES[1:])
    assert difference(decode_content(content).image, FRAMES[0]) <= 3


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG"])
def test_a_first_frame_that_is_transparent_lies_on_white(form):
    frames = [Image.new("RGBA", (80, 50), (10 * i, 90, 200, 255)) for i in range(3)]
    for frame in frames:
        frame.paste((1, 2, 3, 0), (0, 0, 40, 50))
    expected = frames[0].convert("RGB")
    expected.paste("white", (0, 0, 40, 50))
    content = saved(frames[0], form, save_all=True, append_images=frames[1:], disposal=2, lossless=True)
    assert difference(decode_content(content).image, expected) <= 1


def test_what_the_first_frame_of_a_gif_does_not_cover_is_white():
    frame = Image.new("P", (40, 30), 0)
    frame.putpalette([200, 10, 20])
    content = bytearray(saved(frame, "GIF"))
    content[6:10] = struct.pack("<2H", 100, 80)  # the whole picture
    descriptor = content.index(b"," + bytes(4), 13)
    content[descriptor + 1 : descriptor + 5] = struct.pack("<2H", 20, 10)  # where the frame lies
    expected = Image.new("RGB", (100, 80), "white")
    expected.paste((200, 10, 20), (20, 10, 60, 40))
    assert difference(decode_content(bytes(content)).image, expected) == 0


def test_no_frame_but_the_first_is_decoded(tmp_path):
    """A GIF of 300 frames takes no more memory than one: all of them would be 900 MB."""
    frames = [Image.new("P", (1000, 1000), i % 2) for i in range(300)]
    frames[0].save(tmp_path / "many.gif", save_all=True, append_images=frames[1:])
    code = (
        "import resource, sys; from wanwu_nb.decoding import decode;"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; before = peak();"
        "decode(sys.argv[1]); print((peak() - before) // 1024)"
    )
    ran = subprocess.run([sys.executable, "-c", code, tmp_path / "many.gif"], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) < 100


def test_a_png_named_jpg_is_read_for_what_it_is(tmp_path, photograph):
    photograph.save(tmp_path / "really.png")
    (tmp_path / "really.png").rename(tmp_path / "claims.jpg")
    assert difference(decode(tmp_path / "claims.jpg"), photograph) == 0


LONG_TEXT = zlib.compress(b"x" * 3_000_000)


@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"zTXt", b"workflow\0\0" + LONG_TEXT),
        chunk(b"iTXt", b"prompt\0\1\0\0\0" + LONG_TEXT),
        chunk(b"tEXt", b"no key"),
        chunk(b"iCCP", b"profile\0\0not compressed"),
        chunk(b"iCCP", b"profile\0\0" + LONG_TEXT),
        chunk(b"eXIf", b"neither II nor MM"),
        chunk(b"pHYs", b"short"),
        chunk(b"acTL", b"short"),
        chunk(b"tIME", b"wrong checksum", checksum=7),
        chunk(b"gAMA", struct.pack(">I", 45455), checksum=7),
    ],
)
@pytest.mark.parametrize("behind", [False, True])
def test_a_pngs_metadata_cost_neither_the_picture_nor_its_transparency(photograph, extra, behind):
    cut_out = photograph.resize((60, 40)).convert("RGBA")
    cut_out.paste((9, 9, 9, 0), (0, 0, 30, 40))
    expected = cut_out.convert("RGB")
    expected.paste("white", (0, 0, 30, 40))
    content = saved(cut_out, "PNG")
    changed = content[:-12] + extra + content[-12:] if behind else with_chunk(content, extra)
    decoded = decode_content(changed)
    assert difference(decoded.image, expected) == 0
    assert not decoded.damaged


def test_a_wrong_checksum_of_the_transparent_colour_does_not_cost_it():
    levels = np.full((4, 6, 3), 200)
    levels[:, :3] = 10
    content = png(levels, chunk(b"tRNS", struct.pack(">3H", 10, 10, 10), checksum=5))
    decoded = decode_content(content).image
    assert decoded[0].unique().tolist() == [200, 255]


def test_a_wrong_checksum_of_pixels_costs_the_picture(photograph):
    content = bytearray(saved(photograph, "PNG"))
    content[2000] ^= 1
    with pytest.raises(UnreadableImage, match="damaged"):
        decode_content(bytes(content))


@pytest.mark.parametrize(
    ("marker", "data"),
    [
        (0xE0, b"JFIF\0"),
        (0xE1, BROKEN_EXIF),
        (0xE1, b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"),
        (0xE2, b"ICC_PROFILE\0\xff"),
        (0xE2, b"MPF\0garbage"),
        (0xED, b"Photoshop 3.0\x008BIM"),
        (0xEE, b"Adobe"),
        (0xFE, b"\xff\xd9" * 400),
    ],
)
def test_a_jpegs_metadata_do_not_cost_the_picture(photograph, marker, data):
    content = saved(photograph, "JPEG", quality=95)
    assert difference(decode_content(with_segment(content, marker, data)).image, photograph) <= 3


@pytest.mark.parametrize("form", ["WEBP", "PNG"])
@pytest.mark.parametrize("count", [1, 3])
def test_a_broken_exif_turns_nothing(form, count):
    options = {"save_all": True, "append_images": FRAMES[1:count]} if count > 1 else {}
    content = saved(FRAMES[0], form, exif=BROKEN_EXIF, lossless=True, **options)
    assert difference(decode_content(content).image, FRAMES[0]) <= 1


def test_a_broken_exif_in_an_avif_costs_neither_the_picture_nor_its_orientation(photograph):
    tags = Image.Exif()
    tags[ExifTags.Base.Orientation] = 6
    tags[ExifTags.Base.Make] = "a camera"
    content = saved(photograph, "AVIF", exif=tags, quality=95)
    assert b"MM\0*" in content
    broken = content.replace(b"MM\0*", b"????")
    upright = photograph.transpose(Image.Transpose.ROTATE_270)
    assert difference(decode_content(broken).image, upright) <= 4


def test_a_tiff_with_broken_exif_is_read(photograph):
    pointer = {ExifTags.IFD.Exif: 0xFFFFFF00}
    for compression in (None, "tiff_lzw"):
        content = saved(photograph, "TIFF", compression=compression, tiffinfo=pointer)
        assert difference(decode_content(content).image, photograph) == 0


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<html>Not found</html>", "not a picture in a known format, but a web page: save it as JPEG or PNG"),
        (b"hello", "not a picture in a known format"),
        (b"\xff\xd8\xff" + bytes(99), "cannot be decoded"),
        (b"DDS " + bytes(124), "a DDS texture"),
        (b"BLP2" + bytes(200), "a BLP texture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n", "PostScript"),
        (b"8BPS" + bytes(40), "Photoshop"),
        (b"\xff\x0a" + bytes(40), "JPEG XL"),
        (b"P6\n2 2\n255\n" + bytes(12), "not a picture in a known format"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(64), "a video"),
    ],
)
def test_what_is_not_served_says_so_and_no_other_decoder_sees_it(tmp_path, monkeypatch, content, reason):
    monkeypatch.setattr(Image, "open", None)
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(UnreadableImage, match=reason):
        decode(tmp_path / "a.jpg")


DECODERS = ("decode_", "avif", "libheif", "Dec", "error -", "0x", "/", "{", "b'", ".cpp", "\n")


@pytest.mark.parametrize("form", ["AVIF", "WEBP", "GIF", "PNG", "TIFF", "BMP", "JPEG"])
@pytest.mark.parametrize("seed", range(12))
def test_of_a_damaged_file_no_more_is_said_than_a_person_understands(photograph, form, seed):
    content = bytearray(saved(photograph.resize((120, 80)).convert("P" if form == "GIF" else "RGB"), form))
    random = np.random.default_rng(seed)
    for position in random.integers(2, len(content), 8):
        content[position] ^= 1 << int(random.integers(8))
    try:
        decode_content(bytes(content[: int(len(content) * random.uniform(0.3, 1))]), Limits(max_pixels=10**6))
    except UnreadableImage as error:
        said = [word for word in DECODERS if word in str(error).replace("JPEG or PNG", "")]
        assert said == []


def test_a_bomb_is_refused_before_it_is_decoded(tmp_path):
    Image.new("1", (30_000, 20_000)).save(tmp_path / "bomb.png")
    with pytest.raises(UnreadableImage, match="too many pixels: 30,000 x 20,000 are 600,000,000, more"):
        decode(tmp_path / "bomb.png")


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_limits_hold_for_every_format(form):
    content = saved(Image.new("L", (300, 40)), form)
    decode_content(content, Limits(max_pixels=12_000, max_side=300))
    with pytest.raises(UnreadableImage, match="300 x 40 are 12,000, more than max_pixels=11,999"):
        decode_content(content, Limits(max_pixels=11_999))
    with pytest.raises(UnreadableImage, match="300 pixels are more than max_side=299"):
        decode_content(content, Limits(max_side=299))


def test_pillows_own_bound_is_neither_asked_nor_changed(monkeypatch, photograph):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    for form in ("JPEG", "PNG", "TIFF", "BMP", "AVIF"):
        assert difference(decode_content(saved(photograph, form)).image, photograph) < 10
    assert not ImageFile.LOAD_TRUNCATED_IMAGES
    assert PngImagePlugin.MAX_TEXT_CHUNK == 2**20


def test_heic_says_which_package_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    content = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64)
    with pytest.raises(UnreadableImage, match=r"run `pip install 'wanwu_nb\[heic\]'`"):
        decode_content(content)


@pytest.mark.parametrize("orientation", [1, 6])
def test_heic_is_read_where_its_package_is(photograph, orientation):
    heif = pytest.importorskip("pillow_heif")
    tags = Image.Exif()
    tags[ExifTags.Base.Orientation] = orientation
    upright = photograph if orientation == 1 else photograph.transpose(Image.Transpose.ROTATE_270)
    file = io.BytesIO()
    heif.from_pillow(photograph).save(file, quality=95, exif=tags.tobytes())
    content = file.getvalue()
    assert difference(decode_content(content).image, upright) <= 4
    with pytest.raises(UnreadableImage, match="more than max_pixels"):
        decode_content(content, Limits(max_pixels=1000))
    with pytest.raises(UnreadableImage, match="cannot be decoded"):
        decode_content(content[: len(content) // 2])
    assert "HEIF" not in Image.OPEN
