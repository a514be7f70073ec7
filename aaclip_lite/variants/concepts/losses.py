"""The losses of the three stages: concepts, prototypes, task.

Special: the published `prototype_loss` is least when all prototypes of a concept lie on one spot
(`prototype_floor`); `assigned_loss` lets the nearest ones answer for a concept.
"""

import math

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from .boxes import box_loss, box_mask

Maps = Float[Tensor, "b k h w"]
Labels = Float[Tensor, "b k"]
Vectors = Float[Tensor, "b k c"]
Loss = Float[Tensor, ""]


def concept_loss(
    cams: Maps, labels, boxes, version="old", alpha=1, beta=0.5, pos_weight=None, far="floor"
) -> Loss:
    """Stage 1: is the concept there (its map's maximum), and does the map lie in its box?

    labels: (b, k); boxes: a list a picture of (concept, x_min, y_min, x_max, y_max).
    """
    weight = None if pos_weight is None else pos_weight.to(cams)
    peaks = F.adaptive_max_pool2d(cams, 1).flatten(1)
    there = F.binary_cross_entropy_with_logits(peaks, labels.to(cams), pos_weight=weight)
    found = [
        box_loss(maps[int(concept)], box_mask(box, tuple(maps.shape[-2:]), far), version)
        for maps, own in zip(cams, boxes or [()] * len(cams), strict=True)
        for concept, *box in (() if own is None else own)
    ]
    return alpha * there + (beta * sum(found) / len(found) if found else 0)


def focal_loss(logits: Tensor, targets: Tensor, alpha=0.25, gamma=2.0) -> Loss:
    """Stage 3 of the public code: cross-entropy of each label, small where it is surely right."""
    targets = targets.to(logits)
    p = logits.sigmoid().clamp(1e-7, 1 - 1e-7)
    p_true = p * targets + (1 - p) * (1 - targets)
    side = alpha * targets + (1 - alpha) * (1 - targets)
    plain = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return (side * (1 - p_true) ** gamma * plain).mean()


def _cosines(vectors: Tensor, prototypes: Tensor, per_concept: int) -> Float[Tensor, "b k k m"]:
    """Of each concept's vector with the m prototypes of every concept."""
    unit = F.normalize(prototypes.flatten(1), dim=-1)
    return (F.normalize(vectors, dim=-1) @ unit.mT).unflatten(-1, (-1, per_concept))


def prototype_loss(
    vectors: Vectors, prototypes: Tensor, labels: Labels, per_concept: int, tau: float
) -> Loss:
    """Stage 2: -log softmax over all prototypes, for each own prototype of each concept present."""
    logits = _cosines(vectors, prototypes, per_concept) / tau
    own = logits.diagonal(dim1=1, dim2=2).movedim(-1, 1)
    costs = (logits.flatten(2).logsumexp(-1, keepdim=True) - own)[labels == 1]
    return costs.sum() / max(costs.numel(), 1)  # nothing present: 0, with a gradient of 0


def assigned_loss(vectors, prototypes, labels, per_concept, tau, sharp=0.1) -> Loss:
    """Stage 2 without a reward for collapse: a concept is as near as its nearest prototypes."""
    near = _cosines(vectors, prototypes, per_concept)
    near = ((near / sharp).softmax(-1) * near).sum(-1)
    costs = -(near / tau).log_softmax(-1).diagonal(dim1=1, dim2=2)[labels == 1]
    return costs.sum() / max(costs.numel(), 1)


def prototype_floor(concepts: int, per_concept: int, tau: float) -> float:
    """The least `prototype_loss`: own prototypes on the vector, concepts on a simplex's corners."""
    others = concepts - 1
    gap = (1 + 1 / others) / tau if others else math.inf
    return math.log(per_concept) + math.log1p(others * math.exp(-gap))
