"""Paths as people give them: `~` means home, and a path of another system is refused. Wherever a path is taken."""

import os
import platform
import re

from .errors import SettingsError

ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")  # s3://, smb://, file://
DRIVE_OR_SHARE = re.compile(r"[A-Za-z]:([\\/]|$)|\\\\")  # D:\photos, D:/photos, D:, \\server\share


def local_path(path: str | os.PathLike[str]) -> str:
    """Returns `path` with the home folder for a `~` in front, and every other path as it was given.

    Raises SettingsError, in one sentence, for what is no path on this machine: an address, a path of Windows on another
    system, the home folder of nobody. A `~` or a backslash in the name of something that lies here is part of the name.

    >>> local_path("~/photos")
    '/home/me/photos'
    """
    text = os.fsdecode(path)
    if "\0" in text:
        raise SettingsError(f"{text!r} holds a zero byte, which no path can: give the path without it")
    if ADDRESS.match(text):
        raise SettingsError(f"{text} is an address, not a path: mount or download it, and give the path it has here")
    if os.sep == "/":
        _check_it_is_not_of_windows(text)
    return _with_home(text)


def _check_it_is_not_of_windows(text: str) -> None:
    """As a name on this system it would be legal, and a folder `D:\\tags` would be made beside the notebook."""
    if DRIVE_OR_SHARE.match(text):
        system = platform.system()
        raise SettingsError(
            f"{text} is a path of Windows, and this is {system}: give the path it has here, such as /mnt/photos"
        )
    if "\\" in text and not os.path.lexists(text):
        raise SettingsError(
            f"{text} is written with \\, as on Windows, and nothing of that name is here: write it with /"
        )


def _with_home(text: str) -> str:
    if not text.startswith("~"):
        return text
    expanded = os.path.expanduser(text)
    if expanded == text and not os.path.lexists(text):
        raise SettingsError(f"{text} lies in a home folder that is not known here: give the whole path")
    return expanded


def as_typed(value: object) -> str:
    """The name that papermill's `-p` made a number of, where a single one that lies here fits.

    `2024_01_15` comes as 20240115, `007` as 7, `2024.10` as 2024.1: what was typed cannot be told from the number.
    Returns "" where it cannot be told from what lies in the working folder either.

    >>> as_typed(20240115)
    '2024_01_15'
    """
    try:
        names = os.listdir()
    except OSError:
        return ""
    fitting = [name for name in names if repr(_as_papermill_reads(name)) == repr(value)]
    if len(fitting) != 1:
        return ""
    return fitting[0]


def _as_papermill_reads(text: str) -> object:
    constants = {"True": True, "False": False, "None": None}
    if text in constants:
        return constants[text]
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text
