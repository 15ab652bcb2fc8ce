"""What is left out of a folder of pictures, and the reason in words: by its name, or because a run wrote it."""

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from .results import LEDGER
from .versions import version_of

PICTURE = "picture"
SUFFIXES = (
    ".jpg",
    ".jpeg",
    ".jpe",
    ".jfif",
    ".png",
    ".webp",
    ".gif",
    ".bmp",
    ".tif",
    ".tiff",
    ".avif",
    ".heic",
    ".heif",
)
_DRAWN = ".ai .cdr .emf .eps .kra .psb .psd .svg .svgz .wmf .xcf"
_RAW = (
    ".3fr .arw .cr2 .cr3 .crw .dcr .dng .erf .fff .gpr .iiq .kdc .mef .mos .mrw .nef .nrw .orf .pef .ptx .raf .raw "
    ".rw2 .rwl .sr2 .srf .srw .x3f"
)
_OTHER = (
    ".apng .avifs .bpg .cur .dcm .dds .dib .exr .flif .hdr .heics .heifs .hif .icns .ico .j2c .j2k .jng .jp2 .jpc .jpf "
    ".jpm .jpx .jxl .jxr .mng .mpo .pbm .pcx .pfm .pgm .pnm .ppm .qoi .tga .wdp"
)
NOT_SERVED = frozenset([*_DRAWN.split(), *_RAW.split(), *_OTHER.split()])
# What NAS boxes, archives and file systems put beside pictures; in small letters.
SYSTEM_FOLDERS = frozenset(
    [
        "#recycle",
        "#snapshot",
        "$recycle.bin",
        ".appledouble",
        "@eadir",
        "@recycle",
        "@tmp",
        "__macosx",
        "lost+found",
        "network trash folder",
        "system volume information",
        "temporary items",
    ]
)
SYSTEM_FILES = frozenset([".ds_store", "desktop.ini", "ehthumbs.db", "ehthumbs_vista.db", "thumbs.db"])
# What a run leaves in a folder that is tagged in place: a picture, and what begins with a dot.
OURS = frozenset(
    [
        ".in_flight.json",
        ".lock",
        ".lock.exclusive",
        ".model.json",
        ".partial",
        ".vocabulary.sha256",
        "contact_sheet.jpg",
    ]
)
HEAD = 65536  # bytes of a ledger that are looked at


def judge_folder(name: str) -> str:
    """Returns why a folder of this name is not entered; "" where it is.

    >>> judge_folder("@eaDir")
    'system folder'
    """
    if name.lower() in SYSTEM_FOLDERS:
        return "system folder"
    if name.startswith("."):
        return "hidden folder"
    return ""


def judge_file(name: str) -> str:
    """Returns PICTURE, why a file of this name is left out, or "" for one of quite another kind.

    >>> judge_file("cup.PSD")
    'format not served: .psd'
    """
    _, suffix = os.path.splitext(name)
    suffix = suffix.lower()
    hidden = name.startswith(".")
    if suffix in SUFFIXES and not hidden:
        return PICTURE
    if name.lower() in SYSTEM_FILES:
        return "system file"
    if hidden:
        return "hidden file"
    if suffix in NOT_SERVED:
        return f"format not served: {suffix}"
    return ""


def ledger_lines(folder: str) -> list[dict[str, Any]]:
    """What an output folder is told by: a ledger with lines of ours, beside `images`.

    Returns the first of those lines, or none for any other folder.

    >>> ledger_lines("photos")
    []
    """
    path = os.path.join(folder, LEDGER)
    images = os.path.join(folder, "images")
    if not os.path.isfile(path) or not os.path.isdir(images):
        return []
    lines = []
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD)
    except OSError:
        return []
    for content in head.splitlines():
        try:
            line = json.loads(content)
        except (ValueError, RecursionError):
            continue
        if _is_ours(line):
            lines.append(line)
    return lines


def _is_ours(line: Any) -> bool:
    """A picture's line, or what a run noted at its begin."""
    if not isinstance(line, dict) or not isinstance(line.get("key"), str):
        return False
    return isinstance(line.get("image"), str) or isinstance(line.get("choices"), dict)


def tagged_in_place(folder: str, lines: Sequence[dict[str, Any]]) -> bool:
    """Returns whether pictures that its ledger names lie in the output folder itself: they are not what a run wrote.

    >>> tagged_in_place("photos", ledger_lines("photos"))
    False
    """
    for line in lines:
        image = line.get("image", "")
        with suppress(ValueError):  # a name that no file can have
            version = version_of(folder, image)
            if version and (version.size, version.mtime_ns) == (line.get("size"), line.get("mtime")):
                return True
    return False
