"""What a run is given and what it refuses: options, data that cannot be trained on, a step that spoils
the weights or moves a frozen one.

Special: a step is judged before it is taken, and the refusal names module and step.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from ..datasets import AnomalyDataset
from ..files.door import expect
from ..recipe import Recipe

Weights = Mapping[str, Tensor]
WHOLE = ("epochs", "steps", "batch", "accumulate", "seed", "save_steps", "views")  # numbers
# a gradient norm so many times the largest that its module had in so many steps
EXPLODING = 1e3
RECENT = 50
# a norm below this for so many steps
VANISHING = 1e-12
PATIENCE = 20


@dataclass(frozen=True)
class Options:
    """What a call of train_text or train_image may set; None leaves it to the recipe."""

    epochs: int | None = None  # passes over the data
    steps: int | None = None  # optimiser steps, instead of epochs
    batch: int | None = None  # pictures in a batch, over all processes
    accumulate: int = 1  # batches whose gradients are added up before a step
    seed: int = 0  # order and augmentation of the pictures
    resume: bool = True  # go on with what the folder holds; False: start over
    save_seconds: float = 60.0  # longest time between two saves; each epoch's end is saved too
    save_steps: int | None = None  # save every so many steps as well
    checkpointing: bool = False  # compute activations again going back: less memory, slower
    views: int | None = None  # stage 1: augment each picture in so many ways, keep the features
    bf16: bool = False  # products in bf16 on a processor that has them; a card chooses by itself
    progress: bool = True  # show a progress bar

    def applied_to(self, recipe: Recipe, stage: str) -> Recipe:
        for name in WHOLE:
            value = getattr(self, name)
            least = 0 if name == "seed" else 1
            if value is not None:
                expect(f"training: {name}", value, int)
                if value < least:
                    raise ValueError(f"training: {name} = {value}: give at least {least}")
        lengths = {"epochs": self.epochs, "steps": self.steps, "batch": self.batch}
        asked = {name: value for name, value in lengths.items() if value is not None}
        if {"epochs", "steps"} <= asked.keys():
            raise ValueError(f"training: {asked}: give epochs or steps, not both")
        changes = {f"{stage}_{name}": value for name, value in asked.items()}
        if "epochs" in asked:
            changes[f"{stage}_steps"] = None
        return recipe.replace(**changes)


def chosen(options: dict) -> Options:
    known = [field.name for field in fields(Options)]
    if unknown := sorted(options.keys() - set(known)):
        raise TypeError(f"training: no option {', '.join(unknown)}; known: {', '.join(known)}")
    return Options(**options)


def refuse_unfit(stage: str, recipe: Recipe, data: AnomalyDataset, world: int) -> None:
    data.problems(strict=True)
    labels = {record.label for record in data.records}
    if labels != {0, 1} or len(data) < world or data.image_level:
        raise ValueError(
            f"{data!r}: training needs normal and abnormal pictures, at least one a process, and "
            "masks"
        )
    if stage == "text" and recipe.dense_axis == "batch" and world > 1:
        raise ValueError(
            "Recipe.dense_axis = 'batch' lets the pictures of a batch see each other: use one "
            "process"
        )


class TrainingError(RuntimeError):
    """A run that must not go on; its folder keeps the last good state."""


class Guard:
    """Refuses a step whose loss or gradients would spoil the weights, and notices what did."""

    def __init__(self, stage: str, trained: Weights, frozen: Weights, scaled: bool) -> None:
        self.stage = stage
        self.trained = trained
        self.frozen = frozen
        self.before = checksums(frozen)
        self.scaled = scaled  # fp16 with loss scaling
        self.overflows = 0

    def spoiled(self) -> str | None:
        """What is wrong with the weights, if anything."""
        for name, old, new in zip(self.frozen, self.before, checksums(self.frozen), strict=True):
            if old != new:
                return f"frozen weight {name} moved"
        for name, parameter in self.trained.items():
            if not parameter.isfinite().all():
                return f"{name} is not finite"
        return None

    def judge(self, row: dict[str, float], earlier: list[dict]) -> None:
        where = f"{self.stage} stage, step {row['step']}, not taken"
        gradients = {name: value for name, value in row.items() if name.startswith("gradient/")}
        for name, value in row.items():
            if name not in gradients and not math.isfinite(value):
                raise TrainingError(f"{where}: {name} is {value}")
        finite = all(map(math.isfinite, gradients.values()))
        self.overflows = 0 if finite else self.overflows + 1
        if self.scaled and 0 < self.overflows <= PATIENCE:
            return  # fp16: the scaler leaves this step out and scales less from now on
        for name, norm in gradients.items():
            usual = [r[name] for r in earlier[-RECENT:] if r[name] is not None]
            if problem := _problem(norm, usual):
                raise TrainingError(f"{where}: the {name.replace('/', ' of ')} {problem}")


def _problem(norm: float, usual: list[float]) -> str | None:
    if not math.isfinite(norm):
        return f"is {norm}"
    if len(usual) < PATIENCE:
        return None
    if norm > EXPLODING * max(usual) > 0:
        return f"explodes: {norm:.3g} after {max(usual):.3g} at most"
    if max([*usual[-PATIENCE:], norm]) < VANISHING:
        return f"has vanished: below {VANISHING} for {PATIENCE} steps, the loss does not reach it"
    return None


def checksums(weights: Weights) -> list[int]:
    """Sums of the weights' bits: exact on every device."""
    kinds = {2: torch.int16, 4: torch.int32, 8: torch.int64}
    sums = [p.detach().view(kinds[p.element_size()]).sum() for p in weights.values()]
    return torch.stack(sums).tolist()
