"""Label files are named as their picture without its suffix: a.jpg and a.png would share one."""

import os
import unicodedata
from collections.abc import Iterable


class Stems:
    """Gives each picture a name of its own without its suffix, on file systems that ignore case too.

    The first by name keeps its own; another gets its suffix into it, a_png, and a number where that is taken as well.

    >>> stems = Stems(["a.jpg", "a.png"])
    >>> stems.of("a.jpg"), stems.of("a.png")
    ('a', 'a_png')
    """

    def __init__(self, images: Iterable[str]) -> None:
        self._owners: dict[str, str] = {}  # folded stem → picture
        self._renamed: dict[str, str] = {}
        others = []
        for image in images:
            stem, _ = os.path.splitext(image)
            owner = self._owners.setdefault(_folded(stem), image)
            if owner != image:
                others.append(image)
        for image in others:
            stem = self._free(image)
            self._owners[_folded(stem)] = image
            self._renamed[image] = stem

    def of(self, image: str) -> str:
        """Returns the picture's name without its suffix, or the one it has instead.

        >>> Stems(["a.jpg"]).of("a.jpg")
        'a'
        """
        stem, _ = os.path.splitext(image)
        return self._renamed.get(image, stem)

    def rival(self, image: str) -> str:
        """Returns the picture that has the name `image` would have; "" where it has its own.

        >>> Stems(["a.jpg", "a.png"]).rival("a.png")
        'a.jpg'
        """
        if image not in self._renamed:
            return ""
        stem, _ = os.path.splitext(image)
        return self._owners[_folded(stem)]

    def _free(self, image: str) -> str:
        stem, suffix = os.path.splitext(image)
        wanted = f"{stem}_{suffix.removeprefix('.').lower()}"
        candidate = wanted
        number = 2
        while _folded(candidate) in self._owners:
            candidate = f"{wanted}_{number}"
            number += 1
        return candidate


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
