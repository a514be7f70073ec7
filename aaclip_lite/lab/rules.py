"""What knows less than the detector at a station, with and without references of the product.

Special: all give maps on the detector's own grid and by its own finish, so that what differs is what
they know: frozen or adapted patches alone, the mean picture, trivial rules.
Use: `Rules(detector).with_references(batch, known, "bottle")`; `lab.deciding --rules` judges them.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from .. import references, scoring
from ..detector import AnomalyDetector
from ..service.baselines import trivial_maps
from . import station_yardsticks


class Rules:
    """What knows less than the detector: rules that give maps of one product's pictures."""

    def __init__(self, detector: AnomalyDetector) -> None:
        self.detector = detector
        self.model = detector.model

    def tokens(self, images: Float[Tensor, "B 3 H W"]) -> list[Float[Tensor, "B 1+N D"]]:
        return self.model.clip.image_tokens(self.model.preprocess(images), self.model.depths.levels)

    def frozen(self, images: Float[Tensor, "B 3 H W"]) -> list[Float[Tensor, "B N d"]]:
        """The backbone's own patches, in the joint space."""
        head = self.model.clip.visual_head
        return [F.normalize(head(level[:, 1:]), dim=-1) for level in self.tokens(images)]

    def adapted(self, images: Float[Tensor, "B 3 H W"]) -> tuple[Float[Tensor, "B N d"], ...]:
        return self.detector.features(images, "object").levels

    def finish(self, grid: Float[Tensor, "B 1 h w"], batch: dict) -> Float[Tensor, "B H W"]:
        size = batch["image"].shape[-2:]
        return scoring.finish(grid, size, self.detector.domain, **self.model.recipe.finish)

    def without_references(self, batch: dict) -> Iterator[tuple[str, Float[Tensor, "B H W"]]]:
        for name, (maps, _) in trivial_maps(batch).items():
            yield name.replace("_", " "), maps

    def with_references(
        self, batch: dict, known: Float[Tensor, "n 3 H W"], name: str
    ) -> Iterator[tuple[str, Float[Tensor, "B H W"]]]:
        turns = station_yardsticks.turns_of(name, known)
        yield "mean picture", station_yardsticks.mean_difference(known, batch["image"], turns)
        for rule, levels in (("frozen", self.frozen), ("adapted", self.adapted)):
            bank, _ = references.make_bank(levels(known))
            grids = [references.distances(levels(x), bank) for x in batch["image"].split(16)]
            yield f"nearest {rule} patch alone", self.finish(torch.cat(grids), batch)
