"""tags.parquet: a row a picture, its objects as a list of structs; for pandas, DuckDB, Polars and others."""

import json
from typing import Any

from ..tagged import Tagged
from ..text import printable
from .packages import package
from .writer import Job

NAME = "tags.parquet"
GROUP, GROUP_OBJECTS = 50_000, 500_000  # pictures, or objects, of a row group


class ParquetWriter:
    """Writes tags.parquet in row groups; the model's fingerprint and the settings are its metadata.

    >>> writer = ParquetWriter(job)
    >>> writer.add(tagged)
    >>> writer.finish()
    """

    def __init__(self, job: Job) -> None:
        self._arrow = package("pyarrow")
        parquet = package("pyarrow.parquet")
        self._schema = _schema(self._arrow, job)
        self._struct = self._schema.field("objects").type.value_type
        self._file = parquet.ParquetWriter(str(job.target.path(NAME)), self._schema, compression="zstd")
        job.target.close_at_end(self._file.close)
        self._begin_group()

    def add(self, tagged: Tagged) -> None:
        """Take one picture's result."""
        row = (printable(tagged.image), tagged.width, tagged.height, tagged.damaged)
        for column, value in zip(self._pictures, row, strict=True):
            column.append(value)
        for tag in tagged.objects:
            corners = tag.bbox or (None, None, None, None)
            confidence = round(tag.confidence, 4)
            texts = printable(tag.category), printable(tag.english), tag.by
            values = (printable(tag.label), tag.label_id, confidence, *corners, tag.unsure, *texts)
            for column, value in zip(self._objects, values, strict=True):
                column.append(value)
        count = len(self._objects[0])
        self._ends.append(count)
        if len(self._pictures[0]) == GROUP or count >= GROUP_OBJECTS:
            self._write_group()

    def finish(self) -> None:
        """Write the last group."""
        self._write_group()

    def _begin_group(self) -> None:
        self._pictures: list[list[Any]] = [[], [], [], []]
        self._objects: list[list[Any]] = [[] for _ in self._struct]
        self._ends = [0]

    def _write_group(self) -> None:
        arrow = self._arrow
        fields = list(self._struct)
        arrays = [arrow.array(values, field.type) for values, field in zip(self._objects, fields, strict=True)]
        structs = arrow.StructArray.from_arrays(arrays, fields=fields)
        ends = arrow.array(self._ends, arrow.int32())
        list_type = self._schema.field("objects").type
        objects = arrow.ListArray.from_arrays(ends, structs, type=list_type)
        columns = [arrow.array(values, self._schema.field(i).type) for i, values in enumerate(self._pictures)]
        table = arrow.Table.from_arrays([*columns, objects], schema=self._schema)
        self._file.write_table(table)
        self._begin_group()


def _schema(arrow: Any, job: Job) -> Any:
    coordinate = arrow.float32()
    fields = [
        arrow.field("label", arrow.string()),
        arrow.field("label_id", arrow.int32()),
        arrow.field("confidence", arrow.float32()),
        arrow.field("x1", coordinate),
        arrow.field("y1", coordinate),
        arrow.field("x2", coordinate),
        arrow.field("y2", coordinate),
        arrow.field("unsure", arrow.bool_()),
        arrow.field("category", arrow.string()),
        arrow.field("english", arrow.string()),
        arrow.field("by", arrow.string()),
    ]
    columns = [
        arrow.field("image", arrow.string()),
        arrow.field("width", arrow.int32()),
        arrow.field("height", arrow.int32()),
        arrow.field("damaged", arrow.bool_()),
        arrow.field("objects", arrow.list_(arrow.struct(fields))),
    ]
    metadata = {
        "fingerprint": str(job.source.model.get("fingerprint", "")),
        "model": json.dumps(job.source.model),
        "settings": json.dumps(job.source.settings),
    }
    return arrow.schema(columns, metadata=metadata)
