"""Area 7, the picture's own feature: the class token, attention, several levels."""

import torch
from torch import nn

from .plug import Plugged, idea


@idea("class token", area=7)
class ClassToken(Plugged):
    def pool(self, detection):
        return detection[:, 0]


@idea("attention over patches", area=7)
class AttentionPool(Plugged):
    """A learned score for each patch; it begins as the mean."""

    def __init__(self, clip, recipe):
        super().__init__(clip, recipe)
        judge = nn.Linear(clip.embed_dim, 1)
        nn.init.zeros_(judge.weight)
        self.extra["image"]["pool"] = judge

    def pool(self, detection):
        patches = detection[:, 1:]
        return (self.extra["image"]["pool"](patches).softmax(1) * patches).sum(1)


@idea("mean of all levels", area=7)
class AllLevels(Plugged):
    def forward(self, images, names=None):
        features = super().forward(images, names)
        means = [level.mean(1) for level in features.levels]
        return features._replace(detection=torch.stack([features.detection, *means]).mean(0))
