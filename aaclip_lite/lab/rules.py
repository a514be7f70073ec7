"""What knows less than the detector at a station, with and without references of the product.

Special: all give maps on the detector's own grid and by its own finish, so that what differs is what
they know: patches of random, frozen or adapted features alone (references read once, or moved as the
detector does), the mean picture, a linear probe, trivial rules.
Use: `Rules(detector).with_references(batch, known)`; `lab.deciding --rules` judges them.
"""

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from .. import references, scoring
from ..datasets import open_dataset
from ..detector import AnomalyDetector
from ..service.baselines import frozen_maps, trivial_maps
from . import registration


class Rules:
    """What knows less than the detector: rules that give maps of one product's pictures."""

    def __init__(self, detector: AnomalyDetector) -> None:
        self.detector = detector
        self.model = detector.model
        self.blind = frozen_maps(self.model, detector.domain, open_dataset("factory/train"))

    def frozen(self, x: Float[Tensor, "B 3 S S"]) -> list[Float[Tensor, "B N d"]]:
        """The backbone's own patches, in the joint space."""
        clip = self.model.clip
        tokens = clip.image_tokens(x, self.model.depths.levels)
        return [F.normalize(clip.visual_head(level[:, 1:]), dim=-1) for level in tokens]

    def adapted(self, x: Float[Tensor, "B 3 S S"]) -> tuple[Float[Tensor, "B N d"], ...]:
        return self.model(x, ["object"] * len(x)).levels

    def random(self, x: Float[Tensor, "B 3 S S"]) -> tuple[Float[Tensor, "B N d"]]:
        """Two layers of convolutions with random weights, averaged on the grid of patches."""
        chance = torch.Generator().manual_seed(0)
        for _ in range(2):
            weights = torch.randn(64, x.shape[1], 5, 5, generator=chance)
            x = F.relu(F.conv2d(x, weights / weights[0].numel() ** 0.5, stride=2, padding=2))
        grid = F.adaptive_avg_pool2d(x, self.model.clip.grid)
        return (grid.flatten(2).transpose(1, 2),)

    def nearest(
        self, levels: Callable, pictures: Float[Tensor, "B 3 S S"], known: Tensor, readings: int
    ) -> Float[Tensor, "B 1 h w"]:
        """Distance from the nearest patch of the known pictures, each read once or oftener."""
        steps = references.steps(len(known), readings)
        patch = self.model.clip.patch
        read = (levels(references.moved(one, patch, steps)) for one in known.split(1))
        bank, _ = references.make_bank([references.patches_of(one) for one in read])
        return torch.cat([references.distances(levels(x), bank) for x in pictures.split(16)])

    def finish(self, grid: Float[Tensor, "B 1 h w"], batch: dict) -> Float[Tensor, "B H W"]:
        size = batch["image"].shape[-2:]
        return scoring.finish(grid, size, self.detector.domain, **self.model.recipe.finish)

    def without_references(self, batch: dict) -> Iterator[tuple[str, Float[Tensor, "B H W"]]]:
        for name, (maps, _) in (trivial_maps(batch) | self.blind(batch)).items():
            yield name.replace("_", " "), maps

    def with_references(
        self, batch: dict, known: Float[Tensor, "n 3 H W"]
    ) -> Iterator[tuple[str, Float[Tensor, "B H W"]]]:
        turns = registration.turns_of(known)
        yield "mean picture", registration.mean_difference(known, batch["image"], turns)
        pictures = self.model.preprocess(batch["image"])
        known = self.model.preprocess(known)
        kinds = {"random": self.random, "frozen": self.frozen, "adapted": self.adapted}
        for rule, levels in kinds.items():
            for how, readings in ((" alone", 1), (" alone, read moved", references.READINGS)):
                grid = self.nearest(levels, pictures, known, readings)
                yield f"nearest {rule} patch{how}", self.finish(grid, batch)
