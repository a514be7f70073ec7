"""Boxes on a grid of patches, and four ways to say "high inside, low outside".

Special: `far="floor"` cuts a box's far edges, as the public code does, so a box that crosses no
border between cells vanishes and teaches "low everywhere"; `far="ceil"` mends that.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

FAR = {"floor": int, "ceil": math.ceil}
Map = Float[Tensor, "*b h w"]


def box_mask(box, n: int | tuple[int, int], far: str = "floor") -> Float[Tensor, "h w"]:
    """1 in the cells of an n x n (or (h, w)) grid that (x_min, y_min, x_max, y_max) covers."""
    height, width = (n, n) if isinstance(n, int) else n
    x_min, y_min, x_max, y_max = (float(edge) for edge in box)
    left = max(0, min(int(x_min * width), width - 1))
    top = max(0, min(int(y_min * height), height - 1))
    right = max(0, min(FAR[far](x_max * width), width))
    bottom = max(0, min(FAR[far](y_max * height), height))
    mask = torch.zeros(height, width)
    mask[top:bottom, left:right] = 1
    return mask


def box_loss(cam: Map, mask: Map, version="old", margin=1.0) -> Float[Tensor, "*b"]:
    """Mean cost inside the box plus mean cost outside; a region without cells costs nothing."""
    if version == "old":  # no margin: a map of zeros is free
        inside, outside = F.relu(-cam), F.relu(cam)
    elif version == "fixed":  # squares of a sigmoid: flat where the map is surely wrong
        inside, outside = (cam.sigmoid() - 1) ** 2, cam.sigmoid() ** 2
    elif version == "bce":
        inside, outside = F.softplus(-cam), F.softplus(cam)
    elif version == "hinge":
        inside, outside = F.relu(margin - cam), F.relu(margin + cam)
    else:
        raise ValueError(f"version = {version!r}: choose old, fixed, bce or hinge")
    mask = mask.to(cam)
    regions = ((inside, mask), (outside, 1 - mask))
    return sum((cost * on).sum((-2, -1)) / (on.sum((-2, -1)) + 1e-6) for cost, on in regions)
