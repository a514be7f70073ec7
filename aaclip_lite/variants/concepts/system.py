"""The system as one module, and its three stages in one plain loop.

Special: it reads patch tokens of a frozen CLIP; `neck` stands where a backbone would be trained.
Use: `train(model, data, "concepts", 600, {"concept_head": 3e-3})`, then "prototypes", "task".
"""

from collections import namedtuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from .checks import gradient_monitor
from .losses import assigned_loss, concept_loss
from .prototypes import local_vectors, similarity_scores

Tokens = Float[Tensor, "b width h w"]
Batch = namedtuple("Batch", "tokens labels boxes verdicts")  # (n, ...), (n, k), a list, (n,)


class ConceptModel(nn.Module):
    def __init__(self, width: int, concepts: int, verdicts: int, per_concept=3, inner=64) -> None:
        super().__init__()
        self.per_concept = per_concept
        self.neck = nn.Sequential(nn.Conv2d(width, inner, 1), nn.ReLU(), nn.Conv2d(inner, width, 1))
        nn.init.zeros_(self.neck[2].weight)  # starts as "no change", but for a small bias
        self.concept_head = nn.Conv2d(width, concepts, 1)
        layers = nn.Conv2d(width, inner, 1), nn.ReLU(), nn.Conv2d(inner, inner, 1)
        self.projector = nn.Sequential(*layers)
        self.prototypes = nn.Parameter(torch.randn(concepts * per_concept, inner))
        self.task_head = nn.Linear(concepts * per_concept, verdicts)

    def features(self, tokens: Tokens) -> Tokens:
        return tokens + self.neck(tokens)

    def cams(self, tokens: Tokens) -> Float[Tensor, "b k h w"]:
        return self.concept_head(self.features(tokens))

    def vectors(self, tokens: Tokens) -> Float[Tensor, "b k inner"]:
        return local_vectors(self.projector(self.features(tokens)), self.cams(tokens))

    def scores(self, tokens: Tokens, mask=None) -> Float[Tensor, "b p"]:
        return similarity_scores(self.projector(self.features(tokens)), self.prototypes, mask)

    def forward(self, tokens: Tokens, mask=None) -> Tensor:
        return self.task_head(self.scores(tokens, mask))


def stage_loss(model, batch: Batch, stage: str, options: dict) -> Float[Tensor, ""]:
    if stage == "concepts":
        return concept_loss(model.cams(batch.tokens), batch.labels, batch.boxes, **options)
    if stage == "prototypes":
        rest = (model.prototypes, batch.labels, model.per_concept, options.get("tau", 0.1))
        return options.get("loss", assigned_loss)(model.vectors(batch.tokens), *rest)
    return F.cross_entropy(model(batch.tokens), batch.verdicts)


def train(model, data: Batch, stage: str, steps: int, rates: dict, validate=None, **options):
    """AdamW on the modules that `rates` names, each at its own; a row every tenth of the way."""
    for name, weight in model.named_parameters():
        weight.requires_grad_(name.split(".")[0] in rates)
    named = [(name.split(".")[0], weight) for name, weight in model.named_parameters()]
    groups = [{"params": [w for n, w in named if n == part], "lr": rates[part]} for part in rates]
    optimiser = torch.optim.AdamW(groups)
    drawn, history = torch.Generator().manual_seed(torch.initial_seed()), []
    for step in range(1, steps + 1):
        rows = torch.randint(len(data.labels), (16,), generator=drawn).tolist()
        boxes = [data.boxes[row] for row in rows]
        batch = Batch(data.tokens[rows].float(), data.labels[rows], boxes, data.verdicts[rows])
        loss = stage_loss(model, batch, stage, options)
        optimiser.zero_grad()
        loss.backward()
        if step == 1 or step % max(steps // 10, 1) == 0:
            row = {"step": step, "loss": loss.item(), "gradient": gradient_monitor(model)}
            history.append(row | (validate(model) if validate else {}))
        optimiser.step()
    return history
