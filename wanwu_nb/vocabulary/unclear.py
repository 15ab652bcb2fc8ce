"""Why a vocabulary cannot be read."""


class Unclear(Exception):
    """The reason alone; `read_vocabulary` puts the file's name in front."""
