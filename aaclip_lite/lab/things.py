"""Neutral things (a red dot, a metal screw, a dark seam) found by their own phrase.

Special: what pretraining taught the patches is measured where it must hold, inside the object, for
every level; things thinner than a patch and things hardly visible are counted apart.
Use: `things(clip, levels=(2, 4, 6, 8))`.
"""

import numpy as np
import torch

from .. import metrics
from ..clip import FrozenCLIP
from ..course.phrases import enlarged, patch_heat
from ..world import factory
from ..world.products import PRODUCTS


def batches(images: list[np.ndarray], clip: FrozenCLIP, size: int = 64):
    for i in range(0, len(images), size):
        pixels = torch.from_numpy(np.stack(images[i : i + size])).permute(0, 3, 1, 2)
        yield clip.preprocess(pixels.to(clip.text_projection.device))


def auroc(heat: np.ndarray, held: np.ndarray) -> float:
    return metrics.image_metrics(heat, held.astype(int))["image_auroc"]


def things(
    clip: FrozenCLIP, levels: tuple[int, ...], count: int = 150, size: int = 128
) -> dict[str, float]:
    """AUROC of patch x own phrase inside the object, for neutral things on held-out pictures, at
    every level.

    A patch holds a thing that covers a fifth of it, as in pretraining, or half as much as of the
    patch it covers most (a hair covers little anywhere). "pixels": the last level's map, enlarged,
    against the thing's pixels, where a thing much thinner than a patch can't reach 1. "faint"
    things change their place by less than what a defect must (factory.VISIBLE); they are counted
    apart.
    """
    found: dict[str, list[float]] = {f"level_{level}": [] for level in levels}
    found |= {"pixels": [], "faint": []}
    rng = np.random.default_rng(1)
    names = list(PRODUCTS)
    for i in range(count):
        name = str(rng.choice(names))
        picture = factory.draw(name, i, size, things=2, split="heldout-things", regions=True)
        bare = factory.draw(name, i, size, things=0, split="heldout-things").image.astype(int)
        change = np.abs(picture.image - bare).max(-1) / 255
        for phrase in dict(picture.facts["things"]):  # two things alike are one place to find
            for key, value in _one_thing(clip, levels, picture, phrase, change):
                found[key].append(value)
    return {name: round(float(np.mean(values)), 4) for name, values in found.items() if values}


def _one_thing(clip: FrozenCLIP, levels: tuple[int, ...], picture, phrase: str, change: np.ndarray):
    """(key of `things`, AUROC) for one phrase of a picture."""
    size = len(change)
    patch = size // clip.grid
    inside = picture.inside > 0
    shown = [mask for said, mask in picture.regions if said == phrase]
    mask = np.any(shown or [inside & False], axis=0)
    if not mask[inside].any():
        return

    def share(mask: np.ndarray) -> np.ndarray:
        return mask.reshape(clip.grid, patch, clip.grid, patch).mean((1, 3))

    cover = share(mask)
    visible = change[mask].mean() >= factory.VISIBLE
    held = cover >= min(0.2, cover.max() / 2)
    known = held | (share(inside) > 0.5)
    for level in levels if visible else levels[-1:]:
        heat = patch_heat(clip, picture.image, phrase, level)
        key = f"level_{level}" if visible else "faint"
        yield key, auroc(heat.cpu().numpy()[known], held[known])
    if visible:
        yield "pixels", auroc(enlarged(heat, (size, size))[inside], mask[inside])
