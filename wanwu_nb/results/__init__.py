"""Results on disk: one JSON a picture, the ledger that a stopped run goes on from, and the one reader of it all."""

from .folder import LABELS, OutputFolder
from .jsons import to_json
from .raw import RawObjects, RawSource
from .raw_reading import read_raw
from .records import LEDGER, json_path, precision_in_keys, read_result, read_results, result_record, run_key
from .setting_aside import set_aside_summary

__all__ = [
    "LABELS",
    "LEDGER",
    "OutputFolder",
    "RawObjects",
    "RawSource",
    "json_path",
    "precision_in_keys",
    "read_raw",
    "read_result",
    "read_results",
    "result_record",
    "run_key",
    "set_aside_summary",
    "to_json",
]
