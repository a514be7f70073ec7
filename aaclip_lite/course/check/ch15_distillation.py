"""Checks of the exercises of chapter 15_distillation."""

import math

import torch
import torch.nn.functional as F

from ...variants import distillation
from .judge import Steps, exercise
from .pulls import pull_steps


@exercise("the pooled logits", cases=((3, 11, 7), (2, 8, 8), (3, 6, 6), (2, 3, 1), (2, 10, 10)))
def pool_top(batch: int, high: int, wide: int) -> Steps:
    maps = yield torch.randn(batch, 1, high, wide)
    yield distillation.top_k_pool(maps)
    cells = maps.flatten(1)
    batch, n = cells.shape
    ordered = cells.sort(dim=1, descending=True).values
    k, tenth = distillation.top_k(n), math.ceil(0.1 * n)
    best = ordered[:, :k]

    def top(count: float) -> torch.Tensor:
        return ordered[:, : max(1, min(n, int(count)))].mean(1)

    heap = cells.flatten().sort(descending=True).values
    yield {
        "this is the mean of all cells: a local trace drowns in it": cells.mean(1),
        "the sum is of k cells: divide by k, not by all": best.sum(1) / n,
        "a tenth of the cells is rounded up, not down": top(max(5, 0.1 * n)),
        "a tenth is rounded up, not to the nearest": top(max(5, round(0.1 * n))),
        "k grows with the map, it is not always 10": top(10),
        "that is one cell more than k": top(k + 1),
        "a small map has too few cells for a tenth: at least 5": top(tenth),
        "at least 5 means the larger of the two: max, not min": top(min(5, tenth)),
        "k is 5 for every map: more where a tenth of ITS cells is more": top(5),
        "a tenth of the cells is asked for, not a half": top(max(5, math.ceil(0.5 * n))),
        "k is a tenth of ONE picture's cells, not of the batch's": top(
            max(5, math.ceil(0.1 * batch * n))
        ),
        "the batch is one heap: each picture has its own highest cells": (
            heap[: max(5, tenth)].mean().expand(batch)
        ),
        "the batch is one heap: each picture has its own logit": (
            heap[: distillation.top_k(batch * n)].mean()[None]
        ),
        "each row gives its own highest cells; the whole map is meant": (
            maps.topk(min(5, maps.shape[-1]), -1).values.mean((1, 2, 3))
        ),
    }


def _kl(student: torch.Tensor, teacher: torch.Tensor, warm: float, dim: int = 1) -> torch.Tensor:
    log_s, log_t = ((maps / warm).log_softmax(dim) for maps in (student, teacher))
    return warm**2 * (log_t.exp() * (log_t - log_s)).sum() / len(student)


@exercise("the divergence", cases=((2, 6, 4.0), (3, 5, 4.0), (2, 3, 2.0)))
def position_kl(batch: int, side: int, warm: float) -> Steps:
    shape = batch, 1, side, side
    student, teacher, warm = yield 4 * torch.randn(shape), 6 * torch.randn(shape), warm
    s, t = student.flatten(1), teacher.flatten(1)
    right = _kl(s, t, warm)
    yield right
    batch, square = len(s), warm**2
    log_s, log_t = (s / warm).log_softmax(1), (t / warm).log_softmax(1)
    p, q = log_t.exp(), log_s.exp()
    exchanged = "student and teacher are exchanged: the teacher's chances weigh the terms"
    kl_div = "F.kl_div wants the student's log_softmax first:"

    def mean(terms: torch.Tensor) -> torch.Tensor:
        return square * terms.sum() / batch

    yield {
        "softmax over the channels: with one channel it is 1 everywhere, so the loss is 0": 0.0,
        "softmax over each row of cells; a picture is all of them": _kl(student, teacher, warm, -1),
        "softmax over the whole batch; each picture has its own": _kl(
            s.flatten()[None], t.flatten()[None], warm
        ),
        "the temperature given is not used: it is 4 always": _kl(s, t, 4.0),
        exchanged: mean(q * (log_s - log_t)),
        f"{exchanged}, not the student's": mean(q * (log_t - log_s)),
        "this is the cross-entropy: it is not 0 for a student that equals its teacher": (
            mean(-p * log_s)
        ),
        "both directions are averaged: the teacher alone weighs": (right + _kl(t, s, warm)) / 2,
        "squared differences are no divergence": mean((p - q) ** 2),
        "divide the logits by T before the softmax": square * _kl(s, t, 1.0),
        "divide the logits by T, do not multiply": square * _kl(s, t, 1 / warm) * square,
        "a sigmoid a cell adds up to no 1: softmax over the cells": mean(
            (t / warm).sigmoid() * (F.logsigmoid(t / warm) - F.logsigmoid(s / warm))
        ),
        f"{kl_div} and the teacher's softmax, or log_target=True": torch.tensor(torch.nan),
        f"{kl_div} here stands its softmax": mean(p * (log_t - q)),
    }


@exercise("the ratio of pulls", cases=(1.0, 30.0))
def pull_ratio(scale: float) -> Steps:
    weights = [torch.randn(n, requires_grad=True) for n in (3, 4)]
    joined = torch.cat(weights).tanh()  # shared, as a network's body is
    task = (joined * torch.linspace(-1, 2, 7)).sin().sum() + 5
    distill, task, weights = yield scale * joined.square().sum(), task, weights
    yield from pull_steps(distill, task, weights)
