"""Learners of chapter 07: for each exercise its solution, and mistakes with a word that the hint
must hold.
"""

import torch
import torch.nn.functional as F

from tests.notebooks.loops import loop_of


def patch_scores(levels, anchors, scale):
    normal, abnormal = (scale * torch.stack(levels).sum(0) @ anchors).unbind(-1)
    return (abnormal + len(levels) - normal) / 2


def softmaxed(levels, anchors, scale):
    return torch.stack([(scale * level @ anchors).softmax(-1)[..., 1] for level in levels]).sum(0)


ANSWERS = {
    "detection_feature": (
        lambda tokens: F.normalize(tokens[:, 1:], dim=-1).mean(1),
        [
            (lambda tokens: F.normalize(tokens, dim=-1).mean(1), "class token is in the mean"),
            (lambda tokens: tokens[:, 1:].mean(1), "made without unit length"),
            (lambda tokens: F.normalize(tokens[:, 1:].mean(1), dim=-1), "before the mean"),
            (
                lambda tokens: F.normalize(F.normalize(tokens[:, 1:], dim=-1).mean(1), dim=-1),
                "is right, then brought to length 1 along axis 1",
            ),
        ],
    ),
    "patch_middles": (
        lambda grid, patch: torch.arange(grid) * patch + (patch - 1) / 2,
        [
            (lambda grid, patch: torch.arange(grid) * patch, "left edges"),
            (lambda grid, patch: (torch.arange(grid) + 0.5) * patch, "half a pixel"),
            (lambda grid, patch: torch.linspace(0, grid * patch - 1, grid), "rim"),
        ],
    ),
    "patch_scores": (
        patch_scores,
        [
            (
                lambda levels, anchors, scale: patch_scores(levels, anchors.flip(-1), scale),
                "which column",
            ),
            (
                lambda levels, anchors, scale: patch_scores(levels, anchors, scale) / len(levels),
                "is 1 / the length of `levels` of what it should be",
            ),
            (lambda levels, anchors, scale: patch_scores(levels, anchors, 1.0), "no effect"),
            (softmaxed, "softmax"),
        ],
    ),
    "image_loop": (
        loop_of("image"),
        [
            (loop_of("image", "no zero_grad"), "add up"),
            (loop_of("image", "default lr"), "learning rate"),
            (loop_of("image", "default betas"), "betas"),
            (loop_of("image", "first part"), "one part"),
            (loop_of("image", "all move"), "has moved"),
            (loop_of("image", "no backward"), "no weight has moved"),
            (loop_of("image", "all batches"), "stop after"),
            (loop_of("image", "returns nothing"), "return a list"),
            (loop_of("image", "constant lr"), "never falls"),
        ],
    ),
}
