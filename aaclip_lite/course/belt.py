"""A student for a camera over a belt: the detector's map from a few thousand weights.

Special: it sees the picture once at full size, then works on a grid as coarse as the teacher's.
"""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


def separable(inputs: int, outputs: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """A 3 x 3 filter for each channel, then a mix of channels: few weights, few products."""
    each = nn.Conv2d(inputs, inputs, 3, stride, dilation, dilation, groups=inputs, bias=False)
    mix = nn.Conv2d(inputs, outputs, 1, bias=False)
    return nn.Sequential(each, nn.BatchNorm2d(inputs), mix, nn.BatchNorm2d(outputs), nn.ReLU())


class BeltStudent(nn.Module):
    """Pictures (B, 3, H, W) in [0, 1] -> map (B, 1, H / 8, W / 8) and picture logit (B,)."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, width // 4, 5, 2, 2, bias=False), nn.BatchNorm2d(width // 4), nn.ReLU()
        )
        self.body = nn.Sequential(
            separable(width // 4, width // 2, stride=2),
            separable(width // 2, width, stride=2),
            separable(width, width),
            separable(width, width, dilation=2),
        )
        self.heads = nn.Conv2d(width, 2, 1)

    def forward(
        self, images: Float[Tensor, "B 3 H W"]
    ) -> tuple[Float[Tensor, "B 1 h w"], Float[Tensor, " B"]]:
        maps, evidence = self.heads(self.body(self.stem(images - 0.5))).split(1, dim=1)
        top = evidence.flatten(1).topk(max(1, evidence[0].numel() // 50), dim=1).values
        return maps, top.mean(1)


def belt_loss(
    maps: Float[Tensor, "B 1 h w"],
    logit: Float[Tensor, " B"],
    teacher: Float[Tensor, "B 1 h w"],
    labels: Float[Tensor, " B"],
) -> Tensor:
    """Follow the teacher's map, whose hot cells are rare and count more, and the labels."""
    rare = 1 + teacher.clamp(0, 4)
    return (rare * (maps - teacher).square()).mean() + F.binary_cross_entropy_with_logits(
        logit, labels
    )
