"""Checks of the exercises of chapter 09_explorer."""

import numpy as np
import torch
import torch.nn.functional as F

from .judge import Hint, Steps, either, exercise, kind_of


def _map(cosines: torch.Tensor, shares: torch.Tensor, side: int) -> torch.Tensor:
    return (shares @ (cosines[..., 1] - cosines[..., 0])).unflatten(0, (side, side))


@exercise("the map", cases=((4, 3, 6, 0.2), (2, 5, 4, 0.4), (3, 4, 8, 0.0), (1, 2, 5, 0.3)))
def level_map(count: int, side: int, width: int, first: float) -> Steps:
    """(levels (L, n * n, d), anchors (d, 2), weights (L,)) -> (n, n): weighted mean of cosine
    defective - good
    """
    levels = F.normalize(torch.randn(count, side**2, width), dim=-1)
    weights = 0.2 + 2 * torch.rand(count)
    weights[0] = first
    levels, anchors, weights = yield levels, F.normalize(torch.randn(width, 2), dim=0), weights
    cosines, side = levels @ anchors, round(levels.shape[1] ** 0.5)
    yield _map(cosines, weights / weights.sum(), side)
    count, shares = len(weights), weights / weights.sum()
    softmax = "a softmax is no mean: divide the weights by their sum"
    yield {
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


def _one_number(result) -> float:
    numbers = float, int, np.number, np.ndarray, torch.Tensor
    if not isinstance(result, numbers) or np.size(result) != 1:
        raise Hint(f"the threshold is {kind_of(result)}, expected one number")
    return float(result)


CUTS = ((6, 4, 0.75), (3, 8, 0.5), (10, 5, 0.7), (4, 3, 1.0), (5, 7, 0.1), (4, 6, 0.4))


@exercise("the threshold", 1e-6, cases=CUTS, read=_one_number)
def cut_for_recall(normal: int, bad: int, recall: float) -> Steps:
    """(scores (B,), labels (B,), recall) -> the highest threshold that still rejects this share of
    the defective
    """
    order = torch.randperm(normal + bad)
    scores, labels = (
        torch.randn(normal + bad).double().numpy().round(3),
        (order < bad).int().numpy(),
    )
    scores, labels, recall = yield scores, labels, recall
    hits, good = np.sort(scores[labels == 1])[::-1], np.sort(scores[labels == 0])[::-1]
    wanted = int(np.ceil(recall * len(hits) - 1e-9))
    right = float(hits[wanted - 1])
    yield right

    def at(ordered: np.ndarray, share: float = recall) -> float:
        return ordered[max(0, int(np.ceil(share * len(ordered) - 1e-9)) - 1)]

    def caught(cut: float) -> int:
        return int((hits >= cut).sum())

    yield {
        "it lies a hair above a score that is to reach it: give the score itself": (
            lambda cut: abs(cut - right) < 1e-6 and caught(cut) < wanted
        ),
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
            at(good), np.quantile(good, recall), np.quantile(good, 1 - recall)
        ),
        "the recall is turned round: it is the share that is caught, not missed": either(
            at(hits, 1 - recall), np.quantile(hits, recall)
        ),
        "all parts are counted; the promise is about the defective ones": at(np.sort(scores)[::-1]),
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
        "too few defective parts reach the threshold": lambda cut: caught(cut) < wanted,
        "more defective parts reach it than promised: it can be higher": (
            lambda cut: caught(cut) > wanted
        ),
        "it lies below the last defective part that it must catch: the highest is that part's own "
        "score": lambda cut: caught(cut) == wanted,
    }
