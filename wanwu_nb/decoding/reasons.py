"""What decoders say about a picture, in words that a person understands."""

PIXELS = ("decompressionbomb", "exceeds limit", "image dimensions too large", "size exceed")
MEMORY = (
    "memoryerror",
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "memory allocation",
    "bad_alloc",
)
ENDS_EARLY = (
    "truncat",
    "incomplete",
    "premature",
    "out of bound read",
    "not enough image data",
    "end of file",
    "end of data",
    "eoferror",
    "buffer is not large enough",
    "not enough data",
)

TRUNCATED = "cannot be decoded: the file ends early (truncated): copy or download it again"
NO_MEMORY = "cannot be decoded: there is not enough memory for it: make it smaller, or set a lower max_pixels"
TOO_LARGE = "too many pixels: a decoder refuses a picture of this size: make it smaller"
DAMAGED = "cannot be decoded: its data are damaged, or of a rare kind: copy it again, or save it anew as JPEG or PNG"


def reason_of(error: BaseException) -> str:
    """Returns why a picture could not be decoded: one sentence, with nothing of the decoder's own wording.

    >>> reason_of(OSError("image file is truncated (178 bytes not processed)"))
    'cannot be decoded: the file ends early (truncated): copy or download it again'
    """
    said = f"{type(error).__name__}: {error}".lower()
    for words, reason in ((MEMORY, NO_MEMORY), (PIXELS, TOO_LARGE), (ENDS_EARLY, TRUNCATED)):
        if any(word in said for word in words):
            return reason
    return DAMAGED
