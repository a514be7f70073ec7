"""Checks of the exercises of chapter 11_checkpoint_doctor."""

import math
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import torch

from ...doctor.statistics import outside, xavier_bound
from .judge import Hint, as_array, close, exercise, same

CHAPTER = "11_checkpoint_doctor"


@exercise(CHAPTER)
def untrained_mean(learner: Callable) -> None:
    for shape in ((768, 768), (768, 1024), (64, 64), (768,)):
        bound = xavier_bound(shape)
        if len(shape) == 1:
            what = f"mean |w| of a bias of shape {shape}, which starts at zero,"
            same(learner(shape), 0.0, what)
            continue
        a, b = shape
        hints = [
            (bound, "this is the bound itself: |w| is spread evenly from 0 to it"),
            (bound / math.sqrt(3), "this is the root mean square: the mean of |w| is asked for"),
            (bound**2 / 3, "this is the variance of w: the mean of |w| is asked for"),
            (0.0, "w has mean 0, |w| has not"),
            (
                math.sqrt(2 / (a + b)) * math.sqrt(2 / math.pi),
                "this is a normal start with the same variance: here it is uniform",
            ),
            (math.sqrt(3 / b) / 2, "Xavier looks at both sides: fan in plus fan out"),
            (math.sqrt(6 / b) / 2, "Xavier looks at both sides: fan in plus fan out"),
            (math.sqrt(6 / (a * b)) / 2, "the fans are added, not multiplied"),
            (math.sqrt(3 / (a + b)) / 2, "the bound is sqrt(6 / (fan in + fan out))"),
            (6 / (a + b) / 2, "a root is missing in the bound"),
        ]
        same(learner(shape), bound / 2, f"mean |w| of a fresh {a} x {b} matrix", 1e-4, hints)


def _around(bound: float) -> torch.Tensor:
    """A 6 x 4 matrix with weights within, at and beyond the bound, on both sides."""
    shares = [0.1, -0.2, 0.6, -0.7, 0.9, -0.95, 1.0, -1.0, 1.1, -1.2, 1.5, -3.0]
    shares += [0.3, -0.4, 0.25, 0.8, -0.85, 0.05, -1.01, -1.3, -1.7, 0.45, 0.35, -0.65]
    return (bound * torch.tensor(shares, dtype=torch.float64)).reshape(6, 4)


@exercise(CHAPTER)
def weights_outside(learner: Callable) -> None:
    bound = xavier_bound((6, 4))
    w = _around(bound)
    size = w.abs()
    true = outside(w)
    found = learner(w)
    if isinstance(found, torch.Tensor) and found.ndim == 0:
        found = found.item()
    hints = [
        (int((size >= bound).sum()), "a weight AT the bound is one that a fresh matrix may hold"),
        (int((w > bound).sum()), "negative weights leave the support as well: compare |w|"),
        (int((size > bound / 2).sum()), "half the bound is the mean, not the end of the support"),
        (int((size <= bound).sum()), "these are the weights inside"),
        (int((size < bound).sum()), "these are the weights inside"),
        (true / w.numel(), "a count is asked for, not a share"),
        (100 * true / w.numel(), "a count is asked for, not a share"),
        (float((size - bound).clamp(min=0).sum()), "count the weights, do not add up their excess"),
        (int((size > math.sqrt(6 / 4)).sum()), "Xavier looks at both sides: fan in plus fan out"),
        (int((size > 6 / 10).sum()), "a root is missing in the bound"),
        (int((size > 0.1).sum()), "this is S0's threshold: the bound follows from the shape"),
    ]
    hints = [hint for hint in hints if not close(as_array(hint[0]), as_array(true), 1e-4)]
    same(found, true, "the number of weights outside in a 6 x 4 matrix", 1e-4, hints)
    bias = torch.tensor([0.0, 0.5, 0.0, -0.1, 1e-9, 0.0])
    hints = [(0, "a bias starts at zero: its bound is 0, and what is not 0 has moved")]
    same(learner(bias), outside(bias), "the number of weights outside in a bias", 1e-4, hints)


@exercise(CHAPTER)
def epoch_problems(learner: Callable) -> None:
    for epochs, planned in (
        ([2, 3], 5),
        ([0, 1, 2, 3, 4], 5),
        ([0, 1, 3, 0, 1, 1], 5),
        ([2, 3, 3, 3], 6),
        ([0, 2, 1], 3),
        ([], 2),
    ):
        counts = Counter(epochs)
        missing = [n for n in range(planned) if n not in counts]
        doubled = sorted(n for n, times in counts.items() if times > 1)
        found = learner(list(epochs), planned)
        if not isinstance(found, (tuple, list)) or len(found) != 2:
            raise Hint("two lists are asked for: return missing, doubled")
        where = f"of epochs {epochs}, {planned} planned,"
        top = max(epochs, default=-1)
        low = min(epochs, default=0)
        holes = [
            ([n for n in range(1, planned + 1) if n not in counts], "epochs count from 0"),
            ([n for n in range(1, planned) if n not in counts], "epochs count from 0"),
            ([n for n in range(planned + 1) if n not in counts], "the last epoch is planned - 1"),
            (
                [n for n in range(top + 1) if n not in counts],
                "a run that stopped lacks its last epochs as well: go on to planned - 1",
            ),
            (
                [n for n in range(low, planned) if n not in counts],
                "a log that begins late lacks its first epochs as well: begin at 0",
            ),
            (doubled, "missing comes first, doubled second"),
            (len(missing), "the epochs themselves are asked for, not their number"),
            ([n for n in range(planned) if n in counts], "these are the epochs that are there"),
        ]
        same(_listed(found[0]), missing, f"missing {where}", hints=_others(holes, missing))
        twice = [
            (
                sorted({a for a, b in pairwise(epochs) if a == b}),
                "the second one may come much later: look at all epochs, not at neighbours",
            ),
            (sorted(epochs[i] for i in _repeats(epochs)), "name each doubled epoch once"),
            (sorted(n for n in epochs if counts[n] > 1), "name each doubled epoch once"),
            (sorted(n for n in counts if counts[n] == 2), "three times is doubled as well"),
            (sorted(counts), "these are all epochs, not those that came more than once"),
            (len(doubled), "the epochs themselves are asked for, not their number"),
        ]
        same(_listed(found[1]), doubled, f"doubled {where}", hints=_others(twice, doubled))


def _listed(found):
    """Sets and tuples are as good as lists; a set has no order to be judged."""
    if isinstance(found, (set, frozenset)):
        return sorted(found)
    return list(found) if isinstance(found, tuple) else found


def _others(hints: list, true) -> list:
    return [hint for hint in hints if hint[0] != true]


def _repeats(epochs: list[int]) -> list[int]:
    return [i for i, number in enumerate(epochs) if number in epochs[:i]]
