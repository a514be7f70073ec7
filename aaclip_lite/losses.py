"""What training rewards: focal, dice, segmentation, separated anchors, and the totals of the two
stages.

Special: pure functions of tensors; each stage exists as a total (`stage1`, `stage2`) and as the
weighted parts that add up to it (`stage1_parts`, `stage2_parts`).
Use: `stage2(features, anchors, mask, label, recipe).backward()`; mask (B, 1, H, W) in {0, 1},
anchors (B, d, 2).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from .scoring import probability_map, similarity_logits, top_fraction

SMOOTH = 1e-5  # label smoothing of the focal loss, and its guard against log 0


def focal(
    p: Float[Tensor, "B 2 H W"], mask: Float[Tensor, "B 1 H W"], gamma: float = 2.0
) -> Tensor:
    """Mean of -(1 - p_t)^gamma ln p_t, p_t the smoothed probability of the true channel: easy
    pixels count little.
    """
    if p.ndim != 4 or p.shape[1] != 2 or mask.shape != (len(p), 1, *p.shape[2:]):
        raise ValueError(
            f"focal takes p (B, 2, H, W) and mask (B, 1, H, W), not {tuple(p.shape)} and "
            f"{tuple(mask.shape)}"
        )
    true = p.gather(1, mask.long())
    p_t = (1 - SMOOTH) * true + SMOOTH * (p.sum(1, keepdim=True) - true) + SMOOTH
    return -((1 - p_t) ** gamma * p_t.log()).mean()


def dice(p: Float[Tensor, "B H W"], mask: Float[Tensor, "B *any H W"]) -> Tensor:
    """1 - overlap of probability and mask, a picture at a time: small defects count as much as
    large ones.
    """
    if p.numel() != mask.numel() or len(p) != len(mask):
        raise ValueError(
            f"dice takes p and mask of one size, not {tuple(p.shape)} and {tuple(mask.shape)}"
        )
    p, mask = p.flatten(1), mask.flatten(1)
    return 1 - ((2 * (p * mask).sum(1) + 1) / (p.sum(1) + mask.sum(1) + 1)).mean()


def segmentation(p: Float[Tensor, "B 2 H W"], mask: Float[Tensor, "B 1 H W"]) -> Tensor:
    """Focal, plus dice of the normal channel on the sound region and of the abnormal one on the
    defect.
    """
    return focal(p, mask) + dice(p[:, 0], 1 - mask) + dice(p[:, 1], mask)


def orthogonal(anchors: Float[Tensor, "B d 2"]) -> Tensor:
    """Square of the batch's mean cosine between normal and abnormal."""
    return (anchors[..., 0] * anchors[..., 1]).sum(-1).mean() ** 2


def contrastive(anchors: Float[Tensor, "B d 2"], margin: float = 2**0.5) -> Tensor:
    """Squared shortfall of the two anchors' distance from a margin; the default is the distance at
    a right angle.
    """
    return (margin - (anchors[..., 0] - anchors[..., 1]).norm(dim=-1)).clamp(min=0).square().mean()


def triplet(anchors: Float[Tensor, "B d 2"], margin: float = 0.5) -> Tensor:
    """An abnormal anchor should lie closer, by a margin, to the batch's abnormal mean than to its
    own normal anchor.
    """
    normal, abnormal = anchors.unbind(-1)
    return (margin + (abnormal * normal).sum(-1) - abnormal @ abnormal.mean(0)).clamp(min=0).mean()


SEPARATIONS = {"orthogonal": orthogonal, "contrastive": contrastive, "triplet": triplet}


def stage1_parts(
    levels: Sequence[Float[Tensor, "B N d"]],
    anchors: Float[Tensor, "B d 2"],
    mask: Float[Tensor, "B 1 H W"],
    recipe: "Recipe",
) -> dict[str, Tensor]:
    """Weighted parts of the text stage's loss; the classification part reads the mean feature of
    the last level.
    """
    used = levels if recipe.stage1_levels == "all" else levels[-1:]
    parts = {
        "segmentation": _levels_loss(used, anchors, mask, recipe),
        "separation": recipe.orthogonal_weight * SEPARATIONS[recipe.text_separation](anchors),
    }
    if recipe.stage1_classification_weight:
        picture, label = F.normalize(levels[-1].mean(1), dim=-1), mask.flatten(1).amax(1) > 0
        parts["classification"] = recipe.stage1_classification_weight * detection(
            picture, anchors, label, recipe.detection_scale
        )
    return parts


def stage2_parts(
    features,
    anchors: Float[Tensor, "B d 2"],
    mask: Float[Tensor, "B 1 H W"],
    label: Tensor,
    recipe: "Recipe",
) -> dict[str, Tensor]:
    """Weighted parts of the image stage's loss; `features` has .levels and .detection."""
    return {
        "detection": recipe.detection_weight
        * detection(features.detection, anchors, label, recipe.detection_scale),
        "segmentation": _levels_loss(features.levels, anchors, mask, recipe),
    } | (
        {
            "map_top": recipe.map_top_weight
            * map_top(features.levels, anchors, label, recipe.logit_scale)
        }
        if recipe.map_top_weight
        else {}
    )


def stage1(levels, anchors, mask, recipe: "Recipe") -> Tensor:
    return torch.stack(tuple(stage1_parts(levels, anchors, mask, recipe).values())).sum()


def stage2(features, anchors, mask, label, recipe: "Recipe") -> Tensor:
    return torch.stack(tuple(stage2_parts(features, anchors, mask, label, recipe).values())).sum()


def detection(
    feature: Float[Tensor, "B d"],
    anchors: Float[Tensor, "B d 2"],
    label: Tensor,
    scale: float = 1.0,
) -> Tensor:
    """Cross-entropy of the picture's label from its two cosines."""
    return F.cross_entropy(scale * (feature.unsqueeze(1) * anchors.mT).sum(-1), label.long())


def map_top(
    levels: Sequence[Float[Tensor, "B N d"]],
    anchors: Float[Tensor, "B d 2"],
    label: Tensor,
    scale: float = 100.0,
) -> Tensor:
    """Cross-entropy of the picture's label from its hottest 1 % of patches: scores look at little
    else.
    """
    normal, abnormal = (
        similarity_logits(torch.stack(tuple(levels)).mean(0), anchors, scale).flatten(2).unbind(1)
    )
    return F.binary_cross_entropy_with_logits(
        top_fraction((abnormal - normal).unsqueeze(1)), label.float()
    )


def _levels_loss(levels, anchors, mask, recipe: "Recipe") -> Tensor:
    size, scale, align = mask.shape[-2:], recipe.logit_scale, recipe.align_corners
    return torch.stack(
        [
            segmentation(probability_map(level, anchors, size, scale, align), mask)
            for level in levels
        ]
    ).sum()
