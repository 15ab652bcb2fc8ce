"""What a checkpoint's network may and may not give back, and in which precision it runs."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from model_files import NAMES, options, save_traced, write_labels
from small_networks import MeanColour
from torch import nn

from wanwu_nb import ResidentModel, tag_folder
from wanwu_nb.checkpoints import DEMO_FOLDER, Checkpoint, Contract, open_checkpoint
from wanwu_nb.errors import ModelError
from wanwu_nb.fitting import InputSpec
from wanwu_nb.hardware import Choice

# --- what a network may and may not give back -------------------------------------------------------------------------


class Gives(nn.Module):
    """A network that gives `make(batch size)` back."""

    def __init__(self, make):
        super().__init__()
        self.make, self.weight = make, nn.Parameter(torch.zeros(1))

    def forward(self, images):
        return self.make(len(images))


def detections(batch: int, boxes=((8, 8, 40, 40),), score: float = 0.9, label: int = 1) -> tuple:
    rows = torch.tensor([list(boxes)] * batch, dtype=torch.float32)
    return rows, torch.full(rows.shape[:2], score), torch.full(rows.shape[:2], label)


def resident_giving(make, **contract) -> ResidentModel:
    spec = InputSpec(64, 64, "stretch", (0.5,) * 3, (0.5,) * 3)
    network = Contract(Gives(make), **contract)
    checkpoint = Checkpoint("test", "test", network, spec, {0: "背景", 1: "台灯"}, DEMO_FOLDER / "model.json")
    return ResidentModel(checkpoint, Choice("cpu", ""), Choice("fp32", ""))


@pytest.mark.parametrize(
    "make",
    [
        detections,
        lambda n: tuple([row for row in part] for part in detections(n)),
        lambda n: [{"boxes": b, "scores": s, "labels": c} for b, s, c in zip(*detections(n), strict=True)],
    ],
    ids=["tensors", "a tensor a picture", "a dict a picture"],
)
def test_every_accepted_form_gives_the_same_detections(make, photograph):
    tagged = resident_giving(make).predict([photograph] * 3)
    assert [picture.names for picture in tagged] == [["台灯"]] * 3
    np.testing.assert_allclose(tagged[0].boxes[0], [75, 50, 375, 250])


def test_pictures_with_different_numbers_of_objects_are_padded(photograph):
    def make(batch):
        boxes, scores, labels = detections(batch, boxes=((8, 8, 40, 40), (44, 44, 60, 60)))
        return (
            [b[: i % 3] for i, b in enumerate(boxes)],
            [s[: i % 3] for i, s in enumerate(scores)],
            [c[: i % 3] for i, c in enumerate(labels)],
        )

    tagged = resident_giving(make).predict([photograph] * 4)
    assert [len(picture) for picture in tagged] == [0, 1, 2, 0]


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        (torch.zeros(1, 3, 8, 8), "float32 [1, 3, 8, 8]"),
        ({"pred": torch.zeros(1, 2)}, "{'pred': float32 [1, 2]}"),
        ((torch.zeros(1, 4), torch.zeros(1, 2), torch.zeros(1, 2)), "tuple(float32 [1, 4], "),
        ("text", "str"),
        ([{"box": torch.zeros(3, 4), "score": torch.zeros(3)}], "list({'box': float32 [3, 4], 'score': float32 [3]})"),
        (
            [{"boxes": torch.zeros(3, 5), "scores": torch.zeros(3), "labels": torch.zeros(3)}],
            "{'boxes': float32 [3, 5]",
        ),
        ([{"boxes": torch.zeros(3, 4), "labels": torch.zeros(3)}] * 3, "list({'boxes': float32 [3, 4], 'labels': "),
    ],
)
def test_an_unknown_output_is_shown_with_what_is_accepted(output, shown):
    problem = resident_giving(lambda n: output).try_out()
    assert shown in problem
    assert "Accepted: (boxes [B,K,4], scores [B,K], labels [B,K])" in problem


@pytest.mark.parametrize(
    ("boxes", "score"),
    [
        (((40, 40, 8, 8),), 0.9),
        (((8, 8, float("nan"), 40),), 0.9),
        (((8, 8, 40, 40),), float("nan")),
        (((8, 8, 40, 40),), float("inf")),
        (((-40, -40, -8, -8),), 0.9),
    ],
    ids=["inverted", "NaN box", "NaN score", "infinite score", "out of frame"],
)
def test_impossible_boxes_are_dropped_and_counted(boxes, score, scenes, tmp_path):
    good = (8.0, 8.0, 40.0, 40.0)

    def make(batch):
        wrong, right = detections(batch, boxes, score), detections(batch, (good,), 0.8)
        return tuple(torch.cat(parts, dim=1) for parts in zip(wrong, right, strict=True))

    summary = tag_folder(resident_giving(make), scenes, tmp_path, limit=3)
    assert summary.invalid == 3
    assert summary.objects == 3
    assert summary.labels == {"台灯": 3}
    again = tag_folder(resident_giving(make), scenes, tmp_path, limit=3)
    assert again.resumed == 3
    assert again.invalid == 3


def test_a_tagger_whose_scores_are_not_finite_tags_nothing_and_counts_it(scenes, tmp_path):
    resident = resident_giving(lambda n: torch.full((n, 2), float("nan")))
    summary = tag_folder(resident, scenes, tmp_path, limit=2)
    assert summary.objects == 0
    assert summary.invalid == 4


def test_logits_given_as_scores_end_the_run_once(scenes, tmp_path):
    with pytest.raises(ModelError, match=r"scores go up to 7\.5, and must lie in 0…1"):
        tag_folder(resident_giving(lambda n: detections(n, score=7.5)), scenes, tmp_path, limit=3)


def test_a_class_without_a_name_ends_the_run_once(scenes, tmp_path):
    says = "found class 5, which the labels do not name: they have 2 names for classes 0"
    with pytest.raises(ModelError, match=says):
        tag_folder(resident_giving(lambda n: detections(n, label=5)), scenes, tmp_path, limit=3)


def test_a_network_of_one_batch_size_gets_it(photograph):
    seen = []

    def make(batch):
        seen.append(batch)
        return detections(batch)

    tagged = resident_giving(make, sizes=(4, 4)).predict([photograph] * 6, batch_size=6)
    assert len(tagged) == 6
    assert seen == [4, 4]


def test_parts_of_a_batch_with_different_numbers_of_objects_are_padded(photograph):
    def make(batch):
        return detections(batch, boxes=((8, 8, 40, 40), (44, 44, 60, 60))[:batch])

    tagged = resident_giving(make, sizes=(1, 2)).predict([photograph] * 3, batch_size=3)
    assert [len(picture) for picture in tagged] == [2, 2, 1]


# --- what could only give nonsense is refused before the first picture ------------------------------------------------


def traced(folder: Path, network: nn.Module, names=NAMES) -> str:
    save_traced(network, folder / "model.pt")
    write_labels(folder, names)
    return str(folder / "model.pt")


def test_scores_that_are_not_finite_in_fp32_are_refused(tmp_path):
    class Nothing(MeanColour):
        def forward(self, images):
            return super().forward(images) / 0 * 0

    with pytest.raises(ModelError, match="cannot run: its scores are not finite"):
        ResidentModel.load(traced(tmp_path, Nothing()), precision="fp32")


def test_fewer_outputs_than_pictures_are_refused(tmp_path):
    class First(MeanColour):
        def forward(self, images):
            return super().forward(images)[:1]

    with pytest.raises(ModelError, match="it gives 1 outputs for 2 pictures: the first dimension must be the batch"):
        ResidentModel.load(traced(tmp_path, First()), precision="fp32")


def test_a_network_that_runs_one_picture_alone_is_still_served(tmp_path, photograph):
    class OnePicture(MeanColour):
        def forward(self, images):
            return super().forward(images).view(1, 3)

    resident = ResidentModel.load(traced(tmp_path, OnePicture()), precision="fp32")
    assert len(resident.predict([photograph] * 2, batch_size=1)) == 2


def test_more_outputs_than_pictures_are_refused():
    problem = resident_giving(lambda n: detections(n * 2)).try_out()
    assert problem == "it gives 4 outputs for 2 pictures: the first dimension must be the batch"


def test_labels_that_end_before_the_networks_classes_are_refused():
    problem = resident_giving(lambda n: detections(n, label=79, score=0.01)).try_out()
    assert problem == "it knows a class 79, and the labels name classes only to 1: name all of them"


def test_an_unused_place_has_no_class():
    assert resident_giving(lambda n: detections(n, label=79, score=0.0)).try_out() == ""


def test_a_network_that_finds_nothing_in_noise_is_served():
    nothing = resident_giving(lambda n: [part[:, :0] for part in detections(n)])
    assert nothing.try_out() == ""


def test_whatever_a_network_raises_is_one_sentence():
    def fail(_):
        raise KeyError("pixel_values")

    assert resident_giving(fail).try_out() == "'pixel_values'"


GOOD_INPUT = {"width": 64, "height": 64, "fit": "stretch", "mean": [0.5] * 3, "std": [0.5] * 3}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"std": [0.2, 0, 0.2]}, "input: std divides the pixels, and must be above zero"),
        ({"std": [0.2, -0.2, 0.2]}, "std divides the pixels, and must be above zero"),
        ({"mean": [123.7, 116.3, 103.5]}, r"are of values in 0…1: divide those of 0…255 by 255"),
        ({"std": [58.4, 57.1, 57.4]}, r"are of values in 0…1: divide those of 0…255 by 255"),
        ({"mean": [float("nan"), 0, 0]}, "must be numbers"),
        ({"fit": "crop"}, "shorter_side, which is 0: set it to at least the input's own 64"),
        ({"fit": "crop", "shorter_side": 20}, "shorter_side, which is 20: set it to at least"),
        ({"fit": "squash"}, r"input: fit 'squash' is not known"),
        ({"interpolation": "nearest"}, r"input: interpolation 'nearest' is not known: use \"bilinear\" or \"bicubic\""),
        ({"truncate": "a little"}, r"input\.truncate: "),
        ({"pad": 256}, r"pad is a grey of 0…255, and 256 is none"),
        ({"pad": -1}, r"pad is a grey of 0…255, and -1 is none"),
        ({"width": 0}, "sides lie in 1…16,384 pixels, and 0 x 64"),
        ({"height": 64_000}, "sides lie in 1…16,384 pixels, and 64 x 64000"),
        ({"shorter_side": -1}, "sides lie in 1…16,384 pixels, and 64 x 64, shorter_side -1 do not"),
    ],
)
def test_an_input_that_could_only_give_nonsense_is_refused_with_its_file(tmp_path, wrong, says):
    (tmp_path / "model.json").write_text(json.dumps({"input": GOOD_INPUT | wrong}))
    with pytest.raises(ModelError, match=says) as caught:
        open_checkpoint(str(tmp_path))
    assert str(tmp_path / "model.json") in str(caught.value)


@pytest.mark.parametrize(
    "right",
    [
        {"mean": [0, 0, 0], "std": [1, 1, 1]},
        {"mean": [0, 0, 0], "std": [1 / 255] * 3},
        {"fit": "crop", "shorter_side": 64},
        {"fit": "crop", "shorter_side": 56},
        {"interpolation": "bicubic", "truncate": True},
        {"pad": 0},
        {"pad": 255},
    ],
    ids=str,
)
def test_an_input_that_some_network_wants_is_not_refused(right):
    assert InputSpec(**GOOD_INPUT | right).width == 64


# --- precision --------------------------------------------------------------------------------------------------------


class OnlyFloat32(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 2, 1)

    def forward(self, images):
        values = torch.linalg.svdvals(images[:, 0])  # has no kernel for half precision
        return self.layer(images).mean((2, 3)) + values[:, :1]


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_a_network_that_cannot_run_in_half_runs_in_fp32_and_says_so(tmp_path, scenes, precision):
    torch.manual_seed(0)
    save_traced(OnlyFloat32(), tmp_path / "model.pt")
    write_labels(tmp_path, NAMES[:2])
    resident = ResidentModel.load(str(tmp_path / "model.pt"), precision=precision)
    assert resident.precision.value == "fp32"
    assert resident.precision.reason.startswith(f"{precision} (as asked) failed on this network: ")
    summary = tag_folder(resident, scenes, tmp_path / "out", limit=1)
    assert summary.precision == resident.precision


class Overflows(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 2, 1)

    def forward(self, images):
        large = self.layer(images).abs().mean((2, 3)) * 1e6  # beyond 65,504, the largest number of fp16
        return large - large.mean(1, keepdim=True)


def test_a_network_that_overflows_in_fp16_runs_in_fp32_and_says_so(tmp_path):
    save_traced(Overflows(), tmp_path / "model.pt")
    write_labels(tmp_path, NAMES[:2])
    resident = ResidentModel.load(str(tmp_path / "model.pt"), precision="fp16")
    assert resident.precision.value == "fp32"
    assert resident.precision.reason == "fp16 (as asked) failed on this network: its scores are not finite"


@pytest.mark.parametrize("form", ["state dict", "TorchScript", "pickled module"])
def test_every_kind_that_is_not_bound_to_fp32_runs_in_half_precision(files, photograph, form):
    resident = ResidentModel.load(str(files(form)), **options(form), precision="bf16")
    assert resident.precision.value == "bf16"
    assert resident.precision.reason == "as asked"
    assert resident.predict([photograph])


def test_an_export_keeps_the_precision_it_was_exported_in(files, photograph):
    """torch.export writes the dtype of every cast into the graph."""
    resident = ResidentModel.load(str(files("export")), precision="bf16")
    assert resident.precision.value == "fp32"
    assert "bf16 (as asked) failed" in resident.precision.reason
    assert resident.predict([photograph])


def test_labels_of_the_wrong_length_for_a_network_with_its_own_code(tmp_path):
    save_traced(OnlyFloat32(), tmp_path / "model.pt")
    write_labels(tmp_path, NAMES)
    with pytest.raises(ModelError, match="the network has 2 classes, and the labels name 3"):
        ResidentModel.load(str(tmp_path / "model.pt"))
