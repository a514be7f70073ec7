"""Chapter 09's exercises: a solution and plausible mistakes, each with a word that its hint must
hold.
"""

import numpy as np


def fused(levels, anchors, weights):
    cosines = levels @ anchors
    heat = (weights / weights.sum()) @ (cosines[..., 1] - cosines[..., 0])
    side = round(len(heat) ** 0.5)
    return heat.reshape(side, side)


def summed(levels, anchors, weights):
    return fused(levels, anchors, weights) * weights.sum()


def turned(levels, anchors, weights):
    return fused(levels, anchors.flip(1), weights)


def plain(levels, anchors, weights):
    return fused(levels, anchors, weights * 0 + 1)


def defective_only(levels, anchors, weights):
    return fused(levels, anchors * anchors.new_tensor([0.0, 1.0]), weights)


def listed(levels, anchors, weights):
    return fused(levels, anchors, weights).flatten()


def cut(scores, labels, recall):
    defective = np.sort(scores[labels == 1])[::-1]
    return defective[int(np.ceil(recall * len(defective) - 1e-9)) - 1]


def cut_rounded_down(scores, labels, recall):
    defective = np.sort(scores[labels == 1])[::-1]
    return defective[max(1, int(recall * len(defective))) - 1]


def cut_lowest(scores, labels, recall):
    return scores[labels == 1].min()


def cut_between(scores, labels, recall):
    return cut(scores, labels, recall) - 1e-3 * np.ptp(scores)


def cut_of_all(scores, labels, recall):
    return np.sort(scores)[::-1][int(np.ceil(recall * len(scores) - 1e-9)) - 1]


def cut_index(scores, labels, recall):
    return np.sort(scores[labels == 1])[::-1]


ANSWERS = {
    "level_map": (
        fused,
        [
            (summed, "made without a division"),
            (turned, "sign"),
            (plain, "weights"),
            (defective_only, "nothing were taken away"),
            (listed, "shape"),
            (lambda *given: fused(*given).T, "rows and columns"),
            (lambda levels, anchors, weights: fused(levels, anchors, weights**2), "squared"),
        ],
    ),
    "cut_for_recall": (
        cut,
        [
            (cut_rounded_down, "too few"),
            (cut_lowest, "can be higher"),
            (cut_between, "own score"),
            (cut_of_all, "all parts are counted"),
            (cut_index, "expected one number"),
            (lambda scores, labels, recall: recall, "the recall itself"),
            (lambda scores, labels, recall: cut(scores, 1 - labels, recall), "good parts"),
            (lambda scores, labels, recall: cut(-scores, labels, recall) * -1, "the wrong way"),
        ],
    ),
}
