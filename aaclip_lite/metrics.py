"""How good are maps and scores: AUROC, AP, F1-max and PRO of pixels, AUROC, AP and F1-max of
pictures.

Special: scores are sorted once, and AUROC, AP, F1-max and PRO are all read off that one curve,
exactly. The streaming form, `PixelHistogram`, needs memory that does not grow with the number of
pictures and no score range beforehand; its
`bounds()` are the interval that each exact figure lies in. A figure without a value (only normal
pictures, no maps) is
`Undefined` with its reason, never 0; `jsonable` makes it null. numpy, torch tensors and lists are
accepted.

    evaluate(scores, labels, maps, masks)            # {"pixel_auroc": 0.93, ..., "image_auroc":
    0.88, ...} histogram = PixelHistogram(); histogram.update(maps, masks); histogram.result();
    histogram.bounds()
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage

PRO_LIMIT = 0.3  # PRO is integrated up to this false-positive rate and divided by it
PIXEL_NAMES = ("pixel_auroc", "pixel_ap", "pixel_f1max", "pixel_pro", "inside_auroc", "peak_hit")
IMAGE_NAMES = ("image_auroc", "image_ap", "image_f1max")


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
    Between two of them only false positives are added: recall and overlap stand still and F1 falls,
    so skipping those loses nothing.
    """

    tp: np.ndarray  # (T,) defective items at or above the threshold
    fp_above: np.ndarray  # (T,) normal items strictly above it
    fp: np.ndarray  # (T,) normal items at or above it
    overlap: np.ndarray  # (T,) as tp, but each region counts 1 / number of regions
    negatives: int
    noun: str  # "pictures" or "pixels", for the reason of an undefined figure

    def figures(self, limit: float = PRO_LIMIT) -> list[float]:
        """AUROC, AP, F1-max and PRO: mean region overlap over the false-positive rate up to
        `limit`, over `limit`.
        """
        if not len(self.tp) or not self.negatives:
            kind = (
                "no"
                if len(self.tp) == self.negatives
                else "only defective"
                if len(self.tp)
                else "only normal"
            )
            return [Undefined(f"{kind} {self.noun}")] * 4
        positives, step = self.tp[-1], np.diff(self.tp, prepend=0)
        auroc = (
            step @ (self.negatives - (self.fp_above + self.fp) / 2) / (positives * self.negatives)
        )
        ap = step @ (self.tp / (self.tp + self.fp)) / positives
        f1max = (2 * self.tp / (positives + self.tp + self.fp)).max()
        # Each entry is two corners: false positives alone lead to the first, equal scores of both
        # kinds to the second.
        rate = np.concatenate(
            [[0], np.stack([self.fp_above, self.fp], 1).ravel() / self.negatives, [1]]
        )
        height = np.concatenate([[0, 0], np.repeat(self.overlap, 2)[:-1], [1]])
        # the limit cuts the segment that ends at this corner
        kept = np.searchsorted(rate, limit, side="right")
        cut = np.interp(limit, rate[kept - 1 : kept + 1], height[kept - 1 : kept + 1])
        rate, height = np.append(rate[:kept], limit), np.append(height[:kept], cut)
        return [
            float(auroc),
            float(ap),
            float(f1max),
            float(np.diff(rate) @ (height[1:] + height[:-1]) / 2 / limit),
        ]

    def bounds(self) -> list[tuple[float, float]]:
        """When entries are bins: what the same four figures lie between, however scores are ordered
        in each bin.
        """
        best, worst = (
            self._replace(fp=self.fp_above).figures(),
            self._replace(fp_above=self.fp).figures(),
        )
        if not np.isnan(worst[1]):
            step = np.diff(self.tp, prepend=0)
            # the bin's first defective item, behind all of its normal ones
            first = self.tp - step + 1
            worst[1] = float(step @ (first / (first + self.fp)) / self.tp[-1])
        return list(zip(worst, best, strict=True))


def exact_curve(
    positive: np.ndarray, negative: np.ndarray, shares: np.ndarray | None = None, noun="pixels"
) -> Curve:
    """The curve of defective scores (P,) against normal ones (M,); shares (P,) are the regions'
    weights for PRO.
    """
    order, negative = np.argsort(positive)[::-1], np.sort(negative)
    positive, shares = positive[order], np.zeros(len(order)) if shares is None else shares[order]
    # the last of equal scores
    last = np.flatnonzero(np.append(positive[1:] != positive[:-1], True)[: len(order)])
    above, at = (
        len(negative) - np.searchsorted(negative, positive[last], side=side)
        for side in ("right", "left")
    )
    return Curve(last + 1, above, at, np.cumsum(shares)[last], len(negative), noun)


def binned_curve(
    positive: np.ndarray, negative: np.ndarray, shares: np.ndarray | None = None
) -> Curve:
    """The same from counts (bins,) of defective and of normal scores, the highest bin last."""
    held = positive[::-1] > 0
    tp, fp, overlap = (
        np.cumsum(row[::-1]) for row in (positive, negative, positive if shares is None else shares)
    )
    return Curve(
        tp[held], (fp - negative[::-1])[held], fp[held], overlap[held], int(fp[-1]), "pixels"
    )


def _numpy(values, what: str) -> np.ndarray:
    values = np.asarray(values.detach().float().cpu() if hasattr(values, "detach") else values)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError(
            f"{what}: {np.sum(~np.isfinite(values))} of {values.size} values are not finite"
        )
    return values


def _pixels(maps, masks, inside) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Maps, masks and object masks as (N, H, W); (N, 1, H, W) is accepted; any non-zero mask value
    is defect.
    """
    given = {"maps": maps, "masks": masks} | ({} if inside is None else {"inside": inside})
    given = {name: _numpy(values, name) for name, values in given.items()}
    maps, *flags = (a[:, 0] if a.ndim == 4 and a.shape[1] == 1 else a for a in given.values())
    if maps.ndim != 3 or any(flag.shape != maps.shape for flag in flags):
        raise ValueError(
            f"all need one shape (N, H, W), got { ({name: a.shape for name, a in given.items()}) }"
        )
    return maps, flags[0] != 0, None if inside is None else flags[1] != 0


def region_shares(masks: np.ndarray) -> tuple[np.ndarray, int]:
    """For every defective pixel of masks (N, H, W), 1 / size of its connected region; and the
    number of regions.
    """
    shares, total = [np.zeros(0)], 0
    for mask in masks:
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        if len(rows):  # only the part that holds defects; its pixels come in the picture's order
            part = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            regions, count = ndimage.label(part, structure=np.ones((3, 3)))  # 8 neighbours
            shares.append(1.0 / np.bincount(regions[part])[regions[part]])
            total += count
    return np.concatenate(shares), total


def _peak_hits(maps: np.ndarray, masks: np.ndarray) -> list[float]:
    """For each defective picture: does its hottest pixel lie in the mask? Equally hot pixels share
    the answer, so that a flat map scores what a blind guess would.
    """
    return [
        mask[heat == heat.max()].mean()
        for heat, mask in zip(maps, masks, strict=True)
        if mask.any()
    ]


def _pixel_results(
    figures: list, inside: list | None, hits: float, defective: int
) -> dict[str, float]:
    within = Undefined("no object masks were given") if inside is None else inside[0]
    share = float(hits / defective) if defective else Undefined("only normal pictures")
    return dict(zip(PIXEL_NAMES, (*figures, within, share), strict=True))


def pixel_metrics(maps, masks, inside=None) -> dict[str, float]:
    """The six pixel figures of maps (N, H, W) against masks (N, H, W), exact; inside (N, H, W)
    marks the object.
    """
    maps, masks, inside = _pixels(maps, masks, inside)
    (shares, regions), hits = region_shares(masks), _peak_hits(maps, masks)
    within = (
        None
        if inside is None
        else exact_curve(maps[masks & inside], maps[~masks & inside]).figures()
    )
    curve = exact_curve(maps[masks], maps[~masks], shares / max(regions, 1))
    return _pixel_results(curve.figures(), within, sum(hits), len(hits))


def image_metrics(scores, labels) -> dict[str, float]:
    """image_auroc, image_ap and image_f1max of scores (N,) against labels (N,) in {0, 1}."""
    scores, labels = _numpy(scores, "scores").ravel(), _numpy(labels, "labels").ravel()
    if scores.shape != labels.shape or not np.isin(labels, (0, 1)).all():
        raise ValueError(
            f"{len(scores)} scores need as many labels, each 0 or 1, got {len(labels)}: "
            f"{labels[:9]} ..."
        )
    figures = exact_curve(scores[labels == 1], scores[labels == 0], noun="pictures").figures()
    return dict(zip(IMAGE_NAMES, figures[:3], strict=True))


def evaluate(scores, labels, maps, masks, inside=None, binned: bool = False) -> dict[str, float]:
    """Every figure of one class. What is None makes its figures undefined; `binned` goes through
    PixelHistogram.
    """
    if maps is None or masks is None:
        pixels = dict.fromkeys(PIXEL_NAMES, Undefined("no maps or masks were given"))
    else:
        pixels = (
            PixelHistogram().update(maps, masks, inside).result()
            if binned
            else pixel_metrics(maps, masks, inside)
        )
    if scores is None or labels is None:
        return pixels | dict.fromkeys(IMAGE_NAMES, Undefined("no image scores were given"))
    return pixels | image_metrics(scores, labels)


class PixelHistogram:
    """The six pixel figures from histograms: `update` with any number of pictures at a time, then
    `result`.

    Bin edges are multiples of a power of two that doubles when a new score does not fit, so
    widening merges whole bins and every score stays in the bin that it would have been put in now.
    peak_hit is exact.
    """

    def __init__(self, bins: int = 1 << 14):
        # defective, normal, region shares; defective and normal inside the object
        self.counts = np.zeros((5, bins))
        self.width, self.first, self.low, self.high = 0.0, 0, np.inf, -np.inf
        self.regions, self.hits, self.defective, self.with_inside = 0, 0.0, 0, None

    def _cover(self, low: float, high: float):
        """Make the bins reach from low to high: shift them, and double their width as often as that
        takes.
        """
        bins, old_width, old_first = self.counts.shape[1], self.width, self.first
        self.low, self.high = min(self.low, low), max(self.high, high)
        spread = max(self.high - self.low, 1e-6 * max(abs(self.high), abs(self.low)), 1e-12)
        self.width = old_width or 2.0 ** np.floor(np.log2(spread / bins))
        while self.high // self.width - self.low // self.width >= bins:
            self.width *= 2
        bottom, top = int(self.low // self.width), int(self.high // self.width)
        if self.width > old_width or bottom < self.first or top >= self.first + bins:
            self.first = bottom - (bins - 1 - (top - bottom)) // 2
            used = np.flatnonzero(self.counts.any(0))
            moved = (used + old_first) // int(self.width / (old_width or self.width)) - self.first
            self.counts = np.stack(
                [np.bincount(moved, row[used], bins).astype(float) for row in self.counts]
            )

    def update(self, maps, masks, inside=None) -> "PixelHistogram":
        maps, masks, inside = _pixels(maps, masks, inside)
        if self.with_inside not in (None, inside is not None):
            raise ValueError("object masks were given for some pictures and not for others")
        if maps.size:
            self.with_inside = inside is not None
            self._cover(float(maps.min()), float(maps.max()))
            # exact in float32
            whole = maps.dtype == np.float32 and abs(self.first) + self.counts.shape[1] < 1 << 24
            kind = np.float32 if whole else np.float64
            # one at a time stays in the cache
            for number, (heat, mask) in enumerate(zip(maps, masks, strict=True)):
                scaled = heat * kind(1 / self.width)  # a power of two
                place = (np.floor(scaled, out=scaled) - kind(self.first)).astype(np.intp)
                self._count(0, place.ravel(), defective := place[mask])
                shares, regions = region_shares(mask[None])
                self.counts[2] += np.bincount(defective, shares, self.counts.shape[1])
                self.regions += regions
                if self.with_inside:
                    self._count(3, place[inside[number]], place[mask & inside[number]])
            hits = _peak_hits(maps, masks)
            self.hits, self.defective = self.hits + sum(hits), self.defective + len(hits)
        return self

    def _count(self, row: int, everywhere: np.ndarray, defective: np.ndarray) -> None:
        count = np.bincount(defective, minlength=self.counts.shape[1])
        self.counts[row] += count
        self.counts[row + 1] += np.bincount(everywhere, minlength=self.counts.shape[1]) - count

    def _curves(self) -> list[Curve]:
        positive, negative, shares, *within = self.counts
        return [
            binned_curve(positive, negative, shares / max(self.regions, 1)),
            binned_curve(*within),
        ]

    def result(self) -> dict[str, float]:
        curve, within = self._curves()
        inside = within.figures() if self.with_inside else None
        return _pixel_results(curve.figures(), inside, self.hits, self.defective)

    def bounds(self) -> dict[str, tuple[float, float]]:
        """(lowest, highest) value that the exact figure can have, for every figure of `result`."""
        (curve, within), result = self._curves(), self.result()
        # without objects, undefined both ways
        sure = {name: (result[name], result[name]) for name in PIXEL_NAMES[4:]}
        sure |= {"inside_auroc": within.bounds()[0]} if self.with_inside else {}
        return dict(zip(PIXEL_NAMES, curve.bounds(), strict=False)) | sure


def bootstrap(
    classes: Mapping[str, Sequence], statistic: Callable, rounds=200, level=0.95, seed=0
) -> tuple:
    """(figure, low, high): the mean over classes of statistic(*arrays), and the interval that
    `level` of the rounds lie in when the pictures (first axis of each array) of every class are
    drawn anew. Undefined classes are left out.
    """
    generator = np.random.default_rng(seed)

    def mean(draw: Callable[[int], np.ndarray]) -> float:
        chosen = [(arrays, draw(len(arrays[0]))) for arrays in classes.values()]
        figures = np.array(
            [statistic(*(np.asarray(a)[rows] for a in arrays)) for arrays, rows in chosen], float
        )
        return float(figures[~np.isnan(figures)].mean()) if not np.isnan(figures).all() else np.nan

    drawn = [mean(lambda count: generator.integers(count, size=count)) for _ in range(rounds)]
    if np.isnan(drawn).all():
        return (Undefined("the figure is undefined in every class"),) * 3
    return mean(np.arange), *np.nanquantile(drawn, [(1 - level) / 2, (1 + level) / 2]).tolist()
