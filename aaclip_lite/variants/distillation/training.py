"""The plain loop of two stages: what the teacher says of each cell, and the label of the whole."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .losses import distill
from .pooling import top_k_pool
from .student import freeze

BATCH = 32


def train(
    student: nn.Module,
    images: Float[Tensor, "N 3 H W"],
    teacher_maps: Float[Tensor, "N 1 h w"],
    labels: Float[Tensor, " N"],
    stages: Sequence[tuple[int | None, int, float]] = ((1, 5, 1e-3), (2, 20, 1e-4)),
    loss: str | Callable = "plain",
    seed: int = 0,
) -> list[dict[str, float]]:
    """stages: (stage, epochs, learning rate), None for all weights. One row an epoch."""
    generator = torch.Generator().manual_seed(seed)
    judge = loss if callable(loss) else partial(distill, version=loss)
    rows = []
    for stage, epochs, rate in stages:
        optimiser = torch.optim.Adam(freeze(student, stage), rate)
        for _ in range(epochs):
            student.train()  # statistics of frozen norms move all the same, as in the public code
            sums = torch.zeros(3)
            for chosen in torch.randperm(len(images), generator=generator).split(BATCH):
                maps = student(images[chosen])
                parts = judge(maps, teacher_maps[chosen], top_k_pool(maps), labels[chosen])
                optimiser.zero_grad()
                parts[0].backward()
                optimiser.step()
                sums += torch.stack(parts).detach() * len(chosen) / len(images)
            named = dict(zip(("total", "distill", "task"), sums.tolist(), strict=True))
            rows.append({"stage": stage or 0} | named)
    return rows
