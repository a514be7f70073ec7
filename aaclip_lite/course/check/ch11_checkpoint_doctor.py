"""Checks of the exercises of chapter 11_checkpoint_doctor."""

from collections import Counter
from itertools import pairwise

import torch

from ...doctor.statistics import outside, xavier_bound
from .judge import Steps, either, exercise, two, whatever

SIDES = "Xavier looks at both sides, fan in plus fan out; here only"


@exercise("mean |w| of a fresh matrix", cases=((768, 1024), (768, 768), (64, 96), (768,)))
def untrained_mean(*shape: int) -> Steps:
    shape = yield (shape,)
    c = xavier_bound(shape)
    yield c / 2
    if len(shape) == 1:
        yield {"it is a bias, which starts at zero": whatever}
    a, b = shape
    yield {
        "this is the bound: |w| is spread evenly from 0 to it, so its mean is half": c,
        "this is the root mean square: the mean of |w| is asked for": c / 3**0.5,
        "this is the standard deviation of |w|: its mean is asked for": c / 12**0.5,
        "this is the variance: the mean of |w| is asked for": either(c**2 / 3, c**2 / 12),
        "w has mean 0, |w| has not": 0.0,
        "this is a normal start with the same variance: here it is uniform": c * 0.46065886,
        f"{SIDES} the second": either((6 / b) ** 0.5 / 2, (3 / b) ** 0.5 / 2),
        f"{SIDES} the first": either((6 / a) ** 0.5 / 2, (3 / a) ** 0.5 / 2),
        "this is PyTorch's own start of a linear layer, from fan in alone": b**-0.5 / 2,
        "the fans are added, not multiplied": (6 / (a * b)) ** 0.5 / 2,
        "the fans are added, not averaged": (12 / (a + b)) ** 0.5 / 2,
        "the bound is sqrt(6 / (fan in + fan out)); here stands a 3": (3 / (a + b)) ** 0.5 / 2,
        "the root goes over the fraction, not over the 6 alone": 6**0.5 / (a + b) / 2,
        "a root is missing in the bound": 3 / (a + b),
    }


SHARES = [0.1, -0.2, 0.6, -0.7, 0.9, -0.95, 1.0, -1.0, 1.1, -1.2, 1.5, -3.0]
SHARES += [2.5, -0.4, 0.25, 0.8, -0.85, 0.55, -1.01, -1.3, -1.7, 0.52, 0.35, -0.65]


@exercise("the number of weights outside", cases=((6, 4), (3, 8), (12, 2), (24,)))
def weights_outside(*shape: int) -> Steps:
    # weights within, at and beyond the bound
    bound = xavier_bound(shape)
    w = (bound * torch.tensor(SHARES, dtype=torch.float64)).reshape(shape)
    bias = torch.tensor([0.0, 0.5, 0.0, -0.1, 1e-9, 0.0])
    w = yield w if len(shape) == 2 else bias
    yield outside(w)
    if w.ndim == 1:
        yield {
            "the bound of a bias is 0, and what is 0 has not left it: strictly above": len(w),
            "a bias starts at zero: its bound is 0, and what is not 0 has moved": whatever,
        }
    (a, b), size = w.shape, w.abs()
    bound = xavier_bound(w.shape)
    beyond = size > bound

    def above(limit: float) -> torch.Tensor:
        return (size > limit).sum()

    yield {
        "a weight AT the bound is one that a fresh matrix may hold": (size >= bound).sum(),
        "negative weights leave the support as well: compare |w|": (w > bound).sum(),
        "positive weights leave the support as well: compare |w|": (w < -bound).sum(),
        "half the bound is the mean, not the end of the support": above(bound / 2),
        "twice the bound is too far out: a fresh matrix ends at the bound": (
            size > 2 * bound
        ).sum(),
        "these are the weights inside": either((size <= bound).sum(), (size < bound).sum()),
        "a count is asked for, not a share": either(
            beyond.double().mean(), 100 * beyond.double().mean()
        ),
        "count the weights, do not add up their excess": (size - bound).clamp(min=0).sum(),
        f"{SIDES} the second": above((6 / b) ** 0.5),
        f"{SIDES} the first": above((6 / a) ** 0.5),
        "the fans are added, not multiplied": above((6 / (a * b)) ** 0.5),
        "a root is missing in the bound": above(6 / (a + b)),
        "this is S0's threshold: the bound follows from the shape": above(0.1),
        "these are the rows that hold one: count the weights": beyond.any(1).sum(),
        "this says that there are some: how many?": 1,
        "this is the largest |w|, not a count": size.max(),
        "these are the weights themselves: how many are they?": w[beyond],
        "these are their places: how many are they?": beyond.nonzero(),
    }


def _lists(result) -> tuple:
    return tuple(map(_listed, two(result, "missing, doubled")))


EPOCHS = (([2, 3], 5), ([0, 1, 2, 3, 4], 5), ([0, 1, 3, 0, 1, 1], 5), ([2, 3, 3, 3], 6))
EPOCHS += (([0, 2, 1], 3), ([], 2))


@exercise("(missing, doubled)", cases=EPOCHS, read=_lists)
def epoch_problems(epochs: list[int], planned: int) -> Steps:
    epochs, planned = yield epochs, planned
    counts = Counter(epochs)
    missing = [n for n in range(planned) if n not in counts]
    doubled = sorted(n for n, times in counts.items() if times > 1)
    yield missing, doubled
    turned = {"missing comes first, doubled second": (doubled, missing)}
    yield _other_holes(epochs, planned), _other_twice(epochs, counts), turned


def _other_holes(epochs: list[int], planned: int) -> dict:
    top, low, counts = max(epochs, default=-1), min(epochs, default=0), Counter(epochs)

    def lacking(*ends: int) -> list[int]:
        return [n for n in range(*ends) if n not in counts]

    late = "a run that stopped lacks its last epochs as well: go on to planned - 1"
    return {
        "missing: the epochs themselves are asked for, not their number": len(lacking(planned)),
        "these are the epochs that are there": [n for n in range(planned) if n in counts],
        "epochs count from 0, not from 1": lacking(1, planned + 1),
        "epochs count from 0": lacking(1, planned),
        "there is one too many: the last epoch is planned - 1": lacking(planned + 1),
        "one is left out: the last epoch is planned - 1, and range stops before its end": (
            lacking(planned - 1)
        ),
        late: lacking(top + 1),
        f"{late}, and begin at 0": lacking(low, top),
        "a log that begins late lacks its first epochs as well: begin at 0": lacking(low, planned),
        "the length does not tell: a doubled epoch fills the place of a missing one": (
            [] if len(epochs) >= planned else lacking(planned)
        ),
        "the difference is turned round: planned epochs that the log lacks": sorted(
            set(counts) - set(range(planned))
        ),
    }


def _other_twice(epochs: list[int], counts: Counter) -> dict:
    again = [i for i, number in enumerate(epochs) if number in epochs[:i]]
    doubled = sorted(n for n in counts if counts[n] > 1)
    once = "name each doubled epoch once"
    return {
        "the second one may come much later: look at all epochs, not at neighbours": sorted(
            {a for a, b in pairwise(epochs) if a == b}
        ),
        "a step back is no doubled epoch yet: count each": [
            b for a, b in pairwise(epochs) if b <= a
        ],
        once: sorted(epochs[i] for i in again),
        f"{once}, not each time": sorted(n for n in epochs if counts[n] > 1),
        "doubled is not sorted": [n for n in dict.fromkeys(epochs[::-1]) if counts[n] > 1],
        "these are places in the log: which epochs stand there?": again,
        "these are how often they come: which epochs?": [counts[n] for n in doubled],
        "a table of counts: a list of the epochs alone is asked for": {
            n: counts[n] for n in doubled
        },
        "three times is doubled as well": sorted(n for n in counts if counts[n] == 2),
        "these are all epochs, not those that came more than once": sorted(counts),
        "doubled: the epochs themselves are asked for, not their number": len(doubled),
    }


def _listed(result):
    """Sets, tuples and arrays are as good as lists; a set has no order to be judged."""
    if isinstance(result, set | frozenset):
        return sorted(result)
    return list(result) if isinstance(result, tuple) or hasattr(result, "tolist") else result
