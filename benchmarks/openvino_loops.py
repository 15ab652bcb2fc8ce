"""OpenVINO without us: the loops of its tutorials, pictures read by Pillow, the same output.

The network is converted once and kept as OpenVINO's own file, and what was built of it in OpenVINO's own cache, as its
pages advise: so the second process opens both. Its precision is OpenVINO's choice: bfloat16 where the processor has it.
"""

import os
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wanwu_nb.detecting import RawOutput
from wanwu_nb.engines.openvino_cpu import without_side_effects
from wanwu_nb.fitting import Placement
from wanwu_nb.method.job import Job
from wanwu_nb.method.script import load, prepare, save

from .harness import OPENVINO_CACHE, held_to_avx2
from .jobs import first_batch, job_of
from .ready import Ready

FILE = "network.xml"
KEPT: list[Any] = []  # queues, to the end of the process: one that goes while its last thread returns ends it


def one_by_one(folder: Path, pictures: list[Path], output: Path) -> Ready:
    """One picture after the other, with the defaults of `compile_model`."""
    job = job_of(folder, pictures, output)
    compiled = compile_for(job, {})

    def run(job: Job) -> None:
        for name in job.names:
            image, placement = prepare(job, name)
            results = compiled(image[None].numpy())
            outputs = [results[i] for i in range(len(compiled.outputs))]
            save(job, [name], raw_of(outputs), [placement])

    return Ready(partial(run, job), partial(run, first_batch(job)))


def queue(folder: Path, pictures: list[Path], output: Path) -> Ready:
    """AsyncInferQueue, built for throughput: as many pictures at once as OpenVINO takes for best."""
    job = job_of(folder, pictures, output)
    compiled = compile_for(job, {"PERFORMANCE_HINT": "THROUGHPUT"})
    import openvino  # after compile_for, which imports it without its telemetry

    count = len(compiled.outputs)

    def finish(request: Any, what: tuple[str, Placement]) -> None:
        name, placement = what
        outputs = [request.get_output_tensor(i).data for i in range(count)]
        save(job, [name], raw_of(outputs), [placement])

    requests = openvino.AsyncInferQueue(compiled)
    requests.set_callback(finish)
    KEPT.append(requests)

    def run(job: Job) -> None:
        for name in job.names:
            image, placement = prepare(job, name)
            requests.start_async({0: image[None].numpy()}, (name, placement))
        requests.wait_all()

    return Ready(partial(run, job), partial(run, first_batch(job)))


def compile_for(job: Job, properties: dict[str, str]) -> Any:
    """The network for one picture at a time: converted, or opened where an earlier process kept it."""
    where = os.environ.get(OPENVINO_CACHE, "")
    if held_to_avx2():
        properties = {**properties, "INFERENCE_PRECISION_HINT": "f32"}  # what it takes on such a processor
    file = Path(where) / FILE
    with without_side_effects():
        import openvino

        core = openvino.Core()
        if where:
            properties = {**properties, "CACHE_DIR": where}
        if where and file.exists():
            return core.compile_model(file, "CPU", properties)
        model = convert(job)
        if where:
            openvino.save_model(model, file, compress_to_fp16=False)  # the same weights for all
        return core.compile_model(model, "CPU", properties)


@torch.no_grad()
def convert(job: Job) -> Any:
    import openvino

    blank = torch.zeros(1, 3, job.spec.height, job.spec.width)
    program = torch.export.export(load(job), (blank,))
    return openvino.convert_model(program)


def raw_of(outputs: list[Any]) -> RawOutput:
    """A tagger has no boxes. Copied: a request's own memory is written over by the next picture."""
    tensors: list[Tensor] = [torch.tensor(output) for output in outputs]
    *boxes, scores, class_ids = tensors
    if not boxes:
        return None, scores, class_ids
    return boxes[0], scores, class_ids
