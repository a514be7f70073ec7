"""Area 9, other adapters: beside the block, of low rank, with a view of the neighbours."""

import torch.nn.functional as F
from torch import nn

from .plug import Plugged, idea


class _Residual(nn.Module):
    """x + last(act(first(x))), last starting at zero, so that an adapter disturbs nothing at first."""

    def __init__(self, first: nn.Module, last: nn.Module) -> None:
        super().__init__()
        self.first = first
        self.last = last
        for parameter in last.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x):
        return x + self.last(F.leaky_relu(self.first(x), 0.2))


class _Neighbours(nn.Module):
    """A 3 x 3 convolution over the grid of patches, channel by channel; the class token has none."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(width, width, 3, padding=1, groups=width)

    def forward(self, x):
        side = round((x.shape[1] - 1) ** 0.5)
        grid = x[:, 1:].mT.unflatten(2, (side, side))
        seen = self.convolution(grid).flatten(2).mT
        return F.pad(seen, (0, 0, 1, 0))


class _Replaced(Plugged):
    def __init__(self, clip, recipe):
        super().__init__(clip, recipe)
        width = clip.vision_width
        made = [self.adapter(width) for _ in self.depths.image_blocks]
        self.image_adapter["layer_adapters"] = nn.ModuleList(made)


@idea("low rank", area=9)
class LowRank(_Replaced):
    """Down to 8 numbers and up again."""

    def adapter(self, width):
        return _Residual(nn.Linear(width, 8), nn.Linear(8, width))


@idea("convolution", area=9)
class Convolution(_Replaced):
    def adapter(self, width):
        return _Residual(_Neighbours(width), nn.Linear(width, width))


@idea("beside the block", area=9)
class Parallel(Plugged):
    """An image adapter sees what its block saw, not what the block made of it."""

    def after_block(self, tower):
        if tower == "text":
            return super().after_block(tower)
        adapters = self.image_adapter["layer_adapters"]
        places = {number - 1: place for place, number in enumerate(self.depths.image_blocks)}
        before = {}

        def adapt(index, x):
            seen = before.get(index - 1, x)  # the first block's own input is not handed out
            if index in places:
                x = self.mixed(x, adapters[places[index]](seen), tower, places[index])
            before[index] = x
            return x

        return adapt
