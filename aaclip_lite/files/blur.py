"""A Gaussian blur of small maps, so that judging a picture need not import a library for it.

Special: equal to kornia's to rounding; sums of shifted maps, which autocast leaves in full precision.
Use: `blurred(grid, size=7, sigma=1.0)`.
"""

import math

import torch.nn.functional as F
from torch import Tensor


def blurred(grid: Tensor, size: int, sigma: float) -> Tensor:
    """(B, C, h, w), with a kernel of `size` by `size`; beyond its edges the map is reflected."""
    reach = size // 2
    bell = [math.exp(-((at - reach) ** 2) / (2 * sigma**2)) for at in range(size)]
    weights = [height / sum(bell) for height in bell]
    height, width = grid.shape[-2:]
    x = F.pad(grid, (reach, reach, reach, reach), mode="reflect")
    x = sum(weight * x[..., at : at + width] for at, weight in enumerate(weights))
    return sum(weight * x[..., at : at + height, :] for at, weight in enumerate(weights))
