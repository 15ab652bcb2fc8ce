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

    >>> boxes, scores, labels = DemoDetector(classes=20).eval()(torch.zeros(2, 3, 640, 640))
    >>> boxes.shape
    torch.Size([2, 100, 4])
    """

    def __init__(self, classes: int, width: int = 96) -> None:
        super().__init__()
        self.stride, self.slots = STRIDE, SLOTS  # TorchScript reads attributes, not globals
        parameters = BlockParams.from_init_params(depth=13, w_0=24, w_a=36.44, w_m=2.49, group_width=8)
        trunk = RegNet(parameters)
        blocks = trunk.trunk_output
        self.stem = nn.Sequential(trunk.stem, blocks.block1, blocks.block2)
        self.middle = blocks.block3
        self.deep = blocks.block4
        self.from_middle = nn.Conv2d(152, width, 1)
        self.from_deep = nn.Conv2d(368, width, 1)
        self.tower = nn.Sequential(_conv_norm_relu(width), _conv_norm_relu(width), _conv_norm_relu(width))
        self.class_logits = nn.Conv2d(width, classes, 1)
        self.box_sizes = nn.Conv2d(width, 4, 1)
        assert self.class_logits.bias is not None
        nn.init.constant_(self.class_logits.bias, -4.6)  # every class starts at a score of 1 %: focal loss's prior

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns each picture's 100 best boxes, with their scores and class ids."""
        logits, boxes = self.dense(images)
        scores, class_ids = logits.float().sigmoid().max(dim=2)
        peaks = self._peaks(scores, images)
        best_scores, best = peaks.topk(self.slots, dim=1)
        best_class_ids = class_ids.gather(1, best)
        four_times = best[:, :, None].expand(-1, -1, 4)
        best_boxes = boxes.gather(1, four_times)
        return best_boxes, best_scores, best_class_ids

    def dense(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Returns class logits [B,N,C] and boxes [B,N,4] xyxy of all N cells of the stride-16 grid: what is trained."""
        stem = self.stem(images)
        middle = self.middle(stem)
        deep = self.from_deep(self.deep(middle))
        upscaled = interpolate(deep, scale_factor=2.0, mode="nearest")
        features = self.tower(self.from_middle(middle) + upscaled)
        logits = _cell_by_cell(self.class_logits(features))
        sizes = self.box_sizes(features).float().clamp(-4.0, 4.0).exp()
        pixels = sizes * (4 * self.stride)
        reach = _cell_by_cell(pixels)  # from a cell's centre to the left, the top, the right and the bottom
        centres = cell_centres(features, self.stride)
        top_left = centres - reach[..., :2]
        bottom_right = centres + reach[..., 2:]
        return logits, torch.cat([top_left, bottom_right], dim=2)

    def _peaks(self, scores: Tensor, images: Tensor) -> Tensor:
        """Scores [B,N] with all but the best of every 5x5 cells at 0, so that one product gets one label.

        As in Zhou et al., 2019, "Objects as Points".
        """
        height = images.shape[2] // self.stride
        width = images.shape[3] // self.stride
        grid = scores.view(-1, 1, height, width)
        best_around = max_pool2d(grid, 5, stride=1, padding=2)
        is_best = grid == best_around
        return (grid * is_best).flatten(1)


def cell_centres(features: Tensor, stride: int) -> Tensor:
    """Returns the input-pixel centres [N,2] of the cells of a feature map [B,C,H,W], row by row.

    >>> cell_centres(torch.zeros(1, 1, 1, 2), stride=16)
    tensor([[ 8.,  8.],
            [24.,  8.]])
    """
    height, width = features.shape[2], features.shape[3]
    rows = torch.arange(height, device=features.device)
    columns = torch.arange(width, device=features.device)
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    cells = torch.stack([x.flatten(), y.flatten()], dim=1)
    return (cells + 0.5) * stride


def _cell_by_cell(maps: Tensor) -> Tensor:
    """From [B,C,H,W] to [B,N,C]."""
    return maps.flatten(2).transpose(1, 2)


def _conv_norm_relu(width: int) -> nn.Sequential:
    convolution = nn.Conv2d(width, width, 3, padding=1, bias=False)
    norm = nn.BatchNorm2d(width)
    activation = nn.ReLU(inplace=True)
    return nn.Sequential(convolution, norm, activation)
