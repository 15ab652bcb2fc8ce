"""The real model's shape with random weights, made at first use: ResNeSt-101 with 54,092 classes, 629 MB."""

import json
from pathlib import Path

import platformdirs
import timm
import torch

CLASSES = 54_092


def modelscope_folder() -> Path:
    """As ModelScope's download leaves it, and beside its files `module.pth`, the whole network pickled."""
    folder = Path(platformdirs.user_cache_dir("wanwu_nb")) / "benchmarks" / "resnest101"
    if not (folder / "configuration.json").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(0)
        network = timm.create_model("resnest101e", num_classes=CLASSES, zero_init_last=False).eval()
        torch.save(network.state_dict(), folder / "pytorch_model.pt")
        torch.save(network, folder / "module.pth")
        lines = [f"{i}\t标签{i}\n" for i in range(CLASSES)]
        (folder / "meta_info.txt").write_text("".join(lines), encoding="utf-8")
        configuration = {"framework": "pytorch", "task": "general-recognition"}
        (folder / "configuration.json").write_text(json.dumps(configuration))  # last: there, all is there
    return folder
