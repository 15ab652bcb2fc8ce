"""May these tags be trusted? Agreement of two runs, accuracy against ground truth, each with its interval."""

from ..agreement import Share, agreement, differences, matches, score_drift, wilson
from .truth import Truth, accuracy, read_truth

__all__ = ["Share", "Truth", "accuracy", "agreement", "differences", "matches", "read_truth", "score_drift", "wilson"]
