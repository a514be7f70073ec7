"""How good maps and scores are: AUROC, AP, F1-max, PRO, AUROC inside the object, and whether the
hottest pixel lies on the defect.

Special: exact, in float64, or from histograms; a figure that has no value says why. The counting
itself stands in `files/curves.py`, a method of `Curve` for each figure.

    evaluate(scores, labels, maps, masks)      # {"pixel_auroc": 0.93, ..., "image_auroc": 0.88, ...}
    histogram = PixelHistogram(); histogram.update(maps, masks); histogram.result()
"""

import numpy as np
from jaxtyping import Shaped
from torch import Tensor

from .files.curves import Undefined, exact_curve, jsonable, region_shares
from .files.figures import (
    IMAGE_NAMES,
    PIXEL_NAMES,
    PixelHistogram,
    as_pixels,
    bootstrap,
    image_metrics,
    pixel_metrics,
)

Numbers = Shaped[np.ndarray | Tensor, "..."]

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
    "pro",
]


def evaluate(
    scores: Numbers | None,
    labels: Numbers | None,
    maps: Numbers | None,
    masks: Numbers | None,
    inside: Numbers | None = None,
    binned: bool = False,
) -> dict[str, float]:
    """Every figure of one class: scores (n,), labels (n,), maps, masks and inside (n, H, W). What
    is None makes its figures undefined; `binned` goes through PixelHistogram.
    """
    if maps is None or masks is None:
        missing: float = Undefined("no maps or masks were given")  # nan that says why
        pixels = dict.fromkeys(PIXEL_NAMES, missing)
    elif binned:  # for sets whose maps do not fit in memory
        pixels = PixelHistogram().update(maps, masks, inside).result()
    else:
        pixels = pixel_metrics(maps, masks, inside)
    if scores is None or labels is None:
        # undefined, not left out: a table keeps its columns
        return pixels | dict.fromkeys(IMAGE_NAMES, Undefined("no image scores were given"))
    return pixels | image_metrics(scores, labels)


def pro(maps: Numbers, masks: Numbers) -> float:
    """Per-region overlap: the mean share of a defect's region that lies above a threshold, over the
    thresholds that take at most 30 % of the sound pixels for defects. maps, masks (n, H, W).
    """
    maps, masks, _ = as_pixels(maps, masks, None)
    # each region's pixels weigh 1 / its size: a small defect counts as much as a large one
    shares, regions = region_shares(masks)
    curve = exact_curve(maps[masks], maps[~masks], shares / max(regions, 1))
    # its area, divided by the limit: all of every region before the first false alarm gives 1
    return curve.figures()[-1]
