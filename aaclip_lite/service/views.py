"""Stage 1 on kept features: each picture is augmented in so many ways only, and what the frozen
image tower says of each view is computed once.
"""

import psutil
import torch
from torch import Tensor

from ..datasets import AnomalyDataset
from ..model import AdaptedCLIP


class KeptViews:
    """Features of augmented views, computed when a view first comes, kept in half precision."""

    def __init__(self, model: AdaptedCLIP, data: AnomalyDataset, views: int) -> None:
        recipe = model.recipe
        if views < 1 or recipe.dense_axis == "batch":
            raise ValueError(
                f"views = {views}, Recipe.dense_axis = {recipe.dense_axis!r}: features can be kept "
                "from one view on, and only where they do not depend on batch mates"
            )
        self.model = model
        self.kept: dict[tuple[int, int], Tensor] = {}
        self.used = slice(None) if recipe.stage1_levels == "all" else slice(-1, None)
        self._refuse_too_many(data, views)

    def _refuse_too_many(self, data: AnomalyDataset, views: int) -> None:
        clip = self.model.clip
        levels = len(self.model.depths.levels[self.used])
        needed = 2 * len(data) * views * levels * clip.grid**2 * clip.embed_dim
        free = psutil.virtual_memory().available
        if needed > 0.8 * free:
            raise ValueError(
                f"views = {views}: the features of {len(data)} pictures need {needed / 1e9:.1f} GB "
                f"of memory, {free / 1e9:.1f} are free; take fewer views or pictures "
                "(data.few_shot), or none"
            )

    def levels(self, batch: dict) -> tuple[Tensor, ...]:
        places = [(index, batch["view"]) for index in batch["index"]]
        if any(place not in self.kept for place in places):
            images = self.model.preprocess(batch["image"])
            computed = torch.stack(self.model.dense_features(images)[self.used], 1).half().cpu()
            self.kept |= zip(places, computed, strict=True)
        kept = torch.stack([self.kept[place] for place in places], 1)
        return kept.to(batch["image"].device).float().unbind()
