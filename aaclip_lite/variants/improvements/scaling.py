"""Area 8, the length that adapted tokens get: their own, LayerNorm's, a learned one."""

import torch
from torch import nn

from .plug import Plugged, idea


def share_of(model, tower: str) -> float:
    return model.recipe.text_mix if tower == "text" else model.recipe.image_mix


@idea("no rescaling", area=8)
class OwnLength(Plugged):
    def mixed(self, x, adapted, tower, place):
        return x.lerp(adapted, share_of(self, tower))


class _ByPlace(Plugged):
    """One part for each adapter of both towers."""

    def __init__(self, clip, recipe):
        super().__init__(clip, recipe)
        places = {"text": self.depths.text_blocks, "image": self.depths.image_blocks}
        widths = {"text": clip.text_width, "image": clip.vision_width}
        for stage, blocks in places.items():
            self.extra[stage]["scale"] = self.parts(widths[stage], len(blocks))


@idea("LayerNorm", area=8)
class Normed(_ByPlace):
    def parts(self, width, count):
        return nn.ModuleList(nn.LayerNorm(width) for _ in range(count))

    def mixed(self, x, adapted, tower, place):
        return x.lerp(self.extra[tower]["scale"][place](adapted), share_of(self, tower))


@idea("learned scale", area=8)
class LearnedScale(_ByPlace):
    """The token's length times a learned factor, which begins at 1."""

    def parts(self, width, count):
        return nn.ParameterList(torch.zeros(()) for _ in range(count))

    def mixed(self, x, adapted, tower, place):
        length = x.norm(dim=-1, keepdim=True) / adapted.norm(dim=-1, keepdim=True)
        factor = self.extra[tower]["scale"][place].exp()
        return x.lerp(factor * length * adapted, share_of(self, tower))
