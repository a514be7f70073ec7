"""How good maps and scores are: AUROC, AP, F1-max, PRO, AUROC inside the object, and whether the
hottest pixel lies on the defect.

Special: exact, in float64, or from histograms; a figure that has no value says why. The counting
itself stands in `files/curves.py`.

    evaluate(scores, labels, maps, masks)      # {"pixel_auroc": 0.93, ..., "image_auroc": 0.88, ...}
    histogram = PixelHistogram(); histogram.update(maps, masks); histogram.result()
"""

from .files.curves import Undefined, exact_curve, jsonable
from .files.figures import (
    IMAGE_NAMES,
    PIXEL_NAMES,
    PixelHistogram,
    bootstrap,
    image_metrics,
    pixel_metrics,
)

__all__ = [
    "IMAGE_NAMES",
    "PIXEL_NAMES",
    "PixelHistogram",
    "Undefined",
    "bootstrap",
    "evaluate",
    "exact_curve",
    "image_metrics",
    "jsonable",
    "pixel_metrics",
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
