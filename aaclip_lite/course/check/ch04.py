"""Checks of the exercises of chapter 04_losses."""

from collections.abc import Callable, Iterator

import torch

from ... import losses
from .judge import exercise


@exercise("04_losses", "the focal loss", 1e-3, losses.focal)
def focal_loss(learner: Callable) -> Iterator:
    draw = torch.Generator().manual_seed(0)
    for batch, size, gamma in ((1, 4, 2.0), (3, 6, 2.0), (2, 5, 0.0), (2, 5, 1.0)):
        # where smoothing is not felt
        p = (0.7 * torch.randn(batch, 2, size, size, generator=draw)).softmax(1)
        mask = (torch.rand(batch, 1, size, size, generator=draw) > 0.7).float()
        found = learner(p.clone(), mask.clone(), gamma)
        yield found, losses.focal(p, mask, gamma), _other_focals(p, mask, gamma)


def _other_focals(p: torch.Tensor, mask: torch.Tensor, gamma: float) -> dict:
    def each(t):
        return -((1 - t) ** gamma * t.log())

    true, normal, abnormal = p.gather(1, mask.long()), p[:, :1], p[:, 1:]
    spread = mask * p[:, 1] + (1 - mask) * p[:, 0]  # (B, B, H, W)
    plain, already = each(true).mean(), "p holds probabilities already: no softmax is needed"
    sound = "only defects count; sound pixels are judged by channel 0"
    alpha = "a weight alpha of the classes is in it, which this loss does not have"
    return {
        "easy pixels count much and hard ones little: turn the factor round": -(
            true**gamma * true.log()
        ).mean(),
        "channel 0 is normal, channel 1 abnormal (or the mask is inverted)": each(
            p.gather(1, 1 - mask.long())
        ).mean(),
        "p[:, 1] is (B, H, W), the mask (B, 1, H, W): together they are broadcast to "
        "(B, B, H, W), each picture against every mask; p[:, 1:] keeps the axis": each(
            spread
        ).mean(),
        sound: (mask * each(abnormal)).mean(),
        f"{sound}, and the mean is over all pixels": (mask * each(abnormal)).sum() / mask.sum(),
        "only sound pixels count; defects are judged by channel 1": (
            (1 - mask) * each(normal)
        ).mean(),
        already: each(p.softmax(1).gather(1, mask.long())).mean(),
        alpha: plain / 4,
        "the logarithm is missing": ((1 - true) ** gamma).mean(),
        "both channels count at every pixel; only the true one is meant": each(p).mean(),
        "gamma is fixed at 2; use the one that is given": -((1 - true) ** 2 * true.log()).mean(),
    }


@exercise("04_losses", "the dice loss", right=losses.dice)
def dice_loss(learner: Callable) -> Iterator:
    draw = torch.Generator().manual_seed(0)
    for batch, size, area in ((3, 6, 0.3), (1, 4, 0.5), (2, 8, 0.0), (4, 5, 0.1)):
        p = torch.rand(batch, size, size, generator=draw)
        mask = (torch.rand(batch, size, size, generator=draw) < area).float()
        if batch == 4:
            mask[0] = 0
        yield learner(p.clone(), mask.clone()), losses.dice(p, mask), other_dices(p, mask)


def other_dices(p: torch.Tensor, mask: torch.Tensor) -> dict:
    def dice(p=p, mask=mask, axes=(1, 2), top=1.0, below=1.0, times=2):
        areas = p.sum(axes) + mask.sum(axes)
        return (1 - (times * (p * mask).sum(axes) + top) / (areas + below)).mean()

    both, areas = (p * mask).sum((1, 2)), (p + mask).sum((1, 2))
    squares, held = (p**2 + mask**2).sum((1, 2)), mask.sum((1, 2)) > 0
    union = "this is IoU, which divides by the union; dice divides by both areas together"
    once = "the overlap is in both areas, so it counts twice"
    sides = "the 1 stands above and below the line"
    tiny = "an epsilon stands where a 1 is to be added, above and below the line"
    empty = "a sound picture has an empty mask: what does the 1 do there?"
    batch = "the batch is one sum: large defects drown small ones"
    return {
        batch: dice(axes=(0, 1, 2)),
        empty: dice(top=0, below=0),
        sides: dice(top=0),
        f"{sides} (it is missing below)": dice(below=0),
        tiny: dice(top=1e-6, below=1e-6),
        once: dice(times=1),
        union: (1 - (both + 1) / (areas - both + 1)).mean(),
        "the areas below the line are sums of squares (the dice of V-Net)": (
            1 - (2 * both + 1) / (squares + 1)
        ).mean(),
        "pictures with an empty mask are left out; they count as well": (
            dice(p[held], mask[held]) if held.any() else torch.tensor(0.0)
        ),
        "the 1 is doubled together with the overlap": dice(top=2),
        "the 1 minus stands once, the overlaps are added up: take their mean": 1
        - (1 - dice()) * len(p),
    }


@exercise("04_losses", "the cost")
def all_normal_cost(learner: Callable) -> Iterator:
    draw = torch.Generator().manual_seed(0)
    for batch, size, defective in ((2, 8, 1), (4, 16, 4), (3, 12, 0), (5, 10, 3)):
        mask = torch.zeros(batch, 1, size, size)
        mask[:defective] = (torch.rand(defective, 1, size, size, generator=draw) > 0.9).float()
        sure = torch.cat([torch.ones_like(mask), torch.zeros_like(mask)], dim=1)
        yield learner(mask.clone()), losses.segmentation(sure, mask), _other_costs(sure, mask)


def _other_costs(sure: torch.Tensor, mask: torch.Tensor) -> dict:
    cost, one, none = losses.segmentation, sure[:, 0], sure[:, 1]
    focal, true = losses.focal(sure, mask), cost(sure, mask)
    normal, abnormal = losses.dice(one, 1 - mask), losses.dice(none, mask)
    near = "all normal with certainty means p = 1 and 0, not"
    return {
        "this is what an undecided map costs: all normal means p = 1 and 0": cost(
            torch.full_like(sure, 0.5), mask
        ),
        "this is the price of a map that calls everything abnormal, or of an inverted mask: "
        "channel 0 is normal, and the mask is 1 at a defect": cost(sure.flip(1), mask),
        "only the abnormal dice is counted; there are three parts": abnormal,
        "only the normal dice is counted; there are three parts": normal,
        "only focal is counted; two dice parts are missing": focal,
        "the focal part is missing": true - focal,
        "the dice of the normal channel is missing": true - normal,
        "the dice of the abnormal channel is missing": true - abnormal,
        "the three parts are added, not averaged": true / 3,
        "it grows with the number of pictures: each part is a mean": len(mask) * true,
        "both channels say 1; p adds up to 1": cost(torch.ones_like(sure), mask),
        "this is the share of defect pixels, not what the loss makes of it": mask.mean(),
        f"{near} their softmax": cost(sure.softmax(1), mask),
        "this is the dice of all pictures as one; each picture counts for itself": focal
        + losses.dice(one.flatten()[None], 1 - mask.flatten()[None])
        + losses.dice(none.flatten()[None], mask.flatten()[None]),
    }
