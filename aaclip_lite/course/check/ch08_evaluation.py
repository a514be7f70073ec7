"""Checks of the exercises of chapter 08_evaluation."""

import numpy as np
import torch

from .judge import Hint, Steps, either, exercise, kind_of, whatever

NAN = float("nan")


def _number(result) -> float:
    if not isinstance(result, float | int | np.floating | torch.Tensor):
        raise Hint(f"the mean is {kind_of(result)}: return a number")
    return float(result)


FIGURES = (
    {"bottle": 0.5, "cable": 0.9372, "pill": NAN, "nut": 0.61},
    {"wood": 0.8, "tile": 0.6, "grid": 0.1},
    {"screw": NAN, "zipper": 0.74, "tile": 0.0},
    {"bottle": NAN, "cable": NAN},
)


@exercise("the mean", cases=FIGURES, read=_number)
def class_mean(figures: dict) -> Steps:
    """{product: figure or NaN} -> the mean over the products that have the figure"""
    figures = yield figures
    known = [value for value in figures.values() if value == value]
    yield sum(known) / len(known) if known else NAN
    if not known:
        yield {"if no product has the figure, the mean has no value either: NaN": whatever}
    half = [value if value == value else 0.5 for value in figures.values()]
    unknown, high = "a figure without a value counts as", [v for v in known if v > 0.5]
    yield {
        "a product without a value makes the whole mean undefined: leave it out": (
            lambda result: result != result
        ),
        f"{unknown} 0 here; it should not count at all": sum(known) / len(figures),
        f"{unknown} 0.5 here; it should not count at all": np.mean(half),
        "that is the sum; divide it by the number of products that have the figure": sum(known),
        "that is the best or the worst product, not the mean": either(max(known), min(known)),
        "that is the median, not the mean": np.median(known),
        "every figure counts; here the first, the last or a low one is left out": either(
            *(np.mean(rest or [0]) for rest in (known[1:], known[:-1], high))
        ),
        "a figure of 0 is a figure: only NaN is left out": np.mean([v for v in known if v]),
    }


RNG = np.random.default_rng(8)
F1 = [
    (np.round(RNG.normal(2, 3, len(a)) + a, 1), a)
    for a in (RNG.integers(0, 2, n) for n in (40, 41, 12))
]
F1 += [(np.array([0.4, 0.3, 0.1]), np.array([1, 1, 0]))]
F1 += [(np.array([0.2, 0.2, 0.2]), np.array([1, 0, 1]))]
F1 += [(np.array([0.9, 0.2, 0.5]), np.array([0, 1, 0]))]  # best: everything is found
F1 += [(np.array([0.5, 0.5, 0.1]), np.array([1, 0, 0]))]  # equal ones pass together
# a grid of thresholds steps over the small ones
F1 += [(np.array([0.0, 0.001, 0.002, 100.0]), np.array([0, 1, 0, 0]))]


def _f1(said: np.ndarray, true: np.ndarray) -> float:
    return 2 * (said & true).sum() / max(1, said.sum() + true.sum())


@exercise("the largest F1", cases=F1)
def best_f1(scores: np.ndarray, labels: np.ndarray) -> Steps:
    """(scores (N,), labels (N,) in {0, 1}) -> the largest F1 that a threshold reaches"""
    scores, labels = yield scores, labels
    true = labels == 1
    yield max(_f1(scores >= cut, true) for cut in scores)
    tried, ordered = np.unique(scores), np.sort(scores)
    said = [scores >= cut for cut in tried]
    every, least, largest = [_f1(each, true) for each in said], scores.min(), scores.max()
    accuracy = [(each == true).mean() for each in said]
    precision = np.array([(each & true).sum() / max(1, each.sum()) for each in said])
    recall = np.array([(each & true).sum() / max(1, true.sum()) for each in said])
    fixed, other = "; every score is a candidate", "; F1 is asked for"
    hits = np.cumsum(labels[np.argsort(-scores, kind="stable")])

    def at(*cuts: float) -> float:
        return max(_f1(scores >= cut, true) for cut in cuts)

    yield {
        "that is the threshold; the F1 it reaches is asked for": tried[np.argmax(every)],
        f"one fixed threshold of 0.5 is tried{fixed}": at(0.5),
        f"only whole numbers are tried as thresholds{fixed}": at(*range(-20, 21)),
        f"one threshold is tried: the median, the mean, or as many as are to be found{fixed}": (
            either(*map(at, (np.median(scores), scores.mean(), ordered[-max(1, true.sum())])))
        ),
        f"one threshold, the highest score, is tried{fixed}": at(largest),
        f"thresholds from 0 to 1 are tried, scores can be others{fixed}": (
            at(*np.linspace(0, 1, 101))
        ),
        f"a few thresholds of equal distance are tried{fixed}": at(
            *np.linspace(least, largest, 10)
        ),
        f"a hundred thresholds of equal distance are tried{fixed}": (
            at(*np.linspace(least, largest, 100))
        ),
        "equal scores pass a threshold together; here they pass one by one": (
            2 * hits / (np.arange(1, len(scores) + 1) + labels.sum())
        ).max(),
        "that is the F1 at the threshold of best accuracy, which need not be the best F1": (
            every[np.argmax(accuracy)]
        ),
        "a score equal to the threshold counts as found: at least, not above": (
            max(_f1(scores > cut, true) for cut in tried)
        ),
        f"only thresholds between two scores are tried, so never all items are found{fixed}": (
            at(*(ordered[1:] + ordered[:-1]) / 2)
        ),
        "that is the mean over thresholds; the largest is asked for": np.mean(every),
        "that is the smallest F1; the largest is asked for": min(every),
        "label 0 is taken as what is to be found; it is label 1": (
            max(_f1(each, ~true) for each in said)
        ),
        f"that is the best accuracy{other}": max(accuracy),
        f"that is the best recall{other}": recall.max(),
        f"that is the best precision{other}": precision.max(),
        "that is the plain mean of precision and recall; F1 is their harmonic one": (
            (precision + recall) / 2
        ).max(),
        "that is precision times recall; F1 is their harmonic mean": (precision * recall).max(),
        "that is TP / (TP + FP + FN), the IoU; in F1 TP counts twice": (
            max(every) / (2 - max(every))
        ),
        "that is 2 TP / (TP + FP + FN): TP counts twice below the line, too": max(
            2 * (each & true).sum() / (each | true).sum() for each in said
        ),
    }


def _ranged(values: torch.Tensor) -> torch.Tensor:
    return (values - values.min()) / (values.max() - values.min())


@exercise("the row of scores", cases=((4, 5), (6, 3), (2, 8)))
def fused_scores(count: int, side: int) -> Steps:
    """(maps (n, H, W), detection scores (n,)) of all pictures of a product -> the published scores
    (n,)
    """
    maps = 3 * torch.randn(count, side, side) * torch.linspace(1, 2, count)[:, None, None] - 1
    maps, scores = yield maps, torch.rand(count) * 0.2 + 0.4
    yield (_ranged(maps).flatten(1).amax(1) + _ranged(scores)) / 2
    unit, detection = _ranged(maps).flatten(1), _ranged(scores)

    def half(peaks, detection=detection):
        return (peaks + detection) / 2

    peaks, raw = unit.amax(1), maps.flatten(1).amax(1)
    low = "dividing by the largest value is not enough: the least is to become 0"
    spread = "the range 0 to 1 is asked for, by least and largest value, not"
    standard = (raw - maps.mean()) / maps.std(), (scores - scores.mean()) / scores.std()
    yield {
        "every map has a peak of 1: is the range taken of each map, or the peak of all maps at once? "
        "One range for all, and a peak for each": half(torch.ones(())),
        "the range is that of all the maps' values, not of their peaks": half(_ranged(raw)),
        "the detection scores should be brought to the range 0 to 1 as well": half(peaks, scores),
        "the maps' values should be brought to the range 0 to 1 first": half(raw),
        "maps and detection scores should be brought to the range 0 to 1 first": half(raw, scores),
        "that is the mean of the 3 highest pixels; the peak is the highest": half(
            unit.topk(3).values.mean(1)
        ),
        "that is the place of the peak, not its height": half(unit.argmax(1)),
        "the detection score is not in it": peaks,
        "the detection score is not in it; the half of the peak is": peaks / 2,
        "the map is not in it": detection,
        "the map is not in it; the half of the detection score is": detection / 2,
        "half of each is meant; here they have other shares": 0.7 * peaks + 0.3 * detection,
        "half of each is meant, not their product": peaks * detection,
        "half of each is meant, not the larger of the two": torch.maximum(peaks, detection),
        "the sum is not to be brought to the range 0 to 1 again": _ranged(peaks + detection),
        low: half(raw / maps.max(), scores / scores.max()),
        f"{low} (in the detection scores)": half(peaks, scores / scores.max()),
        f"{spread} mean and deviation": half(*standard),
        f"{spread} mean and deviation of the maps": half(standard[0]),
    }
