"""Checks of the exercises of chapter 14_honest_retrieval."""

import numpy as np
import torch

from .judge import Hint, Steps, either, exercise, whatever


def _meet(a: list, b: list, unit: float, up: float = 1, down: float = 1) -> bool:
    """Is there a factor, with both rows off by half a unit (or `up` and `down` times that)?"""
    low, high = _ends(a, b, unit, up, down)
    return max(low) <= min(high)


def _ends(a: list, b: list, unit: float, up: float = 1, down: float = 1) -> tuple[list, list]:
    """What the ratio of each column can be, before rounding."""
    half, pairs = unit / 2, list(zip(a, b, strict=True))
    low = [(x - up * half) / (y + down * half) for x, y in pairs]
    return low, [(x + up * half) / (y - down * half) for x, y in pairs]


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


@exercise("your answer", cases=FACTOR_CASES)
def one_factor(a: list, b: list, unit: float) -> Steps:
    """(row a, row b, unit) -> can one factor turn b into a, both rounded to multiples of unit?"""
    a, b, unit = yield a, b, unit
    yield _meet(a, b, unit)
    (low, high), pairs = _ends(a, b, unit), list(zip(a, b, strict=True))
    ratios, gaps = [x / y for x, y in pairs], [x - y for x, y in pairs]
    apart, steps = max(ratios) - min(ratios), range(len(a) - 1)
    exact = "you ask for equal ratios, but printed figures are rounded: how far can each be off?"
    units = "you compare ratios with the unit of the figures: half a unit moves a ratio far less"
    column = "a column's own ratio is rounded as well: which factors does each of them allow?"
    ends = "that says nothing: the HIGHEST low end must not lie above the LOWEST high end"

    def fits(factor: float) -> bool:
        return all(abs(y * factor - x) <= unit / 2 for x, y in pairs)

    yield {
        "one answer for the table, not one a column: True or False": lambda result: np.ndim(result),
        exact: apart < 1e-6,
        f"{exact} Not by 0.001": all(abs(r / ratios[0] - 1) <= 1e-3 for r in ratios),
        f"{exact} Not to two digits": len({round(r, 2) for r in ratios}) == 1,
        units: either(apart <= unit, apart <= unit / 2),
        f"{column} (the first column's is taken)": fits(ratios[0]),
        f"{column} (the mean of all is taken)": fits(np.mean(ratios)),
        "both rows are rounded: what is below the line, too": _meet(a, b, unit, 1, 0),
        "rounding moves a figure by at most HALF a unit, not a whole": _meet(a, b, 2 * unit),
        "rounding moves a figure by up to HALF a unit, not by a quarter": _meet(a, b, unit / 2),
        "each column agrees with its neighbour, but one factor must suit them all at once": all(
            _meet(a[i : i + 2], b[i : i + 2], unit) for i in steps
        ),
        "one column that fits is not enough: the factor must suit all of them": any(
            _meet([a[0], x], [b[0], y], unit) for x, y in pairs[1:]
        ),
        ends: either(min(low) <= max(high), min(low) <= min(high), max(low) <= max(high)),
        "rows that rise together are not yet in proportion": np.corrcoef(a, b)[0, 1] > 0.999,
        "your answer is turned round: True means one factor": not _meet(a, b, unit),
        "that looks for one number ADDED to all columns; ask for one that multiplies": (
            max(gaps) - min(gaps) <= 2 * unit
        ),
        "it always says True; a table with other ratios must give False": True,
        "it always says False; S2's two rows must give True": False,
        "that is a number; the question is whether one factor exists: True or False": (
            lambda result: isinstance(result, float)
        ),
    }


@exercise("the recall", cases=((40, 5, 3), (60, 5, 1), (20, 3, 10), (30, 4, 5), (3, 2, 50)))
def any_caption_recall(n: int, each: int, k: int) -> Steps:
    """(similarity (N, captions), owner (captions,), k) -> share of pictures with a hit"""
    owner = torch.arange(n).repeat_interleave(each)
    owner = owner[torch.randperm(len(owner))]
    S = torch.randn(n, n * each) + 1.2 * (owner[None] == torch.arange(n)[:, None])
    S, owner, k = yield S, owner, k
    right = owner[None] == torch.arange(len(S))[:, None]
    yield right.gather(1, S.topk(min(k, S.shape[1]), 1).indices).any(1).float().mean()
    if k > S.shape[1]:
        yield {"R@50 among 6 captions is 1: k may be more than there are": whatever}
    n, many = S.shape
    rows, order = torch.arange(n)[:, None], S.argsort(1, descending=True)
    ranked, best = right.gather(1, order), order[:, :k]  # in the order of similarity
    down = S.topk(min(k, n), 0).indices
    first, hits = (owner[None] == rows).long().argmax(1), ranked[:, :k]
    each = right.sum(1)
    one = "counts one caption a picture; all of its own are right answers"
    hit, own_mean = hits.any(1).float(), (S * right).sum(1) / each
    share = "that is precision: hits over k. Recall here asks: any hit, or none?"
    yield {
        "one number is asked for: the mean over the pictures": np.ndim,
        f"column i is not caption i's: it {one}": (best == rows).any(1).float().mean(),
        f"it {one}": (best == first[:, None]).any(1).float().mean(),
        "captions stand in no order: owner says whose each of them is": (
            either(*((best // by == rows).any(1).float().mean() for by in (many // n, 5)))
        ),
        "you ask for all of a picture's captions among the first k; any one is enough": (
            (hits.sum(1) == each.clamp(max=k)).float().mean()
        ),
        "that is the share of a picture's captions that were found; the first of them counts": (
            (hits.sum(1) / each).mean()
        ),
        share: hits.float().mean(),
        "any one of the first k is enough, not all of them": hits.all(1).float().mean(),
        "topk gives values AND indices: take the indices": (
            (owner[S.topk(k, 1).values.long()] == rows).any(1).float().mean()
        ),
        "a picture counts once, however many of its captions are found": hits.float().sum() / n,
        "captions ask in your version: rank along each row": (down == owner).any(0).float().mean(),
        "you look at place k only; places 1 to k count": hits[:, -1].float().mean(),
        "places 1 to k count: here one too few": ranked[:, : max(k - 1, 1)].any(1).float().mean(),
        "that says whether any picture is found: what share of them?": hit.max(),
        "that is the share that is NOT found": 1 - hit.mean(),
        "the best of its captions counts, not their mean": (
            (own_mean >= S.gather(1, order[:, k - 1 : k])[:, 0]).float().mean()
        ),
    }


def _lifted(S, W, beta):
    W = W - torch.diag(W.diagonal())
    return (torch.logsumexp(S + torch.log1p(beta * W), 1) - S.diagonal()).mean()


def _lifted_both(S, W, beta):
    return (_lifted(S, W, beta) + _lifted(S.T, W, beta)) / 2


@exercise("the loss", cases=((4, 0.2), (6, 1.0), (3, 3.0), (5, 0.2, 300.0)))
def lifted_loss(size: int, beta: float, large: float = 0.0) -> Steps:
    """(S (B, B), W (B, B), beta) -> mean of both directions, negatives 1 + beta w times"""
    S = 3 * torch.randn(size, size, dtype=torch.float64)
    W = 0.2 + 3 * torch.rand(size, size, dtype=torch.float64)
    S, W, beta = (
        yield (large * torch.randn(5, 5), torch.ones(5, 5), beta) if large else (S, W, beta)
    )
    true = _lifted_both(S, W, beta)
    yield true

    def overflows(result) -> None:
        raise Hint(
            f"right for small logits, but with logits of 300 it gives {float(result):.4g} instead of "
            f"{float(true):.4g}: exp overflows in single precision; use torch.logsumexp"
        )

    if large:
        yield {"use torch.logsumexp": overflows, "exp overflows": whatever}
    eye = torch.eye(len(S), dtype=torch.bool)
    off, kept = W.masked_fill(eye, 0), eye.to(S.dtype)
    one, other = _lifted(S, W, beta), _lifted(S.T, W, beta)
    true, lift, diagonal = (one + other) / 2, torch.log1p(beta * off), S.diagonal().mean()

    def both(way):
        return (way(S) + way(S.T)) / 2

    def lifted(lift):
        return both(lambda s: torch.logsumexp(s + lift, 1).mean()) - diagonal

    plain = lifted(0 * lift)
    yield {
        "only the pictures ask in your version; add the captions' direction": one,
        "only the captions ask in your version; add the pictures' direction": other,
        "take the mean over the batch, not the sum": len(S) * true,
        "you transpose W for the captions; it stays as it is": (one + _lifted(S.T, W.T, beta)) / 2,
        "the positive is lifted too: only negatives weigh more": lifted(torch.log1p(beta * W)),
        "negatives count beta w times; they should 1 + beta w": lifted((beta * off + kept).log()),
        "all count beta w times: 1 + beta w, the positive 1": lifted((beta * (off + kept)).log()),
        "beta w is added to the logits; 1 + beta w enters as its log": lifted(beta * off),
        "the logits are multiplied; the factor is of their exponentials": both(
            lambda s: torch.logsumexp(s * (1 + beta * off), 1).mean()
        )
        - diagonal,
        "beta does nothing in your version": lifted(torch.log1p(off)),
        "W stays as it is for the pictures": (_lifted(S, W.T, beta) + other) / 2,
        "beta does nothing, and the 1 is missing: 1 + beta w": lifted((off + kept).log()),
        "the positive is missing from the sum below the line": lifted(lift.masked_fill(eye, -1e9)),
        "the positive's own logit is to be taken away": true + diagonal,
        "that is plain cross-entropy: the weights do nothing": plain,
        "that is the difference to plain cross-entropy, not the loss": true - plain,
        "the weights are no targets: the positive is the only one": both(
            lambda s: -(W * s.log_softmax(1)).sum(1).mean()
        ),
        "a penalty beside cross-entropy is another loss: the weights stand in the sum": plain
        + both(lambda s: beta * (off * s.softmax(1)).sum(1).mean()),
        "that is 1 - p: its negative logarithm is the loss": both(
            lambda s: 1 - (s.diagonal() - torch.logsumexp(s + lift, 1)).exp().mean()
        ),
        "that is the first version: here w stands as 1 + beta w": lifted(W.log()),
        "that is the second version: the positive is missing below the line": lifted(
            W.log().masked_fill(eye, -1e9)
        ),
    }
