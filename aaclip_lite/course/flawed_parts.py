"""Parts of the factory for chapter 16: which kinds of defect each shows, boxes around them, and what
should happen to it.

Special: labels are multi-label. A part with two defects is put together from two drawings of the
same part: where the second differs from its sound drawing, its pixels are taken.
Use: `parts = gather("val", sound=4, single=9, double=3)`, then `parts.labels` (N, 10),
`parts.boxes`, `patch_tokens(model, parts.images)`.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from ..datasets import open_dataset
from ..detector import AnomalyDetector
from ..load import load_clip
from ..model import AdaptedCLIP
from ..variants import pixels
from ..variants.concepts import box_mask
from ..world import factory

CONCEPTS = (*factory.LOCAL_DEFECTS, "sound")
VERDICTS = ("pass", "rework", "reject")
SETS = {"train": "train", "val": "val_wild", "test": "test_wild"}  # one part a picture, no station
BROKEN = ("crack", "hole", "cut")  # material is parted: nothing mends it


@dataclass
class Parts:
    images: UInt8[Tensor, "n 3 side side"]
    labels: Float[Tensor, "n concepts"]  # in the order of CONCEPTS
    boxes: list[list[tuple]]  # a list a picture of (concept, x_min, y_min, x_max, y_max)
    masks: list[dict[int, np.ndarray]]  # {concept: (side, side)}, from which the boxes were taken
    verdicts: Tensor  # (n,) number in VERDICTS
    products: list[str]

    def __len__(self) -> int:
        return len(self.products)


def box_of_mask(mask: UInt8[np.ndarray, "h w"]) -> tuple[float, float, float, float]:
    """The smallest box (x_min, y_min, x_max, y_max) around a mask, in shares of the side."""
    box = Image.fromarray(mask).getbbox()
    if box is None:
        raise ValueError("the mask is empty: there is nothing to put a box around")
    height, width = mask.shape
    return tuple(edge / side for edge, side in zip(box, 2 * (width, height), strict=True))


def verdict(kinds: list[str]) -> int:
    """What happens to a part with these kinds of defect, as a number in VERDICTS."""
    if any(kind in BROKEN for kind in kinds):
        return 2
    return 1 if kinds else 0


def two_defects(product: str, first: str, second: str, seed: int, split: str) -> tuple | None:
    """(image, {kind: mask}) of one part with two defects, or None where this seed cannot show them.

    `things=0` draws one random number less before the place is chosen, so the second defect of the
    same part lies elsewhere.
    """
    try:
        one = factory.draw(product, seed, defect=first, split=split)
        if one.facts["things"]:
            return None
        other = factory.draw(product, seed, defect=second, split=split, things=0)
    except factory.NotShown:
        return None
    plain = factory.draw(product, seed, split=split, things=0)
    taken = (other.image != plain.image).any(-1)
    if (one.mask[taken] > 0).any():
        return None
    image = np.where(taken[..., None], other.image, one.image)
    return image, {first: one.mask, second: other.mask}


def _single(product: str, sound: int, single: int, data) -> list[tuple]:
    good, bad = (data.filter(product, labels=label) for label in (0, 1))
    by_kind: dict[str, list[int]] = {}
    for i in np.random.default_rng(0).permutation(len(bad)):
        by_kind.setdefault(bad.records[i].defect, []).append(i)
    turns = [i for turn in zip_longest(*by_kind.values()) for i in turn if i is not None]
    rows = [(good[i].image, {}) for i in range(min(sound, len(good)))]
    for sample in map(bad.__getitem__, turns[:single]):
        rows.append((sample.image, {sample.defect: sample.mask}))
    return rows


def _double(split: str, product: str, count: int) -> list[tuple]:
    kinds = factory.kinds_for(product)
    rng = np.random.default_rng(len(product))
    rows: list[tuple] = []
    for seed in range(50_000, 50_000 + 40 * count):
        first, second = rng.choice(kinds, 2, replace=False)
        part = two_defects(product, str(first), str(second), seed, f"{split}/double")
        if part is not None:
            rows.append(part)
        if len(rows) == count:
            return rows
    return rows


def gather(split: str, sound: int, single: int, double: int, products=None) -> Parts:
    """So many parts of every product of "train", "val" or "test", kinds of defect in turn."""
    data = open_dataset(f"factory/{SETS[split]}")
    rows, names = [], []
    for product in data.classes if products is None else products:
        drawn = _single(product, sound, single, data) + _double(split, product, double)
        rows += drawn
        names += [product] * len(drawn)
    labels = torch.zeros(len(rows), len(CONCEPTS))
    masks: list[dict[int, np.ndarray]] = []
    for row, (_, flaws) in enumerate(rows):
        masks.append({CONCEPTS.index(kind): mask for kind, mask in flaws.items()})
        labels[row, list(masks[-1]) or [CONCEPTS.index("sound")]] = 1
    boxes = [[(k, *box_of_mask(mask)) for k, mask in flaws.items()] for flaws in masks]
    images = torch.from_numpy(np.stack([image for image, _ in rows])).movedim(-1, 1)
    verdicts = torch.tensor([verdict(list(flaws)) for _, flaws in rows])
    return Parts(images, labels, boxes, masks, verdicts, names)


def detector_model() -> AdaptedCLIP:
    """The shipped adapted detector's model, reading at the size that it was trained at."""
    return AnomalyDetector.load("course", clip=load_clip("lite")).model


@torch.no_grad()
def patch_tokens(
    model: AdaptedCLIP, images: UInt8[Tensor, "n 3 side side"]
) -> Float[Tensor, "n width grid grid"]:
    """The adapted detector's patch tokens of all levels side by side, in half precision."""
    tokens = []
    for batch in images.split(32):
        levels = model(model.preprocess(batch)).levels
        joined = torch.cat([level * level.shape[-1] ** 0.5 for level in levels], -1).mT
        tokens.append(joined.unflatten(-1, (model.clip.grid, model.clip.grid)).half())
    return torch.cat(tokens)


class Whitening(NamedTuple):
    """The leading directions of training tokens, each with mean 0 and variance 1."""

    mean: Float[Tensor, " width"]
    matrix: Float[Tensor, "kept width"]

    @classmethod
    def fit(cls, tokens: Float[Tensor, "n width grid grid"], kept: int = 96) -> "Whitening":
        """From every second patch of at most 400 pictures, evenly spread."""
        chosen = tokens[:: max(1, len(tokens) // 400)].float()
        rows = chosen.flatten(2).mT.flatten(0, 1)[::2]
        values, vectors = torch.linalg.eigh(torch.cov(rows.mT))
        matrix = vectors.flip(1)[:, :kept] / values.flip(0)[:kept].sqrt()
        return cls(rows.mean(0), matrix.mT.contiguous())

    def __call__(self, tokens: Float[Tensor, "n width h w"]) -> Float[Tensor, "n kept h w"]:
        chunks = (chunk.float() - self.mean[:, None, None] for chunk in tokens.split(64))
        return torch.cat([torch.einsum("nchw,kc->nkhw", c, self.matrix).half() for c in chunks])


def prepared(
    model: AdaptedCLIP, sizes: Mapping[str, tuple[int, int, int]], folder: Path | None = None
) -> dict[str, tuple[Parts, Tensor]]:
    """{split: (parts, whitened tokens)} for {split: parts a product}; kept in `folder`, if given."""
    file = folder and folder / ("_".join(f"{s}{n}" for s in sizes for n in sizes[s]) + ".pt")
    if file and file.is_file():
        return torch.load(file, weights_only=False)
    parts = {split: gather(split, *numbers) for split, numbers in sizes.items()}
    raw = {split: patch_tokens(model, each.images) for split, each in parts.items()}
    whiten = Whitening.fit(raw["train"])
    splits = {split: (parts[split], whiten(raw[split])) for split in sizes}
    if file:
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(splits, file)
    return splits


def beside(splits: Mapping[str, tuple], net: pixels.PixelNet) -> dict[str, tuple[Parts, Tensor]]:
    """What `prepared` gives, with what `net` reads from the pixels beside the tokens."""
    images = {split: parts.images for split, (parts, _) in splits.items()}
    joined = pixels.beside({split: tokens for split, (_, tokens) in splits.items()}, images, net)
    return {split: (parts, joined[split]) for split, (parts, _) in splits.items()}


def check_boxes(boxes: list, labels: Float[Tensor, "n concepts"], grid: int) -> Counter:
    """How often each thing is wrong with boxes (concept, x_min, y_min, x_max, y_max)."""
    problems: Counter = Counter()
    for marked, label in zip(boxes, labels, strict=True):
        for concept, *box in marked or ():
            problems["outside the picture"] += min(box) < 0 or max(box) > 1
            problems["no area"] += box[2] <= box[0] or box[3] <= box[1]
            problems["vanishes on the grid"] += not box_mask(box, grid).any()
            problems["its concept is labelled absent"] += float(label[int(concept)]) != 1
    return +problems
