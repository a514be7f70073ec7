"""From a map of cells to one number a picture, and from one grid to another."""

import math

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def top_k(cells: int) -> int:
    """A tenth of the cells, at least 5; a map with fewer than 5 gives all it has."""
    return min(cells, max(5, math.ceil(0.1 * cells)))


def top_k_pool(maps: Float[Tensor, "B ..."]) -> Float[Tensor, " B"]:
    """The mean of each picture's highest cells: a trace that is local is not averaged away."""
    cells = maps.flatten(1)
    return cells.topk(top_k(cells.shape[1]), dim=1).values.mean(1)


def align(maps: Float[Tensor, "B C H W"], height: int, width: int) -> Float[Tensor, "B C h w"]:
    """The map on a grid of height x width, each cell the mean of what lies under it."""
    return F.adaptive_avg_pool2d(maps, (height, width))
