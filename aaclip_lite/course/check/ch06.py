"""Checks of the exercises of chapter 06_stage1_text."""

from collections.abc import Callable

import torch
import torch.nn.functional as F

from .judge import Hint, exercise, same
from .loops import judge_loop


@exercise("06_stage1_text")
def stage1_feature(learner):
    """(patches (B, N, d), picture (B, d)) -> the sum of their unit vectors (B, N, d)"""
    for count, patches, width in ((2, 9, 5), (3, 4, 3), (1, 16, 8)):
        draw = torch.Generator().manual_seed(width)
        x = 3 * torch.randn(count, patches, width, generator=draw)
        picture = 2 * torch.randn(count, width, generator=draw)
        unit, whole = F.normalize(x, dim=-1), F.normalize(picture, dim=-1).unsqueeze(1)
        hints = [
            (unit, "the picture's feature is not in it"),
            (
                x + picture.unsqueeze(1),
                "both features should have unit length before they are added",
            ),
            (
                unit + picture.unsqueeze(1),
                "the picture's feature should have unit length before it is added",
            ),
            (x + whole, "the patches should have unit length before the sum"),
            (
                F.normalize(unit + whole, dim=-1),
                "the sum is not to be brought to unit length again",
            ),
            (
                F.normalize(x, dim=1) + whole,
                "unit length is meant along the last axis, not along the patches",
            ),
        ]
        same(learner(x, picture), unit + whole, "the feature", hints=hints)


@exercise("06_stage1_text")
def blind_dice(learner):
    """mask (B, 1, H, W) -> both dice losses of a model that says normal everywhere"""
    for count, side, share in ((4, 8, 0.3), (3, 16, 0.05), (2, 6, 0.0)):
        mask = (
            torch.rand(count, 1, side, side, generator=torch.Generator().manual_seed(side)) < share
        ).float()
        mask[0] = 0  # every batch has a picture without a defect
        defect, pixels = mask.flatten(1).sum(1), side * side
        sound = pixels - defect
        normal, abnormal = (
            1 - ((2 * sound + 1) / (pixels + sound + 1)).mean(),
            1 - (1 / (defect + 1)).mean(),
        )
        pooled = (
            2 - (2 * sound.sum() + 1) / (count * pixels + sound.sum() + 1) - 1 / (defect.sum() + 1)
        )
        bare = 2 - (2 * sound / (pixels + sound)).mean()
        hints = [
            (normal, "only the normal channel is in it; the abnormal one misses its defects too"),
            (
                abnormal,
                "only the abnormal channel is in it; the normal one pays where it covers a defect",
            ),
            (
                pooled,
                "the overlap is taken over all pictures at once; each picture counts for itself, "
                "then the mean",
            ),
            (
                bare,
                "the 1 that is added above and below the line is missing: a picture without a "
                "defect loses nothing",
            ),
            (
                2 - normal - abnormal,
                "this is the overlap; the loss is what is missing to a full one",
            ),
        ]
        same(learner(mask), normal + abnormal, "the loss", hints=hints)


@exercise("06_stage1_text")
def choose_step(learner):
    """(steps, validation figures, test figures) -> (step to keep, test figure to report)"""
    cases = (
        ([10, 20, 30, 40], [0.6, 0.8, 0.7, 0.75], [0.5, 0.7, 0.9, 0.6]),
        ([10, 20, 30, 40], [0.5, 0.9, 0.9, 0.1], [0.3, 0.4, 0.6, 0.95]),
        ([5, 15], [0.2, 0.1], [0.1, 0.2]),
        ([70, 10, 40], [0.8, 0.8, 0.3], [0.6, 0.5, 0.9]),
    )
    for steps, validation, test in cases:
        best = min(
            (i for i in range(len(steps)) if validation[i] == max(validation)),
            key=lambda i: steps[i],
        )
        found = learner(list(steps), list(validation), list(test))
        if not isinstance(found, tuple | list) or len(found) != 2:
            raise Hint("return two things: the step, and the test figure that belongs to it")
        step, figure = found
        if step == steps[best] and figure == test[best]:
            continue
        if step == steps[test.index(max(test))] and step != steps[best]:
            raise Hint(
                "the step was chosen by its test figure; the test set must have no say in it"
            )
        if (
            step != steps[best]
            and step in steps
            and validation[steps.index(step)] == max(validation)
        ):
            raise Hint(
                "two steps are equally good on validation: the earliest of them is to be kept"
            )
        if step == len(steps) - 1 or step in range(len(steps)):
            raise Hint("give the step itself, not its place in the list")
        if step == steps[best]:
            if figure == validation[best]:
                raise Hint(
                    "the figure to report is the test figure of that step, not the one it was "
                    "chosen by"
                )
            if figure == max(test):
                raise Hint(
                    "the figure to report belongs to the chosen step; the best test figure was "
                    "another step's"
                )
        raise Hint(
            f"for validation figures {validation} at steps {steps}, keeping step {step} is not the "
            "best choice"
        )


@exercise("06_stage1_text")
def text_loop(learner: Callable) -> None:
    """(model, batches, steps) -> losses: the loop of stage 1."""
    judge_loop(learner, "text")
