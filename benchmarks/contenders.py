"""Ways of tagging the same pictures with the same weights: what people use, and ours. Each writes one JSON a picture.

A contender is given the workload's folder, pictures and an output folder; it prepares and warms up what is not to be
timed, and returns the function that does the work.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from wanwu_nb import ResidentModel, tag_folder
from wanwu_nb.checkpoints import open_checkpoint
from wanwu_nb.checkpoints.contract import Contract
from wanwu_nb.forecast import seconds_of
from wanwu_nb.gpu_decoding import SAMPLE
from wanwu_nb.results import Summary
from wanwu_nb.steps import STEPS, Job, half_of, prepare, save, write
from wanwu_nb.trial import bound
from wanwu_nb.tuning import choose_device, usable_cores

BATCH_SIZE = 8
Work = Callable[[], None]


def job_of(folder: Path, pictures: list[Path], output: Path) -> Job:
    """The job with the pickled module, as everybody's script has it: labels and input spec as in our folder."""
    checkpoint, device = open_checkpoint(str(folder)), choose_device().value
    load, ours = partial(load_module, folder / "pickled" / "module.pth"), partial(ResidentModel.load, str(folder))
    files = pictures[0].parent, [path.name for path in pictures], output
    return Job(*files, load, ours, checkpoint.spec, checkpoint.labels, device, half_of(device), BATCH_SIZE)


def load_module(path: Path) -> torch.nn.Module:
    return Contract(torch.load(path, map_location="cpu", weights_only=False))


def step(name: str, folder: Path, pictures: list[Path], output: Path) -> Work:
    """A step of the ladder; all but the default load the model apart from the clock."""
    job = job_of(folder, pictures, output)
    if name != "default":
        network = job.open()
        job = replace(job, open=lambda: network)
    STEPS[name](replace(job, names=job.names[:BATCH_SIZE]))  # warm up
    return partial(STEPS[name], job)


class Prepared(torch.utils.data.Dataset):
    def __init__(self, job: Job):
        self.job = job

    def __len__(self) -> int:
        return len(self.job.names)

    def __getitem__(self, i: int):
        return (*prepare(self.job, self.job.names[i]), self.job.names[i])


def columns(rows: list) -> tuple:
    images, placements, names = zip(*rows, strict=True)
    return torch.stack(images), placements, names


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
        for images, placements, names in loader:
            raw = network(images.to(job.device, dtype, memory_format=torch.channels_last, non_blocking=True))
            save(job, names, raw, placements)

    work(replace(job, names=job.names[:BATCH_SIZE]))
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
            write(output, {"image": path.name, "objects": tags})

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
            write(output, {"image": path.name, "objects": [tag]})

    work(pictures[:2])
    return work


class Ours:
    """`tag_folder` on the pictures; loading and compiling apart from the clock."""

    def __init__(self, compile: bool, folder: Path, pictures: list[Path], output: Path):
        self.model, self.compile = ResidentModel.load(str(folder)), compile
        self.pictures, self.output = pictures, output
        self.size = BATCH_SIZE if self.model.device.value == "cpu" else 0
        for _ in range(2):
            self.summary = self.tag(SAMPLE)  # what is measured once, decoders too, is measured here
        if compile and not self.summary.compiled["value"]:
            raise RuntimeError(self.summary.compiled["reason"])

    def __call__(self) -> None:
        self.summary = self.tag(len(self.pictures))

    def tag(self, count: int) -> Summary:
        options = {"batch_size": self.size, "compile": self.compile, "resume": False, "limit": count}
        return tag_folder(self.model, self.pictures[0].parent, self.output, **options)

    def bound(self) -> dict[str, float]:
        """Decoding alone, the network alone, and what they come to together: nobody gets below."""
        names = [path.name for path in self.pictures[:64]]
        size, workers = self.summary.batch_size["value"], self.summary.workers["value"]
        parts = bound(self.model, self.pictures[0].parent, names, size, workers)
        return parts | {"bound": seconds_of(parts, self.model.device.value)}


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
