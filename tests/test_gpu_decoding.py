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
        assert (together.name, together.placement, together.failure) == (alone.name, alone.placement, alone.failure)
        assert version(together) == version(alone)
        assert together.image is alone.image is None or torch.equal(together.image, alone.image)


def version(picture):
    """Of its file; the time of the last access is no part of it."""
    return picture.stat and (picture.stat.st_size, picture.stat.st_mtime_ns)


def test_only_upright_colour_jpegs_go_to_the_gpu(folder):
    taken = {path.name for path in folder.iterdir() if upright_jpeg(path)}
    assert taken == {"a.jpg", "b.jpg", "half.jpg"}


def test_the_choice_is_the_cpu_there_and_what_was_begun_with_elsewhere(folder):
    assert choose_decoder("", folder, SPEC, "cpu", ["a.jpg"], 2).value == CPU_THREADS
    assert choose_decoder(NVJPEG, folder, SPEC, "cpu", ["a.jpg"], 2).value == CPU_THREADS
    assert choose_decoder(NVJPEG, folder, SPEC, "cuda", ["a.jpg"], 2).value == NVJPEG


def test_a_second_run_of_the_same_pictures_does_not_measure_again(folder, monkeypatch):
    read_together = []

    def on_gpu(where, spec, device, names):
        read_together.append(len(names))
        return [read(where, spec, name) for name in names]

    monkeypatch.setattr("torch.cuda.synchronize", lambda device: None)
    monkeypatch.setattr("wanwu_nb.gpu_decoding.read_on_gpu", on_gpu)
    names = ["a.jpg", "b.jpg"] * 8
    first = choose_decoder("", folder, SPEC, "cuda", names, 2)
    assert first.measured and read_together == [4, 16]
    assert choose_decoder("", folder, SPEC, "cuda", names, 2) == first and read_together == [4, 16]
    choose_decoder("", folder, SPEC, "cuda", names[1:], 2)
    assert read_together == [4, 16, 4, 15]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_both_ways_are_compared(folder):
    choice = choose_decoder("", folder, SPEC, "cuda", ["a.jpg", "b.jpg"] * 8, 2)
    assert choice.value in (CPU_THREADS, NVJPEG) and choice.measured
    Image.new("RGB", (8, 8)).save(folder / "small.jpg")
    assert read_on_gpu(folder, SPEC, "cuda", ["small.jpg"])[0].image.is_cuda
