"""Other ways to part the two anchors of a class, and a loss on the map's hottest patches."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ...scoring import similarity_logits, top_fraction


def contrastive(anchors: Float[Tensor, "B d 2"], margin: float = 2**0.5) -> Tensor:
    """Squared shortfall of the two anchors' distance from a margin; the default is the distance at
    a right angle.
    """
    distance = (anchors[..., 0] - anchors[..., 1]).norm(dim=-1)
    return (margin - distance).clamp(min=0).square().mean()


def triplet(anchors: Float[Tensor, "B d 2"], margin: float = 0.5) -> Tensor:
    """An abnormal anchor should lie closer, by a margin, to the batch's abnormal mean than to its
    own normal anchor.
    """
    normal, abnormal = anchors.unbind(-1)
    to_own_normal = (abnormal * normal).sum(-1)
    to_abnormal_mean = abnormal @ abnormal.mean(0)
    return (margin + to_own_normal - to_abnormal_mean).clamp(min=0).mean()


def map_top(
    levels: Sequence[Float[Tensor, "B N d"]],
    anchors: Float[Tensor, "B d 2"],
    label: Tensor,
    scale: float = 100.0,
) -> Tensor:
    """Cross-entropy of the picture's label from its hottest 1 % of patches: scores look at little
    else.
    """
    mean = torch.stack(tuple(levels)).mean(0)
    normal, abnormal = similarity_logits(mean, anchors, scale).flatten(2).unbind(1)
    hottest = top_fraction((abnormal - normal).unsqueeze(1))
    return F.binary_cross_entropy_with_logits(hottest, label.float())
