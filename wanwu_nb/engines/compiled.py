"""torch.compile: seconds to minutes in every process, and a C++ compiler is needed on a CPU."""

import torch

from .. import process
from ..fitting import InputSpec
from .normalised import Normalised, Run

FORWARDS = 3  # the first compiles, the second records a graph on a GPU


def prepare(network: Normalised, spec: InputSpec, precision: str, batch_size: int) -> Run:
    """Compile a network for batches of this size. Returns what runs them. Raises whatever the compiler does.

    >>> boxes, scores, class_ids = prepare(network, spec, "fp32", 8)(batch)
    """
    process.keep_compiled_code()
    device = network.mean.device
    mode = "reduce-overhead" if device.type == "cuda" else "default"  # CUDA graphs
    run: Run = torch.compile(network, dynamic=False, mode=mode)
    from torch._inductor import config as inductor  # takes a second, and reads the cache's variable

    # As pictures come: a tensor made in inference mode is another kind, and the first real batch would compile anew.
    blank = torch.zeros(batch_size, 3, spec.height, spec.width, dtype=torch.uint8)
    on_device = blank.to(device)
    # freezing as an option of torch.compile comes too late for the tracing
    with inductor.patch(freezing=True), torch.inference_mode():
        for _ in range(FORWARDS):
            run(on_device)
    return run
