"""From the bytes of a file to upright RGB, whatever the format; what cannot be decoded says why."""

from .files import DEFAULT_LIMITS, Limits, UnreadableImage, read_file
from .reasons import reason_of
from .rgb import decode, decode_content

__all__ = ["DEFAULT_LIMITS", "Limits", "UnreadableImage", "decode", "decode_content", "read_file", "reason_of"]
