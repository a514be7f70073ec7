"""Class after class through whatever gives maps and scores, into running figures of each: what
`evaluate` keeps instead of the maps.

Special: intervals are a Poisson bootstrap: beside the figures run `rounds` more, in which every
picture counts 0, 1, 2 ... times. They live in a coarse histogram, so 1,000 pictures need the memory
of 100. Where torch.distributed is up, each process takes its share of the classes and all get the
whole. `data`: an AnomalyDataset.
Use: `Ruler(sources, None, device, options).judge_all(data)`, as `evaluation.evaluate` does.
"""

import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, distributed
from tqdm.auto import tqdm

from .curves import Undefined
from .figures import PIXEL_NAMES, PixelHistogram, image_metrics, pixel_metrics
from .forms import refuse_endless

PLANES = ("mask", "inside")


class Ruler(NamedTuple):
    """What every class is judged by."""

    sources: list[Callable]  # batch -> {label: (maps, scores)}
    fuse: Callable | None  # of a published score, which looks at all pictures of a class
    device: torch.device
    options: Any  # rounds, batch_size, seed, progress

    def judge_all(self, data) -> dict[str, dict]:
        """Each process its share of the classes; all get all results."""
        results = {}
        rank, world = _processes()
        hidden = not self.options.progress or rank > 0
        with tqdm(total=len(data), desc="evaluating", unit="picture", disable=hidden) as bar:
            for name in data.classes[rank::world]:
                results[name] = self.judge(name, data, bar)
        shares = [results] * world
        if world > 1:
            distributed.all_gather_object(shares, results)
        everyones = {name: result for share in shares for name, result in share.items()}
        return {name: everyones[name] for name in data.classes}

    def judge(self, name: str, data, bar: tqdm) -> dict[str, dict]:
        """{source of maps ("" for what is judged): its results} on one class."""
        tallies: dict[str, Tally] = {}
        indices = [i for i, record in enumerate(data.records) if record.class_name == name]
        part = data.view(data.records[i] for i in indices)
        for batch in part.batches(self.options.batch_size, device=self.device):
            batch["index"] = [indices[i] for i in batch["index"]]
            batch["records"] = [data.records[i] for i in batch["index"]]
            for source in self.sources:
                with torch.no_grad():
                    judged = source(batch)
                for label, (maps, scores) in judged.items():
                    if label not in tallies:
                        rounds = 0 if label else self.options.rounds
                        tallies[label] = Tally(rounds, name, self.options.seed)
                    refuse_endless(maps, scores, [record.image for record in batch["records"]])
                    tallies[label].update(maps, scores, batch)
            bar.update(len(batch["index"]))
        return {
            label: tally.result(None if label else self.fuse) for label, tally in tallies.items()
        }


def _processes() -> tuple[int, int]:
    """(this one's number, how many)"""
    up = distributed.is_available() and distributed.is_initialized()
    return (distributed.get_rank(), distributed.get_world_size()) if up else (0, 1)


class Tally:
    """All of one class from one source of maps; with rounds = 0 no intervals, no kinds, no rows of
    pictures.
    """

    def __init__(self, rounds: int, name: str, seed: int) -> None:
        self.rounds = rounds
        self.pixels = PixelHistogram()
        self.resampled = PixelHistogram(512, rounds)
        self.kinds: dict[str, PixelHistogram] = {}
        # the same in however many processes
        self.generator = np.random.default_rng([seed, zlib.crc32(name.encode())])
        self.scores: list[float] = []
        self.ends: list[list[float]] = []  # lowest and highest value of each map
        self.labels: list[int] = []
        self.weights: list[np.ndarray] = []
        self.rows: list[dict] = []

    def update(
        self, maps: Float[Tensor, "B H W"], scores: Float[Tensor, " B"], batch: dict
    ) -> None:
        """batch: of AnomalyDataset.batches, with the "records" of its pictures."""
        flat = maps.flatten(1)
        self.ends += torch.stack([flat.amin(1), flat.amax(1)], dim=1).double().tolist()
        self.scores += scores.double().tolist()
        self.labels += batch["label"].tolist()
        values = maps.float().cpu().numpy()
        planes = [batch[name][:, 0].cpu().numpy() > 0 if name in batch else None for name in PLANES]
        if planes[0] is not None:
            self.pixels.update(values, *planes)
        for i in range(len(maps) if self.rounds else 0):
            self.weights.append(self.generator.poisson(1.0, self.rounds))
            one = tuple(None if plane is None else plane[i : i + 1] for plane in (values, *planes))
            record = batch["records"][i]
            self.rows.append(
                self._one(one, record.defect)
                | {"label": record.label, "score": float(scores[i]), "index": batch["index"][i]}
                | {"path": record.image, "class_name": record.class_name, "defect": record.defect}
            )

    def _one(self, one: tuple[np.ndarray, ...], defect: str) -> dict:
        """The figures of a single picture; its pixels go into all that is counted by picture."""
        row = {"pixel_ap": None, "peak_hit": None}
        mask = one[1]
        if mask is None:
            return row
        self.resampled.update(*one, weights=self.weights[-1:])
        if not mask.any():
            return row
        self.kinds.setdefault(defect, PixelHistogram(1 << 12)).update(*one)
        figures = pixel_metrics(*one)
        return {name: figures[name] for name in row}

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
        result["pictures"] = [
            row | {"score": score} for row, score in zip(self.rows, scores.tolist(), strict=True)
        ]
        result["replicas"] = self._replicas(scores, labels)
        result["kinds"] = {}
        defects = np.array([row["defect"] for row in self.rows])
        for defect in sorted({*defects.tolist()} - {""}):
            chosen = (labels == 0) | (defects == defect)
            known = self.kinds.get(defect)
            images = image_metrics(scores[chosen], labels[chosen])
            result["kinds"][defect] = (known.result() if known else undefined) | images
        return result

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
        return np.column_stack([self.resampled.replicas(), share, np.array(images, float)])
