"""Area 1, the multi-scale loss: which scales of the map the loss looks at."""

import torch.nn.functional as F

from ... import losses
from ...model import AdaptedCLIP
from .plug import Plugged, idea


@idea("last level only (the bug)", area=1)
def last_level(clip, recipe):
    """What S1 calls a bug: of stage 1's levels only the last one's loss is kept."""
    return AdaptedCLIP(clip, recipe.replace(stage1_levels="last"))


@idea("loss on coarse maps too", area=1)
class CoarseToo(Plugged):
    """Each level's patches are also averaged two by two, and that map is judged as well."""

    def loss_parts(self, stage, features, anchors, batch):
        parts = super().loss_parts(stage, features, anchors, batch)
        levels = features if stage == "text" else features.levels
        coarse = [halved(level) for level in levels]
        judged = losses.levels_segmentation(coarse, anchors, batch["mask"], self.recipe)
        return parts | {"coarse": 0.5 * judged, "segmentation": 0.5 * parts["segmentation"]}


def halved(level):
    """(B, N, d) of a grid with an even side -> (B, N / 4, d), unit vectors."""
    side = round(level.shape[1] ** 0.5)
    grid = level.mT.unflatten(2, (side, side))
    return F.normalize(F.avg_pool2d(grid, 2).flatten(2).mT, dim=-1)
