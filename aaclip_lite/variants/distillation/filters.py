"""What a student sees instead of the picture: traces of how neighbouring pixels were made."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

DIAGONAL = ((-2.0, -1.0, 0.0), (-1.0, 0.0, 1.0), (0.0, 1.0, 2.0))


def diagonal_filter(x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
    """Slope along the falling diagonal, each colour for itself, zeros around the picture."""
    kernel = x.new_tensor(DIAGONAL).expand(x.shape[1], 1, 3, 3)
    return F.conv2d(x, kernel, padding=1, groups=x.shape[1])


def npr(x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
    """Neighbouring pixel relations: each 2 x 2 block less its upper left pixel."""
    if x.shape[-2] % 2 or x.shape[-1] % 2:
        raise ValueError(f"npr needs even sides, got {tuple(x.shape[-2:])}: crop or pad by a pixel")
    corner = x[..., ::2, ::2]
    return x - corner.repeat_interleave(2, -2).repeat_interleave(2, -1)
