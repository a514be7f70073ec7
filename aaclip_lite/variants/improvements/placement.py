"""Area 3, where adapters stand: early, late, every other, the most important, gated, routed."""

import torch
from torch import nn

from ... import losses
from ...model import AdaptedCLIP
from ...train import endless, step
from .plug import Plugged, idea, two_stages


def placed(share):
    def build(clip, recipe):
        last = recipe.resolve(clip.vision_blocks, clip.text_blocks_count).levels[-1]
        return AdaptedCLIP(clip, recipe.replace(image_blocks=tuple(share(range(1, last + 1)))))

    return build


idea("early half", area=3)(placed(lambda blocks: blocks[: len(blocks) // 2]))
idea("late half", area=3)(placed(lambda blocks: blocks[len(blocks) // 2 :]))
idea("every other", area=3)(placed(lambda blocks: blocks[::2]))


def pruned(model, data, steps, seed):
    """Half the steps with all adapters; the half that matters least is switched off; the rest."""
    first = {stage: count // 2 for stage, count in steps.items()}
    histories = two_stages(model, data, first, seed)
    by_rise = rises(model, data, seed)
    model.off = set(sorted(by_rise, key=by_rise.get)[: len(by_rise) // 2])
    rest = {stage: count - first[stage] for stage, count in steps.items()}
    return histories + two_stages(model, data, rest, seed + 1)


@torch.no_grad()
def rises(model, data, seed: int) -> dict[int, float]:
    """By how much the loss of two batches rises without each of the image adapters."""
    loss = loss_of_two_batches(model, data, seed)
    risen = {}
    for place in (None, *range(len(model.depths.image_blocks))):
        model.off = {place}
        risen[place] = loss()
    model.off = set()
    return {place: risen[place] - risen[None] for place in risen if place is not None}


def loss_of_two_batches(model, data, seed: int):
    """A function: the loss of the same two batches, with the model as it then is."""
    kept = [b for b, _ in zip(endless(data, model.recipe, "image", seed), range(2), strict=False)]
    anchors = model.text_anchors(data.classes)
    return lambda: sum(float(losses.total(step(model, b, anchors, "image"))) for b in kept)


@idea("most important half", area=3, fit=pruned)
class Pruned(Plugged):
    def __init__(self, clip, recipe):
        super().__init__(clip, recipe)
        self.off: set[int] = set()

    def mixed(self, x, adapted, tower, place):
        off = tower == "image" and place in self.off
        return x if off else super().mixed(x, adapted, tower, place)


@idea("gated", area=3)
class Gated(Plugged):
    """A learned share for each image adapter; it begins at the recipe's."""

    def __init__(self, clip, recipe):
        super().__init__(clip, recipe)
        gates = nn.ParameterList(torch.zeros(()) for _ in self.depths.image_blocks)
        self.extra["image"]["gates"] = gates

    def gate(self, x, place):
        return 2 * self.extra["image"]["gates"][place].sigmoid()

    def mixed(self, x, adapted, tower, place):
        joined = super().mixed(x, adapted, tower, place)
        return joined if tower == "text" else x + self.gate(x, place) * (joined - x)


@idea("routed by picture", area=3)
class Routed(Gated):
    """The share follows from the picture's class token: routing in its simplest form."""

    def __init__(self, clip, recipe):
        super().__init__(clip, recipe)
        routes = [nn.Linear(clip.vision_width, 1) for _ in self.depths.image_blocks]
        for route in routes:
            nn.init.zeros_(route.weight)
            nn.init.zeros_(route.bias)
        self.extra["image"]["gates"] = nn.ModuleList(routes)

    def gate(self, x, place):
        return 2 * self.extra["image"]["gates"][place](x[:, :1]).sigmoid()
