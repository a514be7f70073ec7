"""Checks of the exercises of chapter 09_explorer."""

import numpy as np
import torch
import torch.nn.functional as F

from .judge import Hint, exercise, kind_of, same


@exercise("09_explorer")
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
        gap = levels @ (anchors[:, 1] - anchors[:, 0])  # (L, n * n)
        right = ((weights / weights.sum()) @ gap).unflatten(0, (side, side))
        hints = [
            (-right, "the sign is turned round: defective patches must come out high"),
            (
                (weights @ gap).unflatten(0, (side, side)),
                "that is a weighted sum; a mean is divided by the weights'",
            ),
            (
                (weights @ gap / count).unflatten(0, (side, side)),
                "divided by the number of levels, not the weights'",
            ),
            (
                gap.mean(0).unflatten(0, (side, side)),
                "every level counts the same: where are the weights?",
            ),
            (right.T, "rows and columns are swapped: patches are listed row by row"),
            (
                (weights / weights.sum() @ (levels @ anchors[:, 1])).unflatten(0, (side, side)),
                "only the defective anchor is compared: what does the good one say?",
            ),
        ]
        same(
            learner(levels.clone(), anchors.clone(), weights.clone()), right, "the map", hints=hints
        )


@exercise("09_explorer")
def cut_for_recall(learner):
    """(scores (B,), labels (B,), recall) -> the highest threshold that still rejects this share of
    the defective
    """
    rng = np.random.default_rng(92)
    for good, bad, recall in ((6, 4, 0.75), (3, 8, 0.5), (10, 5, 0.7), (4, 3, 1.0), (5, 7, 0.1)):
        scores = rng.normal(size=good + bad).round(3)
        labels = rng.permutation([0] * good + [1] * bad)
        found = learner(scores.copy(), labels.copy(), recall)
        hits = np.sort(scores[labels == 1])[::-1]
        wanted = int(np.ceil(recall * bad - 1e-9))
        if (
            not isinstance(found, (float, int, np.number, np.ndarray, torch.Tensor))
            or np.size(found) != 1
        ):
            raise Hint(f"the threshold is {kind_of(found)}, expected one number")
        caught = int((hits >= float(found)).sum())
        if caught < wanted:
            raise Hint(
                f"with recall {recall} asked, {caught} of {bad} defective parts reach the "
                "threshold: too few"
            )
        if caught > wanted:
            raise Hint(
                f"with recall {recall} asked, {caught} of {bad} defective parts reach it: it can "
                "be higher"
            )
        low = "it lies below the last defective part that it must catch: the highest is that part's own score"
        same(float(found), float(hits[wanted - 1]), "the threshold", 1e-6, [(float(found), low)])
