"""Boxes on a grid of patches, and the losses of the three stages: concepts, prototypes, task.

Special: `far="floor"` cuts a box's far edges, as the public code does: a box that crosses no border
between cells vanishes and teaches "low everywhere". "ceil" mends that.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

FAR = {"floor": int, "ceil": math.ceil}
Map = Float[Tensor, "*b h w"]
Maps = Float[Tensor, "b k h w"]
Labels = Float[Tensor, "b k"]
Vectors = Float[Tensor, "b k c"]
Loss = Float[Tensor, ""]


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


def concept_loss(
    cams: Maps, labels, boxes, version="old", alpha=1, beta=0.5, pos_weight=None, far="floor"
) -> Loss:
    """Stage 1: is the concept there (its map's maximum), and does the map lie in its box?

    labels: (b, k); boxes: a list a picture of (concept, x_min, y_min, x_max, y_max).
    """
    weight = None if pos_weight is None else pos_weight.to(cams)
    peaks = F.adaptive_max_pool2d(cams, 1).flatten(1)
    there = F.binary_cross_entropy_with_logits(peaks, labels.to(cams), pos_weight=weight)
    inside = [
        box_loss(maps[int(concept)], box_mask(box, tuple(maps.shape[-2:]), far), version)
        for maps, its_boxes in zip(cams, boxes or [()] * len(cams), strict=True)
        for concept, *box in (() if its_boxes is None else its_boxes)
    ]
    return alpha * there + (beta * sum(inside) / len(inside) if inside else 0)


def focal_loss(logits: Tensor, targets: Tensor, alpha=0.25, gamma=2.0) -> Loss:
    """Stage 3 of the public code: cross-entropy of each label, small where it is surely right."""
    targets = targets.to(logits)
    p = logits.sigmoid().clamp(1e-7, 1 - 1e-7)
    p_true = p * targets + (1 - p) * (1 - targets)
    side = alpha * targets + (1 - alpha) * (1 - targets)
    plain = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return (side * (1 - p_true) ** gamma * plain).mean()


def cosines(vectors: Tensor, prototypes: Tensor, per_concept: int) -> Float[Tensor, "b k k m"]:
    """Of each concept's vector with the m prototypes of every concept."""
    unit = F.normalize(prototypes.flatten(1), dim=-1)
    return (F.normalize(vectors, dim=-1) @ unit.mT).unflatten(-1, (-1, per_concept))


def prototype_loss(
    vectors: Vectors, prototypes: Tensor, labels: Labels, per_concept: int, tau: float
) -> Loss:
    """Stage 2: -log softmax over all prototypes, for each own prototype of each concept present."""
    logits = cosines(vectors, prototypes, per_concept) / tau
    itself = logits.diagonal(dim1=1, dim2=2).movedim(-1, 1)
    costs = (logits.flatten(2).logsumexp(-1, keepdim=True) - itself)[labels == 1]
    return costs.sum() / max(costs.numel(), 1)  # nothing present: 0, with a gradient of 0


def prototype_floor(concepts: int, per_concept: int, tau: float) -> float:
    """The least `prototype_loss`: own prototypes on the vector, concepts on a simplex's corners."""
    others = concepts - 1
    gap = (1 + 1 / others) / tau if others else math.inf
    return math.log(per_concept) + math.log1p(others * math.exp(-gap))
