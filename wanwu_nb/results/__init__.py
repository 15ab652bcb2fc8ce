"""Results on disk: one JSON a picture, the ledger that a stopped run goes on from, and the one reader of it all."""

from .folder import OutputFolder, set_aside_summary
from .jsons import to_json
from .records import LEDGER, json_path, read_result, read_results, result_record, run_key

__all__ = [
    "LEDGER",
    "OutputFolder",
    "json_path",
    "read_result",
    "read_results",
    "result_record",
    "run_key",
    "set_aside_summary",
    "to_json",
]
