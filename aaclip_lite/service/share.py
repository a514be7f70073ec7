"""What a process computes of a step: `train.step` on its share of a batch, so that the processes
together take one step; and what of the model it gives back when it ends.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor, nn

from .. import losses
from ..model import AdaptedCLIP, stack_anchors
from ..train import ClassAnchors, step
from .matmul import in_bf16
from .views import KeptViews


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
