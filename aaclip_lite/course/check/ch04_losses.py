"""Checks of the exercises of chapter 04_losses."""

import torch

from ... import losses
from .judge import Steps, exercise


@exercise("the focal loss", 1e-3, cases=((1, 4, 2.0), (3, 6, 2.0), (2, 5, 0.0), (2, 5, 1.0)))
def focal_loss(batch: int, size: int, gamma: float) -> Steps:
    # where smoothing is not felt
    p = (0.7 * torch.randn(batch, 2, size, size)).softmax(1)
    p, mask, gamma = yield p, (torch.rand(batch, 1, size, size) > 0.7).float(), gamma
    yield losses.focal(p, mask, gamma)

    def each(t):
        return -((1 - t) ** gamma * t.log())

    true, normal, abnormal = p.gather(1, mask.long()), p[:, :1], p[:, 1:]
    spread = mask * p[:, 1] + (1 - mask) * p[:, 0]  # (B, B, H, W)
    plain, already = each(true).mean(), "p holds probabilities already: no softmax is needed"
    sound = "only defects count; sound pixels are judged by channel 0"
    alpha = "a weight alpha of the classes is in it, which this loss does not have"
    yield {
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
        f"{alpha} (0.25 for normal)": ((0.25 + 0.5 * mask) * each(true)).mean(),
        f"{alpha} (0.25 for abnormal)": ((0.75 - 0.5 * mask) * each(true)).mean(),
        "the logarithm is missing": ((1 - true) ** gamma).mean(),
        "both channels count at every pixel; only the true one is meant": each(p).mean(),
        "gamma is fixed at 2; use the one that is given": -((1 - true) ** 2 * true.log()).mean(),
        f"{already} (F.cross_entropy makes one, too)": -p.log_softmax(1)
        .gather(1, mask.long())
        .mean(),
        "the factor is to be made for each pixel; here it is made of the mean loss": (
            (1 - true.log().mean().exp()) ** gamma * -true.log().mean()
        ),
        "the logarithm is missing: F.nll_loss takes ln p": -true.mean(),
        "the factor of sound pixels is made of the abnormal channel": -(
            (1 - abnormal) ** gamma * true.log()
        ).mean(),
        "the mean is taken of p; each pixel has a loss, and their mean comes last": each(
            true.mean()
        ),
        "that is the log of 1 - p": -((1 - true) ** gamma * (1 - true).log()).mean(),
        "the factor stands under the logarithm": -((1 - true) ** gamma * true).log().mean(),
    }


@exercise("the dice loss", cases=((3, 6, 0.3), (1, 4, 0.5), (2, 8, 0.0), (4, 5, 0.1)))
def dice_loss(batch: int, size: int, area: float) -> Steps:
    mask = (torch.rand(batch, size, size) < area).float()
    mask[: batch - 3] = 0
    p, mask = yield torch.rand(batch, size, size), mask
    yield losses.dice(p, mask)
    yield other_dices(p, mask)


def other_dices(p: torch.Tensor, mask: torch.Tensor) -> dict:
    def dice(p=p, mask=mask, axes=(1, 2), top=1.0, below=1.0, times=2, areas=None):
        areas = p.sum(axes) + mask.sum(axes) if areas is None else areas
        return (1 - (times * (p * mask).sum(axes) + top) / (areas + below)).mean()

    both, one, other = (x.sum((1, 2)) for x in (p * mask, p, mask))
    areas, squares, held = one + other, (p**2 + mask**2).sum((1, 2)), other > 0
    union = "this is IoU, which divides by the union; dice divides by both areas together"
    once = "the overlap is in both areas, so it counts twice"
    sides = "the 1 stands above and below the line"
    tiny = "an epsilon stands where a 1 is to be added, above and below the line"
    empty = "a sound picture has an empty mask: what does the 1 do there?"
    batch = "the batch is one sum: large defects drown small ones"
    return {
        batch: dice(axes=(0, 1, 2)),
        f"{batch}. And the 1 is missing": dice(axes=(0, 1, 2), top=0, below=0),
        empty: dice(top=0, below=0),
        sides: dice(top=0),
        f"{sides} (it is missing below)": dice(below=0),
        tiny: dice(top=1e-6, below=1e-6),
        once: dice(times=1),
        f"{once}, and the 1 is missing": dice(times=1, top=0, below=0),
        union: dice(times=1, areas=areas - both),
        f"{union}. And the 1 is missing": dice(times=1, top=0, below=0, areas=areas - both),
        "the areas below the line are sums of squares (the dice of V-Net)": dice(areas=squares),
        "areas are sums of pixels, not means: beside a mean the 1 is huge": (
            1 - (2 * both / p[0].numel() + 1) / (areas / p[0].numel() + 1)
        ).mean(),
        "each row of pixels is taken for itself; a picture is both axes": dice(axes=2),
        "each column of pixels is taken for itself; a picture is both axes": dice(axes=1),
        "the sum goes over the pictures (axis 0); it goes over a picture's pixels": dice(axes=0),
        "pictures with an empty mask are left out; they count as well": (
            dice(p[held], mask[held]) if held.any() else torch.tensor(0.0)
        ),
        "the two areas are multiplied; they are to be added": dice(areas=one * other),
        "p is sent through a sigmoid, but it is a probability already": dice(p.sigmoid()),
        "a pair of brackets is missing round what stands above the line": (
            1 - 2 * both + 1 / (areas + 1)
        ).mean(),
        "the 1 is doubled together with the overlap": dice(top=2),
        "the 1 is doubled, above and below": dice(top=2, below=2),
        "only the area of p is below the line; dice has both areas": dice(times=1, areas=one),
        "only the mask's area is below the line; dice has both areas": dice(times=1, areas=other),
        "the 1 minus stands once, the overlaps are added up: take their mean": 1
        - (1 - dice()) * len(p),
        "the normal channel's dice is added; only one is asked for": dice() + dice(1 - p, 1 - mask),
    }


@exercise("the cost", cases=((2, 8, 1), (4, 16, 4), (3, 12, 0), (5, 10, 3)))
def all_normal_cost(batch: int, size: int, defective: int) -> Steps:
    mask = torch.zeros(batch, 1, size, size)
    mask[:defective] = (torch.rand(defective, 1, size, size) > 0.9).float()
    mask = yield mask
    sure = torch.cat([torch.ones_like(mask), torch.zeros_like(mask)], dim=1)
    yield losses.segmentation(sure, mask)
    cost, one, none = losses.segmentation, sure[:, 0], sure[:, 1]
    focal, true = losses.focal(sure, mask), cost(sure, mask)
    normal, abnormal = losses.dice(one, 1 - mask), losses.dice(none, mask)
    other, twin = losses.dice(one, mask), losses.dice(none, 1 - mask)  # each with the other's mask
    near = "all normal with certainty means p = 1 and 0, not"
    yield {
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
        "the normal channel's dice is with the sound region, 1 - mask": focal + other + abnormal,
        "the abnormal channel's dice is with the defects, the mask itself": focal + normal + twin,
        "the three parts are added, not averaged": true / 3,
        "the abnormal dice counts twice, the normal one is missing": focal + 2 * abnormal,
        "the normal dice counts twice, the abnormal one is missing": focal + 2 * normal,
        "the mask's channels and p's are given in different order": focal + other + twin,
        "it grows with the number of pictures: each part is a mean": len(mask) * true,
        "both channels say 1; p adds up to 1": cost(torch.ones_like(sure), mask),
        "both channels say 0; p adds up to 1": cost(torch.zeros_like(sure), mask),
        "this is the share of defect pixels, not what the loss makes of it": mask.mean(),
        "this map says what the mask says; all normal says it in every pixel": cost(
            torch.cat([1 - mask, mask], 1), mask
        ),
        "this map says the opposite of the mask": cost(torch.cat([mask, 1 - mask], 1), mask),
        f"{near} their softmax": cost(sure.softmax(1), mask),
        f"{near} 0.99": cost(sure * 0.98 + 0.01, mask),
        f"{near} 0.9": cost(sure * 0.8 + 0.1, mask),
        "this is the dice of all pictures as one; each picture counts for itself": focal
        + losses.dice(one.flatten()[None], 1 - mask.flatten()[None])
        + losses.dice(none.flatten()[None], mask.flatten()[None]),
    }
