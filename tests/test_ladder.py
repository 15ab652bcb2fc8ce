"""The steps do the same job, and agree; so does the package's own loop."""

from dataclasses import replace

import pytest
import torch
from conftest import SCENES, contents

from wanwu_nb import ladder, tag_folder
from wanwu_nb.checkpoints import open_checkpoint
from wanwu_nb.measure import StageClock
from wanwu_nb.quality import Share, agreement, agreement_of, wilson


@pytest.fixture(scope="module")
def climbed(scenes, tmp_path_factory):
    """Every step's output on the same pictures, and its clock."""
    paths, outputs, clocks = sorted(scenes.glob("*.jpg")), {}, {}
    for name, step in ladder.STEPS.items():
        outputs[name], clocks[name] = tmp_path_factory.mktemp("step") / "out", StageClock()
        step(ladder.job_of(open_checkpoint("demo"), paths, outputs[name], batch_size=4, clock=clocks[name]))
    return outputs, clocks


@pytest.mark.parametrize("name", ladder.STEPS)
def test_every_step_tags_every_picture_and_agrees_with_the_default(climbed, name):
    outputs, clocks = climbed
    assert len(list(outputs[name].glob("*.json"))) == SCENES
    assert set(clocks[name].seconds) == {"load", "preprocess", "forward", "postprocess", "write"}
    assert agreement(outputs["default"], outputs[name]).value >= (0.9 if name == "half precision" else 1.0)


def test_the_resident_step_changes_nothing_but_the_loading(climbed):
    outputs, clocks = climbed
    for path in outputs["default"].glob("*.json"):
        assert path.read_bytes() == (outputs["resident"] / path.name).read_bytes()
    assert clocks["default"].seconds["load"] > 3 * clocks["resident"].seconds["load"]


def test_the_packages_own_loop_agrees_with_the_default(climbed, model, scenes, tmp_path):
    tag_folder(model, scenes, tmp_path)
    assert len(contents(tmp_path)) == SCENES
    assert agreement(climbed[0]["default"], tmp_path / "images").value == 1.0


def test_half_precision_is_half(scenes, tmp_path):
    seen = []

    class Watched(torch.nn.Module):
        def __init__(self, network):
            super().__init__()
            self.network = network

        def forward(self, images):
            seen.append(images.dtype)
            return self.network(images)

    job = ladder.job_of(open_checkpoint("demo"), sorted(scenes.glob("*.jpg"))[:2], tmp_path)
    network = Watched(job.open())
    ladder.half_precision(replace(job, open=lambda: network))
    assert seen == [torch.bfloat16]


def found(label: str, *bbox: float) -> dict:
    return {"label": label, "bbox": list(bbox) or None}


@pytest.mark.parametrize(
    ("a", "b", "hits", "trials"),
    [
        ([found("灯", 0, 0, 10, 10)], [found("灯", 0, 0, 10, 9)], 1, 1),
        ([found("灯", 0, 0, 10, 10)], [found("椅", 0, 0, 10, 10)], 0, 2),
        ([found("灯", 0, 0, 10, 10)], [found("灯", 6, 0, 16, 10)], 0, 2),
        ([found("灯", 0, 0, 10, 10)], [], 0, 1),
        ([found("灯", 0, 0, 10, 10)], [found("灯", 0, 0, 10, 10), found("灯", 0, 0, 10, 9)], 1, 2),
        ([found("灯"), found("椅")], [found("灯"), found("桌")], 1, 1),
        ([found("灯")], [found("椅"), found("灯")], 0, 1),
        ([found("灯")], [], 0, 1),
    ],
    ids=["near", "label", "apart", "missing", "one to one", "best tag", "other best tag", "no tag"],
)
def test_agreement_counts_what_both_sides_found(a, b, hits, trials):
    for pair in ((a, b), (b, a)):
        assert agreement_of([pair])[:2] == (hits, trials)


def test_agreement_on_nothing_says_so_and_has_an_interval(tmp_path):
    with pytest.raises(ValueError, match="nothing to compare"):
        agreement_of([([], [])])
    low, high = wilson(99, 100)
    assert low == pytest.approx(0.9455, abs=1e-3) and high == pytest.approx(0.9982, abs=1e-3)
    assert Share(99, 100, low, high).value == 0.99
