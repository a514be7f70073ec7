"""The five losses of pretraining: caption, phrase, patch, where, pixels.

caption: picture and caption find each other in a batch of few classes, and the picture refuses its
own caption with the place of a thing changed. phrase: the mean patch under a neutral thing finds
its phrase among all phrases of the batch. patch: every patch picks one of its own picture's
phrases, at every level, so that patches learn WHAT is WHERE. where: the other direction, every
phrase picks its patches. pixels: patches keep enough detail to redraw themselves.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .learner import Learner
from .options import REGIONS, Pretraining


def losses(model: Learner, batch: dict, options: Pretraining) -> dict[str, Tensor]:
    """The five losses of one batch, and their weighted sum as "loss"."""
    cls, levels, last = model.patches(batch["images"], batch["kept"])
    captions = model.words(batch["captions"])
    phrases = model.words(batch["phrases"])
    caption = _caption_loss(model, F.normalize(cls.float(), dim=-1), captions, batch)
    absent = batch["phrase_of"] < 0
    owner = F.one_hot(batch["owner"], REGIONS).float()  # (B, K, R)
    share = owner / owner.sum(1, keepdim=True).clamp(min=1)
    present = (owner.sum(1) > 0) & ~absent
    levels = [F.normalize(level.float(), dim=-1) for level in levels]
    scale = model.region_scale.exp().clamp(max=50)
    region_phrases = phrases[batch["phrase_of"]]  # (B, R, d)
    scores = [
        (scale * level @ region_phrases.transpose(1, 2)).masked_fill(absent[:, None], -1e4)
        for level in levels
    ]
    patch, where = _patch_and_where_loss(scores, share, present, batch["owner"])
    # the mean patch of a region against every phrase of the batch
    mean = F.normalize(share.transpose(1, 2) @ levels[-1], dim=-1, eps=1e-6)
    phrase = F.cross_entropy(scale * mean[present] @ phrases.T, batch["phrase_of"][present])
    pixels = F.mse_loss(model.redraw(last.float()), batch["pixels"])
    total = caption + options.phrase_weight * phrase + options.patch_weight * patch
    total = total + options.where_weight * where + options.pixel_weight * pixels
    parts = {"caption": caption, "phrase": phrase, "patch": patch, "where": where, "pixels": pixels}
    return {"loss": total} | parts


def _caption_loss(model: Learner, cls: Tensor, captions: Tensor, batch: dict) -> Tensor:
    """Pictures and captions find each other; a misplaced caption is one more to refuse."""
    sharpness = model.clip.logit_scale.exp().clamp(max=100)
    logits = sharpness * cls @ captions.T
    target = torch.arange(len(cls), device=cls.device)
    wrong = torch.full_like(logits[:, :1], -1e4)
    if len(batch["misplaced"]):
        scores = (cls[batch["misplaced_of"]] * model.words(batch["misplaced"])).sum(1, keepdim=True)
        wrong = wrong.index_copy(0, batch["misplaced_of"], sharpness * scores)
    to_caption = F.cross_entropy(torch.cat([logits, wrong], 1), target)
    return (to_caption + F.cross_entropy(logits.T, target)) / 2


def _patch_and_where_loss(
    scores: list[Tensor], share: Tensor, present: Tensor, owner: Tensor
) -> tuple[Tensor, Tensor]:
    """scores: each level's patches against the picture's own phrases (B, K, R)."""
    # regions weigh the same whatever their size
    weight = share.sum(2) / share.sum((1, 2)).clamp(min=1e-6)[:, None]
    # subtracted, so that a perfect answer costs nothing
    spread = torch.xlogy(share, share).sum(1)[present]
    patch = where = 0.0
    for level in scores:
        missed = F.cross_entropy(level.flatten(0, 1), owner.flatten(), reduction="none")
        patch = patch + (missed.view(weight.shape) * weight).sum(1).mean() / len(scores)
        lost = spread - (share * level.log_softmax(1)).sum(1)[present]
        where = where + lost.mean() / len(scores)
    return patch, where
