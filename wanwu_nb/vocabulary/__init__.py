"""The user's own words: labels renamed, merged, dropped, put under a category, each with a threshold of its own."""

from .reading import read_vocabulary
from .words import NO_WORDS, Vocabulary, Word

__all__ = ["NO_WORDS", "Vocabulary", "Word", "read_vocabulary"]
