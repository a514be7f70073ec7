"""Checks of the exercises of chapter 14_honest_retrieval."""

import math

import torch
import torch.nn.functional as F

from .judge import Hint, as_array, close, exercise, same

CHAPTER = "14_honest_retrieval"


# -- one factor? -------------------------------------------------------------------------------------


def _ends(a, b, unit):
    """What the ratio of each column can be, before rounding."""
    half = unit / 2
    return [(x - half) / (y + half) for x, y in zip(a, b, strict=True)], [
        (x + half) / (y - half) for x, y in zip(a, b, strict=True)
    ]


def _meet(a, b, unit):
    low, high = _ends(a, b, unit)
    return max(low) <= min(high)


def _neighbours(a, b, unit):
    low, high = _ends(a, b, unit)
    pairs = range(len(low) - 1)
    return all(max(low[i], low[i + 1]) <= min(high[i], high[i + 1]) for i in pairs)


def _one_side(a, b, unit):
    low = [(x - unit / 2) / y for x, y in zip(a, b, strict=True)]
    high = [(x + unit / 2) / y for x, y in zip(a, b, strict=True)]
    return max(low) <= min(high)


def _ratios(a, b):
    return [x / y for x, y in zip(a, b, strict=True)]


def _constant(a, b, unit):
    gaps = [x - y for x, y in zip(a, b, strict=True)]
    return max(gaps) - min(gaps) <= 2 * unit


FACTOR_MISTAKES = {  # how it answers -> the idea
    lambda a, b, unit: max(_ratios(a, b)) - min(_ratios(a, b)) < 1e-6: (
        "you ask for equal ratios, but printed figures are rounded: how far can each ratio be off?"
    ),
    lambda a, b, unit: max(_ratios(a, b)) - min(_ratios(a, b)) <= unit: (
        "you compare ratios with the unit of the figures: half a unit on 45 moves a ratio far less"
    ),
    _one_side: "both rows are rounded: the figure below the line can be off by half a unit as well",
    lambda a, b, unit: _meet(a, b, 2 * unit): (
        "rounding moves a figure by at most HALF a unit; a whole one lets too much pass"
    ),
    _neighbours: "each column agrees with its neighbour, but one factor must suit them all at once",
    lambda a, b, unit: min(_ends(a, b, unit)[0]) <= max(_ends(a, b, unit)[1]): (
        "that is always true: the HIGHEST low end must not lie above the LOWEST high end"
    ),
    lambda a, b, unit: any(
        _meet([a[0], x], [b[0], y], unit) for x, y in zip(a[1:], b[1:], strict=True)
    ): "one column that fits is not enough: the factor must suit all of them",
    lambda a, b, unit: not _meet(a, b, unit): "your answer is turned round: True means one factor",
    _constant: "that looks for one number ADDED to all columns; ask for one that multiplies",
    lambda a, b, unit: True: "it always says True; a table with other ratios must give False",
    lambda a, b, unit: False: "it always says False; S2's two rows must give True",
}
FACTOR_CASES = [  # rows a and b, the unit they are rounded to
    ([42.33, 71.03, 80.06, 48.97], [44.91, 75.34, 84.92, 51.94], 0.01),  # the published rows
    ([42.33, 71.03, 80.16, 48.97], [44.91, 75.34, 84.92, 51.94], 0.01),
    ([42.3, 70.4, 80.1], [44.9, 75.3, 84.9], 0.1),
    ([46.2, 76.1, 85.0], [44.9, 75.3, 84.9], 0.1),
    ([20.0, 40.0, 60.0], [10.0, 20.0, 30.0], 1.0),
    ([10.0, 20.0, 31.0], [20.0, 40.0, 60.0], 1.0),
    ([10.0, 20.0, 32.0], [20.0, 40.0, 60.0], 1.0),  # only a whole unit makes it fit
    ([3.0, 10.0], [6.0, 23.0], 1.0),  # only with both rows rounded
    ([12.0, 22.0, 32.0], [10.0, 20.0, 30.0], 0.1),  # two more in each column
    ([100.0, 102.0, 104.0, 106.0], [100.0, 100.0, 100.0, 100.0], 1.0),
    ([100.0, 101.5, 103.0, 104.5], [100.0, 100.0, 100.0, 100.0], 1.0),  # neighbours agree
    ([50.0, 60.0, 99.0], [40.0, 48.0, 60.0], 0.5),  # the first two agree
]


@exercise(CHAPTER)
def one_factor(learner):
    """(row a, row b, unit) -> can one factor turn b into a, both rounded to multiples of unit?"""
    answers = []
    for a, b, unit in FACTOR_CASES:
        found = learner(list(a), list(b), unit)
        if found is None:
            raise Hint("the result is None: does your function return it?")
        if hasattr(found, "shape") and getattr(found, "size", 1) not in (1,) and found.ndim > 0:
            raise Hint("one answer for the table, not one a column: True or False")
        if isinstance(found, list | tuple):
            raise Hint("one answer for the table, not one a column: True or False")
        if isinstance(found, float) and found not in (0.0, 1.0):
            raise Hint("that is a number; the question is whether one factor exists: True or False")
        answers.append(bool(found))
    right = [_meet(*case) for case in FACTOR_CASES]
    if answers == right:
        return
    for mistake, sentence in FACTOR_MISTAKES.items():
        if answers == [bool(mistake(*case)) for case in FACTOR_CASES]:
            raise Hint(sentence)
    first = next(
        i for i, (mine, true) in enumerate(zip(answers, right, strict=True)) if mine != true
    )
    a, b, unit = FACTOR_CASES[first]
    low, high = (max(_ends(a, b, unit)[0]), min(_ends(a, b, unit)[1]))
    raise Hint(
        f"for {a} and {b}, rounded to {unit:g}, you say {answers[first]}; the factor would have to "
        f"be at least {low:.4f} and at most {high:.4f}"
    )


# -- recall ------------------------------------------------------------------------------------------


def _recall_mistakes(S, owner, k, right):
    """(what it gives, the idea) for each way to miss."""
    best = S.topk(k, 1).indices
    rows, n = torch.arange(len(S)), len(S)
    own = right.gather(1, best)
    first = (owner[None] == rows[:, None]).long().argmax(1)
    worst = right.gather(1, S.topk(k, 1, largest=False).indices)
    by_caption = (S.T.topk(min(k, n), 1).indices == owner[:, None]).any(1)
    one = "counts one caption a picture; all of its own are right answers"
    return [
        ((best == rows[:, None]).any(1).float().mean(), f"column i is not caption i's: it {one}"),
        ((best == first[:, None]).any(1).float().mean(), f"it {one}"),
        (
            (own.sum(1) == right.sum(1).clamp(max=k)).float().mean(),
            "you ask for all of a picture's captions among the first k; any one is enough",
        ),
        (
            (own.sum(1) / right.sum(1)).mean(),
            "that is the share of a picture's captions that were found; here a picture counts as "
            "found with the first of them",
        ),
        (own.float().mean(), "that is precision: hits over k. Recall here asks: any hit, or none?"),
        (worst.any(1).float().mean(), "you look at the k LEAST similar captions: sort downwards"),
        (by_caption.float().mean(), "captions ask in your version: rank along each row instead"),
        (own[:, -1].float().mean(), "you look at place k only; places 1 to k count"),
        (own.any(1).float().sum(), "that is the number of pictures found, not their share"),
        (100 * own.any(1).float().mean(), "that is in per cent; give a share from 0 to 1"),
    ]


@exercise(CHAPTER)
def any_caption_recall(learner):
    """(similarity (N, captions), owner (captions,), k) -> share of pictures with a hit"""
    draw, answers, truths, wrong = torch.Generator().manual_seed(141), [], [], []
    for n, each, k in ((40, 5, 3), (60, 5, 1), (30, 4, 5), (20, 3, 10)):
        owner = torch.arange(n).repeat_interleave(each)
        right = owner[None] == torch.arange(n)[:, None]
        S = torch.randn(n, n * each, generator=draw) + 1.2 * right
        mixed = torch.randperm(len(owner), generator=draw)
        S, owner, right = S[:, mixed], owner[mixed], right[:, mixed]
        found = learner(S.clone(), owner.clone(), k)
        if isinstance(found, torch.Tensor) and found.numel() > 1:
            raise Hint("one number is asked for: the mean over the pictures")
        answers.append(float(found) if isinstance(found, torch.Tensor) else found)
        truths.append(float(right.gather(1, S.topk(k, 1).indices).any(1).float().mean()))
        wrong.append(_recall_mistakes(S, owner, k, right))
    for same_mistake in zip(*wrong, strict=True) if None not in answers else ():
        values = [float(value) for value, _ in same_mistake]
        if close(as_array(answers), as_array(values), 1e-4) and values != truths:
            raise Hint(same_mistake[0][1])
    for found, true, case in zip(answers, truths, wrong, strict=True):
        hints = [(float(value), say) for value, say in case if float(value) != true]
        same(found, true, "the recall", hints=hints)
    found = learner(torch.randn(3, 6, generator=draw), torch.arange(3).repeat_interleave(2), 50)
    same(float(found), 1.0, "R@50 among 6 captions")


# -- the lifted loss ---------------------------------------------------------------------------------


def _lifted(S, W, beta):
    W = W - torch.diag(W.diagonal())
    return (torch.logsumexp(S + torch.log1p(beta * W), 1) - S.diagonal()).mean()


def _loss_mistakes(S, W, beta):
    own = torch.eye(len(S), dtype=torch.bool)
    off = W.masked_fill(own, 0)
    true = (_lifted(S, W, beta) + _lifted(S.T, W, beta)) / 2

    def both(one):
        return (one(S, W) + one(S.T, W)) / 2

    def with_lift(lift):
        return both(lambda S, W: (torch.logsumexp(S + lift, 1) - S.diagonal()).mean())

    def without_positive(S, W):
        rest = (S + torch.log1p(beta * off)).masked_fill(own, -math.inf)
        return (torch.logsumexp(rest, 1) - S.diagonal()).mean()

    target = torch.arange(len(S))
    plain = (F.cross_entropy(S, target) + F.cross_entropy(S.T, target)) / 2
    return [
        (_lifted(S, W, beta), "only the pictures ask in your version; add the captions' direction"),
        (
            _lifted(S.T, W, beta),
            "only the captions ask in your version; add the pictures' direction",
        ),
        (2 * true, "the two directions are averaged, not added"),
        (len(S) * true, "take the mean over the batch, not the sum"),
        (-true, "the sign is turned: a good model has a small loss"),
        (
            (_lifted(S, W, beta) + _lifted(S.T, W.T, beta)) / 2,
            "you transpose W for the captions; this version keeps it as it is",
        ),
        (with_lift(torch.log1p(beta * W)), "the positive is lifted too: only negatives weigh more"),
        (
            with_lift((beta * off + own.to(S.dtype)).log()),
            "negatives count beta w times in your version; they should count 1 + beta w times",
        ),
        (
            with_lift((off + own.to(S.dtype)).log()),
            "negatives count w times in your version, and beta does nothing: 1 + beta w",
        ),
        (
            with_lift(beta * off),
            "beta w is added to the logits; the factor 1 + beta w enters as its log",
        ),
        (with_lift(torch.log1p(off)), "beta does nothing in your version"),
        (both(without_positive), "the positive is missing from the sum below the line"),
        (plain, "that is plain cross-entropy: the weights do nothing"),
        (
            with_lift(torch.log1p(beta * off).masked_fill(own, 0)) - plain,
            "that is the difference to plain cross-entropy, not the loss",
        ),
    ]


@exercise(CHAPTER)
def lifted_loss(learner):
    """(S (B, B), W (B, B), beta) -> mean of both directions, negatives 1 + beta w times"""
    draw = torch.Generator().manual_seed(142)
    for size, beta in ((4, 0.2), (6, 1.0), (3, 3.0)):
        S = 3 * torch.randn(size, size, generator=draw, dtype=torch.float64)
        W = 0.2 + 3 * torch.rand(size, size, generator=draw, dtype=torch.float64)
        true = (_lifted(S, W, beta) + _lifted(S.T, W, beta)) / 2
        found = learner(S.clone(), W.clone(), beta)
        same(found, true, "the loss", hints=_loss_mistakes(S, W, beta))
    S = 300 * torch.randn(5, 5, generator=draw)
    found, true = learner(S, torch.ones(5, 5), 0.2), _lifted(S, torch.ones(5, 5), 0.2)
    true = (true + _lifted(S.T, torch.ones(5, 5), 0.2)) / 2
    if found is not None and not close(as_array(found), as_array(true), 1e-3):
        raise Hint(
            f"right for small logits, but with logits of 300 it gives {float(found):.4g} instead of "
            f"{float(true):.4g}: exp overflows in single precision; use torch.logsumexp"
        )
