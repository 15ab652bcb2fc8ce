"""What a user can mend, each in one sentence; one base class for all of it.

    WanwuError
    ├── SettingsError        a parameter                          (ValueError)
    ├── ModelError           a model, its weights, labels, output (ValueError)
    ├── PicturesError        a folder without a picture           (ValueError)
    ├── VocabularyError      a table of the user's words          (ValueError)
    ├── TruthError           a ground truth that does not fit     (ValueError)
    ├── ResultsError         results that cannot be read          (ValueError)
    ├── MeasurementError     a measurement that is not possible   (ValueError)
    ├── MissingFile          what is not there                    (FileNotFoundError)
    ├── NotAFolder           a file where a folder was expected   (NotADirectoryError)
    ├── DeviceError          a device that was lost               (RuntimeError)
    └── OutputError          a folder that cannot be written      (OSError)
        └── OutputBusy       a folder that another run writes to  (BlockingIOError)

Each is also the built-in error that fits, so that `except ValueError` goes on working. A notebook shows the sentence
alone, and the traceback where it is asked for it: `%tb` in the next cell, or WANWU_NB_TRACEBACK=1 before the run.
"""

from .notebook import in_brief


class WanwuError(Exception):
    """Base of all errors of this package; the text is one sentence: what is wrong, where, what to do.

    >>> try:
    ...     tag_folder(model, "photos", "tags", conf_threshold=2)
    ... except WanwuError as error:
    ...     print(error)
    """

    def _render_traceback_(self) -> list[str]:  # IPython asks for it
        return in_brief(self)


class SettingsError(WanwuError, ValueError):
    """A parameter that is misspelt, of the wrong type or out of range."""


class ModelError(WanwuError, ValueError):
    """A model, weights file, labels file or network output that cannot be served."""


class PicturesError(WanwuError, ValueError):
    """A folder that holds no picture, or none that can be read."""


class VocabularyError(WanwuError, ValueError):
    """A table of the user's words that cannot be read, or asks for what cannot be."""


class CorrectionsError(WanwuError, ValueError):
    """A table of corrections that cannot be read, or says what cannot be meant."""


class TruthError(WanwuError, ValueError):
    """A file of ground truth that is none, or does not fit the pictures."""


class ResultsError(WanwuError, ValueError):
    """Results on disk that are broken."""


class MeasurementError(WanwuError, ValueError):
    """A measurement that is not possible here."""


class MissingFile(WanwuError, FileNotFoundError):
    """A file or folder that is not there."""


class NotAFolder(WanwuError, NotADirectoryError):
    """A file where a folder was expected."""


class DeviceError(WanwuError, RuntimeError):
    """A device that was lost in the middle of a run."""


class OutputError(WanwuError, OSError):
    """An output folder that cannot be written."""


class OutputBusy(OutputError, BlockingIOError):
    """An output folder that another run is writing to."""


def first_line(error: BaseException) -> str:
    """What an error says, as a reason to give.

    Returns its first line, or the name of its class where it says nothing.

    >>> first_line(RuntimeError("out of memory\\nand a stack of C++ frames"))
    'out of memory'
    """
    text = str(error).strip()
    if not text:
        return type(error).__name__
    return text.splitlines()[0]
