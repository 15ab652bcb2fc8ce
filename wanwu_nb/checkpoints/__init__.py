"""Which kind of model is this? Each family turns what a user has into one `Checkpoint`: network, input, labels.

"demo", model.json folder    model_folder.py        a lone weights file     lone_file.py, programs.py
"everyday"                   everyday.py
ModelScope's folder          modelscope.py          "torchvision/…"         torchvision_detectors.py
Hugging Face's folder        hugging_face.py        what is in a file        formats.py, weights.py, pickles.py

Networks by name are built in architectures.py and torchvision_networks.py.
"""

from .checkpoint import Checkpoint
from .contract import Contract
from .labels import read_labels
from .opening import DEMO_FOLDER, open_checkpoint

__all__ = ["DEMO_FOLDER", "Checkpoint", "Contract", "open_checkpoint", "read_labels"]
