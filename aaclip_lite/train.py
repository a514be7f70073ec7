"""Training on one page: the loss parts of one batch (`step`), and the plain loop around it.

Special: everything turns on `step`. What trains for hours, can be killed at any moment, resumes and
runs in several processes (`aa.train_text`, `aa.train_image`: service/runs.py and resume.py) calls
the very same one, and ends with the same weights, bit for bit.
Use: `train(model, endless(data, model.recipe, "text"), "text", steps=70)`, then
`train(model, endless(data, model.recipe, "image"), "image", 150, model.text_anchors(data.classes))`
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from . import losses
from .datasets import AnomalyDataset
from .files.keep import read_jsonl, table, write_jsonl
from .model import AdaptedCLIP, stack_anchors
from .recipe import Depths, Recipe

ClassAnchors = Mapping[str, Float[Tensor, "d 2"]]  # by class name


def step(
    model: AdaptedCLIP,
    batch: dict,
    anchors: ClassAnchors | None,
    stage: str,
    levels: tuple[Float[Tensor, "B N d"], ...] | None = None,
) -> dict[str, losses.Loss]:
    """The weighted parts of a stage's loss on one batch; their sum is what training minimises.

    batch: "image" (B, 3, H, W) in [0, 1], "mask" (B, 1, H, W), "label" (B,), "class_name" [B names].
    anchors: one pair a class, fixed in stage 2. None makes them anew from the batch's classes,
    with their gradient: that is how stage 1 trains the words.
    levels: stage 1's image features, where they were kept from an earlier epoch.
    """
    names = batch["class_name"]
    features: Any  # stage 1: the dense levels alone, from the frozen tower; stage 2: Features
    if levels is not None:
        features = levels  # stage 1 trains no picture: what was kept is still right
    elif stage == "text":
        features = model.dense_features(model.preprocess(batch["image"]))
    else:
        features = model(model.preprocess(batch["image"]), names)  # names: for variants
    if anchors is None:
        anchors = model.batch_anchors(names, batch)
    return model.loss_parts(stage, features, stack_anchors(anchors, names), batch)


def train(
    model: AdaptedCLIP,
    batches: Iterable[dict],
    stage: str,
    steps: int,
    anchors: ClassAnchors | None = None,
) -> "History":
    """Train one stage ("text" or "image") for so many batches; all other weights stay frozen.

    anchors: stage 2 needs them, `model.text_anchors(data.classes)`.
    """
    if stage == "image" and anchors is None:
        raise ValueError("stage 'image' needs anchors: model.text_anchors(data.classes)")
    fixed = None  # stage 1 makes its anchors anew in each step: they are what it trains
    if anchors is not None:
        fixed = {name: anchor.detach() for name, anchor in anchors.items()}
    weights = free(model, stage)  # all the others are frozen
    # its rate is set anew in each step below: a schedule is a function, not a second state
    optimizer = torch.optim.Adam(weights.values(), betas=model.recipe.betas)
    history = History(stage)
    for number, batch in zip(range(steps), batches, strict=False):  # batches may be endless
        rate = learning_rate(model.recipe, stage, number)  # of this step, counted from 0
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()  # PyTorch adds gradients up: the last step's must go
        parts = step(model, batch, fixed, stage)
        loss = losses.total(parts)  # parts are weighted already
        loss.backward()  # through the frozen blocks to the adapters between them
        optimizer.step()
        row = {"step": number + 1, "lr": rate, "loss": float(loss.detach())}
        history.rows.append(row | {name: float(part.detach()) for name, part in parts.items()})
    history.finished = len(history.rows) == steps  # False: the batches ran out
    return history


def free(model: AdaptedCLIP, stage: str) -> dict[str, nn.Parameter]:
    """The weights that a stage trains, by name, with all others frozen."""
    skipped = tuple(f"{adapter}." for adapter in unread(model.depths))  # Adam would never move them
    model.train().requires_grad_(False)  # the backbone stays in eval: it overrides train()
    chosen = {n: p for n, p in model.trainable(stage).items() if not n.startswith(skipped)}
    for parameter in chosen.values():  # all by name: what is not chosen can't train by mistake
        parameter.requires_grad_()
    return chosen


def unread(depths: Depths) -> set[str]:
    """Adapters behind the last level that is read: they would never get a gradient."""
    last = max(depths.levels)
    late = [i for i, block in enumerate(depths.image_blocks) if block > last]
    return {f"image_adapter.layer_adapters.{i}" for i in late}


def learning_rate(recipe: Recipe, stage: str, step: int) -> float:
    """The rate of a step, counted from 0: constant in stage 1, falling at milestones in stage 2."""
    if stage == "text":
        return recipe.text_lr
    drops = sum(step >= milestone for milestone in recipe.milestones)  # how many were passed
    return recipe.image_lr * recipe.lr_factor**drops


def endless(
    data: AnomalyDataset, recipe: Recipe, stage: str, seed: int = 0, device: str = "cpu"
) -> Iterator[dict]:
    """Augmented batches of the stage's size, epoch after epoch, in an order that the seed fixes."""
    size = recipe.text_batch if stage == "text" else recipe.image_batch
    # as published: stage 1 sees pictures moved, never in other colours
    number = 1 if stage == "text" else 2
    for epoch in count():  # whoever draws from it decides how many
        yield from data.batches(size, True, seed, recipe, device, epoch=epoch, stage=number)


@dataclass
class History:
    """What happened in each step, one row a step: step, lr, loss, its parts, and what a run adds
    (gradient norms by module as "gradient/...", speed, memory).
    """

    stage: str
    rows: list[dict] = field(default_factory=list)
    finished: bool = False

    def column(self, name: str) -> list:
        return [row[name] for row in self.rows]

    def table(self, rows: int = 12) -> str:
        """About so many rows and the last; gradients of single modules are in .rows only."""
        if not self.rows:
            return "step"
        every = -(-len(self.rows) // rows)  # rounded up
        chosen = [*self.rows[:-1:every], self.rows[-1]]
        names = [name for name in chosen[-1] if not name.startswith("gradient/")]
        # None: not measured in this step
        shown = [["-" if row[n] is None else f"{row[n]:.4g}" for n in names] for row in chosen]
        return table([names, *shown])

    def save(self, path: str | Path) -> None:
        """JSON lines, all or none."""
        write_jsonl(path, self.rows)

    @classmethod
    def load(cls, path: str | Path) -> "History":
        return cls(Path(path).stem, read_jsonl(path))
