"""The system on patch tokens of a frozen CLIP, and its three stages in one plain loop.

Use: `train(model, data, "concepts", 600, {"concept_head": 3e-3})`, then "prototypes", "task".
"""

from collections import namedtuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from .checks import gradient_monitor
from .losses import concept_loss, cosines
from .prototypes import local_vectors, similarity_scores, similarity_stats

Tokens = Float[Tensor, "b width h w"]
Batch = namedtuple("Batch", "tokens labels boxes verdicts")  # (n, ...), (n, k), a list, (n,)


class Neck(nn.Module):
    """Patches against their own picture, with their neighbours and the picture's strongest signs.

    sure: so many of the last channels say already how sure a sign is, and keep their level.
    """

    def __init__(self, width: int, inner: int, sure: int = 0) -> None:
        super().__init__()
        self.tokens = width - sure
        self.near, self.all = nn.Conv2d(width, inner, 3, padding=1), nn.Conv2d(inner, inner, 1)
        self.out = nn.Conv2d(inner, width, 1)

    def forward(self, tokens: Tokens) -> Tokens:
        x, sure = tokens[:, : self.tokens], tokens[:, self.tokens :]
        x = F.instance_norm(x)  # what all patches share is the product, not the defect
        x = F.dropout2d(torch.cat([x, sure], 1), 0.15, self.training)
        near = F.dropout2d(self.near(x).relu(), 0.2, self.training)
        return x + self.out((near + self.all(near.amax((2, 3), keepdim=True))).relu())


class ConceptModel(nn.Module):
    def __init__(
        self, width: int, concepts: int, verdicts: int, per_concept=3, inner=48, sure=0
    ) -> None:
        super().__init__()
        self.per_concept, self.neck = per_concept, Neck(width, inner, sure)
        self.concept_head = nn.Conv2d(width, concepts, 1)
        layers = nn.Conv2d(width, inner, 1), nn.ReLU(), nn.Conv2d(inner, inner, 1)
        self.projector = nn.Sequential(*layers)
        self.prototypes = nn.Parameter(torch.randn(concepts * per_concept, inner))
        self.task_head = nn.Linear(concepts * per_concept, verdicts)

    def cams(self, tokens: Tokens) -> Float[Tensor, "b k h w"]:
        return self.concept_head(self.neck(tokens))

    def vectors(self, tokens: Tokens) -> Float[Tensor, "b k inner"]:
        return local_vectors(self.projector(self.neck(tokens)), self.cams(tokens))

    def forward(self, tokens: Tokens, mask=None) -> Float[Tensor, "b verdicts"]:
        projected = self.projector(self.neck(tokens))
        return self.task_head(similarity_scores(projected, self.prototypes, mask))


def assigned_loss(vectors, prototypes, labels, per_concept, tau, spread=0.5) -> Float[Tensor, ""]:
    """Stage 2 without a reward for collapse: the nearest prototypes answer, and all keep apart."""
    near = cosines(vectors, prototypes, per_concept)
    near = ((near / tau).softmax(-1) * near).sum(-1)
    costs = -(near / tau).log_softmax(-1).diagonal(dim1=1, dim2=2)[labels == 1]
    within = similarity_stats(prototypes, per_concept).within.nan_to_num().clamp(min=0)
    return costs.sum() / max(costs.numel(), 1) + spread * within


def stage_loss(model, batch: Batch, stage: str, options: dict) -> Float[Tensor, ""]:
    if stage == "concepts":
        return concept_loss(model.cams(batch.tokens), batch.labels, batch.boxes, **options)
    if stage == "prototypes":
        rest = (model.prototypes, batch.labels, model.per_concept, options.get("tau", 0.1))
        return options.get("loss", assigned_loss)(model.vectors(batch.tokens), *rest)
    return F.cross_entropy(model(batch.tokens), batch.verdicts, **options)


def train(model, data: Batch, stage: str, steps: int, rates: dict, validate=None, **options):
    """AdamW on the modules that `rates` names, each at its own; a row every tenth of the way."""
    for name, weight in model.named_parameters():
        weight.requires_grad_(name.split(".")[0] in rates)
    named = [(name.split(".")[0], weight) for name, weight in model.named_parameters()]
    groups = [{"params": [w for n, w in named if n == part], "lr": rates[part]} for part in rates]
    optimiser = torch.optim.AdamW(groups)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    drawn, history = torch.Generator().manual_seed(torch.initial_seed()), []
    for step in range(1, steps + 1):
        rows = torch.randint(len(data.labels), (16,), generator=drawn).tolist()
        boxes = [data.boxes[row] for row in rows]
        batch = Batch(data.tokens[rows].float(), data.labels[rows], boxes, data.verdicts[rows])
        loss = stage_loss(model.train(), batch, stage, options)
        optimiser.zero_grad()
        loss.backward()
        if step == 1 or step % max(steps // 10, 1) == 0:
            row = {"step": step, "loss": loss.item(), "gradient": gradient_monitor(model)}
            history.append(row | (validate(model.eval()) if validate else {}))
        optimiser.step()
        schedule.step()
    model.eval()
    return history
