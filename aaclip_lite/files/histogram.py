"""The pixel figures of any number of pictures in the memory of a histogram.

Use: `PixelHistogram().update(maps, masks).result()`
"""

import numpy as np
from jaxtyping import Float

from .curves import binned_curve, peak_hits, region_shares
from .figures import as_pixels, pixel_results


class PixelHistogram:
    """The six pixel figures: `update` with any number of pictures at a time, then `result`.

    Bin edges are multiples of a power of two that doubles when a new score does not fit, so
    widening merges whole bins and every score stays in the bin that it would have been put in now.
    peak_hit is exact.
    """

    def __init__(self, bins: int = 1 << 14):
        # defective, normal, region shares; defective and normal inside the object
        self.counts = np.zeros((5, bins))
        self.width = 0.0  # of a bin; the bins cover (first ... first + bins) * width
        self.first = 0
        self.low = np.inf
        self.high = -np.inf
        self.regions = 0
        self.hits = 0.0
        self.defective = 0  # pictures
        self.with_inside: bool | None = None

    def _cover(self, low: float, high: float) -> None:
        """Make the bins reach from low to high: shift them, and double their width as often as that
        takes.
        """
        bins = self.counts.shape[1]
        old_width = self.width
        self.low = min(self.low, low)
        self.high = max(self.high, high)
        spread = max(self.high - self.low, 1e-6 * max(abs(self.high), abs(self.low)), 1e-12)
        self.width = old_width or 2.0 ** np.floor(np.log2(spread / bins))
        while self.high // self.width - self.low // self.width >= bins:
            self.width *= 2
        bottom = int(self.low // self.width)
        top = int(self.high // self.width)
        if self.width > old_width or bottom < self.first or top >= self.first + bins:
            self._move(bottom - (bins - 1 - (top - bottom)) // 2, old_width or self.width)

    def _move(self, first: int, old_width: float) -> None:
        bins = self.counts.shape[1]
        used = np.flatnonzero(self.counts.any(0))
        moved = (used + self.first) // int(self.width / old_width) - first
        rows = [np.bincount(moved, row[used], bins).astype(float) for row in self.counts]
        self.counts = np.stack(rows)
        self.first = first

    def update(self, maps, masks, inside=None) -> "PixelHistogram":
        maps, masks, inside = as_pixels(maps, masks, inside)
        if self.with_inside not in (None, inside is not None):
            raise ValueError("object masks were given for some pictures and not for others")
        if not maps.size:
            return self
        self.with_inside = inside is not None
        self._cover(float(maps.min()), float(maps.max()))
        for number in range(len(maps)):  # one at a time stays in the cache
            place = self._places(maps[number])
            mask = masks[number]
            defective = place[mask]
            self._count(0, place.ravel(), defective)
            shares, regions = region_shares(mask[None])
            self.counts[2] += np.bincount(defective, shares, self.counts.shape[1])
            self.regions += regions
            if inside is not None:
                self._count(3, place[inside[number]], place[mask & inside[number]])
        hits = peak_hits(maps, masks)
        self.hits += sum(hits)
        self.defective += len(hits)
        return self

    def _places(self, one: Float[np.ndarray, "H W"]) -> np.ndarray:
        """Each pixel's bin."""
        # float32 holds these whole numbers exactly and is faster
        exact = one.dtype == np.float32 and abs(self.first) + self.counts.shape[1] < 1 << 24
        kind = np.float32 if exact else np.float64
        scaled = one * kind(1 / self.width)  # a power of two
        return (np.floor(scaled, out=scaled) - kind(self.first)).astype(np.intp)

    def _count(self, row: int, everywhere: np.ndarray, defective: np.ndarray) -> None:
        count = np.bincount(defective, minlength=self.counts.shape[1])
        self.counts[row] += count
        self.counts[row + 1] += np.bincount(everywhere, minlength=self.counts.shape[1]) - count

    def result(self) -> dict[str, float]:
        positive, negative, shares, *within = self.counts
        figures = binned_curve(positive, negative, shares / max(self.regions, 1)).figures()
        inside = binned_curve(*within).figures() if self.with_inside else None
        return pixel_results(figures, inside, self.hits, self.defective)
