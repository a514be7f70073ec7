"""Checks of the exercises of chapter 06_stage1_text."""

from collections.abc import Callable

import torch
import torch.nn.functional as F

from ...losses import dice, focal
from .ch04_losses import other_dices
from .judge import Hint, Steps, either, exercise
from .loops import judge_loop


@exercise("the feature", cases=((2, 9, 5), (3, 4, 3), (1, 16, 8)))
def stage1_feature(count: int, patches: int, width: int) -> Steps:
    """(patches (B, N, d), picture (B, d)) -> the sum of their unit vectors (B, N, d)"""
    x, picture = yield 3 * torch.randn(count, patches, width), 2 * torch.randn(count, width)
    yield F.normalize(x, dim=-1) + F.normalize(picture, dim=-1).unsqueeze(1)
    unit, whole = F.normalize(x, dim=-1), F.normalize(picture, dim=-1).unsqueeze(1)
    added = "the two are added; they are"
    yield {
        "unit length comes before the sum, for each of the two": F.normalize(
            x + picture.unsqueeze(1), dim=-1
        ),
        f"{added} joined along the patches here": torch.cat([unit, whole], 1),
        f"{added} laid side by side here": torch.cat([unit, whole.expand_as(unit)], -1),
        f"{added} compared here: that is their cosine": (unit * whole).sum(-1),
        "the patches are averaged; each keeps a feature of its own": (unit + whole).mean(1),
        "the picture is stretched to each patch's length; both have length 1": (
            unit + x.norm(dim=-1, keepdim=True) * whole
        ),
    }


@exercise("the loss", cases=((4, 8, 0.3), (3, 16, 0.05), (2, 6, 0.0)))
def blind_dice(count: int, side: int, share: float) -> Steps:
    """mask (B, 1, H, W) -> both dice losses of a model that says normal everywhere"""
    mask = (torch.rand(count, 1, side, side) < share).float()
    mask[0] = 0  # every batch has a picture without a defect
    mask = yield mask
    flat = mask[:, 0]
    one, zero, sound = torch.ones_like(flat), torch.zeros_like(flat), 1 - flat
    normal, abnormal = dice(one, sound), dice(zero, flat)
    yield normal + abnormal
    held, area = flat.flatten(1).sum(1) > 0, sound.flatten(1).sum(1)
    first, second = other_dices(one, sound), other_dices(zero, flat)
    yield {
        "only the normal channel is in it; the abnormal one misses its defects too": normal,
        "only the abnormal channel is in it; the normal one pays where it covers a "
        "defect": abnormal,
        "the two are added; one is subtracted here": either(normal - abnormal, abnormal - normal),
        "a picture with a small defect, or none, costs less than 1": either(
            normal + 1, normal + held.float().mean()
        ),
        "this is the overlap; the loss is what is missing to a full one": 2 - normal - abnormal,
        "the map says abnormal everywhere, or the mask is inverted: normal belongs to 1 - mask": (
            dice(one, flat) + dice(zero, sound)
        ),
        "the abnormal channel says 0 everywhere, not 1": normal + dice(one, flat),
        "this is an undecided model; it says normal with certainty": (
            dice(one / 2, sound) + dice(one / 2, flat)
        ),
        "focal is in it; the two dice losses are asked for": (
            normal + abnormal + focal(torch.stack([one, zero], 1), mask)
        ),
        "it grows with the number of pictures: take the mean": len(flat) * (normal + abnormal),
        "pictures without a defect are left out; they count as well": (
            dice(one[held], sound[held]) + dice(zero[held], flat[held]) if held.any() else 0.0
        ),
        "the 1 that is added above and below the line is missing: a picture without a defect "
        "loses nothing": 2 - (2 * area / (flat[0].numel() + area)).mean(),
    } | {say: first[say] + second[say] for say in first if "channel" not in say}


@exercise()
def choose_step(learner: Callable) -> None:
    """(steps, validation figures, test figures) -> (step to keep, test figure to report)"""
    cases = (
        ([10, 20, 30, 40], [0.6, 0.8, 0.7, 0.75], [0.5, 0.7, 0.9, 0.6]),
        ([10, 20, 30, 40], [0.5, 0.9, 0.9, 0.1], [0.3, 0.4, 0.6, 0.95]),
        ([5, 15], [0.2, 0.1], [0.1, 0.2]),
        ([70, 10, 40], [0.8, 0.8, 0.3], [0.6, 0.5, 0.9]),
        ([15, 25, 35, 45], [0.3, 0.895, 0.9, 0.5], [0.4, 0.5, 0.6, 0.7]),
        ([30, 20, 10], [0.3, 0.4, 0.6], [0.7, 0.3, 0.45]),
    )
    for steps, validation, test in cases:
        best = min(range(len(steps)), key=lambda i: (-validation[i], steps[i]))
        result = learner(steps, validation, test)
        if not isinstance(result, tuple | list) or len(result) != 2:
            raise Hint("return two things: the step, and the test figure that belongs to it")
        step, figure = result
        if step != steps[best]:
            raise Hint(_why_step(step, best, steps, validation, test))
        if figure != test[best]:
            raise Hint(
                f"step {step} is right, its figure is not: {_why_figure(figure, best, validation, test)}"
            )


def _why_step(step, best, steps, validation, test) -> str:
    """How a wrong step may have been chosen."""
    if step in (*validation, *test) and step not in steps:
        return f"{step:.4g} is a figure: return the step itself first, then its test figure"
    if step not in steps:
        asked = ": is it a place in the list?" if step in range(len(steps)) else ""
        return f"{step!r} is none of the steps{asked}. Give the step itself"
    at = steps.index(step)
    if validation[at] == validation[best]:
        return "two steps are equally good on validation: the earliest of them is to be kept"
    if sorted(steps)[best] == step:
        return "the figures were looked up in a sorted list: each belongs to its own step"
    if test[at] == max(test):
        return "the step was chosen by its test figure; the test set must have no say in it"
    if validation[at] == min(validation):
        return f"step {step} has the lowest validation figure; the highest is the best"
    together = [v + t for v, t in zip(validation, test, strict=True)]
    if together[at] == max(together):
        return "both figures together chose the step; the test set must have no say in it"
    if at in (0, len(steps) - 1):
        return (
            f"step {step} is the {'first' if at == 0 else 'last'}; the best on validation is kept"
        )
    if validation[at] > 0.9 * validation[best]:
        return f"step {step} is near the best on validation; the best itself is kept"
    return f"step {step} is not the best on validation"


def _why_figure(figure, best, validation, test) -> str:
    if figure == validation[best]:
        return "report the test figure of that step, not the one it was chosen by"
    if figure == max(test):
        return "it belongs to the chosen step; the best test figure was another step's"
    if figure in test:
        return "it is the test figure of another step"
    if abs(figure - 100 * test[best]) < 1e-6 or figure == round(test[best]):
        return "give the test figure as it stands, neither rounded nor in per cent"
    return f"{figure!r} is none of the test figures"


@exercise()
def text_loop(learner: Callable) -> None:
    """(model, batches, steps) -> losses: the loop of stage 1."""
    judge_loop(learner, "text")
