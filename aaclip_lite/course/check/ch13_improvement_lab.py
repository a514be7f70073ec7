"""Checks of the exercises of chapter 13_improvement_lab."""

import numpy as np
import torch
from scipy.stats import t, ttest_rel

from .judge import Hint, Steps, either, exercise, two


@exercise("the weighted mean of the patches", cases=((5, 3), (4, 6)))
def attention_pool(patches: int, width: int) -> Steps:
    x, score = yield torch.randn(2, patches, width), torch.randn(2, patches, 1)
    yield (score.softmax(1) * x).sum(1)
    add = "scores are no weights yet: a softmax makes them add up to 1"
    yield {
        add: (score * x).sum(1),
        "that is the largest value of each channel, whatever the scores": x.amax(1),
        "these are the weights: the patches are still to be mixed by them": score.softmax(1),
    }


def _interval(result) -> np.ndarray:
    middle, half = two(result, "middle, half")
    if np.size(half) == 2:
        raise Hint("those are the interval's two ends: half its width is one number")
    return np.array([float(np.asarray(middle)), float(np.asarray(half))])


GAINS = ((0.010, 0.014, 0.006), (0.03, -0.01, 0.02, 0.05))


@exercise("(mean change, half the width of its 95 % interval)", cases=GAINS, read=_interval)
def paired_change(*gains: float) -> Steps:
    rival = np.array([0.90, 0.94, 0.86, 0.81])[: len(gains)]
    mine, rival = yield rival + np.array(gains), rival
    change, n = mine - rival, len(mine)
    middle, half = change.mean(), t.ppf(0.975, n - 1) * change.std(ddof=1) / n**0.5
    yield middle, half
    middles = {
        "the difference is asked for, not the share of it": (change / rival).mean(),
        "the mean of the differences is asked for, not the median": np.median(change),
        "this is the mean of mine: take the rival's away first": mine.mean(),
        "a change downwards counts as well: without abs": np.abs(change).mean(),
    }
    ends = np.array([middle - half, middle + half])
    below = {"those are the two ends: give the middle and half the width": ends}
    yield middles, _other_halves(change, mine, rival, half), below


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
        f"{small} 2 errors": 2 * spread / n**0.5,
        f"{small} 1.96, and ddof=1 is missing": 1.96 * change.std() / n**0.5,
        "2.5 % at either end: the 0.975 quantile": t.ppf(0.95, n - 1) * spread / n**0.5,
        "ppf gives the quantile; cdf goes the other way": t.cdf(0.975, n - 1) * spread / n**0.5,
        "n - 1 degrees of freedom, not n": t.ppf(0.975, n) * spread / n**0.5,
        "three seeds are built in: take their number from the arrays": (
            t.ppf(0.975, 2) * spread / 3**0.5
        ),
        "this is the standard error: times Student's t": spread / n**0.5,
        "this is the spread of the differences: times Student's t, by sqrt(n)": spread,
        "variances have no length: take the root": either(
            reach * spread**2 / n, reach * spread**2 / n**0.5
        ),
        "this is how likely chance alone would be, not how wide the interval is": ttest_rel(
            mine, rival
        ).pvalue,
        "the spread of the differences counts, not that of mine": (
            reach * mine.std(ddof=1) / n**0.5
        ),
    }


def _places(result):
    if result is None or isinstance(result, int | float):
        raise Hint("a list of places is asked for (list.sort() gives None: use sorted)")
    return sorted(each.item() if hasattr(each, "item") else each for each in result)


RISES = (
    {0: 0.31, 1: -0.02, 2: 0.07, 3: 0.55, 4: 0.0, 5: 0.12},
    {2: 0.2, 5: -0.4, 7: 0.1, 9: 0.6},
    {1: 0.09, 2: 0.3, 3: 0.02, 4: -0.1, 5: 0.01, 6: 0.2, 7: 0.4, 8: 0.05},
)


@exercise("the less important half", cases=RISES, read=_places)
def least_important(rises: dict) -> Steps:
    rises = yield rises
    order, half = sorted(rises, key=rises.get), len(rises) // 2
    yield order[:half]
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
        "this is the least important one: half of them are asked for": order[:1],
        "places are asked for, not by how much": [rises[place] for place in order[:half]],
        "places alone are asked for": [(place, rises[place]) for place in order[:half]],
        f"{below} here the mean": [place for place in places if rises[place] < np.mean(values)],
        f"{below} here 0": [place for place in places if rises[place] < 0],
    }
    yield {say: sorted(value) for say, value in wrong.items()}
