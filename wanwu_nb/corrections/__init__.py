"""What a person said of the tags: read from a table, kept in the output folder, and merged into every later result."""

from .applying import KnownLabels, corrected
from .keeping import gathered, of_no_picture
from .reading import read_corrections
from .table import KEPT, Correction, Corrections

__all__ = [
    "KEPT",
    "Correction",
    "Corrections",
    "KnownLabels",
    "corrected",
    "gathered",
    "of_no_picture",
    "read_corrections",
]
