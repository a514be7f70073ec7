"""What every idea of the improvement lab is: how its model is built, and how it is trained.

Special: an idea changes the method at its seams, or trains it otherwise, and nothing else; each has
the steps of the recipe that it is tried against. A new one is a function that builds a model:

    @idea("class token", area=7)
    class ClassToken(Plugged):
        def pool(self, detection):
            return detection[:, 0]

    model = IDEAS["class token"].build(clip, recipe)
    IDEAS["class token"].fit(model, data, {"text": 20, "image": 30}, seed=0)
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from torch import nn

from ...clip import FrozenCLIP
from ...datasets import AnomalyDataset
from ...model import STAGES, AdaptedCLIP
from ...recipe import Recipe
from ...train import History, endless, train

Steps = Mapping[str, int]  # by stage


class Plugged(AdaptedCLIP):
    """The method with further trained parts, by stage: self.extra["image"]["gate"] = ..."""

    def __init__(self, clip: FrozenCLIP, recipe: Recipe | None = None) -> None:
        super().__init__(clip, recipe)
        self.extra = nn.ModuleDict({stage: nn.ModuleDict() for stage in STAGES})

    def trainable(self, stage: str) -> dict[str, nn.Parameter]:
        extra = self.extra[stage].named_parameters()
        return super().trainable(stage) | {f"extra.{stage}.{name}": p for name, p in extra}


def two_stages(model: AdaptedCLIP, data: AnomalyDataset, steps: Steps, seed: int) -> list[History]:
    """The method's own training, plainly: stage 1, then stage 2 against its anchors."""
    text = train(model, endless(data, model.recipe, "text", seed), "text", steps["text"])
    anchors = model.text_anchors(data.classes)
    batches = endless(data, model.recipe, "image", seed)
    return [text, train(model, batches, "image", steps["image"], anchors)]


class Idea(NamedTuple):
    area: int  # of S1's ten
    build: Callable[[FrozenCLIP, Recipe], AdaptedCLIP]
    fit: Callable[[AdaptedCLIP, AnomalyDataset, Steps, int], list[History]] = two_stages


IDEAS: dict[str, Idea] = {}


def idea(name: str, area: int, fit: Callable = two_stages) -> Callable:
    def register(build: Callable) -> Callable:
        IDEAS[name] = Idea(area, build, fit)
        return build

    return register


@idea("the recipe", area=0)
def unchanged(clip: FrozenCLIP, recipe: Recipe) -> AdaptedCLIP:
    return AdaptedCLIP(clip, recipe)
