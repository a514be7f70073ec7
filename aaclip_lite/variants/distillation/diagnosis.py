"""Readings that tell why a student does not learn: maps beside each other, pulls at one place."""

import math
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from ...metrics import image_metrics
from .pooling import align, top_k_pool

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


def auc(scores: Float[Tensor, " B"], labels: Shaped[Tensor, " B"]) -> tuple[float, float]:
    """Area under the ROC curve and its standard error (Hanley and McNeil, 1982)."""
    bad = int((labels == 1).sum())
    good = len(labels) - bad
    if not good or not bad:
        raise ValueError(f"an AUC needs labels 0 and 1, got {good} of 0 and {bad} of 1")
    area = float(image_metrics(scores.double(), labels)["image_auroc"])
    spread = area * (1 - area) + (bad - 1) * (area / (2 - area) - area**2)
    spread += (good - 1) * (2 * area**2 / (1 + area) - area**2)
    return area, math.sqrt(max(spread, 0) / (good * bad))


def quantiles(maps: Tensor) -> Tensor:
    return torch.quantile(maps.flatten(), maps.new_tensor(QUANTILES))


def describe(maps: Tensor, labels: Tensor | None) -> dict:
    basic = {"min": maps.min(), "max": maps.max(), "mean": maps.mean(), "sd": maps.std()}
    figures: dict = {name: float(value) for name, value in basic.items()}
    figures["quantiles"] = dict(zip(QUANTILES, quantiles(maps).tolist(), strict=True))
    if labels is not None:
        area, error = auc(top_k_pool(maps), labels)
        figures |= {"auc": area, "mirror": 1 - area, "error": error}
    return figures


def diagnose_maps(
    student: Float[Tensor, "B 1 H W"],
    teacher: Float[Tensor, "B 1 h w"],
    labels: Shaped[Tensor, " B"] | None = None,
) -> dict:
    """Both maps on the teacher's grid: how wide, how alike, and (with labels) how informative."""
    student = align(student, *teacher.shape[-2:])
    s, t = student.flatten() - student.mean(), teacher.flatten() - teacher.mean()
    missed = (student - teacher).square()
    figures = {"student": describe(student, labels), "teacher": describe(teacher, labels)}
    # a single cell moves the range, but not the span from 5 to 95 %
    span = [torch.stack((m.max() - m.min(), quantiles(m)[5] - quantiles(m)[1])) for m in (s, t)]
    ratios = dict(zip(("range_ratio", "core_ratio"), (span[0] / span[1]).tolist(), strict=True))
    fit = {"mse": missed.mean(), "r2": 1 - missed.sum() / t.square().sum()}
    fit["correlation"] = s @ t / (s.norm() * t.norm())
    return figures | ratios | {name: float(value) for name, value in fit.items()}


def gradient_norms(
    terms: Mapping[str, Tensor], places: Mapping[str, Tensor | Sequence[Tensor]]
) -> dict[str, dict[str, float]]:
    """{place: {term: length of its gradient there}}; a place is a map, or the weights of a module.

    Give terms as they enter the total, weights included; one that a place does not feel has 0.
    """
    norms = {place: dict.fromkeys(terms, 0.0) for place in places}
    for place, tensors in places.items():
        tensors = [tensors] if isinstance(tensors, Tensor) else list(tensors)
        for name, term in terms.items():
            if term.requires_grad:
                pulls = torch.autograd.grad(term, tensors, retain_graph=True, allow_unused=True)
                squares = [float(p.double().square().sum()) for p in pulls if p is not None]
                norms[place][name] = math.sqrt(sum(squares))
    return norms
