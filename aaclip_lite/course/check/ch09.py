"""Checks of the exercises of chapter 09_explorer."""

import numpy as np
import torch
import torch.nn.functional as F

from .judge import Hint, either, exercise, kind_of


def _level_map(levels: torch.Tensor, anchors: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    return _map(levels @ anchors, weights / weights.sum(), round(levels.shape[1] ** 0.5))


@exercise("09_explorer", "the map", right=_level_map)
def level_map(learner):
    """(levels (L, n * n, d), anchors (d, 2), weights (L,)) -> (n, n): weighted mean of cosine
    defective - good
    """
    draw = torch.Generator().manual_seed(91)
    for count, side, width, zero in (
        (4, 3, 6, False),
        (2, 5, 4, False),
        (3, 4, 8, True),
        (1, 2, 5, False),
    ):
        levels = F.normalize(torch.randn(count, side**2, width, generator=draw), dim=-1)
        anchors = F.normalize(torch.randn(width, 2, generator=draw), dim=0)
        weights = 0.2 + 2 * torch.rand(count, generator=draw)
        weights[0] = 0.0 if zero else weights[0]
        hints = _other_maps(levels @ anchors, weights, side)
        right = _level_map(levels, anchors, weights)
        found = learner(levels.clone(), anchors.clone(), weights.clone())
        yield found, right, hints


def _map(cosines: torch.Tensor, shares: torch.Tensor, side: int) -> torch.Tensor:
    return (shares @ (cosines[..., 1] - cosines[..., 0])).unflatten(0, (side, side))


def _other_maps(cosines: torch.Tensor, weights: torch.Tensor, side: int) -> dict:
    count, shares = len(weights), weights / weights.sum()
    softmax = "a softmax is no mean: divide the weights by their sum"
    return {
        "divided by the number of levels, not the weights'": _map(cosines, weights / count, side),
        "divided by the length of the weights, not by their sum": _map(
            cosines, weights / weights.norm(), side
        ),
        "every level counts the same: where are the weights?": either(
            _map(cosines, torch.full((count,), 1 / count), side),
            _map(cosines, (weights > 0) / (weights > 0).sum(), side),
        ),
        "only the good anchor is compared: what does the defective one say?": _map(
            cosines * torch.tensor([1.0, 0.0]), shares, side
        ),
        "that is the largest of the levels; their weighted mean is asked for": torch.stack(
            [_map(cosines, each, side) for each in torch.eye(count)]
        ).amax(0),
        softmax: _map(cosines, weights.softmax(0), side),
        "the two cosines are subtracted, not made probabilities by a softmax": either(
            (shares @ cosines.softmax(-1)[..., 1]).unflatten(0, (side, side)),
            _map(cosines.softmax(-1), shares, side),
        ),
    }


@exercise("09_explorer", "the threshold", 1e-6)
def cut_for_recall(learner):
    """(scores (B,), labels (B,), recall) -> the highest threshold that still rejects this share of
    the defective
    """
    rng = np.random.default_rng(92)
    cases = ((6, 4, 0.75), (3, 8, 0.5), (10, 5, 0.7), (4, 3, 1.0), (5, 7, 0.1), (4, 6, 0.4))

    for good, bad, recall in cases:
        scores = rng.normal(size=good + bad).round(3)
        labels = rng.permutation([0] * good + [1] * bad)
        found = learner(scores.copy(), labels.copy(), recall)
        hits, wanted = np.sort(scores[labels == 1])[::-1], int(np.ceil(recall * bad - 1e-9))
        numbers = float, int, np.number, np.ndarray, torch.Tensor
        if not isinstance(found, numbers) or np.size(found) != 1:
            raise Hint(f"the threshold is {kind_of(found)}, expected one number")
        cut, right = float(found), float(hits[wanted - 1])
        caught = int((hits >= cut).sum())
        if abs(cut - right) < 1e-6 and caught < wanted:
            raise Hint("it lies a hair above a score that is to reach it: give the score itself")
        hints = _other_cuts(scores, labels, recall, wanted)
        for say, holds in (
            ("too few defective parts reach the threshold", caught < wanted),
            ("more defective parts reach it than promised: it can be higher", caught > wanted),
            (
                "it lies below the last defective part that it must catch: the highest is "
                "that part's own score",
                caught == wanted,
            ),
        ):
            hints[say] = cut if holds else right
        yield cut, right, hints


def _other_cuts(scores, labels, recall, wanted) -> dict:
    hits, good = np.sort(scores[labels == 1])[::-1], np.sort(scores[labels == 0])[::-1]
    of_good = int(np.ceil(recall * len(good) - 1e-9)) - 1
    missed = int(np.ceil((1 - recall) * len(hits) - 1e-9)) - 1
    return {
        "the scores of the defective parts are not sorted": scores[labels == 1][wanted - 1],
        "the number of parts that must be caught is not rounded up: too few are (down, or to the "
        "nearest)": either(
            hits[max(1, int(recall * len(hits))) - 1], hits[max(1, round(recall * len(hits))) - 1]
        ),
        "the order runs the wrong way: high scores are caught first": hits[::-1][wanted - 1],
        "that is one place too low in the order: places are counted from 0": hits[
            min(wanted, len(hits) - 1)
        ],
        "the good parts' scores are used; the promise is about the defective ones": either(
            good[of_good], np.quantile(good, recall), np.quantile(good, 1 - recall)
        ),
        "the recall is turned round: it is the share that is caught, not missed": either(
            hits[max(missed, 0)], np.quantile(hits, recall)
        ),
        "all parts are counted; the promise is about the defective ones": np.sort(scores)[::-1][
            int(np.ceil(recall * len(scores) - 1e-9)) - 1
        ],
        "that is the recall itself; a score is asked for": recall,
        "that is the mean of the defective parts' scores: the recall is not used": hits.mean(),
        "that is the median: the recall is not used": np.median(hits),
        "that is a place in the order; the score that stands there is asked for": wanted - 1,
        "that is the highest defective score: too few reach it, the recall is not used": hits[0],
        "a quantile lies between two scores; the threshold is one of the scores": np.quantile(
            hits, 1 - recall
        ),
        "that is a quantile of all parts; the promise is about the defective ones": np.quantile(
            scores, 1 - recall
        ),
    }
