"""Checks of the exercises of chapter 10_your_own_data."""

import math

import numpy as np
from scipy import ndimage

from .judge import Hint, exercise, same


@exercise("10_your_own_data")
def pictures_needed(learner):
    """(false-alarm rate) -> the least number of normal pictures that can set a threshold for it"""
    for rate in (0.05, 0.01, 0.5, 0.3, 0.07, 0.001, 0.9, 0.2):
        need = next(n for n in range(1, 2000) if math.ceil((n + 1) * (1 - rate) - 1e-9) <= n)
        found, what = learner(rate), f"the number for a rate of {rate}"
        if found is not None and float(found) != int(found):
            raise Hint(f"{what} is {float(found):.4g}: pictures come whole")
        if found == need + 1:
            raise Hint(
                f"{what} is one more than needed: think of the new picture as one more draw from "
                "the same lot"
            )
        if found is not None and found != need:
            off = "one" if found == need - 1 else f"{abs(int(found) - need)}"
            raise Hint(f"{what} is {off} too {'few' if found < need else 'many'}")
        same(found, need, what)


@exercise("10_your_own_data")
def threshold_for(learner):
    """(scores of normal pictures, false-alarm rate) -> threshold that a new normal one exceeds no
    more often
    """
    generator = np.random.default_rng(101)
    for count, rate in ((19, 0.05), (40, 0.1), (99, 0.05), (30, 0.25), (7, 0.5)):
        scores = generator.gamma(2.0, 1.0, count)
        ordered, rank = np.sort(scores), math.ceil((count + 1) * (1 - rate) - 1e-9)
        found = learner(scores.copy(), rate)
        wrong = [
            (
                ordered[max(0, math.ceil(count * (1 - rate) - 1e-9) - 1)],
                "the rank is reckoned without the new picture, which is one more",
            ),
            (ordered[min(count - 1, rank)], "the threshold is one place too high in the order"),
            (
                np.quantile(scores, 1 - rate),
                "a quantile between two scores; take a score that occurred, and count the "
                "new picture too",
            ),
            (
                np.sort(scores)[count - rank],
                "the order runs the wrong way: alarms lie at the high end",
            ),
            (scores[rank - 1], "the scores are not sorted"),
            (ordered[-1], "that is the highest score of all: the rate is not used"),
        ]
        shaped = "mean and deviation suppose a shape of the scores"
        wrong += [(scores.mean() + n * scores.std(), shaped) for n in (2, 3)]
        same(
            found,
            float(ordered[rank - 1]),
            f"the threshold of {count} scores at a rate of {rate}",
            hints=wrong,
        )
    try:
        learner(generator.random(18), 0.05)
    except ValueError:
        return
    raise Hint("18 pictures can't promise a rate of 0.05: raise a ValueError")


@exercise("10_your_own_data")
def hot_boxes(learner):
    """(map (H, W), threshold, least) -> [(top, left, bottom, right), ...] of its hot regions"""
    generator = np.random.default_rng(102)
    for height, width, least in ((12, 17, 1), (20, 9, 3), (15, 15, 5), (6, 6, 1)):
        heat = ndimage.gaussian_filter(generator.normal(0, 1, (height, width)), 0.8).astype(
            np.float32
        )
        cut = float(np.quantile(heat, 0.75)) if height > 6 else float(heat.max() + 1)

        def boxes(heat=heat, cut=cut, least=least, corners=True, swap=False, end=0):
            regions, _ = ndimage.label(heat > cut, np.ones((3, 3)) if corners else None)
            found = []
            for number, (rows, columns) in enumerate(ndimage.find_objects(regions), 1):
                if (regions == number).sum() >= least:
                    box = rows.start, columns.start, rows.stop - end, columns.stop - end
                    found.append((box[1], box[0], box[3], box[2]) if swap else box)
            return sorted(found)

        found = learner(heat.copy(), cut, least)
        try:
            mine = sorted(tuple(int(edge) for edge in box) for box in found)
        except TypeError:
            mine = [()]
        if any(len(box) != 4 for box in mine):
            raise Hint("the result is no list of boxes, each of four numbers")
        for wrong, sentence in (
            (boxes(corners=False), "regions that touch at a corner are counted as two"),
            (boxes(least=0), "regions of fewer pixels than `least` are still there"),
            (boxes(least=least + 1), "a region of exactly `least` pixels is dropped"),
            (boxes(swap=True), "rows and columns are swapped: a box is (top, left, bottom, right)"),
            (
                boxes(end=1),
                "bottom and right are the last hot row and column; they should be the first "
                "behind it",
            ),
            (boxes(heat=-heat, cut=-cut), "cold regions are boxed, not hot ones"),
        ):
            if mine != boxes() and mine == wrong:
                raise Hint(sentence)
        if len(mine) != len(boxes()):
            raise Hint(
                f"{len(mine)} boxes, expected {len(boxes())} (threshold {cut:.3g}, least {least})"
            )
        if mine != boxes():
            off = next(box for box in mine if box not in boxes())
            raise Hint(f"no hot region has the box {off}")
        if [tuple(map(int, box)) for box in found] != boxes():
            raise Hint("the boxes are not in order: sort them from the top")
