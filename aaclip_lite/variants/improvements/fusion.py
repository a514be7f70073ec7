"""Area 5, levels: learned weights, attention over levels, a choice by picture."""

import torch
from torch import nn

from .plug import Plugged, idea


class Weighed(Plugged):
    """Levels are unit vectors; made longer or shorter, they weigh more or less in the sum of maps."""

    def __init__(self, clip, recipe):
        super().__init__(clip, recipe)
        self.extra["image"]["levels"] = self.judge(clip.embed_dim, len(self.depths.levels))

    def judge(self, width, levels):
        judge = nn.Linear(width, 1)
        nn.init.zeros_(judge.weight)
        nn.init.zeros_(judge.bias)
        return judge

    def scores(self, levels):
        """(levels, B, N or 1, 1) -> relative weights before the softmax."""
        return torch.stack([self.extra["image"]["levels"](level) for level in levels])

    def fuse(self, levels):
        weights = len(levels) * self.scores(levels).softmax(0)
        return tuple(weight * level for weight, level in zip(weights, levels, strict=True))


class _Constants(nn.Module):
    def __init__(self, levels: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(levels))


@idea("learned weights of levels", area=5)
class LevelWeights(Weighed):
    def judge(self, width, levels):
        return _Constants(levels)

    def scores(self, levels):
        return self.extra["image"]["levels"].weights.view(-1, 1, 1, 1)


@idea("attention over levels", area=5)
class LevelAttention(Weighed):
    """Each patch chooses for itself."""


@idea("levels chosen by picture", area=5)
class PictureLevels(Weighed):
    def scores(self, levels):
        return super().scores([level.mean(1, keepdim=True) for level in levels])
