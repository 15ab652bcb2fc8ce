"""The demo's detector: a RegNet trunk, one level of boxes at stride 16, about two billion multiply-adds at 640x640.

Small enough to ship in the package and to run on a laptop. It knows the drawn products and nothing else.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, max_pool2d
from torchvision.models.regnet import BlockParams, RegNet

STRIDE = 16
SLOTS = 100  # boxes a picture, the weakest of them noise: a fixed number keeps every shape fixed


class DemoDetector(nn.Module):
    """Keeps the network contract: `forward(images[B,3,H,W]) -> (boxes[B,100,4], scores[B,100], labels[B,100])`.

    `images` are normalised; H and W multiples of 32. Boxes are xyxy in input pixels, sorted by score; overlapping
    ones are left to NMS. Trunk: RegNetX-200MF (Radosavovic et al., 2020, "Designing Network Design Spaces").
    """

    def __init__(self, classes: int, width: int = 96):
        super().__init__()
        self.stride, self.slots = STRIDE, SLOTS  # TorchScript reads attributes, not globals
        trunk = RegNet(BlockParams.from_init_params(depth=13, w_0=24, w_a=36.44, w_m=2.49, group_width=8))
        self.stem = nn.Sequential(trunk.stem, trunk.trunk_output.block1, trunk.trunk_output.block2)
        self.middle, self.deep = trunk.trunk_output.block3, trunk.trunk_output.block4
        self.from_middle = nn.Conv2d(152, width, 1)
        self.from_deep = nn.Conv2d(368, width, 1)
        self.tower = nn.Sequential(*[conv_norm_relu(width) for _ in range(3)])
        self.class_logits = nn.Conv2d(width, classes, 1)
        self.box_sizes = nn.Conv2d(width, 4, 1)
        nn.init.constant_(self.class_logits.bias, -4.6)  # every class starts at a score of 1 %: focal loss's prior

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits, boxes = self.dense(images)
        scores, labels = logits.float().sigmoid().max(dim=2)
        scores, best = self.peaks(scores, images).topk(self.slots, dim=1)
        boxes = boxes.gather(1, best[:, :, None].expand(-1, -1, 4))
        return boxes, scores, labels.gather(1, best)

    def peaks(self, scores: Tensor, images: Tensor) -> Tensor:
        """Scores [B,N] with all but the best of every 5x5 cells at 0, so that one product gets one label.

        As in Zhou et al., 2019, "Objects as Points".
        """
        grid = scores.view(-1, 1, images.shape[2] // self.stride, images.shape[3] // self.stride)
        return (grid * (grid == max_pool2d(grid, 5, stride=1, padding=2))).flatten(1)

    def dense(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Class logits [B,N,C] and boxes [B,N,4] xyxy of all N cells of the stride-16 grid."""
        middle = self.middle(self.stem(images))
        deep = self.from_deep(self.deep(middle))
        merged = self.from_middle(middle) + interpolate(deep, scale_factor=2.0, mode="nearest")
        features = self.tower(merged)
        logits = self.class_logits(features).flatten(2).transpose(1, 2)
        reach = (self.box_sizes(features).float().clamp(-4.0, 4.0).exp() * (4 * self.stride)).flatten(2).transpose(1, 2)
        centres = cell_centres(features, self.stride)
        return logits, torch.cat([centres - reach[..., :2], centres + reach[..., 2:]], dim=2)


def conv_norm_relu(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(True))


def cell_centres(features: Tensor, stride: int) -> Tensor:
    """Input-pixel centres [N,2] of the cells of a feature map [B,C,H,W], row by row."""
    y = (torch.arange(features.shape[2], device=features.device) + 0.5) * stride
    x = (torch.arange(features.shape[3], device=features.device) + 0.5) * stride
    grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
    return torch.stack([grid_x.flatten(), grid_y.flatten()], dim=1)
