"""What the article that this project starts from says of its own runs: 867 pictures, one RTX 4090, a larger model."""

from typing import TypedDict

ARTICLE_STAGES = {"load": 1.8, "preprocess": 0.6, "forward": 1.5, "postprocess": 0.3}  # its default, seconds a picture


class Figures(TypedDict):
    """What it says of one step."""

    seconds: float  # a picture
    gpu_busy: str
    gpu_memory_gb: float
    accuracy_article: str  # without an interval


ARTICLE: dict[str, Figures] = {
    "default": {"seconds": 4.2, "gpu_busy": "28%", "gpu_memory_gb": 10.1, "accuracy_article": "92.1%"},
    "resident": {"seconds": 2.1, "gpu_busy": "45%", "gpu_memory_gb": 11.3, "accuracy_article": "92.3%"},
    "batched": {"seconds": 0.65, "gpu_busy": "92%", "gpu_memory_gb": 18.2, "accuracy_article": ""},
    "lower precision": {"seconds": 0.38, "gpu_busy": "92%", "gpu_memory_gb": 12.4, "accuracy_article": "92.7%"},
}
