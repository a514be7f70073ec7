"""Checks of the exercises of chapter 07_stage2_image."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

from .judge import exercise, same
from .loops import judge_loop


@exercise("07_stage2_image")
def detection_feature(learner):
    """tokens (B, 1 + N, d), class token first -> mean of the unit patch vectors (B, d)"""
    for count, patches, width in ((2, 4, 5), (3, 9, 6), (1, 16, 3)):
        draw = torch.Generator().manual_seed(patches)
        tokens = (
            torch.randn(count, 1 + patches, width, generator=draw)
            * torch.linspace(0.5, 3, 1 + patches)[:, None]
        )
        unit = F.normalize(tokens, dim=-1)
        expected = unit[:, 1:].mean(1)
        hints = [
            (unit.mean(1), "the class token is in the mean; only patches belong there"),
            (unit[:, :-1].mean(1), "the class token stands first, not last"),
            (
                tokens[:, 1:].mean(1),
                "long patch vectors count more than short ones: unit length first",
            ),
            (
                F.normalize(tokens[:, 1:].mean(1), dim=-1),
                "unit length comes before the mean, not after it",
            ),
            (
                F.normalize(expected, dim=-1),
                "the mean is not to be brought to unit length: its length says something",
            ),
            (unit[:, 0], "this is the class token; the mean is over the patches"),
        ]
        same(learner(tokens.clone()), expected, "the feature", hints=hints)


@exercise("07_stage2_image")
def patch_middles(learner):
    """(patches in a row, pixels of a patch) -> coordinates of their middles (grid,)"""
    for grid, patch in ((4, 8), (16, 8), (37, 14), (3, 5), (1, 4)):
        left, side = np.arange(grid) * float(patch), grid * patch
        hints = [
            (left, "those are the left edges of the patches"),
            (
                left + patch / 2,
                "off by half a pixel: pixel 0 has its middle at 0, so a patch begins at -0.5",
            ),
            (left + patch - 1, "those are the last pixels of the patches"),
            (
                np.linspace(0, side - 1, grid),
                "the first and last lie on the picture's rim: that is the aligned way",
            ),
            (
                np.linspace(0, side, grid),
                "the first and last lie on the picture's rim: that is the aligned way",
            ),
            (left / side + 0.5 / grid, "those are shares of the side; pixels are asked for"),
        ]
        same(learner(grid, patch), left + (patch - 1) / 2, "the middles", hints=hints)


@exercise("07_stage2_image")
def patch_scores(learner):
    """(list of levels (B, N, d), anchors (B, d, 2), scale) -> the summed scores of the patches (B,
    N)
    """
    for count, patches, width, number, scale in (
        (2, 4, 5, 3, 100.0),
        (3, 9, 4, 4, 15.0),
        (1, 4, 6, 1, 1.0),
    ):
        draw = torch.Generator().manual_seed(number)
        levels = [
            F.normalize(torch.randn(count, patches, width, generator=draw), dim=-1)
            for _ in range(number)
        ]
        anchors = F.normalize(torch.randn(count, width, 2, generator=draw), dim=1)
        cosines = torch.stack(levels).sum(0) @ anchors
        normal, abnormal = (scale * cosines).unbind(-1)
        expected = (abnormal + number - normal) / 2
        hints = [
            (
                (normal + number - abnormal) / 2,
                "hot where patches are normal: which column of the anchors is which?",
            ),
            (
                (abnormal + 1 - normal) / 2,
                "the constant 1 belongs to every level, not to the sum once",
            ),
            ((abnormal - normal) / 2, "the constant 1 of every level is missing"),
            (abnormal + number - normal, "the half is missing"),
            (expected / number, "this is the mean of the levels; their sum is asked for"),
            ((cosines[..., 1] + number - cosines[..., 0]) / 2, "the scale has no effect"),
            (
                scale * (cosines[..., 1] + number - cosines[..., 0]) / 2,
                "the scale acts on the cosines, not on the 1",
            ),
        ]
        same(learner(list(levels), anchors, scale), expected, "the scores", hints=hints)


@exercise("07_stage2_image")
def image_loop(learner: Callable) -> None:
    """(model, batches, steps, anchors) -> losses: the loop of stage 2."""
    judge_loop(learner, "image")
