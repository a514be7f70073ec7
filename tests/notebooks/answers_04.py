"""Chapter 04: solutions, and what learners get wrong."""

import torch

from aaclip_lite import losses


def solved_focal(p, mask, gamma=2.0):
    true = torch.where(mask > 0, p[:, 1:], p[:, :1])
    return -((1 - true) ** gamma * true.log()).mean()


def focal_with_sign_turned(p, mask, gamma=2.0):
    return -solved_focal(p, mask, gamma)


def focal_summed(p, mask, gamma=2.0):
    return solved_focal(p, mask, gamma) * mask.numel()


def focal_of_the_sure(p, mask, gamma=2.0):
    true = torch.where(mask > 0, p[:, 1:], p[:, :1])
    return -(true**gamma * true.log()).mean()


def focal_without_gamma(p, mask, gamma=2.0):
    return solved_focal(p, mask, 0.0)


def focal_with_channels_swapped(p, mask, gamma=2.0):
    return solved_focal(p.flip(1), mask, gamma)


def solved_dice(p, mask):
    p, mask = p.flatten(1), mask.flatten(1)
    return (1 - (2 * (p * mask).sum(1) + 1) / (p.sum(1) + mask.sum(1) + 1)).mean()


def dice_of_the_whole_batch(p, mask):
    return 1 - (2 * (p * mask).sum() + 1) / (p.sum() + mask.sum() + 1)


def dice_without_one(p, mask):
    p, mask = p.flatten(1), mask.flatten(1)
    return (1 - 2 * (p * mask).sum(1) / (p.sum(1) + mask.sum(1))).mean()


def dice_as_overlap(p, mask):
    return 1 - solved_dice(p, mask)


def dice_with_single_overlap(p, mask):
    p, mask = p.flatten(1), mask.flatten(1)
    return (1 - ((p * mask).sum(1) + 1) / (p.sum(1) + mask.sum(1) + 1)).mean()


def solved_cost(mask):
    p = torch.cat([torch.ones_like(mask), torch.zeros_like(mask)], dim=1)
    return losses.segmentation(p, mask)


def cost_of_undecided(mask):
    return losses.segmentation(torch.full((len(mask), 2, *mask.shape[2:]), 0.5), mask)


def cost_of_all_abnormal(mask):
    p = torch.cat([torch.zeros_like(mask), torch.ones_like(mask)], dim=1)
    return losses.segmentation(p, mask)


def cost_of_abnormal_dice(mask):
    return losses.dice(torch.zeros_like(mask)[:, 0], mask)


def cost_without_focal(mask):
    p = torch.cat([torch.ones_like(mask), torch.zeros_like(mask)], dim=1)
    return losses.segmentation(p, mask) - losses.focal(p, mask)


def true_channel(p, mask):
    return torch.where(mask > 0, p[:, 1:], p[:, :1])


def focal_broadcast(p, mask, gamma=2.0):
    true = mask * p[:, 1] + (1 - mask) * p[:, 0]  # (B, B, H, W)
    return -((1 - true) ** gamma * true.log()).mean()


def overlaps(p, mask):
    """The sum of p times mask, and of both areas, a picture at a time."""
    p, mask = p.flatten(1), mask.flatten(1)
    return (p * mask).sum(1), p.sum(1) + mask.sum(1)


def dice_as_iou(p, mask):
    both, areas = overlaps(p, mask)
    return (1 - (both + 1) / (areas - both + 1)).mean()


def dice_of_squares(p, mask):
    both, areas = overlaps(p, mask)[0], overlaps(p**2, mask)[1]
    return (1 - (2 * both + 1) / (areas + 1)).mean()


def dice_with_epsilon(p, mask):
    both, areas = overlaps(p, mask)
    return (1 - (2 * both + 1e-6) / (areas + 1e-6)).mean()


def dice_each(p, mask):
    both, areas = overlaps(p, mask)
    return 1 - (2 * both + 1) / (areas + 1)


def dice_of_rows(p, mask):
    return solved_dice(p.flatten(0, 1), mask.flatten(0, 1))


def cost_of_perfection(mask):
    return losses.segmentation(torch.cat([1 - mask, mask], dim=1), mask)


ANSWERS = {
    "focal_loss": (
        solved_focal,
        [
            (focal_with_sign_turned, "has the sign turned"),
            (focal_summed, "is the number of all entries of `mask` times what it should"),
            (focal_of_the_sure, "turn the factor round"),
            (focal_without_gamma, "`gamma` were 0: is it left out?"),
            (focal_with_channels_swapped, "channel 0 is normal"),
            (focal_broadcast, "broadcast to (B, B, H, W)"),
            (lambda p, mask, gamma: solved_focal(p.softmax(1), mask, gamma), "already"),
            (lambda p, mask, gamma: solved_focal(p, mask, gamma) / 4, "alpha"),
            (lambda p, mask, gamma: solved_focal(p, mask), "fixed at 2"),
            (lambda p, mask, gamma: -true_channel(p, mask).mean(), "F.nll_loss takes ln p"),
            (
                lambda p, mask, gamma: solved_focal(p, mask, gamma) * 1.442695,
                "made with log2 instead of log",
            ),
            (lambda p, mask, gamma: (1 - true_channel(p, mask)) ** gamma, "shape"),
        ],
    ),
    "dice_loss": (
        solved_dice,
        [
            (dice_of_the_whole_batch, "large defects drown small ones"),
            (dice_without_one, "empty mask"),
            (dice_as_overlap, "is 1 minus the right value"),
            (dice_with_single_overlap, "counts twice"),
            (dice_as_iou, "IoU"),
            (dice_of_squares, "sums of squares"),
            (dice_with_epsilon, "what does the 1 do"),
            (dice_each, "mean is still to be taken"),
            (lambda p, mask: solved_dice(p, 1 - mask), "`mask` were 1 less itself"),
            (
                lambda p, mask: solved_dice((p > 0.5).float(), mask),
                "`p` were cut at one half, to 0 and 1",
            ),
            (dice_of_rows, "each row of pixels"),
            (lambda p, mask: -solved_dice(p, mask), "sign turned"),
        ],
    ),
    "all_normal_cost": (
        solved_cost,
        [
            (cost_of_undecided, "undecided"),
            (cost_of_all_abnormal, "everything abnormal"),
            (cost_of_abnormal_dice, "three parts"),
            (cost_without_focal, "the focal part is missing"),
            (lambda mask: solved_cost(1 - mask), "an inverted mask"),
            (cost_of_perfection, "says what the mask says"),
            (lambda mask: solved_cost(mask) / 3, "not averaged"),
            (lambda mask: mask.mean(), "share of defect pixels"),
        ],
    ),
}
