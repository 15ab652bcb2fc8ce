"""What may be asked of exports, each with a good default."""

from typing import Literal

from pydantic import Field

from ..settings import LocalPath, Settings


class ExportOptions(Settings):
    """What `export` takes beside the formats.

    Example: `ExportOptions(copy_pictures=True)`
    """

    copy_pictures: bool = Field(False, description="yolo, voc: copy the pictures too, each turned upright")
    orientation: Literal["upright", "file"] = Field(
        "upright", description='coco, yolo, voc: boxes of upright pictures, or in the pixels as the "file" has them'
    )
    thumbnails: bool = Field(False, description="xlsx: small pictures in the first column")
    image_dir: LocalPath = Field("", description="where the pictures lie now, if not where they were tagged")
