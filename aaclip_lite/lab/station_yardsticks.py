"""How far memory alone goes on the inspection stations: two yardsticks that use the references.

A station's parts share design, ground and light, so two rules without any understanding may do
well: the difference from the mean of the registered references, and the distance of each patch
from the nearest patch of the references (raw pixels, or features of a network with random weights).
Beside them: the trivial rules, the shipped detector, and its patches used as such a memory. The
table says per product how well each does, so that nobody takes a memory for an understanding.

    python -m aaclip_lite.lab.station_yardsticks --sets val test --out data/clinic/stations.json
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from scipy import ndimage
from torch import Tensor

from .. import metrics, scoring
from ..datasets import AnomalyDataset, open_dataset
from ..detector import AnomalyDetector
from ..service.baselines import trivial_maps

Images = Float[Tensor, "B 3 H W"]
Maps = Float[Tensor, "B H W"]
BANK = 6000  # patches of the references that are kept, at random: all would cost minutes a product
FIGURES = ("pixel_auroc", "inside_auroc", "peak_hit", "image_auroc")


# -- the difference from the mean reference --------------------------------------------------------


def _turned(image: np.ndarray, angle: float) -> np.ndarray:
    """image (H, W, 3), turned about its middle; the rim is continued."""
    return ndimage.rotate(image, angle, (0, 1), reshape=False, order=1, mode="nearest")


def _shift_and_fit(fixed: np.ndarray, moving: np.ndarray) -> tuple[tuple[int, int], float]:
    """The whole-pixel shift of `moving` (H, W) that agrees best with `fixed`, and how well."""
    spectrum = np.fft.rfft2(fixed - fixed.mean()) * np.conj(np.fft.rfft2(moving - moving.mean()))
    agreement = np.fft.irfft2(spectrum, fixed.shape)
    reach = len(fixed) // 8  # a part lies nearly in its place
    rows = cols = [*range(reach + 1), *range(-reach, 0)]
    near = agreement[np.ix_(rows, cols)]
    row, col = np.unravel_index(int(near.argmax()), near.shape)
    return (rows[row], cols[col]), float(near.max())


class Registration:
    """Finds the turn and shift that bring a template onto a picture, at a quarter of the size."""

    def __init__(self, template: np.ndarray, turns: np.ndarray):
        self.template, self.turns = template, turns
        self.small = [self._small(_turned(template, angle)) for angle in turns]

    @staticmethod
    def _small(image: np.ndarray) -> np.ndarray:
        return image.mean(-1).reshape(len(image) // 4, 4, -1, 4).mean((1, 3))

    def onto(self, picture: np.ndarray, template: np.ndarray | None = None) -> np.ndarray:
        """The template (or another picture in its pose) as it lies in `picture` (H, W, 3)."""
        seen = self._small(picture)
        fits = [_shift_and_fit(seen, small) for small in self.small]
        best = int(np.argmax([fit for _, fit in fits]))
        turned = _turned(self.template if template is None else template, self.turns[best])
        coarse = tuple(4 * step for step in fits[best][0])
        turned = ndimage.shift(turned, (*coarse, 0), order=1, mode="nearest")
        (rows, columns), _ = _shift_and_fit(picture.mean(-1), turned.mean(-1))
        return ndimage.shift(turned, (rows, columns, 0), order=1, mode="nearest")


def mean_difference(references: Images, images: Images, turns: np.ndarray) -> Maps:
    """Largest channel's difference from the mean of the registered references."""
    known, given = (x.permute(0, 2, 3, 1).numpy() for x in (references, images))
    back = [Registration(each, turns).onto(known[0]) for each in known]
    template = Registration(np.mean(back, 0), turns)
    maps = []
    for picture in given:
        change = np.abs(picture - template.onto(picture)).max(-1)
        maps.append(ndimage.gaussian_filter(change, 2))
    return torch.from_numpy(np.stack(maps))


# -- the distance from the nearest patch -----------------------------------------------------------


def nearest_patch(
    references: Images, images: Images, features: Callable[[Images], Float[Tensor, "B d h w"]]
) -> Maps:
    """Distance of each patch from the nearest one of the references, enlarged to the picture."""
    bank = features(references).flatten(2).transpose(1, 2).flatten(0, 1)
    some = torch.randperm(len(bank), generator=torch.Generator().manual_seed(0))
    bank = bank[some[:BANK]]
    maps = []
    for image in images.split(1):
        grid = features(image)
        patches = grid.flatten(2)[0].T
        nearest = torch.cdist(patches, bank).amin(1)
        maps.append(nearest.view(1, 1, *grid.shape[-2:]))
    maps = torch.cat(maps)
    return F.interpolate(maps, images.shape[-2:], mode="bilinear", align_corners=False)[:, 0]


def raw_patches(images: Images) -> Float[Tensor, "B d h w"]:
    """8 x 8 pixels around every fourth pixel, as they are."""
    side = images.shape[-1] // 4 - 1
    return F.unfold(images, 8, stride=4).unflatten(2, (side, side))


def random_features(seed: int = 0, width: int = 64) -> Callable[[Images], Tensor]:
    """Two layers of convolutions with random weights."""
    random = torch.Generator().manual_seed(seed)
    first = torch.randn(width, 3, 5, 5, generator=random) / 75**0.5
    second = torch.randn(width, width, 5, 5, generator=random) / (25 * width) ** 0.5

    def features(images: Images) -> Tensor:
        x = F.relu(F.conv2d(images - 0.5, first, stride=2, padding=2))
        return F.avg_pool2d(F.relu(F.conv2d(x, second, stride=2, padding=2)), 3, 1, 1)

    return features


def model_patches(detector: AnomalyDetector) -> Callable[[Images], Tensor]:
    """The adapted patch tokens of all levels, each of length 1."""

    def features(images: Images) -> Tensor:
        with torch.no_grad():
            levels = detector.model(detector.model.preprocess(images)).levels
        tokens = torch.cat([F.normalize(level.float(), dim=-1) for level in levels], -1)
        side = round(tokens.shape[1] ** 0.5)
        return tokens.transpose(1, 2).unflatten(2, (side, side))

    return features


# -- one product -----------------------------------------------------------------------------------


def _pictures(data: AnomalyDataset, name: str, every: int = 1) -> dict[str, Tensor]:
    parts = list(data.filter(name).batches(64))
    return {
        key: torch.cat([part[key] for part in parts])[::every]
        for key in ("image", "mask", "inside", "label")
    }


def turns_of(name: str, references: Images) -> np.ndarray:
    """Angles to try: all round where the references disagree with their first when not turned."""
    known = references.permute(0, 2, 3, 1).numpy()
    few = np.arange(-9, 10, 3.0)
    every = np.arange(0, 360, 6.0)
    errors = []
    for turns in (few, every):
        template = Registration(known[0], turns)
        errors.append(np.mean([np.abs(each - template.onto(each)).mean() for each in known[1:7]]))
    return every if errors[1] < 0.9 * errors[0] else few


def measure(
    name: str, references: Images, part: dict[str, Tensor], detector: AnomalyDetector
) -> dict[str, dict[str, float]]:
    """{rule: figures} of one product at its station."""
    images = part["image"]
    maps = {rule: heat for rule, (heat, *_) in trivial_maps(part).items()}
    turns = turns_of(name, references)
    maps["mean reference"] = mean_difference(references, images, turns)
    kinds = {
        "raw patches": raw_patches,
        "random features": random_features(),
        "adapted patches": model_patches(detector),
    }
    for rule, features in kinds.items():
        maps[f"nearest of {rule}"] = nearest_patch(references, images, features)
    found = [
        detector.measure(some, detector.anchor(name).expand(len(some), -1, -1))
        for some in images.split(16)
    ]
    maps["detector"] = torch.cat([heat for heat, _ in found])
    label = part["label"].numpy()
    mask, inside = part["mask"][:, 0].numpy(), part["inside"][:, 0].numpy()
    rows = {}
    for rule, heat in maps.items():
        score = scoring.top_fraction(heat).numpy()
        if rule == "detector":
            score = torch.cat([score for _, score in found]).numpy()
        figures = metrics.evaluate(score, label, heat.numpy(), mask, inside, binned=True)
        rows[rule] = {key: round(float(figures[key]), 4) for key in FIGURES}
    return rows


def mean(products: dict[str, dict]) -> dict[str, dict[str, float]]:
    """The mean over the products, rule by rule."""
    rules = next(iter(products.values()))
    return {
        rule: {
            key: round(float(np.mean([rows[rule][key] for rows in products.values()])), 4)
            for key in FIGURES
        }
        for rule in rules
    }


def table(products: dict[str, dict], figure: str) -> str:
    """One figure: a row for each rule's mean, then one for each product."""
    rules = list(next(iter(products.values())))
    lines = ["| product | " + " | ".join(rules) + " |", "| --- |" + " ---: |" * len(rules)]
    for name, rows in {**products, "mean": mean(products)}.items():
        cells = " | ".join(f"{rows[rule][figure]:.3f}" for rule in rules)
        lines.append(f"| {name.replace('_', ' ')} | {cells} |")
    return "\n".join(lines)


def card(results: dict[str, dict]) -> str:
    """The tables of all sets, as Markdown."""
    parts = [
        "# How far memory alone goes on the stations\n\nMade by `python -m "
        "aaclip_lite.lab.station_yardsticks`, one thread of a two-core cloud CPU. Rules from `mean "
        "reference` on see the 20 references of the product; the others and the shipped detector "
        "see none. All figures, also inside the object and peak on the defect, are in "
        "`stations.json`.\n\n![The stations](../sheets/stations.png)"
    ]
    for split, result in results.items():
        parts.append(f"## factory/{split}\n\n{result['pictures']}.")
        for figure in ("pixel_auroc", "image_auroc"):
            parts.append(f"{figure.replace('_', ' ')}\n\n{table(result['products'], figure)}")
    return "\n\n".join(parts) + "\n"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", default=["val", "test"])
    parser.add_argument("--out", type=Path, default=Path("data/clinic/stations.json"))
    parser.add_argument("--every", type=int, default=1, help="judge every n-th picture only")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    detector, results = AnomalyDetector.load("course"), {}
    for split in options.sets:
        began = time.process_time()
        known = open_dataset(f"factory/{split}", split="train")
        data = open_dataset(f"factory/{split}")
        products = {}
        for name in data.classes:
            references = _pictures(known, name)["image"]
            products[name] = measure(
                name, references, _pictures(data, name, options.every), detector
            )
        results[split] = {
            "mean": mean(products),
            "products": products,
            "cpu_seconds": round(time.process_time() - began),
        }
        print(
            f"factory/{split}\n{table(products, 'pixel_auroc')}\n{table(products, 'image_auroc')}"
        )
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(results, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
