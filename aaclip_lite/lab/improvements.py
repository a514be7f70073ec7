"""The trial of chapter 13: every idea of S1's ten areas beside the recipe, in as many steps.

Special: each idea takes as many steps, of the same pictures by seed, as the recipe that it changes
("batches of 2" thus sees an eighth of the pictures); judged on validation stations. Rows are kept
as they come, so a stopped command goes on where it was.

    python -m aaclip_lite lab improvements                       # all ideas, three seeds
    python -m aaclip_lite lab improvements --only "class token"  # one of them
"""

import time
from dataclasses import dataclass

import torch

from ..files.environment import PACKAGE
from ..recipe import Recipe
from ..variants.improvements import IDEAS
from .study import cpu_seconds, figures, trial

TARGET = PACKAGE.parent / "data" / "clinic" / "improvements.jsonl"
STEPS = {"text": 15, "image": 20}
RIVAL = "the recipe"


@dataclass(frozen=True)
class Improvements:
    """Try every idea of chapter 13 against the recipe, and keep the figures."""

    seeds: int = 3
    every: int = 2  # judge every so many of the validation pictures
    minutes: float | None = None  # begin nothing new after so many
    only: str | None = None  # one idea, by name
    out: str = str(TARGET)

    def __post_init__(self) -> None:
        if self.only is not None and self.only not in IDEAS:
            raise ValueError(f"--only {self.only!r}: choose one of {', '.join(IDEAS)}")


def run(options: Improvements) -> int:
    names = IDEAS if options.only is None else (RIVAL, options.only)
    return trial(options, STEPS, names, row, RIVAL)


def row(name: str, seed: int, clip, data, val) -> dict:
    torch.manual_seed(seed)
    idea = IDEAS[name]
    recipe = Recipe.course()
    model = idea.build(clip, recipe)
    began, clock = cpu_seconds(), time.monotonic()
    histories = idea.fit(model, data, STEPS, seed)
    seconds, wall = cpu_seconds() - began, time.monotonic() - clock
    steps = sum(len(history.rows) for history in histories)
    weights = sum(p.numel() for stage in STEPS for p in model.trainable(stage).values())
    known = {"area": idea.area, "weights": weights, "seconds": seconds, "step_s": wall / steps}
    return known | figures(model, val)
