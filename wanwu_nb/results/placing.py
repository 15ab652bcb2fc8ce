"""Files of an output folder put into place whole: whoever looks sees the old one or the new, never half."""

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from glob import escape, glob
from pathlib import Path

from .file_systems import concerns_one_name


class Placer:
    """Puts files into an output `folder`, one at a time: written under one temporary name, then moved.

    Paths are texts here: this is done once a picture.

    >>> Placer(Path("runs/tags")).put_json("shoes/a.jpg", b"{}")
    ''
    """

    def __init__(self, folder: Path):
        self._folder = str(folder)
        self._images = os.path.join(self._folder, "images")
        self._partial = os.path.join(self._folder, ".partial")
        self.written = 0

    def put(self, name: str, content: bytes) -> None:
        """Put a file of that name into the folder itself. Raises OSError."""
        self._write(content)
        os.replace(self._partial, os.path.join(self._folder, name))

    def put_folder(self, name: str, files: Mapping[str, bytes]) -> None:
        """Put a sub-folder with these files into place whole, instead of one of that name. Raises OSError."""
        place, partial = os.path.join(self._folder, name), f"{self._partial}.{name}"
        shutil.rmtree(partial, ignore_errors=True)  # of a killed run, that was not cleared
        os.mkdir(partial)
        for file_name, content in files.items():
            with open(os.path.join(partial, file_name), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        self.remove_folder(name)
        os.rename(partial, place)

    def remove_folder(self, name: str) -> None:
        """Take a sub-folder away, where there is one. Raises OSError."""
        place = os.path.join(self._folder, name)
        if os.path.isdir(place):
            shutil.rmtree(place)

    def put_json(self, image: str, content: bytes) -> str:
        """Put a picture's JSON where `json_path` has it; `written` is its time then.

        Returns "", or why it cannot be named so. Raises OSError for what concerns all pictures.
        """
        self.written = self._write(content)
        try:
            self._move_json(self._json_path(image))
        except OSError as error:
            if not concerns_one_name(error) or not os.path.isdir(self._images):
                raise
            return f"its result cannot be named images/{image}.json: {error.strerror}"
        return ""

    def remove_json(self, image: str) -> None:
        """Take the picture's JSON away, where there is one."""
        with suppress(OSError):
            os.unlink(self._json_path(image))

    def clear(self) -> None:
        """Remove what a stopped run left half written."""
        with suppress(OSError):
            os.unlink(self._partial)
        for folder in glob(f"{escape(self._partial)}.*"):
            shutil.rmtree(folder, ignore_errors=True)

    def _json_path(self, image: str) -> str:
        return f"{self._images}{os.sep}{image}.json"

    def _write(self, content: bytes) -> int:
        """Returns the time of the file."""
        with open(self._partial, "wb", buffering=0) as file:
            while content:
                written = file.write(content)
                content = content[written:]
            return os.fstat(file.fileno()).st_mtime_ns

    def _move_json(self, path: str) -> None:
        """Most sub-folders are there."""
        try:
            os.replace(self._partial, path)
        except FileNotFoundError:
            if not os.path.isdir(self._images):
                raise
            os.makedirs(os.path.dirname(path), exist_ok=True)
            os.replace(self._partial, path)
