"""tags.jsonl: a line a picture, as its JSON has it."""

from ..results import result_record, to_json
from ..tagged import Tagged
from .writer import Job

NAME = "tags.jsonl"


class JsonlWriter:
    """Writes tags.jsonl.

    >>> writer = JsonlWriter(job)
    >>> writer.add(tagged)
    >>> writer.finish()
    """

    def __init__(self, job: Job) -> None:
        self._file = job.target.open(NAME)

    def add(self, tagged: Tagged) -> None:
        """Take one picture's result."""
        record = result_record(tagged)
        self._file.write(to_json(record))

    def finish(self) -> None:
        """Nothing is left to write."""
