"""Checks of the exercises of chapter 15_distillation."""

import math
from collections.abc import Callable

import torch

from ...variants import distillation
from ...variants.distillation.losses import divergence
from .judge import as_array, close, exercise, same


@exercise("15_distillation")
def pool_top(learner: Callable) -> None:
    generator = torch.Generator().manual_seed(0)
    for batch, high, wide in ((2, 8, 8), (3, 6, 6), (2, 3, 1), (2, 10, 10)):
        maps = torch.randn(batch, 1, high, wide, generator=generator)
        cells = maps.flatten(1)
        n = cells.shape[1]
        ordered = cells.sort(dim=1, descending=True).values
        k = distillation.top_k(n)
        true = distillation.top_k_pool(maps)
        hints = [
            (cells.mean(1), "this is the mean of all cells: a local trace drowns in it"),
            (ordered[:, 0], "this is the single highest cell: one cell is easily an accident"),
            (
                -(-cells).topk(k, dim=1).values.mean(1),
                "these are the lowest cells, not the highest",
            ),
            (ordered[:, :k].sum(1), "it grows with the number of cells: take the mean"),
            (
                ordered[:, : max(5, math.floor(0.1 * n))].mean(1),
                "a tenth of the cells is rounded up, not down",
            ),
            (
                ordered[:, : math.ceil(0.1 * n)].mean(1),
                "a small map has too few cells for a tenth: at least 5",
            ),
            (
                cells.flatten().topk(min(k, batch * n)).values.mean().expand(batch),
                "the batch is one heap: each picture has its own highest cells",
            ),
            (torch.sigmoid(true), "stay with logits: the sigmoid comes in the loss"),
        ]
        what = f"the pooled logit of {batch} maps of {high} x {wide}"
        same(learner(maps), true, what, 1e-4, unlike(true, hints))


@exercise("15_distillation")
def position_kl(learner: Callable) -> None:
    generator = torch.Generator().manual_seed(0)
    for batch, side, temperature in ((2, 6, 4.0), (3, 5, 4.0), (2, 3, 2.0)):
        student = 4 * torch.randn(batch, 1, side, side, generator=generator)
        teacher = 6 * torch.randn(batch, 1, side, side, generator=generator)
        s, t = (maps.flatten(1) / temperature for maps in (student, teacher))
        log_s, log_t = s.log_softmax(1), t.log_softmax(1)
        plain = (log_t.exp() * (log_t - log_s)).sum()
        true = temperature**2 * plain / batch
        cold_s, cold_t = (maps.flatten(1).log_softmax(1) for maps in (student, teacher))
        cold = (cold_t.exp() * (cold_t - cold_s)).sum() / batch
        hints = [
            (
                divergence(student, teacher, dim=1),
                "softmax over the channels: with one channel it is 1 everywhere, so the loss is 0",
            ),
            (plain / batch, "T squared is missing: without it the gradient shrinks as T grows"),
            (temperature * plain / batch, "the factor is T squared, not T"),
            (temperature**2 * plain, "it grows with the number of pictures: divide by B"),
            (true / side**2, "sum over the cells: only the pictures are averaged"),
            (
                temperature**2 * (log_s.exp() * (log_s - log_t)).sum() / batch,
                "student and teacher are exchanged: the teacher's chances weigh the terms",
            ),
            (
                -(temperature**2) * (log_t.exp() * log_s).sum() / batch,
                "this is the cross-entropy: it is not 0 for a student that equals its teacher",
            ),
            (-true, "the sign is turned: a divergence is never negative"),
            (cold, "the temperature does nothing here"),
            (temperature**2 * cold, "divide the logits by T before the softmax"),
        ]
        what = f"the divergence of {batch} maps of {side} x {side} at T = {temperature:g}"
        found = learner(student, teacher, temperature)
        same(found, true, what, 1e-4, unlike(true, hints))


@exercise("15_distillation")
def pull_ratio(learner: Callable) -> None:
    generator = torch.Generator().manual_seed(0)
    for scale in (1.0, 30.0):
        weights = [torch.randn(n, generator=generator, requires_grad=True) for n in (3, 4)]
        joined = torch.cat(weights).tanh()  # shared, as a network's body is
        distill = scale * joined.square().sum()
        task = (joined * torch.linspace(-1, 2, 7)).sin().sum() + 5
        pulls = [torch.autograd.grad(x, weights, retain_graph=True) for x in (distill, task)]
        d, t = (torch.cat(pull) for pull in pulls)
        true = d.norm() / t.norm()
        first = [pull[0].norm() for pull in pulls]
        hints = [
            ((distill / task).detach(), "this is a ratio of values, which says nothing of pull"),
            (1 / true, "it is upside down: distillation above, task below"),
            (true**2, "these are squared lengths: take the root"),
            (
                sum(p.norm() for p in pulls[0]) / sum(p.norm() for p in pulls[1]),
                "lengths of parts do not add up: all weights together are one vector",
            ),
            (first[0] / first[1], "only the first tensor is counted; weights are a list"),
            (
                d.norm() / (d + t).norm(),
                "below stands the pull of both: .grad adds up, or the total was used",
            ),
            (d.abs().max() / t.abs().max(), "this compares the largest entries, not the lengths"),
            (d.abs().sum() / t.abs().sum(), "the length is the root of the sum of squares"),
        ]
        what = f"the ratio of pulls, distillation times {scale:g},"
        same(learner(distill, task, weights), true, what, 1e-4, unlike(true, hints))


def unlike(true: torch.Tensor, hints: list) -> list:
    """Hints whose wrong value is not, by accident, the right one here."""
    return [hint for hint in hints if not close(as_array(hint[0]), as_array(true), 1e-4)]
