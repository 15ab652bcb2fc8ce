"""Any checkpoint: each kind a user may have, from a real file of that format, gives the tags it should."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import contents, papermill
from model_files import (
    FORMS,
    NAMES,
    TORCHVISION,
    WITH_ARCHITECTURE,
    classifier,
    modelscope_folder,
    options,
    torch_cache,
    write_labels,
)
from torchvision import transforms

from wanwu_nb import ResidentModel, tag_folder
from wanwu_nb.checkpoints import DEMO_FOLDER, open_checkpoint
from wanwu_nb.checkpoints.torchvision_detectors import COCO_NAMES
from wanwu_nb.fitting import IMAGENET_MEAN, IMAGENET_STD

DOCS = Path(__file__).parent.parent / "docs"


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


# --- what a model says of itself --------------------------------------------------------------------------------------


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
