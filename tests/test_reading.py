"""Rounds of pictures; and the nvJPEG way of reading, on the CPU: the same calls, torchcodec's decoder for the other
device.
"""

import pytest
import torch
from PIL import ExifTags

from wanwu_nb import nvjpeg
from wanwu_nb.decoder_choice import choose_decoder
from wanwu_nb.decoding import Limits
from wanwu_nb.fitting import InputSpec
from wanwu_nb.images import read
from wanwu_nb.reading import CPU_THREADS, NVJPEG, PictureReader, read_rounds
from wanwu_nb.tagger import full_batch
from wanwu_nb.threads import reading_threads

SPEC = InputSpec(64, 64, "letterbox", (0.5,) * 3, (0.5,) * 3)


@pytest.fixture
def folder(tmp_path, photograph):
    photograph.save(tmp_path / "a.jpg")
    photograph.resize((333, 222)).save(tmp_path / "b.jpg")
    photograph.convert("L").save(tmp_path / "grey.jpg")
    photograph.convert("CMYK").save(tmp_path / "cmyk.jpg")
    photograph.save(tmp_path / "png.jpg", format="PNG")
    for orientation in range(2, 9):
        turned = photograph.getexif()
        turned[ExifTags.Base.Orientation] = orientation
        photograph.save(tmp_path / f"turned {orientation}.jpg", exif=turned)
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "half.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:9000])
    (tmp_path / "no_end.jpg").write_bytes((tmp_path / "b.jpg").read_bytes()[:-2])
    (tmp_path / "text.jpg").write_text("no picture")
    return tmp_path


def test_a_round_read_together_is_what_is_read_one_by_one(folder):
    names = [*sorted(path.name for path in folder.iterdir()), "gone.jpg"]
    by_nvjpeg = PictureReader(folder, SPEC, "cpu", NVJPEG).read(names)
    for together, alone in zip(by_nvjpeg, [read(folder, SPEC, name) for name in names], strict=True):
        assert (together.name, together.version, together.placement) == (alone.name, alone.version, alone.placement)
        assert (together.stage, together.reason, together.damaged) == (alone.stage, alone.reason, alone.damaged)
        assert together.image is alone.image is None or torch.equal(together.image, alone.image)


def test_only_colour_jpegs_that_are_whole_go_to_the_gpu(folder, monkeypatch):
    names = sorted(path.name for path in folder.iterdir())
    sizes = {(folder / name).stat().st_size: name for name in names}
    offered = []
    monkeypatch.setattr(nvjpeg, "decode_jpeg", lambda contents, **_: offered.extend(contents) or [None] * len(contents))
    PictureReader(folder, SPEC, "cpu", NVJPEG).read(names)
    assert {sizes.get(len(content), "turned") for content in offered} == {"a.jpg", "b.jpg", "turned"}
    assert len(offered) == 9


def test_the_gpu_decodes_no_more_at_once_than_its_memory_was_measured_for(folder, monkeypatch):
    counts = []
    real = nvjpeg.decode_jpeg

    def decode(contents, **how):
        counts.append(len(contents))
        return real(contents, **how)

    monkeypatch.setattr(nvjpeg, "decode_jpeg", decode)
    names = ["a.jpg", "b.jpg", "png.jpg"] * 30
    pictures = PictureReader(folder, SPEC, "cpu", NVJPEG).read(names)
    assert counts == [32, 28]
    assert [picture.name for picture in pictures] == names


def test_one_that_nvjpeg_cannot_decode_costs_the_others_nothing(folder, monkeypatch):
    broken = (folder / "b.jpg").read_bytes()
    real = nvjpeg.decode_jpeg

    def decode(contents, **how):
        if broken in contents:
            raise RuntimeError("nvjpegDecode failed: 8")
        return real(contents, **how)

    monkeypatch.setattr(nvjpeg, "decode_jpeg", decode)
    first, second, third = PictureReader(folder, SPEC, "cpu", NVJPEG).read(["a.jpg", "b.jpg", "turned 6.jpg"])
    for picture in (first, second, third):
        assert torch.equal(picture.image, read(folder, SPEC, picture.name).image)


@pytest.mark.parametrize(("round_size", "ahead"), [(1, 0), (2, 0), (2, 2), (4, 1), (100, 2)])
@pytest.mark.parametrize("decoder", [CPU_THREADS, NVJPEG])
def test_rounds_come_whole_in_order_and_no_further_ahead_than_asked(folder, decoder, round_size, ahead):
    names = sorted(path.name for path in folder.iterdir())
    started = []

    class Noting(PictureReader):
        def start(self, pool, names):
            started.extend(names)
            return super().start(pool, names)

    sizes, order = [], []
    with reading_threads(2, 60) as pool:
        for pictures in read_rounds(Noting(folder, SPEC, "cpu", decoder), pool, names, round_size, ahead):
            sizes.append(len(pictures))
            order += [picture.name for picture in pictures]
            assert len(started) <= len(order) + ahead * round_size
    assert order == names
    assert set(sizes[:-1]) <= {round_size}


@pytest.mark.parametrize("decoder", [CPU_THREADS, NVJPEG])
def test_a_reader_keeps_to_its_limits(folder, decoder):
    reader = PictureReader(folder, SPEC, "cpu", decoder, Limits(max_pixels=333 * 222))
    large, small = reader.read(["a.jpg", "b.jpg"])
    assert large.reason.startswith("too many pixels: 600 x 400")
    assert small.reason == ""


def test_what_cannot_be_fitted_on_the_gpu_is_read_by_the_cpu(folder, monkeypatch):
    def full(image, spec):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(nvjpeg, "fit", full)
    (picture,) = PictureReader(folder, SPEC, "cpu", NVJPEG).read(["a.jpg"])
    assert torch.equal(picture.image, read(folder, SPEC, "a.jpg").image)


def test_no_names_are_no_rounds(folder):
    with reading_threads(1, 60) as pool:
        assert list(read_rounds(PictureReader(folder, SPEC, "cpu", CPU_THREADS), pool, [], 4, 2)) == []


def test_the_choice_is_the_cpu_there_and_what_was_begun_with_elsewhere(folder):
    assert choose_decoder("", folder, SPEC, "cpu", ["a.jpg"], 2).value == CPU_THREADS
    assert choose_decoder(NVJPEG, folder, SPEC, "cpu", ["a.jpg"], 2).value == CPU_THREADS
    assert choose_decoder(NVJPEG, folder, SPEC, "cuda", ["a.jpg"], 2).value == NVJPEG


def test_a_second_run_of_the_same_pictures_does_not_measure_again(folder, monkeypatch):
    decoded = []
    real = nvjpeg.decode_jpeg

    def on_cpu(contents, mode, device):
        decoded.append(len(contents))
        return real(contents, mode=mode, device="cpu")

    monkeypatch.setattr("torch.cuda.synchronize", lambda device: None)
    monkeypatch.setattr(nvjpeg, "decode_jpeg", on_cpu)
    names = ["a.jpg", "b.jpg"] * 8
    first = choose_decoder("", folder, SPEC, "cuda", names, 2)
    assert set(first.measured) == {"cpu_pictures_per_second", "gpu_pictures_per_second"}
    assert decoded == [16, 16]
    assert choose_decoder("", folder, SPEC, "cuda", names, 2) == first
    assert decoded == [16, 16]
    choose_decoder("", folder, SPEC, "cuda", names[1:], 2)
    assert decoded == [16, 16, 15, 15]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_both_ways_are_compared(folder):
    choice = choose_decoder("", folder, SPEC, "cuda", ["a.jpg", "b.jpg"] * 8, 2)
    assert choice.value in (CPU_THREADS, NVJPEG)
    assert choice.measured


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_a_batch_may_hold_what_either_decoded(folder):
    names = ["a.jpg", "turned 6.jpg", "png.jpg", "grey.jpg"]
    by_cpu = PictureReader(folder, SPEC, "cuda", CPU_THREADS).read(names)
    by_both = PictureReader(folder, SPEC, "cuda", NVJPEG).read(names)
    assert [picture.image.is_cuda for picture in by_both] == [True, True, False, False]
    batch = full_batch([picture.image for picture in by_both], 6)
    assert batch.is_cuda
    assert batch.shape == (6, 3, 64, 64)
    for picture, one in zip(by_cpu, batch, strict=False):
        assert (picture.image.float() - one.cpu().float()).abs().mean() < 2
