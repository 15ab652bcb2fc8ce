"""A notebook's parameters: typed, within bounds, unknown names refused. One list, for notebook and `tag_folder`."""

import difflib
from collections.abc import Iterable
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Kind = TypeVar("Kind", bound=BaseModel)


class Settings(BaseModel):
    """The parameters of notebooks/03_tag_batch.ipynb. The names are an interface: schedules depend on them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    image_dir: str = Field("demo", min_length=1, description='folder of pictures, sub-folders too; "demo" draws some')
    output_dir: str = Field("runs/tags", min_length=1, description="where results go, and where a run resumes")
    model: str = Field("demo", min_length=1, description='"demo", a folder, a file or "torchvision/…": docs/models.md')
    labels: str = Field("", description="labels file, for a model that comes without or with others")
    architecture: str = Field("", description='"timm/…" or "torchvision/…", for a file of weights alone')
    trust_pickle: bool = Field(False, description="open a pickled module, which runs the code inside it")
    batch_size: int = Field(0, ge=0, le=1024, description="pictures in one forward; 0: measured")
    conf_threshold: float = Field(0.3, ge=0, le=1, description="keep objects at least this sure")
    nms_iou: float = Field(0.5, ge=0, le=1, description="drop a box that overlaps a surer one of its class by more")
    top_k: int = Field(100, ge=1, description="objects kept a picture at most")
    device: str = Field("auto", min_length=1, description='"auto", "cpu", "cuda", "cuda:1"')
    precision: Literal["auto", "fp32", "fp16", "bf16"] = Field("auto", description='"auto", "fp32", "fp16", "bf16"')
    compile: bool | Literal["auto"] = Field("auto", description='torch.compile: True, False or "auto", where it pays')
    workers: int = Field(0, ge=0, le=256, description="decoding threads; 0: by cores")
    resume: bool = Field(True, description="leave finished pictures alone")
    limit: int = Field(0, ge=0, description="only the first N pictures; 0: all")
    max_failed: float = Field(0.1, ge=0, le=1, description="the run fails above this share of failed pictures")
    demo_images: int = Field(24, ge=1, le=100_000, description='pictures drawn where image_dir is "demo"')


class ProfileSettings(BaseModel):
    """The parameters of notebooks/01_profile_baseline.ipynb, and the first of 02_speed_up.ipynb."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    image_dir: str = Field("demo", min_length=1, description='folder of pictures, sub-folders too; "demo" draws some')
    model: str = Field("demo", min_length=1, description='"demo", a folder, a file or "torchvision/…": docs/models.md')
    labels: str = Field("", description="labels file, for a model that comes without or with others")
    architecture: str = Field("", description='"timm/…" or "torchvision/…", for a file of weights alone')
    trust_pickle: bool = Field(False, description="open a pickled module, which runs the code inside it")
    limit: int = Field(24, ge=2, le=1000, description="pictures to measure with: the default script is slow")
    device: str = Field("auto", min_length=1, description='"auto", "cpu", "cuda", "cuda:1"')


class SpeedUpSettings(ProfileSettings):
    """The parameters of notebooks/02_speed_up.ipynb."""

    batch_size: int = Field(8, ge=1, le=1024, description="pictures in one forward")
    steps: str = Field("all", min_length=1, description='"all", or some of them, as in "resident, batched"')
    repeats: int = Field(3, ge=1, le=100, description="timed runs a step; fewer where they take over 30 s")
    truth: str = Field("", description="COCO file of what is in the pictures, for accuracy; the demo brings its own")
    min_agreement: float = Field(0.99, ge=0, le=1, description="a step that surely keeps fewer of the tags is an error")


def check_settings(kind: type[Kind] = Settings, **values: Any) -> Kind:
    """Settings from `values`, defaults for the rest. Raises ValueError: one line that names what is wrong."""
    try:
        return kind(**values)
    except ValidationError as error:
        raise ValueError("; ".join(explain(problem, kind.model_fields) for problem in error.errors())) from None


def read_parameters(namespace: dict[str, Any], kind: type[Kind] = Settings) -> Kind:
    """Settings from a notebook's `globals()`, where papermill put its parameters.

    A public variable with a plain value that is no parameter is taken for a misspelt one, and refused: papermill itself
    would run on the defaults. Keep variables of your own private with a leading underscore.
    """
    plain = {
        name: value
        for name, value in namespace.items()
        if not name.startswith("_") and (name in kind.model_fields or isinstance(value, str | int | float | list))
    }
    plain.pop("In", None)  # IPython's own list of the cells run
    missing = [name for name in kind.model_fields if name not in plain]
    if missing:
        raise ValueError(f"parameters {', '.join(missing)} are gone: restore them in the parameters cell")
    return check_settings(kind, **plain)


def explain(problem: dict, fields: dict) -> str:
    name, value = str(problem["loc"][0]), problem["input"]
    if problem["type"] == "extra_forbidden":
        return f"unknown parameter {name}: {suggestion(name, fields)}"
    if problem["type"] == "string_type":
        return f"{name} must be text, not {value!r}: papermill's -p makes numbers of digits, use -r {name} {value}"
    meaning = fields[name].description
    return f"{name}={value!r} is not valid: {problem['msg'][0].lower()}{problem['msg'][1:]} ({meaning})"


def suggestion(name: str, known: Iterable[str]) -> str:
    """What may have been meant by a name that is none."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
