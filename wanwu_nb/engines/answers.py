"""An engine's answers to one fixed batch: by them it is known again, and compared with the network it was made from."""

import hashlib

import torch
from torch import Tensor

from ..detecting import pack
from ..fitting import InputSpec
from .normalised import Run

BEST = 3  # rows of each picture that must be the same as the network's own
SCORE_APART, BOX_APART = 1e-3, 1.0  # how far apart the same row may be; boxes in input pixels


def fixed_batch(spec: InputSpec, batch_size: int) -> Tensor:
    """Returns the same uint8 [B,3,H,W] at all times: noise, brighter from picture to picture.

    >>> fixed_batch(spec, 4).shape
    torch.Size([4, 3, 640, 640])
    """
    generator = torch.Generator().manual_seed(0)
    shape = (batch_size, 3, spec.height, spec.width)
    noise = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    steps = torch.arange(1, batch_size + 1)
    brightness = steps.view(-1, 1, 1, 1)
    brightened = noise * brightness // batch_size
    return brightened.to(torch.uint8)


@torch.inference_mode()
def answers_of(run: Run, batch: Tensor) -> Tensor:
    """Returns what a batch gives, packed [B,K,2 or 6].

    >>> answers = answers_of(model.normalised, fixed_batch(spec, 4))
    """
    boxes, scores, class_ids = run(batch)
    return pack(boxes, scores, class_ids)


def digest(answers: Tensor) -> str:
    """Returns what is the same only where all bits of the answers are.

    >>> digest(answers) == digest(answers_of(model.normalised, batch))
    True
    """
    content = answers.numpy().tobytes()
    return hashlib.sha256(content).hexdigest()


def are_alike(network: Tensor, engine: Tensor) -> bool:
    """Returns whether the best rows of each picture, packed [B,K,2 or 6], are among the engine's, with its best scores.

    Among all of them: where scores are nearly equal, rounding decides their order, and which of them are left out.

    >>> are_alike(answers_of(model.normalised, batch), answers_of(run, batch))
    True
    """
    if network.shape != engine.shape or not engine.isfinite().all():
        return False
    best, best_of_engine = _best(network), _best(engine)
    if ((best - best_of_engine)[..., 0].abs() > SCORE_APART).any():
        return False
    difference = best[:, :, None] - engine[:, None]
    apart = difference.abs()  # [B,best,K,columns]
    same_score = apart[..., 0] <= SCORE_APART
    same_class = apart[..., 1] == 0
    near_box = apart[..., 2:] <= BOX_APART
    same = same_score & same_class & near_box.all(dim=3)
    lowest = engine[..., 0].min(dim=1, keepdim=True).values
    left_out = best[..., 0] <= lowest + SCORE_APART  # thousands of classes have no score to speak of
    return bool((same.any(dim=2) | left_out).all())


def _best(answers: Tensor) -> Tensor:
    """The best rows of each picture, the surest first."""
    order = answers[..., 0].argsort(dim=1, descending=True)
    rows = order[:, :BEST, None].expand(-1, -1, answers.shape[2])
    return answers.gather(1, rows)
