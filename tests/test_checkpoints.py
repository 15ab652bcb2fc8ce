"""Any checkpoint: each kind a user may have, from a real file of that format, and what is wrong with it said."""

import json
import os
import pickle
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import contents, papermill
from model_files import (
    NAMES,
    TORCHVISION,
    classifier,
    demo_as,
    modelscope_folder,
    save_traced,
    torch_cache,
    write_labels,
)
from torch import nn
from torchvision import transforms

from wanwu_nb import ResidentModel, tag_folder
from wanwu_nb.checkpoints import DEMO_FOLDER, Checkpoint, Contract, open_checkpoint, read_labels
from wanwu_nb.checkpoints.torchvision_detectors import COCO_NAMES
from wanwu_nb.errors import MissingFile, ModelError
from wanwu_nb.fitting import IMAGENET_MEAN, IMAGENET_STD, InputSpec
from wanwu_nb.hardware import Choice

FORMS = ["safetensors", "state dict", "legacy state dict", "pickled module", "TorchScript", "export", "fixed export"]
WITH_ARCHITECTURE = FORMS[:3]
DOCS = Path(__file__).parent.parent / "docs"


def options(form: str) -> dict:
    """The parameters that a lone file of the demo's weights needs."""
    if form in WITH_ARCHITECTURE:
        return {"architecture": "wanwu_nb/demo_detector"}
    if form == "pickled module":
        return {"trust_pickle": True}
    return {}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The demo's weights in every form, made when first asked for."""
    made = {}

    def file(form: str):
        if form not in made:
            made[form] = demo_as(form, tmp_path_factory.mktemp(form.replace(" ", "_")))
        return made[form]

    return file


# --- the same weights in every form -----------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_same_weights_agrees(model, files, form):
    batch = torch.randint(0, 256, (3, 3, 640, 640), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    resident = ResidentModel.load(str(files(form)), **options(form), device="cpu", precision="fp32")
    for ours, reference in zip(resident.forward(batch), model.forward(batch), strict=True):
        torch.testing.assert_close(ours, reference, atol=1e-4, rtol=0)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_in_a_model_folder_gives_the_same_tags(model, files, scenes, tmp_path, form):
    tag_folder(model, scenes, tmp_path / "reference", limit=4)
    folder = tmp_path / "folder"
    folder.mkdir()
    shutil.copy(files(form), folder)
    shutil.copy(DEMO_FOLDER / "labels_zh.json", folder)
    description = json.loads((DEMO_FOLDER / "model.json").read_text())
    if form not in WITH_ARCHITECTURE:
        del description["architecture"]
    (folder / "model.json").write_text(json.dumps(description))
    resident = ResidentModel.load(str(folder), trust_pickle=form == "pickled module", precision="fp32", device="cpu")
    tag_folder(resident, scenes, tmp_path / "out", limit=4)
    ours, reference = contents(tmp_path / "out"), contents(tmp_path / "reference")
    assert list(ours) == list(reference)
    for name in ours:
        tags, reference_tags = json.loads(ours[name])["objects"], json.loads(reference[name])["objects"]
        assert [tag["label"] for tag in tags] == [tag["label"] for tag in reference_tags], name
        boxes, reference_boxes = [tag["bbox"] for tag in tags], [tag["bbox"] for tag in reference_tags]
        np.testing.assert_allclose(boxes, reference_boxes, atol=0.05)


# --- each kind through the notebook -----------------------------------------------------------------------------------


def run_notebook(tmp_path, scenes, model, environment=(), **parameters) -> tuple[dict, list]:
    """Tag two pictures in notebook 03; the summary, and each picture's objects."""
    defaults = {"image_dir": scenes, "model": model, "limit": 2, "batch_size": 2, "conf_threshold": 0, "top_k": 2}
    arguments = []
    for name, value in (defaults | parameters).items():
        arguments += ["-p", name, value]
    run = papermill(tmp_path, *arguments, environment=dict(environment))
    assert run.returncode == 0, run.stderr[-3000:]
    summary = json.loads((tmp_path / "runs/tags/summary.json").read_text(encoding="utf-8"))
    assert summary["total_images"] == 2
    assert summary["processed"] == 2
    results = contents(tmp_path / "runs/tags").values()
    return summary, [json.loads(content)["objects"] for content in results]


@pytest.mark.parametrize("form", ["pickled module", "TorchScript", "fixed export", "state dict"])
def test_a_lone_detector_file_runs_in_the_notebook(files, scenes, tmp_path, form):
    _, pictures = run_notebook(tmp_path, scenes, files(form), **options(form))
    for tags in pictures:
        assert len(tags) == 2
        assert all(tag["bbox"] for tag in tags)


@pytest.mark.parametrize(("family", "suffix"), [("timm", ".safetensors"), ("torchvision", ".pth")])
def test_a_classifiers_weights_run_in_the_notebook(scenes, tmp_path, family, suffix):
    path = classifier(tmp_path, family, suffix)
    _, pictures = run_notebook(tmp_path, scenes, path, architecture=f"{family}/resnet18")
    for tags in pictures:
        assert [tag["bbox"] for tag in tags] == [None, None]
        assert {tag["label"] for tag in tags} <= set(NAMES)


def test_the_modelscope_folder_runs_in_the_notebook_and_keeps_its_best_tag(scenes, tmp_path):
    folder = modelscope_folder(tmp_path / "cv_resnest101_general_recognition")
    summary, pictures = run_notebook(tmp_path, scenes, folder, conf_threshold=1.0)
    assert "ResNeSt-101" in summary["model"]["kind"]
    for tags in pictures:
        (best,) = tags
        assert best["bbox"] is None
        assert best["label"] in NAMES


def test_a_torchvision_detector_by_name_runs_in_the_notebook(scenes, tmp_path):
    cache = torch_cache(tmp_path / "cache")
    _, pictures = run_notebook(tmp_path, scenes, f"torchvision/{TORCHVISION}", {"TORCH_HOME": str(cache)})
    names = json.loads(COCO_NAMES.read_text(encoding="utf-8")).values()
    for tags in pictures:
        assert all(tag["bbox"] for tag in tags)
        assert {tag["label"] for tag in tags} <= set(names)


# --- the real model against ModelScope's own code ---------------------------------------------------------------------


def test_modelscope_agrees_with_modelscopes_own_code(tmp_path, photograph):
    from modelscope.models.cv.animal_recognition.resnet import Bottleneck, ResNet

    torch.manual_seed(0)
    shape = {"radix": 2, "groups": 1, "bottleneck_width": 64, "stem_width": 64}
    theirs = ResNet(
        Bottleneck, [3, 4, 23, 3], deep_stem=True, avg_down=True, avd=True, avd_first=False, num_classes=3, **shape
    ).eval()
    folder = modelscope_folder(tmp_path / "folder", theirs)
    ours = ResidentModel.load(str(folder), device="cpu", precision="fp32")
    normalise = transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD)
    prepare = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor(), normalise])
    batch = prepare(photograph)[None]
    with torch.inference_mode():
        logits = theirs(batch)
        torch.testing.assert_close(ours.network.network(batch), logits, atol=1e-4, rtol=0)
    (tagged,) = ours.predict([photograph], top_k=1)
    assert tagged.names == [NAMES[int(logits.argmax())]]


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


# --- bad input --------------------------------------------------------------------------------------------------------


class Payload:
    """Pickled, it writes a file wherever it is opened."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_payload_in_a_pickle_does_not_run(tmp_path, legacy):
    torch.save(
        {"state_dict": {"weight": torch.zeros(1)}, "payload": Payload(tmp_path / "ran")},
        tmp_path / "model.pth",
        _use_new_zipfile_serialization=not legacy,
    )
    write_labels(tmp_path, NAMES)
    with pytest.raises(ModelError, match=r"runs the code inside.*trust_pickle=True"):
        open_checkpoint(str(tmp_path / "model.pth"), architecture="timm/resnet18")
    assert not (tmp_path / "ran").exists()
    with pytest.raises(ModelError, match="do not fit"):
        open_checkpoint(str(tmp_path / "model.pth"), architecture="timm/resnet18", trust_pickle=True)
    assert (tmp_path / "ran").exists(), "the payload was none"


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")  # torch's, of all but 2
@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("place", ["sample_inputs/model.pt", "constants/opaque_obj_0"])
def test_a_payload_in_an_export_does_not_run(files, tmp_path, protocol, place):
    write_labels(tmp_path, NAMES)
    with zipfile.ZipFile(files("export")) as source, zipfile.ZipFile(tmp_path / "model.pt2", "w") as target:
        for name in source.namelist():
            if not name.endswith(place):
                target.writestr(name, source.read(name))
        target.writestr(f"model/data/{place}", pickle.dumps(Payload(tmp_path / "ran"), protocol=protocol))
    with pytest.raises(ModelError, match="holds pickled code"):
        open_checkpoint(str(tmp_path / "model.pt2"))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("form", "damage"),  # overwritten numbers are still numbers: such weights load, and their tags are nonsense
    [(form, "cut short") for form in ("safetensors", "state dict", "TorchScript", "export")]
    + [(form, "middle overwritten") for form in ("TorchScript", "export")],
)
def test_damaged_weights_are_one_sentence(files, tmp_path, form, damage):
    content = bytearray(files(form).read_bytes())
    quarter = len(content) // 4
    if damage == "cut short":
        content = content[: 2 * quarter]
    else:
        content[quarter : 3 * quarter] = bytes(2 * quarter)
    path = tmp_path / files(form).name
    path.write_bytes(content)
    write_labels(tmp_path, NAMES)
    with pytest.raises(ModelError, match=r"damaged|cannot open|do not fit") as caught:
        open_checkpoint(str(path), **options(form))
    if "do not fit" not in str(caught.value):
        assert caught.value.__cause__ is not None, "whoever repairs the file needs what torch says"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", r"is empty \(0 bytes\)"),
        (b"\n<!DOCTYPE html><html>404</html>", "is a web page, not weights"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "is a Git LFS pointer"),
        (b"\x08\x08\x12\x07pytorch\x1a\x052.1.0", "is an ONNX file, which is not served: export it from PyTorch"),
        (b"\x89HDF\r\n\x1a\n", "is an HDF5 file"),
        (b"nonsense", "is no model in a format that is served"),
    ],
)
def test_other_files_are_refused_with_what_to_do(tmp_path, content, says):
    (tmp_path / "model.pth").write_bytes(content)
    write_labels(tmp_path, NAMES)
    with pytest.raises(ModelError, match=says):
        open_checkpoint(str(tmp_path / "model.pth"))


def test_the_wrong_architecture_names_the_first_five_keys_of_both_sides(tmp_path):
    path = classifier(tmp_path, "timm")
    with pytest.raises(ModelError, match=r"is missing in the file(.*;){4}.* and \d+ more"):
        open_checkpoint(str(path), architecture="timm/efficientnet_b0")
    with pytest.raises(ModelError, match=r"layer1\.0\.conv3\.weight is missing in the file"):
        open_checkpoint(str(path), architecture="timm/resnet50")


@pytest.mark.parametrize(
    ("architecture", "says"),
    [
        ("", r"holds weights alone \(conv1\.weight, .*set architecture="),
        ("resnet18", "architecture 'resnet18' is not known: use timm/"),
        ("timm/resnett18", "timm knows no architecture 'resnett18'"),
        ("torchvision/resnet19", "torchvision knows no architecture 'resnet19'"),
    ],
)
def test_an_architecture_that_is_missing_or_unknown(tmp_path, architecture, says):
    with pytest.raises(ModelError, match=says):
        open_checkpoint(str(classifier(tmp_path, "timm")), architecture=architecture)


def test_labels_of_the_wrong_length_show_both_counts(tmp_path):
    path = classifier(tmp_path, "timm")
    four = write_labels(tmp_path, [*NAMES, "手机"])
    with pytest.raises(ModelError, match=r"with 4 classes: fc\.weight is \[3, 512\] in the file and \[4, 512\]"):
        open_checkpoint(str(path), str(four), "timm/resnet18")


def test_labels_of_the_wrong_length_for_a_network_with_its_own_code(tmp_path):
    save_traced(OnlyFloat32(), tmp_path / "model.pt")
    write_labels(tmp_path, NAMES)
    with pytest.raises(ModelError, match="the network has 2 classes, and the labels name 3"):
        ResidentModel.load(str(tmp_path / "model.pt"))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"0": "台灯", "2": "椅子"}', {0: "台灯", 2: "椅子"}),
        ('["台灯", "椅子"]', {0: "台灯", 1: "椅子"}),
        ("台灯\n椅子\n", {0: "台灯", 1: "椅子"}),
        ("1\t台灯\n2\t椅子\n", {1: "台灯", 2: "椅子"}),
        ("n01\t台灯\tlamp\nn02\t椅子\tchair\n", {0: "台灯", 1: "椅子"}),
        ("\ufeff台灯\r\n椅子", {0: "台灯", 1: "椅子"}),
    ],
)
def test_labels_files(tmp_path, content, expected):
    (tmp_path / "labels.txt").write_bytes(content.encode())
    assert read_labels(tmp_path / "labels.txt") == expected


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        ("台灯".encode("gb18030"), "is not UTF-8: convert it"),
        (b'{"a": "b"}', "keys must be class ids"),
        (b'{"0": ', "is not JSON"),
        (b'{"0": ""}', "class 0 has no name"),
        (b"1\tlamp\n2\n", "class 2 has no name"),
    ],
)
def test_labels_files_that_are_wrong(tmp_path, content, says):
    (tmp_path / "labels.txt").write_bytes(content)
    with pytest.raises(ModelError, match=says):
        read_labels(tmp_path / "labels.txt")


def test_a_labels_file_that_is_not_there(tmp_path):
    with pytest.raises(MissingFile, match=r"labels file .*none\.json does not exist"):
        open_checkpoint("demo", labels=str(tmp_path / "none.json"))


def test_a_file_without_labels_says_where_to_put_them(tmp_path):
    path = classifier(tmp_path, "timm")
    (tmp_path / "labels.txt").unlink()
    with pytest.raises(MissingFile, match=r"has no labels: set labels=…, or put labels_zh\.json beside it"):
        open_checkpoint(str(path), architecture="timm/resnet18")


def test_a_model_that_is_not_there_says_what_there_is():
    with pytest.raises(MissingFile, match=r"model 'no such model' does not exist .*: use \"demo\", a model folder"):
        open_checkpoint("no such model")


def test_an_architecture_is_for_a_lone_file(files):
    with pytest.raises(ModelError, match=r"is for a lone weights file, and .* is a folder"):
        open_checkpoint("demo", architecture="timm/resnet18")
    with pytest.raises(ModelError, match="is TorchScript and brings its own code: leave architecture out"):
        open_checkpoint(str(files("TorchScript")), architecture="timm/resnet18")


def test_a_published_detector_that_cannot_be_downloaded_says_which_file_to_put_where(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with pytest.raises(MissingFile, match=r"get https://.*\.pth, and put it at .*hub/checkpoints/ssdlite"):
        open_checkpoint(f"torchvision/{TORCHVISION}")


def test_an_unknown_torchvision_name_lists_the_detectors():
    with pytest.raises(ModelError, match=r"no detector .fasterrcnn.: .*fcos_resnet50_fpn"):
        open_checkpoint("torchvision/fasterrcnn")


@pytest.mark.parametrize(
    ("files_there", "says"),
    [
        ([], "holds neither a model.json nor ModelScope's"),
        (["meta_info.txt"], "lacks pytorch_model.pt: modelscope download"),
        (["model.json"], "must hold one file of weights"),
    ],
)
def test_folders_that_are_no_model(tmp_path, files_there, says):
    for name in files_there:
        (tmp_path / name).write_text("{}")
    with pytest.raises((ModelError, MissingFile), match=says):
        open_checkpoint(str(tmp_path))


@pytest.mark.parametrize(
    ("description", "says"),
    [
        ("[]", "is not a JSON object"),
        ('{"input": {"width": 640}}', r"input\.height: Field required"),
        ('{"inputs": {}}', "inputs: Extra inputs are not permitted"),
    ],
)
def test_a_wrong_model_json_says_where(tmp_path, description, says):
    (tmp_path / "model.json").write_text(description)
    with pytest.raises(ModelError, match=says):
        open_checkpoint(str(tmp_path))


def test_the_worked_example_of_the_documentation_works(scenes, tmp_path):
    text = (DOCS / "models.md").read_text(encoding="utf-8")
    (tmp_path / "model.json").write_text(text.split("```json\n")[1].split("```")[0])
    classifier(tmp_path, "timm", ".safetensors")
    resident = ResidentModel.load(str(tmp_path))
    assert resident.checkpoint.name == "shoes or not"
    assert resident.checkpoint.spec.fit == "letterbox"
    assert tag_folder(resident, scenes, tmp_path / "out", conf_threshold=0.9, limit=1).objects == 1


@pytest.mark.parametrize("fact", ["demo detector", "20", "640 x 640, letterbox", "2,617,640 (10.5 MB)"])
def test_a_model_shows_itself(model, fact):
    assert fact in model._repr_html_()
    assert fact in repr(model)


def test_a_model_shows_its_fingerprint(model):
    assert model.checkpoint.fingerprint in model._repr_html_()
    assert model.checkpoint.fingerprint in repr(model)


def test_a_models_record_holds_numbers(model):
    record = model.record()
    load_seconds = record.pop("load_seconds")
    assert isinstance(load_seconds, float)
    assert record == {
        "name": "demo detector",
        "kind": "model folder, safetensors, wanwu_nb/demo_detector",
        "classes": 20,
        "input": {"width": 640, "height": 640, "fit": "letterbox"},
        "parameters": 2_617_640,
        "bytes": 10_470_560,
        "fingerprint": model.checkpoint.fingerprint,
    }


def test_the_demos_fingerprint_is_an_interface():
    """Folders tagged by earlier versions stay done: it may change only when the demo's weights do."""
    assert open_checkpoint("demo").fingerprint == "06d79f4cc3270ad8"


def test_a_fingerprint_follows_weights_labels_and_scoring(tmp_path):
    shutil.copytree(DEMO_FOLDER, tmp_path / "copy")
    same = open_checkpoint(str(tmp_path / "copy")).fingerprint
    assert same == open_checkpoint("demo").fingerprint
    labels = write_labels(tmp_path, {str(i): f"别名{i}" for i in range(20)})
    assert open_checkpoint("demo", str(labels)).fingerprint != same
    description = json.loads((tmp_path / "copy/model.json").read_text()) | {"scoring": "sigmoid"}
    (tmp_path / "copy/model.json").write_text(json.dumps(description))
    assert open_checkpoint(str(tmp_path / "copy")).fingerprint != same


@pytest.mark.parametrize(
    ("architecture", "expected"),
    [("timm/resnet18", (224, 224, "crop", 235)), ("torchvision/resnet18", (224, 224, "crop", 256))],
)
def test_a_classifier_gets_the_input_it_is_evaluated_with(tmp_path, architecture, expected):
    spec = open_checkpoint(str(classifier(tmp_path, architecture.split("/")[0])), architecture=architecture).spec
    assert (spec.width, spec.height, spec.fit, spec.shorter_side) == expected
