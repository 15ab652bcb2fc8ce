"""How a network is run: as it was loaded, compiled by torch, or by OpenVINO. One file an engine, each with `prepare`.

`prepare(network, spec, precision, batch_size)` takes a Normalised network and returns what runs one batch: uint8
[B,3,H,W] in, boxes [B,K,4] or None, scores [B,K] and class ids [B,K] out. It raises whatever its engine does.
"""

from .normalised import Normalised, OutputOnDevice, Run

EAGER, COMPILED, OPENVINO, INT8 = "torch eager", "torch compiled", "OpenVINO", "OpenVINO INT8"
BY_OPENVINO = (OPENVINO, INT8)

__all__ = ["BY_OPENVINO", "COMPILED", "EAGER", "INT8", "OPENVINO", "Normalised", "OutputOnDevice", "Run"]
