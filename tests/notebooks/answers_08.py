"""Learners of chapter 08: for each exercise its solution, and mistakes with a word that the hint
must hold.
"""

import numpy as np


def class_mean(figures):
    known = [value for value in figures.values() if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def f1(said, labels):
    return 2 * (said & (labels == 1)).sum() / max(1, said.sum() + (labels == 1).sum())


def best_f1(scores, labels):
    return max(f1(scores >= threshold, labels) for threshold in scores)


def scaled(values):
    return (values - values.min()) / (values.max() - values.min())


def fused_scores(maps, scores):
    return 0.5 * scaled(maps).flatten(1).amax(1) + 0.5 * scaled(scores)


def each_map_by_itself(maps, scores):
    low, high = maps.flatten(1).amin(1)[:, None, None], maps.flatten(1).amax(1)[:, None, None]
    return 0.5 * ((maps - low) / (high - low)).flatten(1).amax(1) + 0.5 * scaled(scores)


ANSWERS = {
    "class_mean": (
        class_mean,
        [
            (lambda figures: float(np.mean(np.nan_to_num(list(figures.values())))), "counts as 0"),
            (lambda figures: float(np.mean(list(figures.values()))), "leave it out"),
            (lambda figures: float(np.nanmax(list(figures.values()))), "best product"),
            (lambda figures: float(np.nan_to_num(class_mean(figures))), "no value either"),
        ],
    ),
    "best_f1": (
        best_f1,
        [
            (
                lambda scores, labels: max(f1(scores > threshold, labels) for threshold in scores),
                "at least",
            ),
            (lambda scores, labels: f1(scores >= 0.5, labels), "0.5"),
            (
                lambda scores, labels: np.mean(
                    [f1(scores >= t, labels) for t in np.unique(scores)]
                ),
                "mean over",
            ),
        ],
    ),
    "fused_scores": (
        fused_scores,
        [
            (each_map_by_itself, "all maps together"),
            (lambda maps, scores: 0.5 * scaled(maps).flatten(1).amax(1) + 0.5 * scores, "as well"),
            (
                lambda maps, scores: 0.5 * scaled(maps).flatten(1).mean(1) + 0.5 * scaled(scores),
                "its peak",
            ),
            (
                lambda maps, scores: 0.5 * scaled(maps.flatten(1).amax(1)) + 0.5 * scaled(scores),
                "not of their peaks",
            ),
        ],
    ),
}
