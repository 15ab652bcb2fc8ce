"""What is wrong with a parameter, in one sentence, and what may have been meant."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic.fields import FieldInfo

from .paths import as_typed


def explain(problem: Mapping[str, Any], fields: Mapping[str, FieldInfo]) -> str:
    """Returns one of pydantic's problems with the fields of some settings, as a person would say it.

    >>> explain(error.errors()[0], TagSettings.model_fields)
    'unknown parameter conf_treshold: did you mean conf_threshold?'
    """
    name = str(problem["loc"][0])
    value = problem["input"]
    if problem["type"] == "extra_forbidden":
        return f"unknown parameter {name}: {suggestion(name, fields)}"
    if problem["type"] == "string_type":
        return f"{name} must be text, not {_advise_text(name, value)}"
    if problem["type"] == "value_error":
        return f"{name}: {problem['ctx']['error']}"
    message = problem["msg"]
    first_letter, rest = message[0], message[1:]
    message = first_letter.lower() + rest
    meaning = fields[name].description
    return f"{name}={value!r} is not valid: {message} ({meaning})"


def _advise_text(name: str, value: object) -> str:
    if value is not None and not isinstance(value, int | float):
        kind = type(value).__name__
        return f"a {kind}"
    typed = as_typed(value) or "NAME, with the name as it was typed"
    return f"{value!r}: papermill's -p makes numbers of digits, use -r {name} {typed}"


def suggestion(name: str, known: Iterable[str]) -> str:
    """Returns what may have been meant by a name that is none.

    >>> suggestion("Batchsize", ["batch_size", "limit"])
    'did you mean batch_size?'
    """
    names = list(known)
    close = closest(name, names)
    if close:
        return f"did you mean {close}?"
    all_names = ", ".join(names)
    return f"known are {all_names}"


def closest(name: str, known: Iterable[str]) -> str:
    """Returns the known name that is most like `name`, in whatever case it is written; "" where none is.

    >>> closest("IMAGE_DIR", ["image_dir", "limit"])
    'image_dir'
    """
    by_small_letters = {one.casefold(): one for one in known}
    close = difflib.get_close_matches(name.casefold(), by_small_letters, n=1)
    if not close:
        return ""
    return by_small_letters[close[0]]
