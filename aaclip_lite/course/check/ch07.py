"""Checks of the exercises of chapter 07_stage2_image."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F

from .judge import either, exercise
from .loops import judge_loop


def _feature(tokens: torch.Tensor) -> torch.Tensor:
    return F.normalize(tokens[:, 1:], dim=-1).mean(1)


@exercise("07_stage2_image", "the feature", right=_feature)
def detection_feature(learner: Callable) -> Iterator:
    """tokens (B, 1 + N, d), class token first -> mean of the unit patch vectors (B, d)"""

    for count, patches, width in ((2, 4, 5), (3, 9, 6), (1, 16, 3)):
        draw = torch.Generator().manual_seed(patches)
        tokens = torch.randn(count, 1 + patches, width, generator=draw)
        tokens *= torch.linspace(0.5, 3, 1 + patches)[:, None]
        unit, raw = F.normalize(tokens, dim=-1), tokens[:, 1:]
        right = unit[:, 1:].mean(1)
        class_token = "this is the class token; the mean is over the patches"
        hints = {
            "the class token is in the mean; only patches belong there": unit.mean(1),
            "unit length comes before the mean, not after it": F.normalize(raw.mean(1), dim=-1),
            class_token: unit[:, 0],
            f"{class_token}, and not of unit length": tokens[:, 0],
        }
        yield learner(tokens.clone()), right, hints


def _middles(grid: int, patch: float) -> np.ndarray:
    return np.arange(grid) * patch + (patch - 1) / 2


@exercise("07_stage2_image", "the row of middles", right=_middles)
def patch_middles(learner: Callable) -> Iterator:
    """(patches in a row, pixels of a patch) -> coordinates of their middles (grid,)"""

    for grid, patch in ((4, 8), (16, 8), (37, 14), (3, 5), (1, 4)):
        left, side, half = np.arange(grid) * float(patch), grid * patch, (patch - 1) / 2
        rim = "the first and last lie on the picture's rim: that is the aligned way"
        share = "those are shares of the side; pixels are asked for"
        number = "those are numbers of patches, not yet times the pixels of a patch"
        hints = {
            "those are the left edges of the patches": left,
            "those are the last pixels of the patches": left + patch - 1,
            "off by half a pixel: pixel 0 has its middle at 0, so a patch begins at -0.5": left
            + patch / 2,
            "patches are counted from 0: everything lies one patch too far": left + patch + half,
            rim: either(np.linspace(0, side - 1, grid), np.linspace(0, side, grid)),
            share: left / side + 0.5 / grid,
            number: either(np.arange(grid) + 0.5, np.arange(grid) * 1.0),
            "0 is the middle of the first pixel, not the middle of the row": left
            + half
            - (side - 1) / 2,
        }
        yield learner(grid, patch), _middles(grid, patch), hints


def _summed(levels: list, anchors: torch.Tensor, scale: float) -> torch.Tensor:
    return _scores(torch.stack(levels) @ anchors, scale)


@exercise("07_stage2_image", "the table of scores", right=_summed)
def patch_scores(learner: Callable) -> Iterator:
    """(list of levels (B, N, d), anchors (B, d, 2), scale) -> the summed scores of the patches (B,
    N)
    """

    for count, patches, width, number, scale in (
        (2, 4, 5, 3, 100.0),
        (3, 9, 4, 4, 15.0),
        (1, 4, 6, 1, 1.0),
    ):
        draw = torch.Generator().manual_seed(number)
        levels = torch.randn(number, count, patches, width, generator=draw)
        anchors = torch.randn(count, width, 2, generator=draw)
        levels, anchors = F.normalize(levels, dim=-1), F.normalize(anchors, dim=1)
        found, right = learner(list(levels), anchors, scale), _scores(levels @ anchors, scale)
        yield found, right, _other_scores(levels, anchors, scale)


def _scores(cosines: torch.Tensor, scale: float, one: float = 1.0) -> torch.Tensor:
    """(levels, B, N, 2) -> (B, N)"""
    return ((scale * cosines[..., 1] + one - scale * cosines[..., 0]) / 2).sum(0)


def _other_scores(levels: torch.Tensor, anchors: torch.Tensor, scale: float) -> dict:
    cosines, number = levels @ anchors, len(levels)
    right = _scores(cosines, scale)
    abnormal = scale * cosines[..., 1]
    probability = (scale * cosines).softmax(-1)
    return {
        "the constant 1 belongs to every level, not to the sum once": right - (number - 1) / 2,
        "the constant 1 of every level is missing": right - number / 2,
        "the scale acts on the cosines, not on the 1": scale * _scores(cosines, 1.0),
        "a softmax over the two cosines is another form of score; this one has none": probability[
            ..., 1
        ].sum(0),
        "the normal cosine is not in it": either(abnormal.sum(0), (abnormal + 1).sum(0) / 2),
    }


@exercise("07_stage2_image")
def image_loop(learner: Callable) -> None:
    """(model, batches, steps, anchors) -> losses: the loop of stage 2."""
    judge_loop(learner, "image")
