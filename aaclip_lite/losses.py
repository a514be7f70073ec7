"""What training rewards: focal, dice, segmentation, separated anchors, and the totals of the two
stages.

Special: pure functions of tensors, each defined once; `reduction="none"` gives a value a picture.
A stage's loss exists as a total (`stage1`, `stage2`) and as the weighted parts that add up to it.
Use: `stage2(features, anchors, mask, label, recipe).backward()`; mask (B, 1, H, W) in {0, 1}.
"""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from .recipe import Recipe
from .scoring import probability_map

SMOOTH = 1e-5  # label smoothing of the focal loss, and its guard against log 0


def focal(
    p: Float[Tensor, "B 2 H W"],
    mask: Float[Tensor, "B 1 H W"],
    gamma: float = 2.0,
    reduction: str = "mean",
) -> Tensor:
    """-(1 - p_t)^gamma ln p_t, p_t the smoothed probability of the true channel: easy pixels count
    little.
    """
    if p.ndim != 4 or p.shape[1] != 2 or mask.shape != (len(p), 1, *p.shape[2:]):
        raise ValueError(
            f"focal takes p (B, 2, H, W) and mask (B, 1, H, W), not {tuple(p.shape)} and "
            f"{tuple(mask.shape)}"
        )
    true = p.gather(1, mask.long())  # (B, 1, H, W): of the channel that is right
    p_t = (1 - SMOOTH) * true + SMOOTH * (p.sum(1, keepdim=True) - true) + SMOOTH
    loss = -((1 - p_t) ** gamma * p_t.log())  # sure pixels hardly count
    return loss.mean() if reduction == "mean" else loss.flatten(1).mean(1)


def dice(
    p: Float[Tensor, "B H W"], mask: Float[Tensor, "B *any H W"], reduction: str = "mean"
) -> Tensor:
    """1 - overlap of probability and mask, a picture at a time: small defects count as much as
    large ones.
    """
    if p.numel() != mask.numel() or len(p) != len(mask):
        raise ValueError(
            f"dice takes p and mask of one size, not {tuple(p.shape)} and {tuple(mask.shape)}"
        )
    p = p.flatten(1)  # (B, H W)
    mask = mask.flatten(1)
    overlap = (2 * (p * mask).sum(1) + 1) / (p.sum(1) + mask.sum(1) + 1)  # 1s: empty masks
    return 1 - overlap.mean() if reduction == "mean" else 1 - overlap


def segmentation(
    p: Float[Tensor, "B 2 H W"], mask: Float[Tensor, "B 1 H W"], reduction: str = "mean"
) -> Tensor:
    """Focal, plus dice of the normal channel on the sound region and of the abnormal one on the
    defect.
    """
    normal = dice(p[:, 0], 1 - mask, reduction)  # on what is sound
    abnormal = dice(p[:, 1], mask, reduction)  # ten pixels are as loud as a thousand
    return focal(p, mask, reduction=reduction) + normal + abnormal


def levels_segmentation(
    levels: Sequence[Float[Tensor, "B N d"]],
    anchors: Float[Tensor, "B d 2"],
    mask: Float[Tensor, "B 1 H W"],
    recipe: Recipe,
    reduction: str = "mean",
) -> Tensor:
    """The segmentation loss of each level's own map, summed over the levels."""
    total = []
    for level in levels:  # each by itself: a sum would let one level hide another's mistake
        p = probability_map(
            level, anchors, mask.shape[-2:], recipe.logit_scale, recipe.align_corners
        )
        total.append(segmentation(p, mask, reduction))
    return torch.stack(total).sum(0)  # the published loop keeps the last level only


def orthogonal(anchors: Float[Tensor, "B d 2"]) -> Tensor:
    """Square of the batch's mean cosine between normal and abnormal."""
    return (anchors[..., 0] * anchors[..., 1]).sum(-1).mean() ** 2  # least at 90 degrees


def detection(
    feature: Float[Tensor, "B d"],
    anchors: Float[Tensor, "B d 2"],
    label: Tensor,
    scale: float = 1.0,
    reduction: str = "mean",
) -> Tensor:
    """Cross-entropy of the picture's label from its two cosines."""
    logits = scale * (feature.unsqueeze(1) * anchors.mT).sum(-1)  # (B, 2)
    return F.cross_entropy(logits, label.long(), reduction=reduction)


def stage1_parts(
    levels: Sequence[Float[Tensor, "B N d"]],
    anchors: Float[Tensor, "B d 2"],
    mask: Float[Tensor, "B 1 H W"],
    recipe: Recipe,
) -> dict[str, Tensor]:
    """Weighted parts of the text stage's loss."""
    used = levels if recipe.stage1_levels == "all" else levels[-1:]
    return {
        "segmentation": levels_segmentation(used, anchors, mask, recipe),
        "separation": recipe.orthogonal_weight * orthogonal(anchors),
    }


def stage2_parts(
    features,
    anchors: Float[Tensor, "B d 2"],
    mask: Float[Tensor, "B 1 H W"],
    label: Tensor,
    recipe: Recipe,
) -> dict[str, Tensor]:
    """Weighted parts of the image stage's loss; `features` has .levels and .detection."""
    return {
        "detection": detection(features.detection, anchors, label, recipe.detection_scale),
        "segmentation": levels_segmentation(features.levels, anchors, mask, recipe),
    }


def total(parts: Mapping[str, Tensor]) -> Tensor:
    return torch.stack(tuple(parts.values())).sum()


def stage1(levels, anchors, mask, recipe: Recipe) -> Tensor:
    return total(stage1_parts(levels, anchors, mask, recipe))


def stage2(features, anchors, mask, label, recipe: Recipe) -> Tensor:
    return total(stage2_parts(features, anchors, mask, label, recipe))
