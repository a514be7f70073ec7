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


ANSWERS = {
    "focal_loss": (
        solved_focal,
        [
            (focal_with_sign_turned, "the sign is turned"),
            (focal_summed, "take the mean"),
            (focal_of_the_sure, "turn the factor round"),
            (focal_without_gamma, "gamma does nothing"),
            (focal_with_channels_swapped, "channel 0 is normal"),
        ],
    ),
    "dice_loss": (
        solved_dice,
        [
            (dice_of_the_whole_batch, "large defects drown small ones"),
            (dice_without_one, "empty mask"),
            (dice_as_overlap, "the overlap itself"),
            (dice_with_single_overlap, "counts twice"),
        ],
    ),
    "all_normal_cost": (
        solved_cost,
        [
            (cost_of_undecided, "undecided"),
            (cost_of_all_abnormal, "everything abnormal"),
            (cost_of_abnormal_dice, "three parts"),
            (cost_without_focal, "the focal part is missing"),
        ],
    ),
}
