"""The figures of a class under their names: six of pixels, exact or in the memory of a histogram,
and three of pictures; and the interval of such a figure.

Use: `pixel_metrics(maps, masks)`, `PixelHistogram().update(maps, masks).result()`
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float

from .curves import Undefined, binned_curve, exact_curve, peak_hits, region_shares

PIXEL_NAMES = ("pixel_auroc", "pixel_ap", "pixel_f1max", "pixel_pro", "inside_auroc", "peak_hit")
IMAGE_NAMES = ("image_auroc", "image_ap", "image_f1max")


def _as_numpy(values, what: str) -> np.ndarray:
    values = np.asarray(values.detach().float().cpu() if hasattr(values, "detach") else values)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        broken = np.sum(~np.isfinite(values))
        raise ValueError(f"{what}: {broken} of {values.size} values are not finite")
    return values


def as_pixels(
    maps, masks, inside
) -> tuple[Float[np.ndarray, "N H W"], Bool[np.ndarray, "N H W"], Bool[np.ndarray, "N H W"] | None]:
    """Maps, masks and object masks; (N, 1, H, W) is accepted, any non-zero mask value is defect."""
    planes = {"maps": maps, "masks": masks} | ({} if inside is None else {"inside": inside})
    for name, values in planes.items():
        values = _as_numpy(values, name)
        planes[name] = values[:, 0] if values.ndim == 4 and values.shape[1] == 1 else values
    shapes = {name: values.shape for name, values in planes.items()}
    if planes["maps"].ndim != 3 or len(set(shapes.values())) > 1:
        raise ValueError(f"all need one shape (N, H, W), got {shapes}")
    objects = planes.get("inside")
    return planes["maps"], planes["masks"] != 0, None if objects is None else objects != 0


def _by_name(figures: list, inside: list | None, hits: float, defective: int) -> dict[str, float]:
    """The six pixel figures by name. inside: the same as figures, inside the object only."""
    within = Undefined("no object masks were given") if inside is None else inside[0]
    share = float(hits / defective) if defective else Undefined("only normal pictures")
    return dict(zip(PIXEL_NAMES, (*figures, within, share), strict=True))


def pixel_metrics(maps, masks, inside=None) -> dict[str, float]:
    """The six pixel figures of maps (N, H, W) against masks (N, H, W), exact; inside (N, H, W)
    marks the object.
    """
    maps, masks, inside = as_pixels(maps, masks, inside)
    shares, regions = region_shares(masks)
    figures = exact_curve(maps[masks], maps[~masks], shares / max(regions, 1)).figures()
    within = None
    if inside is not None:
        within = exact_curve(maps[masks & inside], maps[~masks & inside]).figures()
    hits = peak_hits(maps, masks)
    return _by_name(figures, within, sum(hits), len(hits))


class PixelHistogram:
    """The six pixel figures: `update` with any number of pictures at a time, then `result`.

    Bin edges are multiples of a power of two that doubles when a new score does not fit, so
    widening merges whole bins and every score stays in the bin that it would have been put in now.
    peak_hit is exact. rounds: as many further histograms, in which a picture counts as often as its
    weights say.
    """

    def __init__(self, bins: int = 1 << 14, rounds: int = 0):
        # of each round: defective, normal, region shares; defective and normal inside the object
        self.counts = np.zeros((1 + rounds, 5, bins))
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
        bins = self.counts.shape[-1]
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
        bins = self.counts.shape[-1]
        used = np.flatnonzero(self.counts.any((0, 1)))
        moved = (used + self.first) // int(self.width / old_width) - first
        for row in self.counts.reshape(-1, bins):
            row[:] = np.bincount(moved, row[used], bins)
        self.first = first

    def update(self, maps, masks, inside=None, weights=None) -> "PixelHistogram":
        """weights (N, rounds): how often each picture counts in the further rounds."""
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
            before = self.counts[0].copy() if weights is not None else None
            self._count(0, place.ravel(), defective)
            shares, regions = region_shares(mask[None])
            self.counts[0, 2] += np.bincount(defective, shares, self.counts.shape[-1])
            self.regions += regions
            if inside is not None:
                self._count(3, place[inside[number]], place[mask & inside[number]])
            if weights is not None:
                change = self.counts[0] - before
                used = np.flatnonzero(change.any(0))
                self.counts[1:, :, used] += weights[number][:, None, None] * change[:, used]
        hits = peak_hits(maps, masks)
        self.hits += sum(hits)
        self.defective += len(hits)
        return self

    def _places(self, one: Float[np.ndarray, "H W"]) -> np.ndarray:
        """Each pixel's bin."""
        # float32 holds these whole numbers exactly and is faster
        exact = one.dtype == np.float32 and abs(self.first) + self.counts.shape[-1] < 1 << 24
        kind = np.float32 if exact else np.float64
        scaled = one * kind(1 / self.width)  # a power of two
        return (np.floor(scaled, out=scaled) - kind(self.first)).astype(np.intp)

    def _count(self, row: int, everywhere: np.ndarray, defective: np.ndarray) -> None:
        bins = self.counts.shape[-1]
        count = np.bincount(defective, minlength=bins)
        self.counts[0, row] += count
        self.counts[0, row + 1] += np.bincount(everywhere, minlength=bins) - count

    def result(self) -> dict[str, float]:
        positive, negative, shares, *within = self.counts[0]
        figures = binned_curve(positive, negative, shares / max(self.regions, 1)).figures()
        inside = binned_curve(*within).figures() if self.with_inside else None
        return _by_name(figures, inside, self.hits, self.defective)

    def replicas(self) -> Float[np.ndarray, "rounds_and_1 5"]:
        """AUROC, AP, F1-max, PRO, AUROC inside; in the first row every picture counts once."""
        table = []
        for positive, negative, shares, *within in self.counts:
            inside = binned_curve(*within).figures()[0] if self.with_inside else np.nan
            # a region's shares sum to 1
            curve = binned_curve(positive, negative, shares / max(shares.sum(), 1))
            table.append([*curve.figures(), inside])
        return np.array(table, float)


def image_metrics(scores, labels) -> dict[str, float]:
    """image_auroc, image_ap and image_f1max of scores (N,) against labels (N,) in {0, 1}."""
    scores = _as_numpy(scores, "scores").ravel()
    labels = _as_numpy(labels, "labels").ravel()
    if scores.shape != labels.shape or not np.isin(labels, (0, 1)).all():
        raise ValueError(
            f"{len(scores)} scores need as many labels, each 0 or 1, got {len(labels)}: "
            f"{labels[:9]} ..."
        )
    figures = exact_curve(scores[labels == 1], scores[labels == 0], noun="pictures").figures()
    return dict(zip(IMAGE_NAMES, figures[:3], strict=True))


def bootstrap(
    classes: Mapping[str, Sequence],
    statistic: Callable,
    rounds: int = 200,
) -> tuple[float, float, float]:
    """(figure, low, high): the mean over classes of statistic(*arrays), and the interval that 95 %
    of the rounds lie in when the pictures (first axis of each array) of every class are drawn anew,
    always in the same way. Undefined classes are left out.
    """
    generator = np.random.default_rng(0)

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
    low, high = np.nanquantile(drawn, [(1 - 0.95) / 2, (1 + 0.95) / 2]).tolist()
    return mean(np.arange), low, high
