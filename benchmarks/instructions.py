"""Which instructions does each engine use? All of the processor's, or, held back by the environment, fewer.

    ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 python -m benchmarks.instructions

Each is asked by what it says of itself: torch and its compiler by name, oneDNN by its log, OpenVINO by the kernels that
it chose for a convolution.
"""

import os
import re
import subprocess
import sys
from collections.abc import Mapping

import torch

from wanwu_nb.engines.openvino_cpu import without_side_effects

from . import harness

CONVOLUTION = "import torch; torch.nn.functional.conv2d(torch.ones(8, 32, 64, 64), torch.ones(32, 32, 3, 3))"


def main() -> None:
    options = harness.command_line(__doc__).parse_args()
    if options.child:
        harness.answer(in_use())
        return
    for engine, instructions in ask().items():
        print(f"{engine}: {instructions}")


def ask(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """Returns what each engine uses where these variables are set, asked in a process of its own."""
    told: dict[str, str] = harness.run_child("benchmarks.instructions", ["all"], variables)
    return told


def not_held(told: Mapping[str, str]) -> dict[str, str]:
    """Returns those of the engines that do not say AVX2, or say more.

    >>> not_held({"torch": "AVX2", "oneDNN": "Intel AVX-512"})
    {'oneDNN': 'Intel AVX-512'}
    """
    wrong = {}
    for engine, words in told.items():
        more = re.search("avx.?512|avx10|amx", words, re.IGNORECASE)
        if more or "avx2" not in words.lower():
            wrong[engine] = words
    return wrong


def in_use() -> dict[str, str]:
    return {
        "torch": torch.backends.cpu.get_cpu_capability(),
        "torch compiled": of_inductor(),
        "oneDNN, for torch": of_onednn(),
        "OpenVINO": of_openvino(),
    }


def of_inductor() -> str:
    from torch._inductor import cpu_vec_isa

    return str(cpu_vec_isa.pick_vec_isa())


def of_onednn() -> str:
    """The line of its log that names the instructions; it is read when torch starts, so in another process."""
    environment = {**os.environ, "ONEDNN_VERBOSE": "1"}
    command = [sys.executable, "-c", CONVOLUTION]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    match = re.search(r"cpu,isa:(.+)", done.stdout)
    if match is None:
        raise RuntimeError(f"oneDNN did not say what it uses: {done.stdout[-500:]}")
    return match[1]


def of_openvino() -> str:
    """The kernels that it runs convolutions with."""
    network = torch.nn.Sequential(torch.nn.Conv2d(8, 16, 3), torch.nn.ReLU(), torch.nn.Conv2d(16, 16, 3))
    program = torch.export.export(network.eval(), (torch.zeros(1, 8, 64, 64),))
    with without_side_effects():
        import openvino

        single = {"INFERENCE_PRECISION_HINT": "f32"}  # as ours has it
        compiled = openvino.Core().compile_model(openvino.convert_model(program), "CPU", single)
    kernels = set()
    for layer in compiled.get_runtime_model().get_ops():
        told = layer.get_rt_info()
        if told["layerType"].astype(str) == "Convolution":
            kernels.add(told["primitiveType"].astype(str))
    return ", ".join(sorted(kernels))


if __name__ == "__main__":
    main()
