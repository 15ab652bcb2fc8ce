"""The formats by name, and a list of them as people write it."""

from collections.abc import Callable, Iterable

from ..advice import suggestion
from ..errors import SettingsError
from .coco import CocoWriter
from .csv_tables import CsvWriter
from .gallery import GalleryWriter
from .jsonl import JsonlWriter
from .label_studio import LabelStudioWriter
from .parquet import ParquetWriter
from .voc import VocWriter
from .workbook import WorkbookWriter
from .writer import Job, Writer
from .yolo import YoloWriter

KINDS: dict[str, Callable[[Job], Writer]] = {
    "csv": CsvWriter,
    "xlsx": WorkbookWriter,
    "coco": CocoWriter,
    "yolo": YoloWriter,
    "voc": VocWriter,
    "labelstudio": LabelStudioWriter,
    "parquet": ParquetWriter,
    "jsonl": JsonlWriter,
    "gallery": GalleryWriter,
}


def read_kinds(kinds: str | Iterable[str]) -> list[str]:
    """Returns the names of exports in "csv, COCO" or in a list, each once. Raises SettingsError for an unknown one.

    >>> read_kinds("csv, COCO")
    ['csv', 'coco']
    """
    parts = kinds.replace("，", ",").split(",") if isinstance(kinds, str) else list(kinds)
    names: list[str] = []
    for part in parts:
        name = str(part).strip().casefold()
        if name and name not in KINDS:
            raise SettingsError(f"unknown export {name}: {suggestion(name, KINDS)}")
        if name and name not in names:
            names.append(name)
    return names
