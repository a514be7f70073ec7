"""Area 4, prompts: learned ones, ones that suit a class, and learning to learn them."""

import copy

import torch
import torch.nn.functional as F
from torch import nn

from ...train import endless, train
from .plug import Plugged, idea, two_stages


class _Shift(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.vector = nn.Parameter(torch.zeros(width))


@idea("soft prompt", area=4)
class SoftPrompt(Plugged):
    """One learned vector, added to every token of every sentence behind the first text block."""

    def __init__(self, clip, recipe):
        super().__init__(clip, recipe)
        self.extra["text"]["prompt"] = _Shift(clip.text_width)

    def after_block(self, tower):
        adapt = super().after_block(tower)
        if tower == "image":
            return adapt
        vector = self.extra["text"]["prompt"].vector
        return lambda index, x: adapt(index, x + vector if index == 0 else x)


@idea("sentences that suit the class", area=4)
class ClassSentences(Plugged):
    """For each class the half of the sentences about damage that frozen CLIP tells best from the
    sound ones.
    """

    @torch.no_grad()
    def _sentences(self, names):
        groups = super()._sentences(names)
        for name, state in list(groups):
            if state == "abnormal":
                said = groups[name, state]
                vectors = F.normalize(self.clip.encode_text(said), dim=-1)
                sound = self.clip.encode_text(groups[name, "normal"]).mean(0)
                order = (vectors @ F.normalize(sound, dim=-1)).argsort().tolist()
                groups[name, state] = [said[i] for i in sorted(order[: -(-len(said) // 2)])]
        return groups


def reptile(model, data, steps, seed, rounds: int = 5, rate: float = 0.5):
    """Stage 1 class by class: a few steps on some classes, then part of the way there."""
    rng = torch.Generator().manual_seed(seed)
    rounds = min(rounds, steps["text"])
    histories = []
    for number in range(rounds):
        before = copy.deepcopy({n: p.detach() for n, p in model.trainable("text").items()})
        chosen = torch.randperm(len(data.classes), generator=rng)[: len(data.classes) // 3]
        part = data.filter([data.classes[i] for i in chosen.tolist()])
        batches = endless(part, model.recipe, "text", seed + number)
        histories.append(train(model, batches, "text", steps["text"] // rounds))
        with torch.no_grad():
            for name, weight in model.trainable("text").items():
                weight.lerp_(before[name], 1 - rate)
    return histories + two_stages(model, data, {**steps, "text": 0}, seed)[1:]


idea("prompts learned to be learned", area=4, fit=reptile)(SoftPrompt)
