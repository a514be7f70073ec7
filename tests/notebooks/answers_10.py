"""Chapter 10: a solution of every exercise, and mistakes that learners make, each with a word of
the hint it gets.
"""

import math

import numpy as np
from scipy import ndimage


def needed(rate):
    return math.ceil(1 / rate - 1 - 1e-9)


def one_in_so_many(rate):
    return math.ceil(1 / rate - 1e-9)


def not_whole(rate):
    return 1 / rate - 1


def rounded_down(rate):
    return int(1 / rate - 1 + 1e-9)


def always_nineteen(rate):
    return 19


def threshold(scores, rate, extra=1):
    rank = math.ceil((len(scores) + extra) * (1 - rate) - 1e-9)
    if rank > len(scores):
        raise ValueError("too few")
    return float(np.sort(scores)[rank - 1])


def without_the_new_one(scores, rate):
    return threshold(scores, rate, extra=0)


def quantile(scores, rate):
    return float(np.quantile(scores, 1 - rate))


def highest(scores, rate):
    return float(max(scores))


def two_deviations(scores, rate):
    return float(np.mean(scores) + 2 * np.std(scores))


def wrong_end(scores, rate):
    return float(np.sort(scores)[::-1][math.ceil((len(scores) + 1) * (1 - rate) - 1e-9) - 1])


def too_trusting(scores, rate):
    rank = math.ceil((len(scores) + 1) * (1 - rate) - 1e-9)
    return float(np.sort(scores)[min(rank, len(scores)) - 1])


def boxes(heat, threshold, least, joined=((1, 1, 1),) * 3, end=0):
    regions, _ = ndimage.label(heat > threshold, joined)
    found = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(regions), 1):
        if (regions == number).sum() >= least:
            found.append((rows.start, columns.start, rows.stop - end, columns.stop - end))
    return sorted(found)


def corners_apart(heat, threshold, least):
    return boxes(heat, threshold, least, joined=None)


def specks_stay(heat, threshold, least):
    return boxes(heat, threshold, 0)


def more_than_least(heat, threshold, least):
    return boxes(heat, threshold, least + 1)


def left_first(heat, threshold, least):
    return sorted(
        (left, top, right, bottom) for top, left, bottom, right in boxes(heat, threshold, least)
    )


def last_pixel(heat, threshold, least):
    return boxes(heat, threshold, least, end=1)


def one_box(heat, threshold, least):
    rows, columns = np.nonzero(heat > threshold)
    return [(rows.min(), columns.min(), rows.max() + 1, columns.max() + 1)] if len(rows) else []


def only_the_mask(heat, threshold, least):
    return heat > threshold


def height_and_width(heat, threshold, least):
    return [(b[0], b[1], b[2] - b[0], b[3] - b[1]) for b in boxes(heat, threshold, least)]


ANSWERS = {
    "pictures_needed": (
        needed,
        [
            (one_in_so_many, "one more than needed"),
            (not_whole, "come whole"),
            (rounded_down, "one too few"),
            (always_nineteen, "is always 19: is what comes in used?"),
            (lambda rate: int(100 * rate), "turn it round"),
            (lambda rate: math.ceil(math.log(0.05) / math.log(1 - rate)), "almost surely"),
        ],
    ),
    "threshold_for": (
        threshold,
        [
            (without_the_new_one, "without the new picture"),
            (quantile, "between two scores"),
            (highest, "highest score of all"),
            (two_deviations, "suppose a shape"),
            (wrong_end, "wrong way"),
            (too_trusting, "ValueError"),
            (lambda scores, rate: threshold(scores, rate) + 0.01, "none of the scores"),
            (lambda scores, rate: scores.sort() or threshold(scores, rate), "in place"),
        ],
    ),
    "hot_boxes": (
        boxes,
        [
            (corners_apart, "at a corner"),
            (specks_stay, "fewer pixels"),
            (more_than_least, "exactly `least`"),
            (left_first, "rows and columns are swapped"),
            (last_pixel, "first behind it"),
            (one_box, "one box holds all"),
            (only_the_mask, "no list of boxes"),
            (height_and_width, "height and width"),
            (lambda heat, cut, least: boxes(heat, cut, least)[:1], "only one box"),
        ],
    ),
}
