"""The parameters: each declared once, typed, within bounds, unknown names refused. Notebook by notebook, and by use.

The names are an interface: schedules depend on them. Importing this room costs no torch.
"""

import os
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from .advice import explain
from .errors import SettingsError
from .paths import local_path

CONF_THRESHOLD, NMS_IOU, TOP_K = 0.3, 0.5, 100
PICTURE_TIMEOUT = 120.0  # seconds
RAW_FLOOR = 0.05
INT8_AGREEMENT = 0.95
INT8 = "int8"  # made for each output folder from its own pictures: the model itself is loaded in FP32
DEMO_TRUTH = "truth.coco.json"  # lies beside the demo's pictures
MAX_PIXELS, MAX_BYTES = 200_000_000, 512 * 2**20


def _as_local(value: Any) -> Any:
    """What is no path at all is left to pydantic, which says so."""
    if isinstance(value, str | os.PathLike):
        return local_path(value)
    return value


def model_for(image_dir: str) -> str:
    """Returns the model that "auto" stands for: the demo's for the demo's own pictures, the everyday tagger for others.

    >>> model_for("photos")
    'everyday'
    """
    if image_dir == "demo" or (Path(image_dir) / DEMO_TRUTH).is_file():
        return "demo"
    return "everyday"


def about_model(model: str, image_dir: str) -> str:
    """Returns what a model knows, why it was taken, and what would know more: for whoever reads the notebook.

    >>> print(about_model("everyday", "photos"))
    model    模型: everyday, 1,000 everyday things in photographs 照片中的 1,000 种日常事物…
    """
    known = KNOWN.get(model, "")
    if not known:
        return f"model    模型: {model}"
    lines = [f"model    模型: {model}, {known}"]
    if model == model_for(image_dir):
        pictures = "the demo's own 演示图片" if model == "demo" else "not the demo's 非演示图片"
        lines.append(f"because  原因: these pictures are {pictures}")
    return "\n".join([*lines, KNOWS_MORE])


def _resolved(model: str, info: ValidationInfo) -> str:
    if model != "auto" or "image_dir" not in info.data:  # the folder may be refused itself
        return model
    return model_for(info.data["image_dir"])


LocalPath = Annotated[str, BeforeValidator(_as_local)]  # the home folder for `~`; a Path is taken too
ModelOfPictures = Annotated[LocalPath, AfterValidator(_resolved)]
Precision = Literal["auto", "fp32", "fp16", "bf16", "int8"]
Kind = TypeVar("Kind", bound="Settings")
KNOWN = {
    "demo": "20 drawn products and nothing else 只认识 20 种绘制的商品",
    "everyday": "1,000 everyday things in photographs, one tag a picture 照片中的 1,000 种日常事物，整图标签",
}
KNOWS_MORE = (
    "more     更多: 万物识别, 54,092 classes 类: `modelscope download --model "
    "damo/cv_resnest101_general_recognition --local_dir wanwu`, then model=wanwu; "
    "boxes 带框: model=torchvision/fasterrcnn_resnet50_fpn_v2"
)
EXPORTS = "any of csv, gallery, xlsx, coco, yolo, voc, labelstudio, parquet, jsonl: docs/results.md"
MODEL = '"auto" by the pictures, "everyday", "demo", a folder, a file, "torchvision/…": docs/models.md'


class Settings(BaseModel):
    """What all settings have in common."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def part(self, kind: type["Settings"]) -> dict[str, Any]:
        """Returns those of these settings that `kind` has too, as keyword arguments.

        >>> ResidentModel.load(**settings.part(ModelSettings))
        """
        return self.model_dump(include=set(kind.model_fields))


# pydantic lists the fields of the last base first: bases stand in the reverse of the order that people read.


class _Pictures(Settings):
    image_dir: LocalPath = Field(
        "demo", min_length=1, description='folder of pictures, sub-folders too; "demo" draws some'
    )


class _Folders(_Pictures):
    output_dir: LocalPath = Field("runs/tags", min_length=1, description="where results go, and where a run resumes")


class _Model(Settings):
    model: LocalPath = Field(
        "demo", min_length=1, description='"everyday", "demo", a folder, a file or "torchvision/…": docs/models.md'
    )
    labels: LocalPath = Field("", description="labels file, for a model that comes without or with others")
    architecture: str = Field("", description='"timm/…" or "torchvision/…", for a file of weights alone')
    trust_pickle: bool = Field(False, description="open a pickled module, which runs the code inside it")
    device: str = Field("auto", min_length=1, description='"auto", "cpu", "cuda", "cuda:1"')


class ModelSettings(_Model):
    """What `ResidentModel.load` takes."""

    precision: Precision = Field("auto", description='"auto", "fp32", "fp16", "bf16", "int8"')


class _Tagging(Settings):
    batch_size: int = Field(0, ge=0, le=1024, description="pictures in one forward; 0: measured")
    conf_threshold: float = Field(CONF_THRESHOLD, ge=0, le=1, description="keep objects at least this sure")
    nms_iou: float = Field(NMS_IOU, ge=0, le=1, description="drop a box that overlaps a surer one of its class by more")
    top_k: int = Field(TOP_K, ge=1, description="objects kept a picture at most")
    vocabulary: LocalPath = Field("", description="table of your own words, .csv or .xlsx: docs/vocabulary.md")
    corrections: LocalPath = Field("", description="table of what persons said, from gallery.html: docs/results.md")
    compile: bool | Literal["auto"] = Field(
        "auto", description='True: torch.compile, False: as it is loaded, "auto": the engine that pays'
    )
    workers: int = Field(0, ge=0, le=256, description="decoding threads; 0: by cores")
    resume: bool = Field(True, description="leave finished pictures alone")
    limit: int = Field(0, ge=0, description="only the first N pictures; 0: all")


class AdvancedSettings(Settings):
    """What is rarely set: keywords of `tag_folder`, and in notebook 03 lines of the parameter `advanced`."""

    orphans: Literal["keep", "move"] = Field("keep", description='results of pictures that are gone: "keep" or "move"')
    max_pixels: int = Field(MAX_PIXELS, ge=1, description="a picture with more pixels fails")
    max_bytes: int = Field(MAX_BYTES, ge=1, description="a picture whose file is larger fails")
    picture_timeout: float = Field(PICTURE_TIMEOUT, gt=0, description="seconds that reading one picture may take")
    verify: bool = Field(False, description="tell a changed picture by its content, not by its size and time stamp")
    raw_floor: float = Field(RAW_FLOOR, ge=0, le=1, description="score down to which raw.jsonl holds objects")
    int8_agreement: float = Field(
        INT8_AGREEMENT, ge=0, le=1, description="share of FP32's tags that INT8 must surely keep to be used"
    )


class TagSettings(AdvancedSettings, _Tagging, _Folders):
    """What `tag_folder` takes."""


class TagBatchSettings(_Tagging, ModelSettings, _Folders):
    """The parameters of notebooks/03_tag_batch.ipynb."""

    model: ModelOfPictures = Field("auto", min_length=1, validate_default=True, description=MODEL)
    exports: str = Field("csv,gallery", description=EXPORTS)
    max_failed: float = Field(0.1, ge=0, le=1, description="the run fails above this share of failed pictures")
    demo_images: int = Field(24, ge=1, le=100_000, description='pictures drawn where image_dir is "demo"')
    advanced: str = Field("", description='rarely set, as in "orphans: move": docs/reliability.md')

    @field_validator("advanced")
    @classmethod
    def _check_advanced(cls, text: str) -> str:
        _read_advanced(text)
        return text

    def part(self, kind: type[Settings]) -> dict[str, Any]:
        """Returns those of these settings that `kind` has too, those of `advanced` among them."""
        values = super().part(kind)
        advanced = _read_advanced(self.advanced)
        values.update(advanced.part(kind))
        return values


class ProfileSettings(_Model, _Pictures):
    """The parameters of notebooks/01_profile_baseline.ipynb, and the first of 02_speed_up.ipynb."""

    model: ModelOfPictures = Field("auto", min_length=1, validate_default=True, description=MODEL)
    limit: int = Field(24, ge=2, le=1000, description="pictures to measure with: the default script is slow")


class SpeedUpSettings(ProfileSettings):
    """The parameters of notebooks/02_speed_up.ipynb."""

    batch_size: int = Field(8, ge=1, le=1024, description="pictures in one forward")
    steps: str = Field("all", min_length=1, description='"all", or some of them, as in "resident, batched"')
    repeats: int = Field(3, ge=1, le=100, description="timed runs a step; fewer where they take over 30 s")
    truth: LocalPath = Field(
        "", description="COCO file of what is in the pictures, for accuracy; the demo brings its own"
    )
    min_agreement: float = Field(0.99, ge=0, le=1, description="a step that surely keeps fewer of the tags is an error")


NOTEBOOKS: dict[str, type[Settings]] = {
    "01_profile_baseline": ProfileSettings,
    "02_speed_up": SpeedUpSettings,
    "03_tag_batch": TagBatchSettings,
}


def _read_advanced(text: str) -> AdvancedSettings:
    """From YAML, a line a setting. Raises SettingsError."""
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError:
        values = text
    if values is None:
        values = {}
    if not isinstance(values, dict):
        names = ", ".join(AdvancedSettings.model_fields)
        raise SettingsError(f'{text!r} is not lines of "name: value": known are {names}')
    return check_settings(AdvancedSettings, **{str(name): value for name, value in values.items()})


def check_settings(kind: type[Kind], **values: Any) -> Kind:
    """Returns settings from `values`, defaults for the rest. Raises SettingsError: one line that names what is wrong.

    >>> check_settings(TagSettings, image_dir="photos", resume="false").resume
    False
    """
    try:
        return kind(**values)
    except ValidationError as error:
        problems = [explain(problem, kind.model_fields) for problem in error.errors()]
        raise SettingsError("; ".join(problems)) from None
