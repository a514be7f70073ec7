"""What training rewards: focal, dice, segmentation, separated anchors, and the totals of the two
stages.

Special: pure functions of tensors, each defined once; `reduction="none"` gives a value a picture.
A stage's loss exists as a total (`stage1`, `stage2`) and as the weighted parts that add up to it.
Use: `stage2(features, anchors, mask, label, recipe).backward()`; mask (B, 1, H, W) in {0, 1}.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Num
from torch import Tensor

from .recipe import Recipe
from .scoring import probability_map

SMOOTH = 1e-5  # label smoothing of the focal loss, and its guard against log 0

Levels = Sequence[Float[Tensor, "B N d"]]  # one tensor a level, shallow ones first
Anchors = Float[Tensor, "B d 2"]  # each picture's own: column 0 normal, 1 abnormal
Probability = Float[Tensor, "B 2 H W"]  # softmaxed over the two
Mask = Float[Tensor, "B 1 H W"]  # 0 sound, 1 defect
Labels = Num[Tensor, " B"]  # 0 sound, 1 anomalous
Loss = Float[Tensor, "*B"]  # one number; with reduction="none" one a picture


def focal(p: Probability, mask: Mask, gamma: float = 2.0, reduction: str = "mean") -> Loss:
    """-(1 - p_t)^gamma ln p_t, p_t the smoothed probability of the true channel: easy pixels count
    little.
    """
    if p.ndim != 4 or p.shape[1] != 2 or mask.shape != (len(p), 1, *p.shape[2:]):
        raise ValueError(
            f"focal takes p (B, 2, H, W) and mask (B, 1, H, W), not {tuple(p.shape)} and "
            f"{tuple(mask.shape)}"
        )
    true = p.gather(1, mask.long())  # (B, 1, H, W): of the channel that is right
    # smoothed, a pixel that is surely wrong costs about 11 instead of infinity
    p_t = (1 - SMOOTH) * true + SMOOTH * (p.sum(1, keepdim=True) - true) + SMOOTH
    # most pixels are sound and soon sure: without the power they would drown the few of a defect
    loss = -((1 - p_t) ** gamma * p_t.log())
    return loss.mean() if reduction == "mean" else loss.flatten(1).mean(1)


def dice(
    p: Float[Tensor, "B H W"], mask: Float[Tensor, "B *any H W"], reduction: str = "mean"
) -> Loss:
    """1 - overlap of probability and mask, a picture at a time: small defects count as much as
    large ones.
    """
    if p.numel() != mask.numel() or len(p) != len(mask):
        raise ValueError(
            f"dice takes p and mask of one size, not {tuple(p.shape)} and {tuple(mask.shape)}"
        )
    p = p.flatten(1)  # (B, H W)
    mask = mask.flatten(1)
    # the ones keep a sound picture's empty mask from dividing 0 by 0
    overlap = (2 * (p * mask).sum(1) + 1) / (p.sum(1) + mask.sum(1) + 1)  # (B,)
    return 1 - overlap.mean() if reduction == "mean" else 1 - overlap


def segmentation(p: Probability, mask: Mask, reduction: str = "mean") -> Loss:
    """Focal, plus dice of the normal channel on the sound region and of the abnormal one on the
    defect.
    """
    normal = dice(p[:, 0], 1 - mask, reduction)  # on what is sound
    abnormal = dice(p[:, 1], mask, reduction)  # a share of the defect, however small it is
    return focal(p, mask, reduction=reduction) + normal + abnormal


def levels_segmentation(
    levels: Levels, anchors: Anchors, mask: Mask, recipe: Recipe, reduction: str = "mean"
) -> Loss:
    """The segmentation loss of each level's own map, summed over the levels."""
    size = mask.shape[-2:]  # the map is enlarged to the mask: shrunk, thin scratches would vanish
    level_losses = []
    for level in levels:  # each by itself: a sum would let one level hide another's mistake
        p = probability_map(level, anchors, size, recipe.logit_scale, recipe.align_corners)
        level_losses.append(segmentation(p, mask, reduction))
    return torch.stack(level_losses).sum(0)  # the published loop keeps the last level only


def orthogonal(anchors: Anchors) -> Loss:
    """Square of the batch's mean cosine between normal and abnormal."""
    # squared after the mean, as published: classes may miss 90 degrees in opposite ways
    return (anchors[..., 0] * anchors[..., 1]).sum(-1).mean() ** 2


def detection(
    feature: Float[Tensor, "B d"],
    anchors: Anchors,
    label: Labels,
    scale: float = 1.0,
    reduction: str = "mean",
) -> Loss:
    """Cross-entropy of the picture's label from its similarity to the two anchors."""
    # unscaled, two numbers in [-1, 1] can't push a softmax past 0.88: the loss would never be small
    logits = scale * (feature.unsqueeze(1) * anchors.mT).sum(-1)  # (B, 1, d) * (B, 2, d): (B, 2)
    return F.cross_entropy(logits, label.long(), reduction=reduction)


def stage1_parts(levels: Levels, anchors: Anchors, mask: Mask, recipe: Recipe) -> dict[str, Loss]:
    """Weighted parts of the text stage's loss: only the anchors have a gradient here."""
    used = levels if recipe.stage1_levels == "all" else levels[-1:]
    return {
        "segmentation": levels_segmentation(used, anchors, mask, recipe),
        "separation": recipe.orthogonal_weight * orthogonal(anchors),
    }


def stage2_parts(
    features: Any, anchors: Anchors, mask: Mask, label: Labels, recipe: Recipe
) -> dict[str, Loss]:
    """Weighted parts of the image stage's loss; features: model.Features, which stands above us."""
    return {
        "detection": detection(features.detection, anchors, label, recipe.detection_scale),
        "segmentation": levels_segmentation(features.levels, anchors, mask, recipe),
    }


def total(parts: Mapping[str, Loss]) -> Loss:
    return torch.stack(tuple(parts.values())).sum()  # weighted already, each where it is made


def stage1(levels: Levels, anchors: Anchors, mask: Mask, recipe: Recipe) -> Loss:
    return total(stage1_parts(levels, anchors, mask, recipe))


def stage2(features: Any, anchors: Anchors, mask: Mask, label: Labels, recipe: Recipe) -> Loss:
    return total(stage2_parts(features, anchors, mask, label, recipe))
