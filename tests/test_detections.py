"""From raw output to detections."""

import numpy as np
import torch

from wanwu_nb.detecting import detect, pack, unpack
from wanwu_nb.detections import Detections, Selection, Tag
from wanwu_nb.fitting import Placement

LABELS = {0: "台灯", 1: "椅子", 2: "苹果"}
WHOLE = Placement(640, 640, (640, 640), (0, 0))


def raw(*rows):
    """One picture's output: rows of (x1, y1, x2, y2, score, class id)."""
    table = torch.tensor(rows, dtype=torch.float32)[None]
    return table[..., :4], table[..., 4], table[..., 5].long()


def test_nms_is_per_class():
    output = raw((0, 0, 100, 100, 0.9, 0), (2, 0, 102, 100, 0.8, 0), (2, 0, 102, 100, 0.7, 1))
    (detections,) = detect(output, [WHOLE], LABELS, Selection())
    assert detections.names == ["台灯", "椅子"]


def test_a_pair_at_exactly_the_limit_is_kept():
    output = raw((0, 0, 100, 100, 0.9, 0), (0, 0, 100, 50, 0.8, 0))
    assert len(detect(output, [WHOLE], LABELS, Selection(nms_iou=0.5))[0]) == 2
    assert len(detect(output, [WHOLE], LABELS, Selection(nms_iou=0.49))[0]) == 1


def test_threshold_includes_its_own_value_order_is_by_score_and_top_k_cuts():
    output = raw((0, 0, 10, 10, 0.25, 0), (50, 0, 60, 10, 0.5, 1), (90, 0, 99, 10, 0.75, 2), (0, 90, 9, 99, 0.1, 1))
    (detections,) = detect(output, [WHOLE], LABELS, Selection(conf_threshold=0.25))
    assert detections.scores.tolist() == [0.75, 0.5, 0.25]
    (detections,) = detect(output, [WHOLE], LABELS, Selection(conf_threshold=0.25, top_k=1))
    assert detections.names == ["苹果"]


def test_equal_scores_keep_the_networks_order():
    output = raw((0, 0, 10, 10, 0.5, 1), (50, 0, 60, 10, 0.5, 0), (90, 0, 99, 10, 0.5, 2))
    (detections,) = detect(output, [WHOLE], LABELS, Selection())
    assert detections.class_ids.tolist() == [1, 0, 2]


def test_boxes_are_in_the_photos_pixels_and_clipped():
    letterboxed = Placement(1280, 720, (640, 360), (0, 140))
    output = raw((100, 240, 200, 340, 0.9, 0), (-20, 100, 50, 300, 0.8, 1), (10, 0, 60, 120, 0.7, 2))
    (detections,) = detect(output, [letterboxed], LABELS, Selection())
    assert detections.boxes.tolist() == [[200, 200, 400, 400], [0, 0, 100, 320]]  # the last lies in the rim
    assert detections.invalid == 1


def test_neighbours_in_a_batch_and_padding_do_not_matter():
    torch.manual_seed(0)
    corner, size = torch.rand(8, 100, 2) * 500, torch.rand(8, 100, 2) * 200
    output = torch.cat([corner, corner + size], 2), torch.rand(8, 100), torch.randint(0, 3, (8, 100))
    together = detect(output, [WHOLE] * 6, LABELS, Selection(0.05))
    assert len(together) == 6
    for i, detections in enumerate(together):
        (alone,) = detect(tuple(part[i : i + 1] for part in output), [WHOLE], LABELS, Selection(0.05))
        assert np.array_equal(alone.boxes, detections.boxes)
        assert np.array_equal(alone.scores, detections.scores)


def test_a_whole_picture_tagger_keeps_its_best_tag_whatever_its_score():
    scores, class_ids = torch.tensor([[0.2, 0.1], [0.6, 0.4]]), torch.tensor([[2, 0], [1, 0]])
    weak, strong = detect((None, scores, class_ids), [WHOLE] * 2, LABELS, Selection(0.3))
    assert weak.names == ["苹果"]
    assert weak.boxes is None
    assert strong.names == ["椅子", "台灯"]


def test_nothing_detected_is_an_empty_result():
    (detections,) = detect(raw((0, 0, 9, 9, 0.1, 0)), [WHOLE], LABELS, Selection())
    assert len(detections) == 0
    assert detections.boxes.shape == (0, 4)
    assert detections.tags == []


def test_tags_are_the_same_as_rows():
    scores, class_ids = np.array([0.9, 0.5]), np.array([0, 2])
    boxes = np.array([[1.0, 2, 3, 4], [5, 6, 7, 8]])
    detections = Detections(10, 10, boxes, scores, class_ids, ["台灯", "苹果"])
    assert detections.tags == [Tag("台灯", 0, 0.9, (1, 2, 3, 4)), Tag("苹果", 2, 0.5, (5, 6, 7, 8))]
    whole = Detections(10, 10, None, scores, class_ids, ["台灯", "苹果"])
    assert [tag.bbox for tag in whole.tags] == [None, None]


def test_what_is_packed_for_the_way_from_the_device_is_unpacked_as_it_was():
    boxes, scores, class_ids = raw((0, 1, 2, 3, 0.9, 54_091), (4, 5, 6, 7, 0.1, 2**24))
    for sent in ((boxes, scores, class_ids), (None, scores, class_ids)):
        arrived = unpack(pack(*sent))
        assert (arrived[0] is None) == (sent[0] is None)
        assert arrived[0] is None or torch.equal(arrived[0], sent[0])
        assert torch.equal(arrived[1], scores)
        assert torch.equal(arrived[2], class_ids)
