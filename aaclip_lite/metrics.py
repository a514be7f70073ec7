"""How good maps and scores are: AUROC, AP, F1-max, PRO, AUROC inside the object, and whether the
hottest pixel lies on the defect.

Special: exact, in float64, or from histograms whose bounds are known; a figure that has no value
says why. The counting itself stands in `files/curves.py`.

    evaluate(scores, labels, maps, masks)      # {"pixel_auroc": 0.93, ..., "image_auroc": 0.88, ...}
    histogram = PixelHistogram(); histogram.update(maps, masks); histogram.result()
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from .files.curves import Curve, Undefined, binned_curve, exact_curve, jsonable, region_shares
from .files.figures import IMAGE_NAMES, PIXEL_NAMES, image_metrics, pixel_metrics, pro
from .files.histogram import PixelHistogram

__all__ = [
    "IMAGE_NAMES",
    "PIXEL_NAMES",
    "Curve",
    "PixelHistogram",
    "Undefined",
    "binned_curve",
    "bootstrap",
    "evaluate",
    "exact_curve",
    "image_metrics",
    "jsonable",
    "pixel_metrics",
    "pro",
    "region_shares",
]


def evaluate(scores, labels, maps, masks, inside=None, binned: bool = False) -> dict[str, float]:
    """Every figure of one class. What is None makes its figures undefined; `binned` goes through
    PixelHistogram.
    """
    if maps is None or masks is None:
        missing: float = Undefined("no maps or masks were given")
        pixels = dict.fromkeys(PIXEL_NAMES, missing)
    elif binned:
        pixels = PixelHistogram().update(maps, masks, inside).result()
    else:
        pixels = pixel_metrics(maps, masks, inside)
    if scores is None or labels is None:
        return pixels | dict.fromkeys(IMAGE_NAMES, Undefined("no image scores were given"))
    return pixels | image_metrics(scores, labels)


def bootstrap(
    classes: Mapping[str, Sequence],
    statistic: Callable,
    rounds: int = 200,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float, float]:
    """(figure, low, high): the mean over classes of statistic(*arrays), and the interval that
    `level` of the rounds lie in when the pictures (first axis of each array) of every class are
    drawn anew. Undefined classes are left out.
    """
    generator = np.random.default_rng(seed)

    def mean(draw: Callable[[int], np.ndarray]) -> float:
        figures = []
        for arrays in classes.values():
            rows = draw(len(arrays[0]))
            figures.append(statistic(*(np.asarray(array)[rows] for array in arrays)))
        known = np.array([figure for figure in figures if not np.isnan(figure)], float)
        return float(known.mean()) if len(known) else np.nan

    drawn = [mean(lambda count: generator.integers(count, size=count)) for _ in range(rounds)]
    if np.isnan(drawn).all():
        return (Undefined("the figure is undefined in every class"),) * 3
    low, high = np.nanquantile(drawn, [(1 - level) / 2, (1 + level) / 2]).tolist()
    return mean(np.arange), low, high
