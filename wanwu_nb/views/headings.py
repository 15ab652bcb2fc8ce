"""Headings of tables for people, in two languages: code and tests go by the neutral names, which stay as they are."""

import pandas as pd

HEADINGS = {
    "seconds": "s/picture 秒/张",
    "range": "from–to 范围",
    "pictures_per_second": "pictures/s 张/秒",
    "times_default": "× default 比默认",
    "gain": "× fastest before 比此前最快",
    "ready": "ready s 就绪",
    "cpu_busy": "CPU busy 占用",
    "gpu_busy": "GPU busy 占用",
    "memory": "memory MB 内存",
    "gpu_memory": "GPU MB 显存",
    "gpu_memory_gb": "GPU GB 显存",
    "accuracy": "accuracy 准确率 95 %",
    "accuracy_article": "accuracy 准确率",
    "agreement": "agreement 一致率 95 %",
    "precision": "precision 精度",
    "note": "note 备注",
    "predicted_seconds": "s/picture 秒/张, predicted 预测",
    "predicted_times_default": "× default 比默认, predicted 预测",
    "times_default_article": "× default, article 原文",
    "times_default_here": "× default, here 本机",
    "times_fp32": "× FP32",
    "changed_tags": "changed tags 变化的标签",
    "drift_median": "score drift, median 分数漂移中位数",
    "drift_largest": "largest 最大",
    "before": "label before 原为",
    "after": "after 变为",
    "change": "change 变化",
    "objects_before": "objects before 原物体数",
    "objects_after": "objects after 新物体数",
}


def in_two_languages(table: pd.DataFrame) -> pd.DataFrame:
    """Put headings in English and Chinese over a table, just before it is shown.

    Returns a new table; a column that HEADINGS does not know keeps its name.

    >>> in_two_languages(pd.DataFrame({"note": ["left out"], "image": ["a.jpg"]})).columns.tolist()
    ['note 备注', 'image']
    """
    return table.rename(columns=HEADINGS)
