"""What a shop asks of a picture: its main label, and whether somebody has to look at it."""

import pytest
from exported import SIZE, detections, lamp

from wanwu_nb.detections import Tag
from wanwu_nb.exports.review import main_label, reasons
from wanwu_nb.tagged import Tagged

WHOLE = None


def tagged(*tags: Tag, damaged: bool = False) -> Tagged:
    return Tagged("a.jpg", None, detections(tags), damaged)


def box(label: str, confidence: float, *corners: float, label_id: int = 0) -> Tag:
    return Tag(label, label_id, confidence, corners)


def test_the_main_label_of_boxes_is_the_largest_of_the_sure_ones():
    small, large, unsure = box("灯", 0.9, 0, 0, 10, 10), box("桌", 0.5, 0, 0, 50, 50), box("墙", 0.49, 0, 0, 300, 300)
    assert main_label([small, large, unsure]) == (large, "largest 最大")
    assert main_label([unsure]) == (unsure, "surest 最确定")
    assert main_label([]) is None


def test_the_main_label_of_a_whole_picture_is_the_surest():
    first, second = lamp(0.6, WHOLE), Tag("桌", 2, 0.59, WHOLE)
    assert main_label([first, second]) == (first, "surest 最确定")


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (tagged(lamp(0.9)), []),
        (tagged(), []),
        (tagged(lamp(0.2, WHOLE)._replace(unsure=True)), ["unsure 不确定"]),
        (tagged(lamp(0.9), damaged=True), ["damaged 文件残缺"]),
        (tagged(lamp(0.8, WHOLE), Tag("桌", 2, 0.7, WHOLE)), ["two labels 两可: 台灯 0.80 / 桌 0.70"]),
        (tagged(lamp(0.5, WHOLE), Tag("桌", 2, 0.39, WHOLE)), []),
        (tagged(lamp(0.5, WHOLE), lamp(0.45, WHOLE)), []),
        (tagged(lamp(0.9), box("桌", 0.85, 105, 50, 200, 150)), ["two labels 两可: 台灯 0.90 / 桌 0.85"]),
        (tagged(lamp(0.9), box("桌", 0.85, 250, 50, 350, 150)), []),
        (tagged(lamp(0.9), box("桌", 0.75, 105, 50, 200, 150)), []),
        (tagged(box("桌", 0.9, 0.5, 50, 60, 150)), ["at the rim 贴边"]),
        (tagged(box("桌", 0.9, 50, 50, 60, SIZE[1] - 0.5)), ["at the rim 贴边"]),
        (tagged(box("桌", 0.9, 50, 50, 60, SIZE[1] - 1)), []),
    ],
)
def test_review_is_asked_for_by_the_stated_rule(picture, expected):
    assert reasons(picture) == expected
