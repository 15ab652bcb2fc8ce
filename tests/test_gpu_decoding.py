"""The nvJPEG way of reading, on the CPU: the same calls, torchcodec's decoder for the other device."""

import pytest
import torch
from PIL import Image

from wanwu_nb.gpu_decoding import CPU_THREADS, NVJPEG, choose_decoder, read_on_gpu, upright_jpeg
from wanwu_nb.images import InputSpec, read

SPEC = InputSpec(64, 64, "letterbox", (0.5,) * 3, (0.5,) * 3)


@pytest.fixture
def folder(tmp_path, photograph):
    photograph.save(tmp_path / "a.jpg")
    photograph.resize((333, 222)).save(tmp_path / "b.jpg")
    photograph.convert("L").save(tmp_path / "grey.jpg")
    photograph.convert("CMYK").save(tmp_path / "cmyk.jpg")
    photograph.save(tmp_path / "png.jpg", format="PNG")
    turned = photograph.getexif()
    turned[274] = 6
    photograph.save(tmp_path / "turned.jpg", exif=turned)
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "half.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:9000])
    (tmp_path / "text.jpg").write_text("no picture")
    return tmp_path


def test_a_round_read_together_is_what_is_read_one_by_one(folder):
    names = [*sorted(path.name for path in folder.iterdir()), "gone.jpg"]
    for together, alone in zip(
        read_on_gpu(folder, SPEC, "cpu", names), [read(folder, SPEC, name) for name in names], strict=True
    ):
        assert (together.name, together.stat, together.placement, together.failure) == (
            (alone.name, alone.stat, alone.placement, alone.failure)
        )
        assert together.image is alone.image is None or torch.equal(together.image, alone.image)


def test_only_upright_colour_jpegs_go_to_the_gpu(folder):
    taken = {path.name for path in folder.iterdir() if upright_jpeg(path)}
    assert taken == {"a.jpg", "b.jpg", "half.jpg"}


def test_the_choice_is_the_cpu_there_and_what_was_begun_with_elsewhere(folder):
    assert choose_decoder("", folder, SPEC, "cpu", ["a.jpg"], 2).value == CPU_THREADS
    assert choose_decoder(NVJPEG, folder, SPEC, "cpu", ["a.jpg"], 2).value == CPU_THREADS
    assert choose_decoder(NVJPEG, folder, SPEC, "cuda", ["a.jpg"], 2).value == NVJPEG


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_both_ways_are_compared(folder):
    choice = choose_decoder("", folder, SPEC, "cuda", ["a.jpg", "b.jpg"] * 8, 2)
    assert choice.value in (CPU_THREADS, NVJPEG) and choice.measured
    Image.new("RGB", (8, 8)).save(folder / "small.jpg")
    assert read_on_gpu(folder, SPEC, "cuda", ["small.jpg"])[0].image.is_cuda
