"""Checks of the exercises of chapter 10_your_own_data."""

import math

import numpy as np
from scipy import ndimage

from .judge import Hint, Steps, either, exercise, kind_of, refused


def _needed(rate: float) -> int:
    return math.ceil(1 / rate - 1 - 1e-9)


def _whole(result):
    if not isinstance(result, float | int | np.number):
        raise Hint(f"the number is {kind_of(result)}, expected a whole number")
    return result


@exercise("the number", 1e-9, cases=(0.05, 0.01, 0.5, 0.3, 0.07, 0.001, 0.9, 0.2), read=_whole)
def pictures_needed(rate: float) -> Steps:
    """(false-alarm rate) -> the least number of normal pictures that can set a threshold for it"""
    rate = yield rate
    need, few = _needed(rate), math.log(1 - rate)
    yield need

    def parts(result) -> bool:
        if float(result) == int(result):
            return False
        raise Hint(f"the number for a rate of {rate} is {float(result):.4g}: pictures come whole")

    one = "think of the new picture as one more draw from the same lot"
    sure = "that is how many it takes to see an alarm almost surely; a threshold needs fewer"
    yield {
        "pictures come whole": parts,
        f"it is one more than needed: {one}": either(need + 1, int(1 / rate), round(1 / rate)),
        f"it is two more than needed, 1 is added where it is to be taken away: {one}": need + 2,
        "it is one too few, or rounded down or to the nearest: part of a picture takes one "
        "more": either(need - 1, int(1 / rate - 1), round(1 / rate - 1)),
        "the smaller the rate, the more pictures it takes: turn it round": either(
            int(100 * rate), math.ceil(100 * rate)
        ),
        "the rate itself is that of false alarms, not 1 - rate": either(
            math.ceil(1 / (1 - rate)), _needed(1 - rate)
        ),
        sure: either(*(math.ceil(math.log(p) / few) for p in (0.05, 0.1, 0.01))),
        f"{sure} (3 / rate)": math.ceil(3 / rate),
    }


@exercise("the threshold")
def threshold_for(learner):
    """(scores of normal pictures, false-alarm rate) -> threshold that a new normal one exceeds no
    more often
    """
    generator = np.random.default_rng(101)
    for count, rate in ((19, 0.05), (40, 0.1), (99, 0.05), (30, 0.25), (7, 0.5)):
        scores = generator.gamma(2.0, 1.0, count)
        rank = math.ceil((count + 1) * (1 - rate) - 1e-9)
        result, right = learner(scores, rate), float(np.sort(scores)[rank - 1])
        yield result, right, _other_thresholds(scores, rate, rank)
    say = "18 pictures can't promise a rate of 0.05: raise a ValueError"
    refused(say, learner, generator.random(18), 0.05)


def _other_thresholds(scores: np.ndarray, rate: float, rank: int) -> dict:
    count, ordered = len(scores), np.sort(scores)
    new = "the rank is reckoned without the new picture, which is one more (or it is rounded down)"
    ends = "the order runs the wrong way: alarms lie at the high end"
    shaped = "mean and deviation suppose a shape of the scores"
    between = (
        "a quantile between two scores; take a score that occurred, and count the new picture too"
    )
    known = {
        new: ordered[max(0, math.ceil(count * (1 - rate) - 1e-9) - 1)],
        f"{new} (a quantile's next score)": np.quantile(scores, 1 - rate, method="higher"),
        f"{new} (a quantile's score before)": np.quantile(scores, 1 - rate, method="lower"),
        "the threshold is one place too high in the order": ordered[min(count - 1, rank)],
        "the threshold is one place too low in the order": ordered[max(0, rank - 2)],
        between: np.quantile(scores, 1 - rate),
        f"{ends} (count from the end, too)": ordered[count - rank],
        ends: either(
            np.quantile(scores, rate),
            ordered[max(0, math.ceil((count + 1) * rate - 1e-9) - 1)],
            ordered[max(0, math.ceil(count * rate - 1e-9) - 1)],
        ),
        "the scores are not sorted": scores[rank - 1],
        "that is the highest score of all: the rate is not used": ordered[-1],
        "that is the lowest score of all: alarms lie at the high end": ordered[0],
        "that is a place in the order; the score that stands there is asked for": rank,
        "np.percentile counts in per cent: 100 times the share": np.percentile(scores, 1 - rate),
        "that is the median: the rate is not used": np.median(scores),
    }
    for n in (1, 1.645, 2, 3):
        for say, less in (("", 0), (", divided by n - 1", 1)):
            known[f"{shaped} ({n} deviations{say})"] = scores.mean() + n * scores.std(ddof=less)
    known["that is none of the scores; take one that occurred"] = lambda result: (
        isinstance(result, float | int | np.number) and not np.isclose(scores, result).any()
    )
    return known


@exercise()
def hot_boxes(learner):
    """(map (H, W), threshold, least) -> [(top, left, bottom, right), ...] of its hot regions"""
    generator = np.random.default_rng(102)
    for height, width, least in ((12, 17, 1), (20, 9, 3), (15, 15, 5), (6, 6, 1)):
        anomaly_map = ndimage.gaussian_filter(generator.normal(0, 1, (height, width)), 0.8)
        anomaly_map = anomaly_map.astype(np.float32)
        ordered = np.sort(anomaly_map, None)
        cut = float(ordered[ordered.size * 3 // 4] if height > 6 else ordered[-1] + 1)
        anomaly_map[:2, :2], anomaly_map[0, 0] = ordered[0], cut  # at the threshold, and alone
        result, right = learner(anomaly_map, cut, least), _boxes(anomaly_map, cut, least)
        try:
            mine = sorted(tuple(float(edge) for edge in box) for box in result)
        except TypeError:
            mine = [()]
        if any(len(box) != 4 for box in mine):
            raise Hint("the result is no list of boxes, each of four numbers")
        if mine == right and [tuple(map(float, box)) for box in result] != right:
            raise Hint("the boxes are not in order: sort them from the top")
        if mine == right:
            continue
        for say, wrong in _other_boxes(anomaly_map, cut, least).items():
            if mine == sorted(wrong):
                raise Hint(say)
        if sorted(map(sorted, mine)) == sorted(map(sorted, right)):
            raise Hint("the edges stand in another order: a box is (top, left, bottom, right)")
        if any(edge % 1 for box in mine for edge in box):
            raise Hint("edges are whole rows and columns, in pixels: no shares and no middles")
        if len(mine) != len(right):
            raise Hint(f"{len(mine)} boxes, expected {len(right)}")
        off = next(box for box in mine if box not in right)
        raise Hint(f"no hot region has the box ({', '.join(f'{edge:g}' for edge in off)})")


def _boxes(anomaly_map, cut, least, corners=True, area=False):
    regions, _ = ndimage.label(anomaly_map > cut, np.ones((3, 3)) if corners else None)
    boxes = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(regions), 1):
        whole = (rows.stop - rows.start) * (columns.stop - columns.start)
        if (whole if area else (regions == number).sum()) >= least:
            boxes.append((rows.start, columns.start, rows.stop, columns.stop))
    return sorted(boxes)


def _other_boxes(anomaly_map, cut, least) -> dict:
    right, order = _boxes(anomaly_map, cut, least), "a box is (top, left, bottom, right)"
    behind = "bottom and right are the last hot row and column; they should be the first behind it"
    rows, columns = np.nonzero(anomaly_map > cut)
    whole = (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1) if len(rows) else ()
    return {
        "regions that touch at a corner are counted as two": _boxes(anomaly_map, cut, least, False),
        "a pixel AT the threshold is not hotter than it": _boxes(
            anomaly_map, np.nextafter(np.float32(cut), np.float32(-9)), least
        ),
        "regions of fewer pixels than `least` are still there": _boxes(anomaly_map, cut, 0),
        "a region of exactly `least` pixels is dropped": _boxes(anomaly_map, cut, least + 1),
        "`least` counts a region's own pixels, not those of its box": _boxes(
            anomaly_map, cut, least, area=True
        ),
        f"rows and columns are swapped: {order}": [(b[1], b[0], b[3], b[2]) for b in right],
        behind: [(b[0], b[1], b[2] - 1, b[3] - 1) for b in right],
        f"the last two are height and width: {order}": [
            (b[0], b[1], b[2] - b[0], b[3] - b[1]) for b in right
        ],
        "cold regions are boxed, not hot ones": _boxes(-anomaly_map, -cut, least),
        "one box holds all hot pixels; each region has its own": [whole] if whole else [],
        "the last box is missing: regions are numbered from 1 to their number": right[:-1],
        "only one box is given; each region has one": right[:1],
    }
