"""Other people's pipelines around the same network: each names a whole picture."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn

from wanwu_nb.checkpoints import Contract
from wanwu_nb.detections import Detections
from wanwu_nb.method.job import Job
from wanwu_nb.method.script import write
from wanwu_nb.results import result_record
from wanwu_nb.tagged import Tagged

from .jobs import dtype_of, job_of
from .ready import BATCH_SIZE, Ready

TOP_K = 5  # what the transformers pipeline gives by default
ARCHITECTURES = {"resnest101": "resnest101e", "everyday": "tf_efficientnet_lite0"}  # timm's, by workload


def transformers_pipeline(precision: str, folder: Path, pictures: list[Path], output: Path) -> Ready:
    """Hugging Face's image-classification pipeline around the same timm network, in batches."""
    from transformers import TimmWrapperImageProcessor, pipeline

    job = job_of(folder, pictures, output)
    architecture = ARCHITECTURES[folder.name]
    data = {
        "input_size": (3, 224, 224),
        "crop_pct": 0.875,
        "interpolation": job.spec.interpolation,
        "mean": job.spec.mean,
        "std": job.spec.std,
    }
    model = transformers_model(job, architecture, data)
    pipe = pipeline(
        "image-classification",
        model=model.to(dtype_of(precision, job)).eval(),
        image_processor=TimmWrapperImageProcessor(data, architecture),
        device=job.device,
        batch_size=BATCH_SIZE,
    )
    sizes = sizes_of(pictures)

    def run(pictures: list[Path]) -> None:
        answers = pipe([str(path) for path in pictures], top_k=TOP_K)
        for path, answer in zip(pictures, answers, strict=True):
            ids = [int(tag["label"]) for tag in answer]
            scores = [tag["score"] for tag in answer]
            labels = [job.labels[class_id] for class_id in ids]
            write_tags(output, path.name, sizes[path], labels, ids, scores)

    return Ready(partial(run, pictures), partial(run, pictures[:BATCH_SIZE]))


def transformers_model(job: Job, architecture: str, data: dict[str, Any]) -> Any:
    """The network of `job` as transformers has it, its labels the class ids: names need not be unique."""
    from transformers import TimmWrapperConfig, TimmWrapperForImageClassification

    labels = {class_id: str(class_id) for class_id in job.labels}
    class_ids = {label: class_id for class_id, label in labels.items()}
    config = TimmWrapperConfig(
        architecture=architecture, do_pooling=False, pretrained_cfg=data, id2label=labels, label2id=class_ids
    )
    model = TimmWrapperForImageClassification(config)
    model.timm_model.load_state_dict(weights_of(job))
    return model


def modelscope_way(folder: Path, pictures: list[Path], output: Path) -> Ready:
    """What ModelScope's general-recognition pipeline does: its own network, one by one, labels read every time."""
    from torchvision import transforms

    job = job_of(folder, pictures, output)
    network = modelscope_network(job).to(job.device)
    transform = transforms.Compose(
        [
            transforms.Resize(256),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize(job.spec.mean, job.spec.std),
        ]
    )

    @torch.no_grad()
    def run(pictures: list[Path]) -> None:
        for path in pictures:
            photo = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
            image = transform(photo)
            logits = network.eval()(image[None].to(job.device)).cpu()
            lines = (folder / "meta_info.txt").read_text(encoding="utf-8").splitlines()
            class_id = int(logits.argmax())
            label = lines[class_id].split("\t")[1]
            write_tags(output, path.name, photo.size, [label], [class_id], [logits.max().item()])

    return Ready(partial(run, pictures), partial(run, pictures[:2]))


def modelscope_network(job: Job) -> nn.Module:
    from modelscope.models.cv.animal_recognition.resnet import Bottleneck, ResNet

    network: nn.Module = ResNet(
        Bottleneck,
        [3, 4, 23, 3],
        radix=2,
        groups=1,
        bottleneck_width=64,
        deep_stem=True,
        stem_width=64,
        avg_down=True,
        avd=True,
        avd_first=False,
        num_classes=len(job.labels),
    )
    network.load_state_dict(weights_of(job))
    return network


def weights_of(job: Job) -> dict[str, Tensor]:
    pickled = job.open_network()
    assert isinstance(pickled, Contract)
    return pickled.network.state_dict()


def sizes_of(pictures: list[Path]) -> dict[Path, tuple[int, int]]:
    """Width and height, which go into the JSON: known beforehand, so that reading them costs nobody time."""
    sizes = {}
    for path in pictures:
        with Image.open(path) as file:
            sizes[path] = file.size
    return sizes


def write_tags(
    output: Path,
    name: str,
    size: tuple[int, int],
    labels: list[str],
    class_ids: Sequence[int],
    scores: Sequence[float],
) -> None:
    """One whole picture's tags, best first, as a JSON."""
    detections = Detections(*size, None, np.array(scores), np.array(class_ids), labels)
    write(output, result_record(Tagged(name, None, detections)))
