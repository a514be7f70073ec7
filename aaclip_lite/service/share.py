"""What a process computes of a step: `train.step` on its share of a batch, so that the processes
together take one step; in stage 1, if asked, on kept features: each picture is augmented in so many
ways only, and what the frozen image tower says of each view is computed once.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psutil
import torch
from torch import Tensor, nn

from .. import losses
from ..datasets import AnomalyDataset
from ..model import AdaptedCLIP, stack_anchors
from ..train import ClassAnchors, step
from .matmul import in_bf16


@contextmanager
def borrowed(model: AdaptedCLIP) -> Iterator[None]:
    """Whatever training sets in a model, its weights apart, is afterwards as it was."""
    recipe = model.recipe
    checkpointing = model.clip.checkpointing
    training = model.training
    flags = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    try:
        yield
    finally:
        model.recipe = recipe
        model.clip.checkpointing = checkpointing
        model.train(training)
        for parameter, flag in flags:
            parameter.requires_grad_(flag).grad = None


class KeptViews:
    """Features of augmented views, computed when a view first comes, kept in half precision."""

    def __init__(self, model: AdaptedCLIP, data: AnomalyDataset, views: int) -> None:
        recipe = model.recipe
        if views < 1 or recipe.dense_axis == "batch":
            raise ValueError(
                f"views = {views}, Recipe.dense_axis = {recipe.dense_axis!r}: features can be kept "
                "from one view on, and only where they do not depend on batch mates"
            )
        self.model = model
        self.kept: dict[tuple[int, int], Tensor] = {}
        self.used = slice(None) if recipe.stage1_levels == "all" else slice(-1, None)
        self._refuse_too_many(data, views)

    def _refuse_too_many(self, data: AnomalyDataset, views: int) -> None:
        clip = self.model.clip
        levels = len(self.model.depths.levels[self.used])
        needed = 2 * len(data) * views * levels * clip.grid**2 * clip.embed_dim
        free = psutil.virtual_memory().available
        if needed > 0.8 * free:
            raise ValueError(
                f"views = {views}: the features of {len(data)} pictures need {needed / 1e9:.1f} GB "
                f"of memory, {free / 1e9:.1f} are free; take fewer views or pictures "
                "(data.few_shot), or none"
            )

    def levels(self, batch: dict) -> tuple[Tensor, ...]:
        places = [(index, batch["view"]) for index in batch["index"]]
        if any(place not in self.kept for place in places):
            images = self.model.preprocess(batch["image"])
            computed = torch.stack(self.model.dense_features(images)[self.used], 1).half().cpu()
            self.kept |= zip(places, computed, strict=True)
        kept = torch.stack([self.kept[place] for place in places], 1)
        return kept.to(batch["image"].device).float().unbind()


class BatchShare(nn.Module):
    """Loss parts of a share; a module, because accelerate (DDP) averages a module's gradients."""

    def __init__(self, model: AdaptedCLIP, stage: str, bf16: bool = False) -> None:
        super().__init__()
        self.model = model
        self.stage = stage
        self.anchors: ClassAnchors | None = None  # given where they do not train
        self.views: KeptViews | None = None
        if bf16:
            self.forward = in_bf16(self.forward, model)

    def forward(self, batch: dict, names: Sequence[str], share: float) -> dict[str, Tensor]:
        """names: the batch's classes in all processes; share: weight of this one's means, 1 if all
        have as many.
        """
        anchors = self.anchors
        if anchors is None:
            anchors = self.model.batch_anchors(names, batch)
        levels = None if self.views is None else self.views.levels(batch)
        parts = step(self.model, batch, anchors, self.stage, levels)
        parts = {name: share * part for name, part in parts.items()}
        everyones = stack_anchors(anchors, names)
        if self.stage == "text" and len(names) > len(batch["class_name"]):
            # no mean over pictures: each process takes it over all the batch's classes
            weight = self.model.recipe.orthogonal_weight
            parts["separation"] = weight * losses.orthogonal(everyones)
        cosine = (everyones[..., 0] * everyones[..., 1]).sum(-1).mean().detach()
        return {**parts, "loss": losses.total(parts), "cosine": cosine}
