"""`train.step` on one process's share of a batch, so that the processes together take one step."""

from collections.abc import Sequence

from torch import Tensor, nn

from .. import losses
from ..model import AdaptedCLIP, stack_anchors
from ..train import ClassAnchors, step
from .half import in_bf16
from .views import KeptViews


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
