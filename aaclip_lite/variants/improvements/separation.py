"""Other ways to part the two anchors of a class, and a loss on the map's hottest patches."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ...scoring import similarity_logits, top_fraction
from .plug import Plugged, idea


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


def info_nce(anchors: Float[Tensor, "B d 2"], scale: float = 10.0) -> Tensor:
    """Every anchor should be told from all anchors of the other state: its own state's are right."""
    normal, abnormal = anchors.unbind(-1)
    every = torch.cat([normal, abnormal])
    state = torch.arange(2, device=anchors.device).repeat_interleave(len(normal))
    logits = (scale * every @ every.T).fill_diagonal_(-torch.inf)
    right = (state[:, None] == state).fill_diagonal_(False)
    return (logits.logsumexp(1) - logits.masked_fill(~right, -torch.inf).logsumexp(1)).mean()


def _separated(loss):
    class Separated(Plugged):
        def loss_parts(self, stage, features, anchors, batch):
            parts = super().loss_parts(stage, features, anchors, batch)
            if stage == "text":
                parts["separation"] = self.recipe.orthogonal_weight * loss(anchors)
            return parts

    return Separated


for _name, _loss in (("contrastive", contrastive), ("triplet", triplet), ("InfoNCE", info_nce)):
    idea(_name, area=6)(_separated(_loss))


@idea("loss on the hottest patches", area=6)
class HottestPatches(Plugged):
    def loss_parts(self, stage, features, anchors, batch):
        parts = super().loss_parts(stage, features, anchors, batch)
        if stage == "image":
            parts["top"] = 0.5 * map_top(features.levels, anchors, batch["label"], 15.0)
        return parts
