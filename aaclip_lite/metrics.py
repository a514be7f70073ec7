"""How good maps and scores are: AUROC, AP, F1-max, PRO, AUROC inside the object, and whether the
hottest pixel lies on the defect.

Special: exact, in float64, or from histograms; a figure that has no value says why. The counting
itself stands in `files/curves.py`.

    evaluate(scores, labels, maps, masks)      # {"pixel_auroc": 0.93, ..., "image_auroc": 0.88, ...}
    histogram = PixelHistogram(); histogram.update(maps, masks); histogram.result()
"""

import numpy as np
from jaxtyping import Shaped
from torch import Tensor

from .files.curves import Curve, Undefined, binned_curve, exact_curve, jsonable, region_shares
from .files.figures import IMAGE_NAMES, PIXEL_NAMES, bootstrap, image_metrics, pixel_metrics, pro
from .files.histogram import PixelHistogram

Numbers = Shaped[np.ndarray | Tensor, "..."]

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
