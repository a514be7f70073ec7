"""The small trainable modules of AA-CLIP and the norm-preserving mix that blends them in.

Special: module and weight names are those of the public checkpoints (`layer_adapters.0.fc.0.weight`
...), and all of it follows from widths and a recipe, so weights can be counted without a CLIP.
Use: `text_adapters(recipe, 768, 768, blocks=3)`, `image_adapters(recipe, 1024, 768, blocks=6,
levels=4)`.
"""

import torch
from torch import Tensor, nn


class Adapter(nn.Module):
    """Token (..., D) -> token (..., D); one matrix and LeakyReLU, or a bottleneck of half the
    width.
    """

    def __init__(self, width: int, recipe: "Recipe") -> None:
        super().__init__()
        inner = width if recipe.adapter == "linear" else width // 2
        layers = [nn.Linear(width, inner, recipe.adapter_bias), nn.LeakyReLU(recipe.adapter_slope)]
        if recipe.adapter == "bottleneck":
            layers.append(nn.Linear(inner, width, recipe.adapter_bias))
        self.fc = nn.Sequential(*layers)
        self.residual = recipe.adapter_init == "identity"
        _xavier(self)
        if self.residual:
            last = self.fc[-1] if recipe.adapter == "bottleneck" else self.fc[0]
            for parameter in last.parameters():
                nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.fc(x) if self.residual else self.fc(x)


class Projection(nn.Module):
    """Token (..., D) -> joint space (..., d), with LeakyReLU or without; may start as one of CLIP's
    own projections.
    """

    def __init__(
        self, width: int, out: int, recipe: "Recipe", relu: bool, start: Tensor | None = None
    ) -> None:
        super().__init__()
        linear = nn.Linear(width, out, recipe.adapter_bias)
        self.fc = nn.Sequential(linear, nn.LeakyReLU(recipe.adapter_slope)) if relu else linear
        _xavier(self)
        if recipe.proj_init == "clip" and start is not None:
            with torch.no_grad():
                linear.weight.copy_(start.T)
                if linear.bias is not None:
                    linear.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x)


def text_adapters(
    recipe: "Recipe", width: int, out: int, blocks: int, start: Tensor | None = None
) -> nn.ModuleList:
    """One adapter a block, then the head on the end-of-text state. `start` (width, out): CLIP's own
    text projection.
    """
    head = Projection(width, out, recipe, recipe.text_head == "relu", start)
    return nn.ModuleList([*(Adapter(width, recipe) for _ in range(blocks)), head])


def image_adapters(
    recipe: "Recipe", width: int, out: int, blocks: int, levels: int, start: Tensor | None = None
) -> nn.ModuleDict:
    """Block adapters, one projection a level, one for detection. `start` (width, out): CLIP's own
    image projection.
    """
    parts = {
        "layer_adapters": nn.ModuleList(Adapter(width, recipe) for _ in range(blocks)),
        "seg_proj": nn.ModuleList(
            Projection(width, out, recipe, recipe.proj_relu, start) for _ in range(levels)
        ),
        "det_proj": Projection(width, out, recipe, recipe.proj_relu, start),
    }
    adapters = nn.ModuleDict(parts)
    if recipe.detection_pool == "attention":
        # zero: the plain mean
        adapters.register_parameter("det_query", nn.Parameter(torch.zeros(out)))
    if recipe.level_weights == "learned":
        # zero: factor 1
        adapters.register_parameter("level_logs", nn.Parameter(torch.zeros(levels)))
    return adapters


def mix(x: Tensor, adapted: Tensor, weight: float, norm_preserving: bool = True) -> Tensor:
    """w * a + (1 - w) * x, where a, token by token, first gets the length of x."""
    if norm_preserving:
        adapted = adapted * x.norm(dim=-1, keepdim=True) / adapted.norm(dim=-1, keepdim=True)
    return weight * adapted + (1 - weight) * x


def _xavier(module: nn.Module) -> None:
    for parameter in module.parameters():
        if parameter.ndim > 1:
            nn.init.xavier_uniform_(parameter)
