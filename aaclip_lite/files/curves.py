"""From scores to AUROC, AP, F1-max and PRO: one curve of counts, four figures read off it.

Special: exact from scores (`exact_curve`) or from histograms (`binned_curve`), in float64; equal
scores are handled as equal. A figure without a value is a NaN that knows why.
Use: `exact_curve(defective_scores, normal_scores).auroc()`
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Num
from scipy import ndimage

PRO_LIMIT = 0.3  # PRO is integrated up to this false-positive rate and divided by it


class Undefined(float):
    """A figure without a value: a NaN that knows why. In a table, where a format is given, it
    prints in short.
    """

    def __new__(cls, reason: str):
        figure = super().__new__(cls, "nan")
        figure.reason = reason
        return figure

    def __format__(self, spec):
        return "undefined" if spec else str(self)

    def __repr__(self):
        return f"undefined: {self.reason}"


def jsonable(value):
    """The same results for `json.dumps`: undefined figures become null."""
    if isinstance(value, Mapping):
        return {key: jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    return None if isinstance(value, float) and np.isnan(value) else value


class Curve(NamedTuple):
    """Counts at falling thresholds, one entry for each score (or bin) that holds a defective item.

    Between two of them only false positives are added: recall and overlap stand still and F1
    falls, so skipping those loses nothing.
    """

    tp: Num[np.ndarray, " T"]  # defective items at or above the threshold
    fp_above: Num[np.ndarray, " T"]  # normal items strictly above it
    fp: Num[np.ndarray, " T"]  # normal items at or above it
    overlap: Float[np.ndarray, " T"]  # as tp, but each region counts 1 / number of regions
    negatives: int
    noun: str  # "pictures" or "pixels", for the reason of an undefined figure

    def auroc(self) -> float:
        """Share of (defective, normal) pairs in the right order; equal scores count half."""
        normal_below = self.negatives - (self.fp_above + self.fp) / 2
        return float(self._steps() @ normal_below / (self.tp[-1] * self.negatives))

    def ap(self) -> float:
        """Mean precision over the defective items."""
        return float(self._steps() @ (self.tp / (self.tp + self.fp)) / self.tp[-1])

    def f1max(self) -> float:
        """The best F1 that any threshold gives."""
        return float((2 * self.tp / (self.tp[-1] + self.tp + self.fp)).max())

    def pro(self) -> float:
        """Mean overlap of a defect's region, over false-positive rates up to PRO_LIMIT, divided by it.

        Every region weighs the same: finding a small defect counts as much as a large one.
        """
        # Each entry is two corners: false positives alone lead to the first, equal scores of both
        # kinds to the second.
        corners = np.stack([self.fp_above, self.fp], 1).ravel() / self.negatives
        rate = np.concatenate([[0], corners, [1]])
        height = np.concatenate([[0, 0], np.repeat(self.overlap, 2)[:-1], [1]])
        # the limit cuts the segment that ends at this corner
        kept = np.searchsorted(rate, PRO_LIMIT, side="right")
        cut = np.interp(PRO_LIMIT, rate[kept - 1 : kept + 1], height[kept - 1 : kept + 1])
        rate = np.append(rate[:kept], PRO_LIMIT)
        height = np.append(height[:kept], cut)
        return float(np.diff(rate) @ (height[1:] + height[:-1]) / 2 / PRO_LIMIT)

    def figures(self) -> list[float]:
        """AUROC, AP, F1-max and PRO."""
        if len(self.tp) and self.negatives:
            return [self.auroc(), self.ap(), self.f1max(), self.pro()]
        kind = "only defective" if len(self.tp) else "only normal" if self.negatives else "no"
        return [Undefined(f"{kind} {self.noun}")] * 4

    def _steps(self) -> np.ndarray:
        return np.diff(self.tp, prepend=0)


def exact_curve(
    positive: Float[np.ndarray, " P"],
    negative: Float[np.ndarray, " M"],
    shares: Float[np.ndarray, " P"] | None = None,
    noun: str = "pixels",
) -> Curve:
    """The curve of defective scores against normal ones; shares are the regions' weights for PRO."""
    order = np.argsort(positive)[::-1]
    positive = positive[order]
    negative = np.sort(negative)
    shares = np.zeros(len(order)) if shares is None else shares[order]
    # the last of equal scores
    last = np.flatnonzero(np.append(positive[1:] != positive[:-1], True)[: len(order)])
    above = len(negative) - np.searchsorted(negative, positive[last], side="right")
    at = len(negative) - np.searchsorted(negative, positive[last], side="left")
    return Curve(last + 1, above, at, np.cumsum(shares)[last], len(negative), noun)


def binned_curve(
    positive: Num[np.ndarray, " bins"],
    negative: Num[np.ndarray, " bins"],
    shares: Float[np.ndarray, " bins"] | None = None,
) -> Curve:
    """The same from counts of defective and of normal scores, the highest bin last."""
    held = positive[::-1] > 0
    tp = np.cumsum(positive[::-1])
    fp = np.cumsum(negative[::-1])
    overlap = np.cumsum((positive if shares is None else shares)[::-1])
    above = fp - negative[::-1]
    return Curve(tp[held], above[held], fp[held], overlap[held], int(fp[-1]), "pixels")


def region_shares(masks: Bool[np.ndarray, "N H W"]) -> tuple[Float[np.ndarray, " P"], int]:
    """For every defective pixel 1 / size of its connected region; and the number of regions."""
    shares = [np.zeros(0)]
    total = 0
    for mask in masks:
        rows = np.flatnonzero(mask.any(1))
        columns = np.flatnonzero(mask.any(0))
        if len(rows):
            # only the part that holds defects; its pixels come in the picture's order
            part = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            regions, count = ndimage.label(part, structure=np.ones((3, 3)))  # 8 neighbours
            shares.append(1.0 / np.bincount(regions[part])[regions[part]])
            total += count
    return np.concatenate(shares), total


def peak_hits(maps: Float[np.ndarray, "N H W"], masks: Bool[np.ndarray, "N H W"]) -> list[float]:
    """For each defective picture: does its hottest pixel lie in the mask? Equally hot pixels share
    the answer, so that a flat map scores what a blind guess would.
    """
    pairs = zip(maps, masks, strict=True)
    return [mask[one == one.max()].mean() for one, mask in pairs if mask.any()]
