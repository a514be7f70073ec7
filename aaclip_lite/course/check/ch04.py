"""Checks of the exercises of chapter 04_losses."""

from collections.abc import Callable

import torch

from ... import losses
from .judge import as_array, close, exercise, same


@exercise("04_losses")
def focal_loss(learner: Callable) -> None:
    generator = torch.Generator().manual_seed(0)
    for batch, size, gamma in ((1, 4, 2.0), (3, 6, 2.0), (2, 5, 0.0), (2, 5, 1.0)):
        # where smoothing is not felt
        p = (0.7 * torch.randn(batch, 2, size, size, generator=generator)).softmax(1)
        mask = (torch.rand(batch, 1, size, size, generator=generator) > 0.7).float()
        true = p.gather(1, mask.long())
        hints = [
            (
                ((1 - true) ** gamma * true.log()).mean(),
                "the sign is turned: a loss is never negative",
            ),
            (
                -((1 - true) ** gamma * true.log()).sum(),
                "it grows with the number of pixels: take the mean",
            ),
            (
                -(true**gamma * true.log()).mean(),
                "easy pixels count much and hard ones little: turn the factor round",
            ),
            (-true.log().mean(), "this is the plain cross-entropy: gamma does nothing"),
            (losses.focal(p.flip(1), mask, gamma), "channel 0 is normal, channel 1 abnormal"),
            (
                -((1 - p[:, 1]) ** gamma * p[:, 1].log()).mean(),
                "sound pixels are judged by the abnormal channel",
            ),
        ]
        what = f"the focal loss of {batch} maps of {size} x {size}, gamma {gamma:g},"
        same(learner(p, mask, gamma), losses.focal(p, mask, gamma), what, 1e-3, hints)


@exercise("04_losses")
def dice_loss(learner: Callable) -> None:
    generator = torch.Generator().manual_seed(0)
    for batch, size, area in ((1, 4, 0.5), (3, 6, 0.3), (2, 8, 0.0), (4, 5, 0.1)):
        p = torch.rand(batch, size, size, generator=generator)
        mask = (torch.rand(batch, size, size, generator=generator) < area).float()
        if batch == 4:
            mask[0] = 0
        both, sums = (p * mask).flatten(1).sum(1), p.flatten(1).sum(1) + mask.flatten(1).sum(1)
        hints = [
            (
                ((2 * both + 1) / (sums + 1)).mean(),
                "this is the overlap itself: a loss falls when overlap grows",
            ),
            (
                1 - (2 * both.sum() + 1) / (sums.sum() + 1),
                "the batch is one sum: large defects drown small ones",
            ),
            (
                1 - (2 * both / sums).mean(),
                "a sound picture has an empty mask: what does the 1 do there?",
            ),
            (1 - ((2 * both + 1) / sums).mean(), "the 1 stands above and below the line"),
            (1 - (2 * both / (sums + 1)).mean(), "the 1 stands above and below the line"),
            (
                1 - ((both + 1) / (sums + 1)).mean(),
                "the overlap is in both areas, so it counts twice",
            ),
            (
                (1 - (2 * both + 1) / (sums + 1)).sum(),
                "it grows with the number of pictures: take the mean",
            ),
        ]
        what = f"the dice loss of {batch} maps, {int(mask.sum())} defect pixels,"
        same(learner(p, mask), losses.dice(p, mask), what, 1e-4, hints)


@exercise("04_losses")
def all_normal_cost(learner: Callable) -> None:
    generator = torch.Generator().manual_seed(0)
    for batch, size, defective in ((2, 8, 1), (4, 16, 4), (3, 12, 0), (5, 10, 3)):
        mask = torch.zeros(batch, 1, size, size)
        mask[:defective] = (torch.rand(defective, 1, size, size, generator=generator) > 0.9).float()
        sure, even = torch.zeros(batch, 2, size, size), torch.full((batch, 2, size, size), 0.5)
        sure[:, 0] = 1
        true = losses.segmentation(sure, mask)
        hints = [
            (
                losses.segmentation(even, mask),
                "this is what an undecided map costs: all normal means p = 1 and 0",
            ),
            (
                losses.segmentation(sure.flip(1), mask),
                "channel 0 is normal: this map calls everything abnormal",
            ),
            (
                losses.dice(sure[:, 1], mask),
                "only the abnormal dice is counted; there are three parts",
            ),
            (true - losses.focal(sure, mask), "the focal part is missing"),
            (true - losses.dice(sure[:, 0], 1 - mask), "the dice of the normal channel is missing"),
            (true - losses.dice(sure[:, 1], mask), "the dice of the abnormal channel is missing"),
            (batch * true, "it grows with the number of pictures: each part is a mean"),
        ]
        hints = [hint for hint in hints if not close(as_array(hint[0]), as_array(true), 1e-4)]
        same(
            learner(mask),
            true,
            f"the cost for {batch} pictures, {defective} of them defective,",
            1e-4,
            hints,
        )
