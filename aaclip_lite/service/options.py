"""What a call of train_text or train_image may set, and what cannot be trained at all."""

from dataclasses import dataclass, fields

from ..datasets import AnomalyDataset
from ..files.door import expect
from ..recipe import Recipe

WHOLE = ("epochs", "steps", "batch", "accumulate", "seed", "save_steps", "views")  # numbers


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
