"""Which files are opened at all, and how much of them is read."""

import os
import socket
import threading

import pytest

from wanwu_nb.decoding import Limits, UnreadableImage, files, read_file

CONTENT = b"the bytes of a picture"


@pytest.fixture
def opened(monkeypatch) -> list:
    """The paths that are opened."""
    paths = []
    real = os.open

    def noting(path, *rest):
        paths.append(str(path))
        return real(path, *rest)

    monkeypatch.setattr(files.os, "open", noting)
    return paths


def test_files_and_links_to_files_are_read(tmp_path):
    (tmp_path / "a.jpg").write_bytes(CONTENT)
    (tmp_path / "link.jpg").symlink_to(tmp_path / "a.jpg")
    assert read_file(tmp_path / "a.jpg", Limits()) == CONTENT
    assert read_file(str(tmp_path / "link.jpg"), Limits(max_bytes=len(CONTENT))) == CONTENT


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs POSIX")
@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("kind", ["pipe", "socket", "device", "folder"])
def test_other_kinds_are_refused_and_never_opened(tmp_path, monkeypatch, opened, kind, linked):
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    os.mkfifo("pipe")
    os.mkdir("folder")
    os.symlink("/dev/zero", "device")
    if linked:
        os.symlink(kind, "link.jpg")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        with pytest.raises(UnreadableImage, match=f"^cannot be read: it is a {kind}, not a file$") as error:
            read_file("link.jpg" if linked else kind, Limits())
    assert error.value.stage == "read"
    assert opened == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs POSIX")
def test_a_pipe_that_takes_a_files_place_does_not_hold_the_reader(tmp_path, monkeypatch):
    path = tmp_path / "a.jpg"
    path.write_bytes(CONTENT)
    before = os.stat(path)
    path.unlink()
    os.mkfifo(path)
    monkeypatch.setattr(files.os, "stat", lambda path: before)
    reasons = []

    def attempt():
        with pytest.raises(UnreadableImage) as error:
            read_file(path, Limits())
        reasons.append(str(error.value))

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(10)
    assert reasons == ["cannot be read: it is a pipe, not a file"]


def test_a_file_that_is_too_large_is_not_opened(tmp_path, opened):
    with open(tmp_path / "hole.jpg", "wb") as file:
        file.truncate(2**34)  # a hole: it takes no room
    with pytest.raises(UnreadableImage, match="its 17,179,869,184 bytes are more than max_bytes=536,870,912") as error:
        read_file(tmp_path / "hole.jpg", Limits())
    assert error.value.stage == "read"
    assert opened == []


def test_what_the_file_system_says_is_the_reason(tmp_path):
    (tmp_path / "a.jpg").write_bytes(CONTENT)
    (tmp_path / "round.jpg").symlink_to("round.jpg")
    for name, reason in {"gone.jpg": "No such file", "a.jpg/b.jpg": "Not a directory", "round.jpg": "symbolic"}.items():
        with pytest.raises(UnreadableImage, match=f"^cannot be read: .*{reason}") as error:
            read_file(tmp_path / name, Limits())
        assert error.value.stage == "read"


def test_an_empty_file_says_so(tmp_path):
    (tmp_path / "a.jpg").touch()
    with pytest.raises(UnreadableImage, match=r"^file is empty \(0 bytes\)$") as error:
        read_file(tmp_path / "a.jpg", Limits())
    assert error.value.stage == "decode"
