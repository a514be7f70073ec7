"""What a picture shows of each concept, as one vector; how much each patch looks like a prototype.

Special: a mask (1 keep, 0 ignore) lets a person take a region out of the argument.
"""

from collections import namedtuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

Features = Float[Tensor, "b c h w"]
Prototypes = Float[Tensor, "p c ..."]  # or as filters (p, c, 1, 1)
Similarity = namedtuple("Similarity", "mean max within between")


def local_vectors(features: Features, cams: Float[Tensor, "b k h w"]) -> Float[Tensor, "b k c"]:
    """The mean feature of each concept, weighted by the softmax of its map over the cells."""
    return cams.flatten(2).softmax(-1) @ features.flatten(2).mT


def similarity_maps(features: Features, prototypes: Prototypes, mask=None) -> Features:
    """Cosine of every patch with every prototype; a mask multiplies, then negatives become 0."""
    unit = F.normalize(prototypes.flatten(1), dim=1)
    maps = torch.einsum("bchw,pc->bphw", F.normalize(features, dim=1), unit)
    if mask is None:
        return maps
    mask = mask.to(maps)[:, None] if mask.ndim == 3 else mask.to(maps)
    return (maps * F.interpolate(mask, maps.shape[-2:], mode="nearest")).clamp(min=0)


def similarity_scores(
    features: Features, prototypes: Prototypes, mask=None
) -> Float[Tensor, "b p"]:
    """How much the best patch of each picture looks like each prototype."""
    return F.adaptive_max_pool2d(similarity_maps(features, prototypes, mask), 1).flatten(1)


def similarity_stats(prototypes: Prototypes, per_concept: int) -> Similarity:
    """Mean and largest cosine of two prototypes; mean within a concept (1: collapse) and between."""
    unit = F.normalize(prototypes.flatten(1), dim=1)
    cosines = unit @ unit.mT
    concept = torch.arange(len(unit), device=unit.device) // per_concept
    same = concept[:, None] == concept
    other = ~torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    pairs = cosines[other]
    most = pairs.max() if len(pairs) else pairs.mean()
    return Similarity(pairs.mean(), most, cosines[same & other].mean(), cosines[~same].mean())
