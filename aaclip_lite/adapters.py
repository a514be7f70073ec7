"""The small trainable modules of AA-CLIP and the norm-preserving mix that blends them in.

Special: module and weight names are those of the public checkpoints (`layer_adapters.0.fc.0.weight`
...), and all of it follows from widths and a recipe, so weights can be counted without a CLIP.
Use: `text_adapters(recipe, 768, 768, blocks=3)`, `image_adapters(recipe, 1024, 768, 6, levels=4)`.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .recipe import Recipe


class Adapter(nn.Module):
    """Token -> token: one matrix and LeakyReLU, or a bottleneck of half the width."""

    def __init__(self, width: int, recipe: Recipe) -> None:
        super().__init__()
        bias = recipe.adapter_bias  # the published ones have none
        bottleneck = recipe.adapter == "bottleneck"
        inner = width // 2 if bottleneck else width
        layers = [nn.Linear(width, inner, bias), nn.LeakyReLU(recipe.adapter_slope)]  # as published
        if bottleneck:  # its last matrix is free to give any sign, so no LeakyReLU behind it
            layers.append(nn.Linear(inner, width, bias))
        self.fc = nn.Sequential(*layers)
        _xavier(self)  # both starts draw it, so that a seed gives other layers the same numbers
        # started at the identity, x + A(x) with A(x) = 0, an adapter disturbs nothing at first
        self.residual = recipe.adapter_init == "identity"
        if self.residual:
            last = self.fc[-1] if bottleneck else self.fc[0]  # zeros there silence all of it
            for parameter in last.parameters():
                nn.init.zeros_(parameter)

    def forward(self, x: Float[Tensor, "*any D"]) -> Float[Tensor, "*any D"]:
        return x + self.fc(x) if self.residual else self.fc(x)  # xavier: A(x) alone


class Projection(nn.Module):
    """Token -> joint space, where words and patches can be compared; with LeakyReLU or without."""

    def __init__(self, width: int, out: int, recipe: Recipe, relu: bool) -> None:
        super().__init__()
        self.linear_only = not relu  # then the weight's name has no index, as in public files
        linear = nn.Linear(width, out, recipe.adapter_bias)
        self.fc = nn.Sequential(linear, nn.LeakyReLU(recipe.adapter_slope)) if relu else linear
        _xavier(self)

    def start_from(self, matrix: Float[Tensor, "D d"]) -> "Projection":
        """Begin as one of CLIP's own projections: what it knows need not be learned again."""
        linear = self.fc if self.linear_only else self.fc[0]
        with torch.no_grad():
            linear.weight.copy_(matrix.T)  # (d, D): CLIP multiplies from the other side
            if linear.bias is not None:
                linear.bias.zero_()
        return self

    def forward(self, x: Float[Tensor, "*any D"]) -> Float[Tensor, "*any d"]:
        return self.fc(x)


def text_adapters(
    recipe: Recipe, width: int, out: int, blocks: int, start: Float[Tensor, "D d"] | None = None
) -> nn.ModuleList:
    """One adapter a block, then the head on the end-of-text state. start: CLIP's projection."""
    head = _started(Projection(width, out, recipe, recipe.text_head == "relu"), recipe, start)
    return nn.ModuleList([*(Adapter(width, recipe) for _ in range(blocks)), head])


def image_adapters(
    recipe: Recipe,
    width: int,
    out: int,
    blocks: int,
    levels: int,
    start: Float[Tensor, "D d"] | None = None,
) -> nn.ModuleDict:
    """Block adapters, one projection a level, one for detection. start: CLIP's projection."""

    def projection() -> Projection:
        return _started(Projection(width, out, recipe, recipe.proj_relu), recipe, start)

    return nn.ModuleDict(
        {
            "layer_adapters": nn.ModuleList(Adapter(width, recipe) for _ in range(blocks)),
            "seg_proj": nn.ModuleList(projection() for _ in range(levels)),  # D to d, for maps
            "det_proj": projection(),  # D to d, for the picture's verdict
        }
    )


def mix(
    x: Float[Tensor, "*any D"], adapted: Float[Tensor, "*any D"], weight: float
) -> Float[Tensor, "*any D"]:
    """w a + (1 - w) x, where a first gets, token by token, the length of x.

    The frozen blocks behind have only ever seen tokens of such lengths.
    """
    length = x.norm(dim=-1, keepdim=True)  # (*any, 1): of each token before
    # no epsilon, as published: an adapter that puts out zeros alone would give nan, not silence
    adapted = adapted * length / adapted.norm(dim=-1, keepdim=True)
    return weight * adapted + (1 - weight) * x  # 0: CLIP itself; 1: adapters alone


def _started(
    projection: Projection, recipe: Recipe, start: Float[Tensor, "D d"] | None
) -> Projection:
    if recipe.proj_init == "clip" and start is not None:
        projection.start_from(start)
    return projection


def _xavier(module: nn.Module) -> None:
    for parameter in module.parameters():
        if parameter.ndim > 1:  # biases keep PyTorch's own start
            nn.init.xavier_uniform_(parameter)
