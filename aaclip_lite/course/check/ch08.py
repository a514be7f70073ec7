"""Checks of the exercises of chapter 08_evaluation."""

import numpy as np
import torch

from .judge import Hint, exercise, kind_of, same


@exercise("08_evaluation")
def class_mean(learner):
    """{product: figure or NaN} -> the mean over the products that have the figure"""
    nan = float("nan")
    cases = (
        {"bottle": 0.5, "cable": 0.9, "pill": nan},
        {"wood": 0.8, "tile": 0.6, "grid": 0.1},
        {"screw": nan, "zipper": 0.7},
        {"bottle": nan, "cable": nan},
    )
    for figures in cases:
        known = [value for value in figures.values() if value == value]
        found = learner(dict(figures))
        if not isinstance(found, float | int | np.floating | torch.Tensor):
            raise Hint(f"the mean is {kind_of(found)}: return a number")
        if not known:
            if float(found) == float(found):
                raise Hint("if no product has the figure, the mean has no value either")
            continue
        if float(found) != float(found):
            raise Hint("a product without a value makes the whole mean undefined: leave it out")
        hints = [
            (
                sum(known) / len(figures),
                "a figure without a value counts as 0 here; it should not count at all",
            ),
            (max(known), "that is the best product, not the mean"),
        ]
        same(float(found), sum(known) / len(known), "the mean", hints=hints)


@exercise("08_evaluation")
def best_f1(learner):
    """(scores (N,), labels (N,) in {0, 1}) -> the largest F1 that a threshold reaches"""
    draw = np.random.default_rng(8)
    cases = [
        (np.array([0.4, 0.3, 0.1]), np.array([1, 1, 0])),
        (np.array([0.2, 0.2, 0.2]), np.array([1, 0, 1])),
    ]
    for count in (12, 40, 41):
        labels = draw.integers(0, 2, count)
        cases.append((np.round(draw.normal(2, 3, count) + labels, 1), labels))
    for scores, labels in cases:

        def f1(said, labels=labels):
            return 2 * (said & (labels == 1)).sum() / max(1, said.sum() + (labels == 1).sum())

        tried = np.unique(scores)
        accuracy = max(tried, key=lambda t: ((scores >= t) == (labels == 1)).mean())
        hints = [
            (
                max(f1(scores > t) for t in tried),
                "a score equal to the threshold counts as found: at least, not above",
            ),
            (f1(scores >= 0.5), "one fixed threshold of 0.5 is tried; every score is a candidate"),
            (
                np.mean([f1(scores >= t) for t in tried]),
                "that is the mean over thresholds; the largest is asked for",
            ),
            (
                f1(scores >= accuracy),
                "that is the F1 at the threshold of best accuracy, which need not be the best F1",
            ),
            (
                f1(scores >= np.median(scores)),
                "one threshold in the middle is tried; every score is a candidate",
            ),
            (max(f1(scores <= t) for t in tried), "low scores are taken as defective"),
        ]
        found = learner(scores.copy(), labels.copy())
        same(found, max(f1(scores >= t) for t in tried), "the largest F1", hints=hints)


@exercise("08_evaluation")
def fused_scores(learner):
    """(maps (n, H, W), detection scores (n,)) of all pictures of a product -> the published scores
    (n,)
    """
    for count, side in ((4, 5), (6, 3), (2, 8)):
        draw = torch.Generator().manual_seed(side)
        maps = (
            3
            * torch.randn(count, side, side, generator=draw)
            * torch.linspace(1, 2, count)[:, None, None]
            - 1
        )
        scores = torch.rand(count, generator=draw) * 0.2 + 0.4
        low, high = maps.min(), maps.max()
        unit, detection = (
            (maps - low) / (high - low),
            (scores - scores.min()) / (scores.max() - scores.min()),
        )
        peaks, own = unit.flatten(1).amax(1), maps.flatten(1)
        each = torch.ones(count)  # where each map is brought to 0 ... 1 by itself
        again = (own.amax(1) - own.amax(1).min()) / (own.amax(1).max() - own.amax(1).min())
        hints = [
            (
                0.5 * each + 0.5 * detection,
                "every map has a peak of 1: take the range over all maps together",
            ),
            (
                0.5 * again + 0.5 * detection,
                "the range is that of all the maps' values, not of their peaks",
            ),
            (
                0.5 * peaks + 0.5 * scores,
                "the detection scores should be brought to the range 0 to 1 as well",
            ),
            (
                0.5 * own.amax(1) + 0.5 * detection,
                "the maps' values should be brought to the range 0 to 1 first",
            ),
            (
                0.5 * unit.flatten(1).mean(1) + 0.5 * detection,
                "that is each map's mean; its peak is asked for",
            ),
            (peaks, "the detection score is not in it"),
            (peaks + detection, "half of each is meant, not their sum"),
        ]
        same(
            learner(maps.clone(), scores.clone()),
            0.5 * peaks + 0.5 * detection,
            "the scores",
            hints=hints,
        )
