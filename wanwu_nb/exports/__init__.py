"""Results in the formats that people take away: tables, data sets for training, labelling tools. Readers of results.

    python -m wanwu_nb.exports OUTPUT_DIR --to coco,xlsx [--to-dir FOLDER]

One file a format; docs/results.md has what each holds, and the lines that load it.
"""

from .exporting import export
from .kinds import KINDS, read_kinds
from .options import ExportOptions
from .outcome import Exports, ExportsFailed

__all__ = ["KINDS", "ExportOptions", "Exports", "ExportsFailed", "export", "read_kinds"]
