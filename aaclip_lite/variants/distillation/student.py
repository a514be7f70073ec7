"""The tiny student: 1,297 weights, named as in the public Tiny-LaDeDa, so that its files load."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .filters import diagonal_filter

TRAINED = {1: ("fc",), 2: ("layer1", "fc")}  # what each stage trains


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=2, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C h w"]:
        x = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(x)))


class TinyStudent(nn.Module):
    """Pictures (B, 3, H, W) -> logits (B, 1, h, w), h = (H - 5) // 2 + 1; needs 5 x 5 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 1, bias=False)
        self.conv2 = nn.Conv2d(8, 8, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(8, momentum=0.001)  # forgets slowly: made for many epochs
        self.layer1 = nn.Sequential(Block(8))
        self.fc = nn.Linear(8, 1)
        for weight in (w for w in self.parameters() if w.ndim == 4):  # the convolutions
            nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 1 h w"]:
        x = self.bn1(self.conv2(self.conv1(diagonal_filter(images))))
        x = self.layer1(torch.relu(x))
        return self.fc(x.movedim(1, -1)).movedim(-1, 1)


def weights_of(model: nn.Module, stage: int | None = None) -> dict[str, nn.Parameter]:
    """The weights that a stage trains, by name; None: all."""
    if stage not in (None, *TRAINED):
        raise ValueError(f"stage = {stage!r}: choose None (all weights), 1 (fc) or 2 (layer1 too)")
    named = dict(model.named_parameters())
    return {n: w for n, w in named.items() if not stage or n.split(".")[0] in TRAINED[stage]}


def count_parameters(model: nn.Module, stage: int | None = None) -> int:
    return sum(weight.numel() for weight in weights_of(model, stage).values())


def freeze(model: nn.Module, stage: int | None = None) -> list[nn.Parameter]:
    """Freeze all but the stage's weights, and return those for the optimiser."""
    model.requires_grad_(False)
    return [weight.requires_grad_() for weight in weights_of(model, stage).values()]
