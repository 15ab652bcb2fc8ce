"""Ways of tagging the same pictures with the same weights: what people use, and ours. Each writes one JSON a picture.

A contender is given the workload's folder, pictures and an output folder; it prepares and warms up what is not to be
timed, and returns the function that does the work.
"""

import json
import math
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from wanwu_nb import ResidentModel, ladder, tag_folder
from wanwu_nb.checkpoints import open_checkpoint
from wanwu_nb.checkpoints.contract import Contract
from wanwu_nb.images import read
from wanwu_nb.ladder import Job
from wanwu_nb.resident import full_batch
from wanwu_nb.results import Summary
from wanwu_nb.tagging import threads
from wanwu_nb.tuning import choose_device, usable_cores

BATCH_SIZE = 8
Work = Callable[[], None]


def job_of(folder: Path, pictures: list[Path], output: Path) -> Job:
    """The job with the pickled module, as everybody's script has it: labels and input spec as in our folder."""
    output.mkdir(parents=True, exist_ok=True)
    checkpoint, device = open_checkpoint(str(folder)), choose_device().value
    half = torch.float16 if device.startswith("cuda") else torch.bfloat16
    load = partial(load_module, folder / "pickled" / "module.pth")
    return Job(pictures, output, load, checkpoint.spec, checkpoint.labels, device, half, BATCH_SIZE)


def load_module(path: Path) -> torch.nn.Module:
    return Contract(torch.load(path, map_location="cpu", weights_only=False))


def step(name: str, folder: Path, pictures: list[Path], output: Path) -> Work:
    """A step of the ladder; all but the default load the model apart from the clock."""
    job = job_of(folder, pictures, output)
    if name != "default":
        network = job.open()
        job = replace(job, open=lambda: network)
    ladder.STEPS[name](replace(job, pictures=pictures[:BATCH_SIZE]))  # warm up
    return partial(ladder.STEPS[name], job)


class Prepared(torch.utils.data.Dataset):
    def __init__(self, job: Job):
        self.job = job

    def __len__(self) -> int:
        return len(self.job.pictures)

    def __getitem__(self, i: int):
        return (*ladder.prepare(self.job, self.job.pictures[i]), self.job.pictures[i])


def columns(rows: list) -> tuple:
    images, placements, paths = zip(*rows, strict=True)
    return torch.stack(images), placements, paths


def dataloader(precision: str, folder: Path, pictures: list[Path], output: Path) -> Work:
    """PyTorch's own way: a DataLoader whose worker processes prepare, a resident network, channels last."""
    job = job_of(folder, pictures, output)
    dtype = job.half if precision == "half" else torch.float32
    network = job.open().to(job.device, dtype, memory_format=torch.channels_last).eval()

    @torch.inference_mode()
    def work(job: Job = job) -> None:
        workers = usable_cores()
        loader = torch.utils.data.DataLoader(
            Prepared(job), BATCH_SIZE, num_workers=workers, collate_fn=columns, pin_memory=job.device != "cpu"
        )
        for images, placements, paths in loader:
            raw = network(images.to(job.device, dtype, memory_format=torch.channels_last, non_blocking=True))
            ladder.save(job, paths, raw, placements)

    work(replace(job, pictures=pictures[:BATCH_SIZE]))
    return work


def transformers_pipeline(precision: str, folder: Path, pictures: list[Path], output: Path) -> Work:
    """Hugging Face's image-classification pipeline around the same timm network, in batches."""
    from transformers import TimmWrapperConfig, TimmWrapperForImageClassification, TimmWrapperImageProcessor, pipeline

    job = job_of(folder, pictures, output)
    data = {"input_size": (3, 224, 224), "crop_pct": 0.875, "interpolation": "bilinear"}
    data |= {"mean": job.spec.mean, "std": job.spec.std}
    names = {"id2label": job.labels, "label2id": {name: i for i, name in job.labels.items()}}
    config = TimmWrapperConfig(architecture="resnest101e", do_pooling=False, pretrained_cfg=data, **names)
    model = TimmWrapperForImageClassification(config)
    model.timm_model.load_state_dict(job.open().network.state_dict())
    dtype = job.half if precision == "half" else torch.float32
    tagger = pipeline(
        "image-classification",
        model=model.to(dtype).eval(),
        image_processor=TimmWrapperImageProcessor(data, "resnest101e"),
        device=job.device,
        batch_size=BATCH_SIZE,
    )

    def work(pictures: list[Path] = pictures) -> None:
        for path, found in zip(pictures, tagger([str(path) for path in pictures], top_k=5), strict=True):
            tags = [{"label": tag["label"], "confidence": tag["score"], "bbox": None} for tag in found]
            content = json.dumps({"image": path.name, "objects": tags}, ensure_ascii=False)
            (output / f"{path.name}.json").write_text(content, encoding="utf-8")

    work(pictures[:BATCH_SIZE])
    return work


def modelscope_way(folder: Path, pictures: list[Path], output: Path) -> Work:
    """What ModelScope's general-recognition pipeline does: its own network, one by one, labels read every time."""
    from modelscope.models.cv.animal_recognition.resnet import Bottleneck, ResNet
    from PIL import Image, ImageOps
    from torchvision import transforms

    job = job_of(folder, pictures, output)
    form = {"radix": 2, "groups": 1, "bottleneck_width": 64, "deep_stem": True, "stem_width": 64, "avg_down": True}
    network = ResNet(Bottleneck, [3, 4, 23, 3], **form, avd=True, avd_first=False, num_classes=len(job.labels))
    network.load_state_dict(job.open().network.state_dict())
    network.to(job.device)
    steps = transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor()
    transform = transforms.Compose([*steps, transforms.Normalize(job.spec.mean, job.spec.std)])

    @torch.no_grad()
    def work(pictures: list[Path] = pictures) -> None:
        for path in pictures:
            image = transform(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))
            logits = network.eval()(image[None].to(job.device)).cpu()
            lines = (folder / "meta_info.txt").read_text(encoding="utf-8").splitlines()
            tag = {"label": lines[logits.argmax()].split("\t")[1], "confidence": logits.max().item(), "bbox": None}
            content = json.dumps({"image": path.name, "objects": [tag]}, ensure_ascii=False)
            (output / f"{path.name}.json").write_text(content, encoding="utf-8")

    work(pictures[:2])
    return work


class Ours:
    """`tag_folder` on a folder of links to the pictures; loading and compiling apart from the clock."""

    def __init__(self, compile: bool, folder: Path, pictures: list[Path], output: Path):
        self.model, self.compile, self.output = ResidentModel.load(str(folder)), compile, output
        self.size = BATCH_SIZE if self.model.device.value == "cpu" else 0
        linked(pictures, output / "pictures")
        linked(pictures[:BATCH_SIZE], output / "few")
        self.tag("few")
        self.summary = self.tag("few")

    def __call__(self) -> None:
        self.summary = self.tag("pictures")

    def tag(self, pictures: str) -> Summary:
        options = {"batch_size": self.size, "compile": self.compile, "resume": False}
        return tag_folder(self.model, self.output / pictures, self.output / f"{pictures} tagged", **options)

    def bound(self) -> dict[str, float]:
        """Seconds a picture below which nobody gets: decoding alone on all cores, and the network alone.

        A CPU does both with the same cores: their sum. A GPU leaves decoding to the CPU: the larger.
        """
        size, threads_used = self.summary.batch_size["value"], self.summary.workers["value"]
        names = sorted(path.name for path in (self.output / "pictures").iterdir())[:64]
        read_one = partial(read, self.output / "pictures", self.model.checkpoint.spec)
        with threads("decode", threads_used) as pool:
            started = time.perf_counter()
            images = [picture.image for picture in pool.map(read_one, names)]
            decode = (time.perf_counter() - started) / len(names)
        batch = full_batch(images[:size], size)
        rounds = math.ceil(64 / size)
        started = time.perf_counter()
        for _ in range(rounds):
            output = self.model.launch(batch)
        output.cpu()  # waits for the device
        forward = (time.perf_counter() - started) / (rounds * size)
        together = sum if self.model.device.value == "cpu" else max
        return {"decode": decode, "forward": forward, "bound": together((decode, forward))}


def linked(pictures: list[Path], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path in pictures:
        (folder / path.name).symlink_to(path)


CONTENDERS = {
    "default script": partial(step, "default"),
    "article's final script": partial(step, "half precision"),
    "DataLoader, FP32": partial(dataloader, "fp32"),
    "DataLoader, half": partial(dataloader, "half"),
    "transformers pipeline, FP32": partial(transformers_pipeline, "fp32"),
    "transformers pipeline, half": partial(transformers_pipeline, "half"),
    "ModelScope's way, FP32": modelscope_way,
    "ours": partial(Ours, False),
    "ours, compiled": partial(Ours, True),
}
REFERENCE = {"resident step": partial(step, "resident")}  # what the default script finds, without its loading
CLASSIFIERS_ONLY = {"transformers pipeline, FP32", "transformers pipeline, half", "ModelScope's way, FP32"}
