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


def one_by_one(scores, labels):
    found = np.cumsum(labels[np.argsort(-scores)])
    return max(2 * found / (np.arange(1, len(scores) + 1) + labels.sum()))


def on_a_grid(scores, labels):
    return max(f1(scores >= t, labels) for t in np.linspace(scores.min(), scores.max(), 100))


def between_scores(scores, labels):
    ordered = np.sort(scores)
    return max(f1(scores >= t, labels) for t in (ordered[1:] + ordered[:-1]) / 2)


ANSWERS = {
    "class_mean": (
        class_mean,
        [
            (lambda figures: float(np.mean(np.nan_to_num(list(figures.values())))), "counts as 0"),
            (lambda figures: float(np.mean(list(figures.values()))), "leave it out"),
            (
                lambda figures: float(np.nanmax(list(figures.values()))),
                "that is the best or the worst product, not the mean",
            ),
            (lambda figures: float(np.nan_to_num(class_mean(figures))), "no value either"),
            (lambda figures: float(np.nansum(list(figures.values()))), "that is the sum"),
            (lambda figures: float(np.nanmedian(list(figures.values()))), "median"),
            (lambda figures: round(class_mean(figures), 1), "rounded to 1 digit"),
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
                lambda scores, labels: max(scores, key=lambda t: f1(scores >= t, labels)),
                "threshold",
            ),
            (lambda scores, labels: best_f1(scores, 1 - labels), "label 0 is taken"),
            (lambda scores, labels: best_f1(scores, labels) / 2, "is half of what it should be"),
            (between_scores, "never all items"),
            (one_by_one, "pass a threshold together"),
            (on_a_grid, "thresholds of equal distance"),
            (
                lambda scores, labels: np.mean(
                    [f1(scores >= t, labels) for t in np.unique(scores)]
                ),
                "mean over",
            ),
            (
                lambda scores, labels: min(f1(scores >= t, labels) for t in scores),
                "that is the smallest F1",
            ),
        ],
    ),
    "fused_scores": (
        fused_scores,
        [
            (each_map_by_itself, "taken of each map"),
            (lambda maps, scores: 2 * fused_scores(maps, scores), "is twice too large"),
            (lambda maps, scores: scaled(maps).flatten(1).amax(1), "detection score is not in it"),
            (
                lambda maps, scores: fused_scores(maps.sigmoid(), scores),
                "`maps` were sent through a sigmoid",
            ),
            (lambda maps, scores: 0.5 * scaled(maps).flatten(1).amax(1) + 0.5 * scores, "as well"),
            (
                lambda maps, scores: 0.5 * scaled(maps).flatten(1).mean(1) + 0.5 * scaled(scores),
                "it were averaged, not the largest",
            ),
            (
                lambda maps, scores: 0.5 * scaled(maps.flatten(1).amax(1)) + 0.5 * scaled(scores),
                "not of their peaks",
            ),
        ],
    ),
}
