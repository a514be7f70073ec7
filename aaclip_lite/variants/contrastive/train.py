"""Fine-tuning a CLIP with weighted negatives: a plain loop that logs a yardstick for all losses."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn

from . import weights
from .loss import contrastive_loss


@dataclass(frozen=True)
class Options:
    kind: str = "baseline"  # or debias, bandpass
    version: str = "v3"
    beta: float = 0.2
    warmup: int = 0  # epochs until beta is reached
    settings: dict = field(default_factory=dict)  # delta, lam; m1, m2, gamma
    coverage: tuple = ()  # the band's share of the pairs, before the first and in the last epoch
    diversity: float = 0.0  # weight of the rows' entropy, which is made larger
    epochs: int = 6
    lr: float = 6e-4
    cosine: bool = False
    clip: float = float("inf")  # greatest length of the gradient


def step_loss(
    image: Float[Tensor, "B d"], text: Float[Tensor, "B d"], scale, options: Options, epoch: int
) -> tuple[Tensor, dict]:
    """(loss, what the log says of it). Weights have a gradient in the diversity term only."""
    S, settings = scale * image @ text.T, dict(options.settings)
    row = {"temp": float(scale.detach()), "cross_entropy": float(contrastive_loss(S.detach()))}
    if options.kind == "baseline":
        return contrastive_loss(S), row
    A = weights.alike(image, text)
    if options.coverage:
        first, last = options.coverage
        share = first + (last - first) * epoch / options.epochs
        settings["m1"], settings["m2"] = weights.adaptive_band(A, share)
    W = getattr(weights, f"{options.kind}_weights")(A, **settings)
    used = weights.normalise_rows(W)
    diversity = options.diversity * weights.row_entropy(used).mean()
    if options.version == "v1":
        used = weights.v1_weights(A, options.kind, **settings)
    beta = weights.warmup(options.beta, epoch, options.warmup)
    loss = contrastive_loss(S, used.detach(), options.version, beta)
    return loss - diversity, row | weights.weight_stats(W.detach(), options.kind)


def finetune(model: nn.Module, batches, options: Options, scaler=None) -> list[dict]:
    """Train a model that answers like open_clip's: image and text features of length 1, scale."""
    scaler = scaler or torch.amp.GradScaler(enabled=False)
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(trained, options.lr, weight_decay=0.01)
    rows, steps = [], options.epochs * len(batches)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for epoch in range(1, options.epochs + 1):
        for step, batch in enumerate(batches, 1):
            loss, row = step_loss(*model(*batch), options, epoch)
            optimiser.zero_grad()
            scaler.scale(loss).backward()
            scaler.unscale_(optimiser)  # first the true length, then the limit, then the step
            length = nn.utils.clip_grad_norm_(trained, options.clip)
            scaler.step(optimiser)
            scaler.update()
            row |= {"lr": schedule.get_last_lr()[0], "grad_norm": float(length)}
            rows.append({"epoch": epoch, "step": step, "loss": float(loss.detach())} | row)
            if options.cosine:
                schedule.step()
    return rows
