"""Checks of the exercises of chapter 13_improvement_lab."""

from collections.abc import Callable

import numpy as np
import torch
from scipy.stats import t

from .judge import Hint, exercise, same

CHAPTER = "13_improvement_lab"


def _drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@exercise(CHAPTER)
def attention_pool(learner: Callable) -> None:
    patches, score = _drawn(2, 5, 3), _drawn(2, 5, 1, seed=1)
    weight = score.softmax(1)
    true = (weight * patches).sum(1)
    hints = [
        (patches.mean(1), "this is the plain mean: the scores have no say"),
        ((score * patches).sum(1), "scores are no weights yet: a softmax makes them add up to 1"),
        (
            (score.softmax(0) * patches).sum(1),
            "the softmax runs over the patches, not the pictures",
        ),
        ((score.softmax(2) * patches).sum(1), "one score a patch: a softmax over it alone gives 1"),
        ((weight * patches).mean(1), "the weights add up to 1 already: add up, do not average"),
        (
            patches.gather(1, score.argmax(1, True).expand(-1, -1, 3))[:, 0],
            "not the best patch alone",
        ),
        ((score.sigmoid() * patches).sum(1), "sigmoids do not add up to 1 over the patches"),
    ]
    same(learner(patches, score), true, "2 pictures of 5 patches of width 3", hints=hints)


@exercise(CHAPTER)
def paired_change(learner: Callable) -> None:
    rival = np.array([0.90, 0.94, 0.86])
    mine = rival + np.array([0.010, 0.014, 0.006])
    found = learner(mine.copy(), rival.copy())
    if not isinstance(found, (tuple, list)) or len(found) != 2:
        raise Hint("two numbers are asked for: return middle, half")
    middle, half = (float(np.asarray(each)) for each in found)
    change = mine - rival
    error = change.std(ddof=1) / 3**0.5
    reach = t.ppf(0.975, 2)
    apart = (mine.var(ddof=1) / 3 + rival.var(ddof=1) / 3) ** 0.5
    same(middle, change.mean(), "the middle", hints=[(-change.mean(), "mine minus the rival's")])
    hints = [
        (reach * apart, "both runs of a seed share its luck: take differences first, by seed"),
        (
            reach * change.std(ddof=1),
            "this is the spread of a seed: the MEAN has 1 / sqrt(n) of it",
        ),
        (reach * change.std() / 3**0.5, "a spread from n numbers divides by n - 1: ddof=1"),
        (1.96 * error, "three seeds are few: Student's t, with n - 1 degrees, not 1.96"),
        (t.ppf(0.95, 2) * error, "2.5 % at either end: the 0.975 quantile"),
        (t.ppf(0.975, 3) * error, "n - 1 degrees of freedom"),
        (2 * reach * error, "half the width is asked for"),
        (error, "this is the standard error: times Student's t"),
    ]
    same(half, reach * error, "half the width of the 95 % interval", hints=hints)


@exercise(CHAPTER)
def least_important(learner: Callable) -> None:
    rises = {0: 0.31, 1: -0.02, 2: 0.07, 3: 0.55, 4: 0.0, 5: 0.12}
    hints = [
        ([3, 0, 5], "these matter most: without them the loss rises most"),
        ([4, 1, 2], "a loss that FALLS without an adapter says that it is in the way: -0.02 first"),
        ([0, 1, 2], "these are the first, whatever they do"),
        ([1, 4, 2, 5], "half of six are three"),
        ([-0.02, 0.0, 0.07], "places are asked for, not by how much"),
        ([1], "this is the least important one: half of them are asked for"),
    ]
    found = learner(dict(rises))
    found = sorted(found) if isinstance(found, (set, frozenset)) else list(found)
    if sorted(found) == [1, 2, 4]:
        return
    for wrong, hint in hints:
        if sorted(found) == sorted(wrong):
            raise Hint(hint)
    same(found, [1, 4, 2], f"the less important half of {rises}")
