"""Checks of the exercises of chapter 13_improvement_lab."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from scipy.stats import norm, t

from .judge import Hint, drawn, exercise, two

CHAPTER = "13_improvement_lab"


@exercise(CHAPTER, "the weighted mean of the patches")
def attention_pool(learner: Callable) -> Iterator:
    for patches, width in ((5, 3), (4, 6)):
        x, score = drawn(2, patches, width), drawn(2, patches, 1, seed=1)
        yield learner(x, score), (score.softmax(1) * x).sum(1), _other_pools(x, score)


def _other_pools(x: torch.Tensor, score: torch.Tensor) -> dict:
    weight, wide = score.softmax(1), (-1, -1, x.shape[-1])
    right = (weight * x).sum(1)
    add = "scores are no weights yet: a softmax makes them add up to 1"
    return {
        "this is the plain mean: the scores have no say": x.mean(1),
        add: (score * x).sum(1),
        f"{add}, exp alone does not": (score.exp() * x).sum(1),
        f"{add}, and keeps them above 0": (score / score.sum(1, True) * x).sum(1),
        "the softmax runs over the patches, not the pictures": (score.softmax(0) * x).sum(1),
        "the softmax runs over the patches of one picture, not over the batch": (
            score.flatten().softmax(0).view_as(score) * x
        ).sum(1),
        "a softmax over the last axis has one score only, and gives 1: take axis 1": x.sum(1),
        "log_softmax gives logarithms of weights, not weights": (score.log_softmax(1) * x).sum(1),
        "the weights add up to 1 already: add up, do not average": (weight * x).mean(1),
        "not the best patch alone": x.gather(1, score.argmax(1, True).expand(wide))[:, 0],
        "that is the largest value of each channel, whatever the scores": x.amax(1),
        "sigmoids do not add up to 1 over the patches": (score.sigmoid() * x).sum(1),
        "the sign is turned: a high score has to weigh more": ((-score).softmax(1) * x).sum(1),
        "the sum over the patches is still to be taken": weight * x,
        "the sum keeps an axis of size 1: keepdim is not asked for": right[:, None],
        "the sum runs over the width, not over the patches": (weight * x).sum(-1),
        "these are the weights: the patches are still to be mixed by them": weight,
        "the result is brought to length 1: that is not asked for": F.normalize(right, dim=-1),
    }


@exercise(CHAPTER, "(mean change, half the width of its 95 % interval)", 1e-4)
def paired_change(learner: Callable) -> Iterator:
    for gains in ((0.010, 0.014, 0.006), (0.03, -0.01, 0.02, 0.05)):
        rival = np.array([0.90, 0.94, 0.86, 0.81])[: len(gains)]
        mine = rival + np.array(gains)
        middle, half = two(learner(mine.copy(), rival.copy()), "middle, half")
        if np.size(half) == 2:
            raise Hint("those are the interval's two ends: half its width is one number")
        found = np.array([float(np.asarray(middle)), float(np.asarray(half))])
        change = mine - rival
        right = [change.mean(), t.ppf(0.975, len(gains) - 1) * change.std(ddof=1)]
        right[1] /= len(gains) ** 0.5
        halves = _other_halves(change, mine, rival, right[1])
        hints = {say: np.array([found[0], wrong]) for say, wrong in halves.items()}
        for say, wrong in {
            "mine minus the rival's": -change.mean(),
            "the difference is asked for, not the share of it": (change / rival).mean(),
            "the mean of the differences is asked for, not the median": np.median(change),
            "this is the mean of mine: take the rival's away first": mine.mean(),
            "as it is, not in per cent": 100 * change.mean(),
        }.items():
            hints[say] = np.array([wrong, found[1]])
        below = "those are the two ends: give the middle and half the width"
        hints[below] = np.array([right[0] - right[1], right[0] + right[1]])
        yield found, np.array(right), hints


def _other_halves(change, mine, rival, right: float) -> dict:
    n, spread = len(change), change.std(ddof=1)
    reach, apart = t.ppf(0.975, n - 1), (mine.var(ddof=1) / n + rival.var(ddof=1) / n) ** 0.5
    luck = "both runs of a seed share its luck: take differences first, by seed"
    small = "seeds are few: Student's t, with n - 1 degrees, not"
    root = "the mean of n has 1 / sqrt(n) of the spread, not"
    return {
        luck: reach * apart,
        f"{luck} (so n - 1 degrees, too)": t.ppf(0.975, 2 * n - 2) * apart,
        "this is the spread of a single seed: the MEAN has 1 / sqrt(n) of it": reach * spread,
        f"{root} 1 / n": reach * spread / n,
        f"{root} 1 / sqrt(n - 1)": reach * spread / (n - 1) ** 0.5,
        "a spread from n numbers divides by n - 1: ddof=1": right * change.std() / spread,
        f"{small} 1.96": 1.96 * spread / n**0.5,
        f"{small} the normal curve": norm.ppf(0.975) * spread / n**0.5,
        f"{small} 2 errors": 2 * spread / n**0.5,
        f"{small} 1.96, and ddof=1 is missing": 1.96 * change.std() / n**0.5,
        "2.5 % at either end: the 0.975 quantile": t.ppf(0.95, n - 1) * spread / n**0.5,
        "the 0.975 quantile: that of 0.025 is negative": -right,
        "ppf gives the quantile; cdf goes the other way": t.cdf(0.975, n - 1) * spread / n**0.5,
        "n - 1 degrees of freedom, not n": t.ppf(0.975, n) * spread / n**0.5,
        "half the width is asked for": 2 * right,
        "three seeds are built in: take their number from the arrays": (
            t.ppf(0.975, 2) * spread / 3**0.5
        ),
        "this is the standard error: times Student's t": spread / n**0.5,
        "this is the spread of the differences: times Student's t, by sqrt(n)": spread,
        "variances have no length: take the root": reach * spread**2 / n,
        "the spread of the differences counts, not that of mine": (
            reach * mine.std(ddof=1) / n**0.5
        ),
    }


@exercise(CHAPTER, "the less important half")
def least_important(learner: Callable) -> Iterator:
    for rises in (
        {0: 0.31, 1: -0.02, 2: 0.07, 3: 0.55, 4: 0.0, 5: 0.12},
        {2: 0.2, 5: -0.4, 7: 0.1, 9: 0.6},
        {1: 0.09, 2: 0.3, 3: 0.02, 4: -0.1, 5: 0.01, 6: 0.2, 7: 0.4, 8: 0.05},
    ):
        found = learner(dict(rises))
        if found is None or isinstance(found, int | float):
            raise Hint("a list of places is asked for (list.sort() gives None: use sorted)")
        order, half = sorted(rises, key=rises.get), len(rises) // 2
        mine = sorted(each.item() if hasattr(each, "item") else each for each in found)
        yield mine, sorted(order[:half]), _other_halves_of(rises, order, half)


def _other_halves_of(rises: dict, order: list, half: int) -> dict:
    values, places = list(rises.values()), list(rises)
    by_size = sorted(rises, key=lambda place: abs(rises[place]))
    below = "half of them, by rank: a limit leaves more or fewer;"
    wrong = {
        "these matter most: without them the loss rises most": order[-half:],
        "a loss that FALLS says that the adapter is in the way: the sign counts": by_size[:half],
        "these move the loss most, up or down: which matter least?": by_size[-half:],
        "a loss that FALLS says that the adapter is in the way: those come first": (
            [place for place in order if rises[place] > 0][:half]
        ),
        "these are the first, whatever they do": places[:half],
        "these are the last, whatever they do": places[half:],
        "this is one too many: half of them": order[: half + 1],
        "this is one too few: half of them": order[: half - 1],
        "these are the two least: half of them": order[:2],
        "this is the least important one: half of them are asked for": order[:1],
        "places are asked for, not by how much": [rises[place] for place in order[:half]],
        "places alone are asked for": [(place, rises[place]) for place in order[:half]],
        f"{below} here the mean": [place for place in places if rises[place] < np.mean(values)],
        f"{below} here 0, or as much": [place for place in places if rises[place] <= 0],
        f"{below} here 0": [place for place in places if rises[place] < 0],
    }
    return {say: sorted(value) for say, value in wrong.items()}
