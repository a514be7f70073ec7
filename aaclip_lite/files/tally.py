"""Running figures of one class, fed batch by batch: what `evaluate` keeps instead of the maps.

Special: intervals are a Poisson bootstrap: beside the figures run `rounds` more, in which every
picture counts 0, 1, 2 ... times. They live in a coarse histogram, so 1,000 pictures need the memory
of 100.
"""

import zlib
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from .curves import Undefined, binned_curve
from .figures import PIXEL_NAMES, image_metrics, pixel_metrics
from .histogram import PixelHistogram


class Resampled(PixelHistogram):
    """A coarse histogram and `rounds` more below it, in which a picture counts as often as its
    weights say.
    """

    def __init__(self, rounds: int, bins: int = 512) -> None:
        super().__init__(bins)
        self.counts = np.zeros((5 * (1 + rounds), bins))

    def add(self, one: tuple[np.ndarray, ...], weights: Float[np.ndarray, " rounds"]) -> None:
        """one: map, mask and object mask of one picture, each (1, H, W)."""
        anomaly_map = one[0]
        self._cover(float(anomaly_map.min()), float(anomaly_map.max()))
        before = self.counts[:5].copy()
        self.update(*one)  # fills the first five rows
        change = self.counts[:5] - before
        used = np.flatnonzero(change.any(0))
        rounds = self.counts.reshape(-1, 5, self.counts.shape[1])[1:]
        rounds[:, :, used] += weights[:, None, None] * change[:, used]

    def figures(self) -> Float[np.ndarray, "rounds_and_1 5"]:
        """AUROC, AP, F1-max, PRO, AUROC inside; in the first row every picture counts once."""
        table = []
        for positive, negative, shares, *within in self.counts.reshape(-1, 5, self.counts.shape[1]):
            inside = binned_curve(*within).figures()[0] if self.with_inside else np.nan
            # a region's shares sum to 1
            curve = binned_curve(positive, negative, shares / max(shares.sum(), 1))
            table.append([*curve.figures(), inside])
        return np.array(table, float)


class Tally:
    """All of one class from one source of maps; with rounds = 0 no intervals, no kinds, no rows of
    pictures.
    """

    def __init__(self, rounds: int, name: str, seed: int) -> None:
        self.rounds = rounds
        self.pixels = PixelHistogram()
        self.resampled = Resampled(rounds)
        self.kinds: dict[str, PixelHistogram] = {}
        # the same in however many processes
        self.generator = np.random.default_rng([seed, zlib.crc32(name.encode())])
        self.scores: list[float] = []
        self.ends: list[list[float]] = []  # lowest and highest value of each map
        self.labels: list[int] = []
        self.defects: list[str] = []
        self.weights: list[np.ndarray] = []
        self.rows: list[dict] = []

    def update(
        self,
        maps: Float[Tensor, "B H W"],
        scores: Float[Tensor, " B"],
        batch: dict,
        defects: list[str],
    ) -> None:
        flat = maps.flatten(1)
        self.ends += torch.stack([flat.amin(1), flat.amax(1)], dim=1).double().tolist()
        self.scores += scores.double().tolist()
        self.labels += batch["label"].tolist()
        self.defects += defects
        values = maps.float().cpu().numpy()
        planes = [batch[name][:, 0].cpu().numpy() > 0 if name in batch else None for name in PLANES]
        if planes[0] is not None:
            self.pixels.update(values, *planes)
        for i in range(len(maps) if self.rounds else 0):
            self.rows.append({"pixel_ap": None, "peak_hit": None})
            self.weights.append(self.generator.poisson(1.0, self.rounds))
            one = tuple(None if plane is None else plane[i : i + 1] for plane in (values, *planes))
            self._one(one, defects[i])

    def _one(self, one: tuple[np.ndarray, ...], defect: str) -> None:
        """What is known of a single picture."""
        mask = one[1]
        if mask is None:
            return
        self.resampled.add(one, self.weights[-1])
        if mask.any():
            figures = pixel_metrics(*one)
            self.rows[-1] = {key: figures[key] for key in self.rows[-1]}
            self.kinds.setdefault(defect, PixelHistogram(1 << 12)).update(*one)

    def result(self, fuse: Callable | None) -> dict:
        """fuse(maps, scores): makes the pictures' scores from all of the class at once, where they
        do not stand for themselves.
        """
        scores = self._final_scores(fuse)
        labels = np.array(self.labels)
        undefined = dict.fromkeys(PIXEL_NAMES, Undefined("no masks were given"))
        pixels = self.pixels.result() if self.pixels.width else undefined
        result = {"figures": pixels | image_metrics(scores, labels)}
        if not self.rounds:
            return result
        result["kinds"] = {}
        for defect in sorted(set(self.defects) - {""}):
            chosen = (labels == 0) | (np.array(self.defects) == defect)
            known = self.kinds.get(defect)
            images = image_metrics(scores[chosen], labels[chosen])
            result["kinds"][defect] = (known.result() if known else undefined) | images
        result["replicas"] = self._replicas(scores, labels)
        for row, label, score in zip(self.rows, self.labels, scores.tolist(), strict=True):
            row |= {"label": label, "score": score}
        return result | {"pictures": self.rows}

    def _final_scores(self, fuse: Callable | None) -> Float[np.ndarray, " n"]:
        scores = torch.tensor(self.scores, dtype=torch.float64)
        if fuse is None:
            return scores.numpy()
        # of the maps only the ends are needed, and kept
        ends = torch.tensor(self.ends, dtype=torch.float64)
        return fuse(ends[:, None], scores).numpy()

    def _replicas(
        self, scores: Float[np.ndarray, " n"], labels: np.ndarray
    ) -> Float[np.ndarray, "rounds_and_1 9"]:
        """Every figure with each picture once, then with its weights."""
        weights = np.stack([np.ones_like(labels), *np.stack(self.weights, axis=1)])
        hits = np.array([row["peak_hit"] for row in self.rows], float)  # NaN: there is no mask
        counted = weights * ~np.isnan(hits)
        share = counted @ np.nan_to_num(hits) / np.maximum(counted.sum(1), 1)
        images = [
            list(image_metrics(scores.repeat(often), labels.repeat(often)).values())
            for often in weights
        ]
        return np.column_stack([self.resampled.figures(), share, np.array(images, float)])


PLANES = ("mask", "inside")
