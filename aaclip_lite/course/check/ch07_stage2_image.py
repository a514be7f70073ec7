"""Checks of the exercises of chapter 07_stage2_image."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

from .judge import Steps, either, exercise
from .loops import judge_loop


@exercise("the feature", cases=((2, 4, 5), (3, 9, 6), (1, 16, 3)))
def detection_feature(count: int, patches: int, width: int) -> Steps:
    """tokens (B, 1 + N, d), class token first -> mean of the unit patch vectors (B, d)"""
    tokens = torch.randn(count, 1 + patches, width)
    tokens = yield tokens * torch.linspace(0.5, 3, 1 + patches)[:, None]
    right = F.normalize(tokens[:, 1:], dim=-1).mean(1)
    yield right
    unit, raw = F.normalize(tokens, dim=-1), tokens[:, 1:]
    class_token = "this is the class token; the mean is over the patches"
    yield {
        "the class token is in the mean; only patches belong there": unit.mean(1),
        "the class token stands first, not last": unit[:, :-1].mean(1),
        "unit length comes before the mean, not after it": F.normalize(raw.mean(1), dim=-1),
        class_token: unit[:, 0],
        f"{class_token}, and not of unit length": tokens[:, 0],
        "the sum is divided by the number of all tokens, the class token among them": (
            right * patches / (1 + patches)
        ),
        "the class token is subtracted: only the patches count": F.normalize(
            raw - tokens[:, :1], dim=-1
        ).mean(1),
        "the first patch is left out": unit[:, 2:].mean(1),
        "this is the first patch alone; the mean is over all of them": unit[:, 1],
        "the pictures are averaged with the patches; each has its own feature": right.mean(0),
    }


@exercise("the row of middles", cases=((4, 8), (16, 8), (37, 14), (3, 5), (1, 4)))
def patch_middles(grid: int, patch: float) -> Steps:
    """(patches in a row, pixels of a patch) -> coordinates of their middles (grid,)"""
    grid, patch = yield grid, patch
    yield np.arange(grid) * patch + (patch - 1) / 2
    left, side, half = np.arange(grid) * float(patch), grid * patch, (patch - 1) / 2
    rim = "the first and last lie on the picture's rim: that is the aligned way"
    share = "those are shares of the side; pixels are asked for"
    number = "those are numbers of patches, not yet times the pixels of a patch"
    yield {
        "those are the left edges of the patches": left,
        "those are the right edges of the patches": left + patch,
        "those are the last pixels of the patches": left + patch - 1,
        "off by half a pixel: pixel 0 has its middle at 0, so a patch begins at -0.5": left
        + patch / 2,
        "patches are counted from 0: everything lies one patch too far": left + patch + half,
        rim: either(np.linspace(0, side - 1, grid), np.linspace(0, side, grid)),
        share: left / side + 0.5 / grid,
        f"{share} (and they run from 0 to 1 here)": 2 * (left / side + 0.5 / grid) - 1,
        number: either(np.arange(grid) + 0.5, np.arange(grid) * 1.0),
        "neighbours lie a whole patch apart; here it is half a patch, or a pixel less": either(
            np.arange(grid) * half, left - np.arange(grid) + half
        ),
        "0 is the middle of the first pixel, not the middle of the row": left
        + half
        - (side - 1) / 2,
    }


def _scores(cosines: torch.Tensor, scale: float, one: float = 1.0) -> torch.Tensor:
    """(levels, B, N, 2) -> (B, N)"""
    return ((scale * cosines[..., 1] + one - scale * cosines[..., 0]) / 2).sum(0)


@exercise("the table of scores", cases=((2, 4, 5, 3, 100.0), (3, 9, 4, 4, 15.0), (1, 4, 6, 1, 1.0)))
def patch_scores(count: int, patches: int, width: int, number: int, scale: float) -> Steps:
    """(list of levels (B, N, d), anchors (B, d, 2), scale) -> the summed scores of the patches (B,
    N)
    """
    levels = F.normalize(torch.randn(number, count, patches, width), dim=-1)
    anchors = F.normalize(torch.randn(count, width, 2), dim=1)
    levels, anchors, scale = yield list(levels), anchors, scale
    levels = torch.stack(levels)
    cosines, number = levels @ anchors, len(levels)
    right = _scores(cosines, scale)
    yield right
    normal, abnormal = scale * cosines[..., 0], scale * cosines[..., 1]
    probability = (scale * cosines).softmax(-1)
    yield {
        "hot where patches are normal: which column of the anchors is which?": _scores(
            cosines.flip(-1), scale
        ),
        "the constant 1 belongs to every level, not to the sum once": right - (number - 1) / 2,
        "the constant 1 of every level is missing": right - number / 2,
        "the half is meant for all three terms: a pair of brackets is missing": (
            abnormal + 1 - normal / 2
        ).sum(0),
        "the scale acts on the cosines, not on the 1": scale * _scores(cosines, 1.0),
        "a softmax over the two cosines is another form of score; this one has none": probability[
            ..., 1
        ].sum(0),
        "the normal cosine is not in it": either(abnormal.sum(0), (abnormal + 1).sum(0) / 2),
        "a sign is off: the normal cosine is subtracted, the 1 is added": (
            abnormal - 1 + normal
        ).sum(0)
        / 2,
        "the first level is left out": _scores(cosines[1:], scale),
        "the last level is left out": _scores(cosines[:-1], scale),
        "the sum of the levels is brought to unit length: then it is no sum any more": _scores(
            F.normalize(levels.sum(0), dim=-1)[None] @ anchors, scale
        ),
    }


@exercise()
def image_loop(learner: Callable) -> None:
    """(model, batches, steps, anchors) -> losses: the loop of stage 2."""
    judge_loop(learner, "image")
