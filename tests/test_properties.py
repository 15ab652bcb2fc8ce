"""What must hold of any case: the ledger however it is torn, boxes on the way back to the photo, NMS.

Hypothesis makes the cases, the same ones in every run.
"""

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from wanwu_nb import read_results
from wanwu_nb.detecting import detect
from wanwu_nb.detections import Detections, Selection
from wanwu_nb.fitting import IMAGENET_MEAN, IMAGENET_STD, InputSpec, Placement, fit, place
from wanwu_nb.results import OutputFolder, json_path, result_record, to_json
from wanwu_nb.results.ledger import read_ledger
from wanwu_nb.tagged import Failed, Tagged
from wanwu_nb.text import clean_label
from wanwu_nb.versions import FileVersion

KEY = "key"
LABELS = {0: "台灯", 1: "椅子", 2: "苹果"}


def some(count: int) -> settings:
    """As many cases, the same ones each time, and no file that remembers them."""
    return settings(max_examples=count, derandomize=True, database=None, deadline=None)


# --- the ledger -------------------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["a.jpg", "b.jpg", "鞋/c d.jpg", "new\nline.jpg", "bytes_\udcff.jpg"])
VERSIONS = st.builds(FileVersion, st.integers(0, 3), st.integers(0, 3))
SCORES = st.lists(st.sampled_from([0.25, 0.5, 0.75]), max_size=3)


def detections(scores: Sequence[float]) -> Detections:
    count = len(scores)
    boxes = np.array([[1.0, 2, 30, 40]] * count).reshape(count, 4)
    return Detections(200, 100, boxes, np.array(scores), np.zeros(count, np.int64), ["台灯"] * count)


TAGGED = st.builds(Tagged, NAMES, VERSIONS, st.builds(detections, SCORES))
FAILED = st.builds(Failed, NAMES, VERSIONS, st.sampled_from(["read", "decode"]), st.text(max_size=5))
RESULTS = st.one_of(TAGGED, FAILED)


@contextmanager
def new_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "out"


def put_all(folder: Path, results: Sequence[Tagged | Failed]) -> None:
    with OutputFolder(folder, KEY) as output:
        for result in results:
            output.put(result)


def assert_ledger_is_as(folder: Path, last: dict[str, Tagged | Failed]) -> None:
    """What was put last of each picture is what the next run and every reader find, byte for byte."""
    done = {name: result for name, result in last.items() if isinstance(result, Tagged)}
    with OutputFolder(folder, KEY) as output:
        for name, result in last.items():
            assert output.done(name, result.version) == (name in done)
        for name in done:
            output.count_resumed(name)
        assert output.labels.total() == sum(len(result.detections) for result in done.values())
    read = {tagged.image: tagged for tagged in read_results(folder)}
    assert read.keys() == done.keys()
    for name, result in done.items():
        content = to_json(result_record(result, KEY))
        assert json_path(folder, name).read_bytes() == content
        assert read[name].version == result.version


@given(st.lists(st.lists(RESULTS, max_size=6), max_size=4))
@some(50)
def test_what_was_put_last_is_what_is_found(runs):
    with new_folder() as folder:
        for results in runs:
            put_all(folder, results)
        put_all(folder, [])
        assert_ledger_is_as(folder, {result.image: result for results in runs for result in results})


@given(st.lists(RESULTS, min_size=1, max_size=6), st.lists(RESULTS, max_size=3), st.data())
@some(80)
def test_a_kill_at_any_byte_of_a_line_costs_that_picture_at_most(before, after, data):
    """Its JSON is in place, its line torn anywhere: it is done again, or done; never taken for what it is not."""
    with new_folder() as folder:
        put_all(folder, before[:-1])
        ledger = folder / "ledger.jsonl"
        start = ledger.stat().st_size
        put_all(folder, before[-1:])
        end = ledger.stat().st_size
        cut = data.draw(st.integers(start, end), "cut at")
        with open(ledger, "r+b") as file:
            file.truncate(cut)
        torn = before[-1]
        others = {result.image: result for result in before[:-1]}
        others.pop(torn.image, None)
        with OutputFolder(folder, KEY) as output:
            for name, result in others.items():
                assert output.done(name, result.version) == isinstance(result, Tagged)
            if output.done(torn.image, torn.version):
                assert json_path(folder, torn.image).read_bytes() == to_json(result_record(torn, KEY))
        finished = [torn, *after]
        put_all(folder, finished)
        assert_ledger_is_as(folder, others | {result.image: result for result in finished})


@given(st.lists(TAGGED, min_size=1, max_size=5, unique_by=lambda result: result.image), st.data())
@some(80)
def test_a_ledger_cut_at_any_byte_keeps_all_before_the_cut(results, data):
    with new_folder() as folder:
        ledger = folder / "ledger.jsonl"
        ends = []
        for result in results:
            put_all(folder, [result])
            ends.append(ledger.stat().st_size)
        cut = data.draw(st.integers(0, ends[-1]), "cut at")
        with open(ledger, "r+b") as file:
            file.truncate(cut)
        with OutputFolder(folder, KEY) as output:
            done = [output.done(result.image, result.version) for result in results]
        whole = [cut >= end - 1 for end in ends]  # all of a line but its end
        assert done == whole


JUNK = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["image", "key", "status", "x"]), inner, max_size=4),
    ),
    max_leaves=6,
)
WRONG = st.sampled_from([None, True, "1", 1.5, [], {}, {"x": "y"}, -(10**30)])


@st.composite
def odd_lines(draw) -> bytes:
    """A line of another shape than ours: any JSON, any bytes, or one of ours with a field gone or of another type."""
    kind = draw(st.sampled_from(["json", "bytes", "without", "other type", "choices"]))
    if kind == "json":
        return to_json(draw(JUNK))
    if kind == "bytes":
        return draw(st.binary(max_size=20)) + b"\n"
    if kind == "choices":
        choices = draw(st.sampled_from([3, [], None, {"batch_size": "8"}, {"compiled": 1}, {"decoder": 4}]))
        return to_json({"format": 1, "key": KEY, "choices": choices})
    line = {"image": "a.jpg", "size": 1, "mtime": 2, "key": KEY, "status": "done", "objects": {"台灯": 1}}
    line |= {"invalid": 0, "bytes": 3}
    name = draw(st.sampled_from(sorted(line)))
    if kind == "without":
        del line[name]
        return to_json(line)
    fits = {"image": str, "key": str, "status": str, "objects": dict}.get(name, int)
    wrong = draw(WRONG.filter(lambda value: type(value) is not fits))
    return to_json(line | {name: wrong})


@given(st.lists(TAGGED, max_size=4), st.lists(st.tuples(st.integers(0, 4), odd_lines()), min_size=1, max_size=6))
@some(120)
def test_lines_of_another_shape_are_passed_over_like_torn_ones(results, odd):
    with new_folder() as folder:
        put_all(folder, results)
        with OutputFolder(folder, KEY) as output:
            output.begin({"batch_size": 8, "compiled": False}, LABELS)
        ledger = folder / "ledger.jsonl"
        lines = ledger.read_bytes().splitlines(keepends=True)
        for position, line in odd:
            lines.insert(min(position, len(lines)), line)
        ledger.write_bytes(b"".join(lines))
        assert_ledger_is_as(folder, {result.image: result for result in results})
        assert read_ledger(ledger).bits[KEY] == {"batch_size": 8, "compiled": False}


def test_a_line_that_is_too_deep_is_passed_over(tmp_path):
    ledger = tmp_path / "ledger.jsonl"
    ledger.write_bytes(b"[" * 200_000 + b"\n" + b'{"image":' * 100_000 + b"\n")
    assert read_ledger(ledger).entries == {}


# --- boxes ------------------------------------------------------------------------------------------------------------

SIDES = st.integers(1, 20_000)


@st.composite
def specs(draw, longest: int = 1500) -> InputSpec:
    kind = draw(st.sampled_from(["stretch", "letterbox", "crop"]))
    width, height = draw(st.integers(8, longest)), draw(st.integers(8, longest))
    shorter_side = 0
    if kind == "crop":
        shorter_side = draw(st.integers(max(width, height), 2 * longest))
    return InputSpec(width, height, kind, IMAGENET_MEAN, IMAGENET_STD, shorter_side=shorter_side)


FAR = 1e9
CORNERS = st.tuples(*[st.floats(-FAR, FAR)] * 4)


def to_input(placement: Placement, point: Sequence[float]) -> np.ndarray:
    """Where a point of the photo lies in the input."""
    photo = placement.width, placement.height
    return np.array(point) * np.array(placement.scaled) / np.array(photo) + np.array(placement.offset)


@given(SIDES, SIDES, specs(), st.lists(st.tuples(*[st.floats(0, 1)] * 4), min_size=1, max_size=5))
@some(300)
def test_the_way_to_the_photo_is_the_way_to_the_input_back(width, height, spec, shares):
    placement = place(width, height, spec)
    photo = np.array([width, height, width, height])
    boxes = np.array(shares) * photo
    first, second = to_input(placement, boxes[:, :2]), to_input(placement, boxes[:, 2:])
    back = placement.to_photo(np.concatenate([first, second], axis=1))
    assert np.abs(back - boxes).max() <= 1e-6


@given(SIDES, SIDES, specs(), st.lists(CORNERS, max_size=5))
@some(300)
def test_a_box_is_always_in_the_photo_and_never_turned_over(width, height, spec, corners):
    placement = place(width, height, spec)
    boxes = np.array(corners).reshape(-1, 4)
    boxes = np.concatenate([np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])], axis=1)
    x1, y1, x2, y2 = placement.to_photo(boxes).T
    assert ((x1 >= 0) & (x1 <= x2) & (x2 <= width)).all()
    assert ((y1 >= 0) & (y1 <= y2) & (y2 <= height)).all()


@given(SIDES, SIDES, specs())
@some(300)
def test_the_photo_lies_in_the_middle_of_the_input(width, height, spec):
    """A letterbox holds all of it, and a crop is all photo."""
    placement = place(width, height, spec)
    for side, scaled, offset in zip((spec.width, spec.height), placement.scaled, placement.offset, strict=True):
        behind = side - offset - scaled
        assert abs(offset - behind) <= 1
        assert scaled >= 1
        if spec.fit == "letterbox":
            assert offset >= 0
        if spec.fit == "crop":
            assert offset <= 0


@given(st.integers(4, 90), st.integers(4, 90), specs(longest=64), st.data())
@some(150)
def test_pixels_lie_where_the_placement_says(width, height, spec, data):
    """A bright edge of the photo is found in the input, to the pixel, and leads back to where it was."""
    at = data.draw(st.integers(1, width - 1), "edge")
    photo = torch.zeros(3, height, width, dtype=torch.uint8)
    photo[:, :, at:] = 255
    image, placement = fit(photo, replace(spec, pad=0))
    (expected,) = to_input(placement, [[at, 0]])[:, 0]
    left = max(0, placement.offset[0])
    right = min(spec.width, placement.offset[0] + placement.scaled[0])
    blurred = max(1, placement.scaled[0] / width)  # to either side of the edge
    assume(left <= expected - blurred)
    assume(expected + blurred <= right)
    top = max(0, placement.offset[1])
    bottom = min(spec.height, placement.offset[1] + placement.scaled[1])
    row = image[0, (top + bottom) // 2, left:right].double() / 255
    found = right - float(row.sum())  # where all that is bright would begin
    assert abs(found - expected) <= 0.25  # a wrong corner is half a pixel off at least


# --- NMS --------------------------------------------------------------------------------------------------------------

WHOLE = Placement(64, 64, (64, 64), (0, 0))
STEP = st.integers(0, 32).map(lambda number: number * 2.0)
THRESHOLDS = st.sampled_from([0.0, 0.2, 1 / 3, 0.5, 0.75, 1.0])


@st.composite
def rows(draw) -> list[float]:
    """One box: corners on a coarse grid, so that many meet, are the same, or overlap by exactly a threshold."""
    x1, x2 = sorted(draw(st.tuples(STEP, STEP)))
    y1, y2 = sorted(draw(st.tuples(STEP, STEP)))
    score = draw(st.sampled_from([0.1, 0.3, 0.5, 0.5, 0.7, 0.9]))
    return [x1, y1, x2, y2, score, draw(st.sampled_from(sorted(LABELS)))]


@st.composite
def batches(draw) -> torch.Tensor:
    """Raw output of some pictures, [B,K,6]."""
    slots = draw(st.integers(1, 8))
    count = draw(st.integers(1, 4))
    pictures = st.lists(st.lists(rows(), min_size=slots, max_size=slots), min_size=count, max_size=count)
    return torch.tensor(draw(pictures), dtype=torch.float32)


def detected(batch: torch.Tensor, selection: Selection) -> list[list[tuple]]:
    raw = batch[..., :4], batch[..., 4], batch[..., 5].long()
    found = detect(raw, [WHOLE] * len(batch), LABELS, selection)
    return [[(tag.label_id, tag.confidence, tag.bbox) for tag in each.tags] for each in found]


def plain_nms(picture: torch.Tensor, selection: Selection) -> list[tuple]:
    """As a book has it: the surest first, each against those of its class that were kept."""
    kept: list[tuple] = []
    by_score = sorted(picture.tolist(), key=lambda row: -row[4])
    for x1, y1, x2, y2, score, class_id in by_score:
        if score < np.float32(selection.conf_threshold) or x2 <= x1 or y2 <= y1:
            continue
        box = (x1, y1, x2, y2)
        rivals = [other for other_id, _, other in kept if other_id == class_id]
        if all(overlap(box, other) <= selection.nms_iou for other in rivals):
            kept.append((int(class_id), score, box))
    return kept[: selection.top_k]


def overlap(a: Sequence[float], b: Sequence[float]) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    inside = max(0.0, width) * max(0.0, height)
    return inside / (area(a) + area(b) - inside)


def area(box: Sequence[float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


SELECTIONS = st.builds(Selection, st.sampled_from([0.0, 0.3, 0.6]), THRESHOLDS, st.integers(1, 10))


@given(batches(), SELECTIONS)
@some(300)
def test_nms_is_that_of_the_book_for_each_picture_and_class(batch, selection):
    assert detected(batch, selection) == [plain_nms(picture, selection) for picture in batch]


@given(batches(), SELECTIONS, st.randoms(use_true_random=False))
@some(200)
def test_neither_neighbours_nor_their_order_matter(batch, selection, random):
    together = detected(batch, selection)
    order = list(range(len(batch)))
    random.shuffle(order)
    shuffled = detected(batch[order], selection)
    assert shuffled == [together[i] for i in order]
    for i in order:
        assert detected(batch[i : i + 1], selection) == [together[i]]


@given(batches(), SELECTIONS, st.sampled_from([float("nan"), float("inf"), -float("inf")]), st.integers(0, 5))
@some(150)
def test_a_neighbour_that_is_no_number_does_not_matter(batch, selection, nonsense, column):
    together = detected(batch, selection)
    spoilt = batch.clone()
    spoilt[0, :, column if column < 5 else 4] = nonsense
    assert detected(spoilt, selection)[1:] == together[1:]


TINY = st.floats(0, 0.02)


@given(st.lists(st.tuples(st.floats(0, 60), st.floats(0, 60), TINY, TINY), min_size=1, max_size=8))
@some(200)
def test_every_box_that_is_written_has_an_area(boxes):
    """And those that are dropped are counted."""
    corners = [[x, y, x + width, y + height] for x, y, width, height in boxes]
    raw = torch.tensor([corners]), torch.full((1, len(corners)), 0.5), torch.zeros(1, len(corners), dtype=torch.long)
    (found,) = detect(raw, [WHOLE], LABELS, Selection(nms_iou=1.0))
    record = result_record(Tagged("a.jpg", None, found))
    for each in record["objects"]:
        x1, y1, x2, y2 = each["bbox"]
        assert x2 > x1
        assert y2 > y1
    assert len(record["objects"]) + found.invalid == len(corners)


# --- text -------------------------------------------------------------------------------------------------------------


@given(st.text(st.characters(codec=None, exclude_categories=())))
@some(300)
def test_a_cleaned_label_is_one_line_that_can_be_written_and_stays(text):
    cleaned = clean_label(text)
    assert clean_label(cleaned) == cleaned
    assert len(cleaned.splitlines()) <= 1
    assert cleaned == cleaned.strip()
    assert json.loads(json.dumps(cleaned).encode("utf-8")) == cleaned
    assert cleaned.encode("utf-8").decode("utf-8") == cleaned
