"""Checks of the exercises of chapter 16_boxes_and_prototypes."""

import math
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F

from ...variants import concepts
from .judge import Hint, drawn, either, exercise, same

CHAPTER = "16_boxes_and_prototypes"


@exercise(CHAPTER, "the mask of the box", 1e-6)
def whole_box(learner: Callable) -> Iterator:
    for box, n in (
        ((0.5, 0.25, 0.75, 0.5), 8),
        ((0.3, 0.05, 0.6, 0.4), 8),
        ((0.3, 0.3, 0.34, 0.34), 4),
        ((0.9, 0.1, 1.0, 0.95), 5),
    ):
        yield learner(box, n), concepts.box_mask(box, n, "ceil"), _other_boxes(box, n)


def _cells(box: tuple, n: int, near: Callable, far: Callable, scale: float | None = None):
    x_min, y_min, x_max, y_max = (edge * (n if scale is None else scale) for edge in box)
    mask = torch.zeros(n, n)
    mask[max(0, near(y_min)) : far(y_max), max(0, near(x_min)) : far(x_max)] = 1
    return mask


def _other_boxes(box: tuple, n: int) -> dict:
    """What goes wrong in the mask -> what comes of it."""
    (x_min, y_min, x_max, y_max), true = box, concepts.box_mask(box, n, "ceil")
    floor, ceil, swapped = math.floor, math.ceil, "rows and columns are swapped: y counts the rows"
    middles = (torch.arange(n) + 0.5) / n
    inside = [(middles >= a) & (middles < b) for a, b in ((y_min, y_max), (x_min, x_max))]
    cells, touched = torch.arange(n) / n, "a cell that is touched counts whole: 0 or 1, no shares"
    shares = [
        n * ((cells + 1 / n).clamp(max=b) - cells.clamp(min=a)).clamp(min=0)
        for a, b in ((y_min, y_max), (x_min, x_max))
    ]
    return {
        "the far edges are cut: round them up, not down": concepts.box_mask(box, n),
        swapped: true.T,
        f"{swapped}. And the far edges are cut": concepts.box_mask(box, n).T,
        "inside and outside are swapped": 1 - true,
        "the near edges must be rounded down": _cells(box, n, ceil, ceil),
        "cells covered in part belong to it: near down, far up": _cells(box, n, ceil, floor),
        "rounding to the nearest cell can still lose a box": _cells(box, n, round, round),
        "a cell counts when the box touches it, not only when its middle is inside": (
            inside[0][:, None] & inside[1]
        ).float(),
        touched: shares[0][:, None] * shares[1],
        "one cell too many where an edge lies exactly on a border: +1 is not rounding up": _cells(
            box, n, floor, lambda edge: floor(edge) + 1
        ),
        "a slice ends before its last index: rounded up is enough, without - 1": _cells(
            box, n, floor, lambda edge: ceil(edge) - 1
        ),
        "the edges are shares of the side: times n": _cells(box, n, floor, ceil, 1),
        "the last two numbers are the far edges, not width and height": concepts.box_mask(
            (x_min, y_min, x_min + x_max, y_min + y_max), n, "ceil"
        ),
        "row 0 is at the top, where y is 0": true.flip(0),
        "one cell too many: up is enough": _cells(box, n, floor, lambda edge: ceil(edge) + 1),
        "one cell too many: down is enough": _cells(box, n, lambda edge: floor(edge) - 1, ceil),
        "the side has n cells, not n - 1": _cells(box, n, floor, ceil, n - 1),
        "column 0 is at the left, where x is 0": true.flip(1),
    }


@exercise(CHAPTER, "the loss")
def hinge_box(learner: Callable) -> Iterator:
    for n, margin, box in ((4, 1.0, (0, 0, 0.5, 0.5)), (6, 0.5, (0.2, 0.4, 0.9, 0.8))):
        cam, mask = 1.5 * drawn(n, n), concepts.box_mask(box, n).double()
        found = learner(cam, mask, margin)
        if isinstance(found, list | tuple) and len(found) == 2:
            raise Hint("inside and outside are added: one number")
        yield found, concepts.box_loss(cam, mask, "hinge", margin), _other_hinges(cam, mask, margin)
    empty = learner(torch.zeros(4, 4), torch.zeros(4, 4), 1.0)
    if not torch.isfinite(torch.as_tensor(empty)):
        raise Hint("a box without cells gives 0 / 0: add a little (1e-6) to the number of cells")
    hints = {"an empty box takes only the inside away: the outside still counts": 0.0}
    same(empty, torch.tensor(1.0), "the loss of a map of zeros with an empty box", 1e-4, hints)


def _other_hinges(cam: torch.Tensor, mask: torch.Tensor, m: float) -> dict:
    """What goes wrong in the hinge -> what comes of it."""

    def mean(inside, outside, little: float = 1e-6) -> torch.Tensor:
        into, out = mask, 1 - mask
        return (inside * into).sum() / (into.sum() + little) + (outside * out).sum() / (
            out.sum() + little
        )

    inside, outside, none = F.relu(m - cam), F.relu(m + cam), torch.zeros_like(cam)
    true, each = mean(inside, outside), inside * mask + outside * (1 - mask)
    within, beyond = mean(inside, none), mean(none, outside)
    region = "each region counts by its own mean:"
    margin = "the margin that was given is not used"
    return {
        "this is the version without a margin: zeros are free": mean(F.relu(-cam), F.relu(cam)),
        "the margin belongs outside as well": mean(inside, F.relu(cam)),
        "signs are turned: it asks for low inside": mean(outside, inside),
        "inside a LOW cell costs: margin - c, not c - margin": mean(F.relu(cam - m), outside),
        "outside a cell costs from -margin on: margin + c": mean(inside, F.relu(cam - m)),
        "both signs are turned: margin - c, margin + c": mean(F.relu(cam - m), F.relu(-cam - m)),
        "the relu is missing: what is beyond the margin costs nothing": mean(m - cam, m + cam),
        "relu is meant, not the absolute value": mean((m - cam).abs(), (m + cam).abs()),
        "logits go in as they are, without a sigmoid": mean(
            F.relu(m - cam.sigmoid()), F.relu(m + cam.sigmoid())
        ),
        "one mean over all cells: a small box drowns; take a mean for each region": each.mean(),
        "sums grow with the box: divide each by the number of its cells": each.sum(),
        f"{region} the hinge of each cell first, then their mean": (
            F.relu(m - (cam * mask).sum() / mask.sum())
            + F.relu(m + (cam * (1 - mask)).sum() / (1 - mask).sum())
        ),
        "the outside is missing": within,
        "the inside is missing": beyond,
        "the two means are added, not averaged": true / 2,
        "the two means are added: the outside costs as well": within - beyond,
        margin: either(
            mean(F.relu(1 - cam), F.relu(1 + cam)), mean(F.relu(0.5 - cam), F.relu(0.5 + cam))
        ),
        f"{margin}: it counts twice": mean(F.relu(2 * m - cam), F.relu(2 * m + cam)),
        "the hinge is not squared": mean(inside**2, outside**2),
        "softplus never is 0: relu": mean(F.softplus(m - cam), F.softplus(m + cam)),
        "the two means are added, not multiplied": within * beyond,
        "the 1 beside the number of cells is too much: a little (1e-6)": mean(inside, outside, 1),
    }


@exercise(CHAPTER, "the similarity within concepts")
def within_similarity(learner: Callable) -> Iterator:
    generator = torch.Generator().manual_seed(0)
    for count, m in ((3, 2), (4, 3), (2, 5)):
        prototypes = torch.randn(count * m, 6, generator=generator) + 0.4
        prototypes = prototypes * torch.rand(count * m, 1, generator=generator).add(0.3)
        stats = concepts.similarity_stats(prototypes, m)
        yield learner(prototypes, m), stats.within, _other_similarities(prototypes, m, stats)


def _other_similarities(prototypes: torch.Tensor, m: int, stats) -> dict:
    """What goes wrong in the similarity -> what comes of it."""
    count, unit = len(prototypes) // m, F.normalize(prototypes, dim=1)
    groups = unit.unflatten(0, (count, m))

    def blocks(x: torch.Tensor) -> torch.Tensor:
        x = x.unflatten(0, (count, m))
        return x @ x.mT

    cosines, upper = blocks(unit), torch.triu(torch.ones(m, m), 1) > 0
    pairs, total = cosines[:, upper], cosines.sum() - count * m
    mixed = prototypes.unflatten(0, (m, count)).transpose(0, 1).flatten(0, 1)
    turned = concepts.similarity_stats(mixed, m)
    few = "all pairs of a concept count:"
    number = "a concept has m (m - 1) pairs, counted both ways:"
    return {
        "this is the mean over all pairs: it hides what happens within a concept": stats.mean,
        "these are pairs of two concepts: take pairs of one": stats.between,
        "this is the largest cosine: take the mean within concepts": stats.max,
        "this is the largest cosine of each concept: take the mean of all": (
            cosines.masked_fill(torch.eye(m) > 0, -1).amax((1, 2)).mean()
        ),
        "each prototype is compared with itself too: leave the diagonal out": cosines.mean(),
        "the diagonal is to be left out": cosines[:, torch.ones(m, m).triu() > 0].mean(),
        "the diagonal is left out of the sum but not of the pairs": total / (count * m * m),
        f"{number} divide by half of it where each pair stands once": 2 * pairs.mean(),
        f"{number} they stand once above the diagonal": pairs.sum() / (count * m * m),
        "the sum of the cosines is to be divided by the number of pairs": total,
        f"{few} here only the first two prototypes": (groups[:, 0] * groups[:, 1]).sum(-1).mean(),
        "only the first concept is looked at: take the mean of all": pairs[0].mean(),
        "cosines need unit vectors: normalise first": blocks(prototypes)[:, upper].mean(),
        "unit length runs along the width of each prototype: dim=1": blocks(
            F.normalize(prototypes, dim=0)
        )[:, upper].mean(),
        "the sign counts: opposite prototypes are not alike": pairs.abs().mean(),
        "the cosines are not squared": pairs.square().mean(),
        f"{few} here only neighbours": (groups[:, :-1] * groups[:, 1:]).sum(-1).mean(),
        "neighbours in the list are not always of one concept": (
            (unit[:-1] * unit[1:]).sum(-1).mean()
        ),
        "this is the smallest cosine: take the mean": pairs.min(),
        "this is the spread of the cosines: take their mean": pairs.std(),
        "this is a distance, 1 - cosine: the cosine is asked for": 1 - pairs.mean(),
        "prototypes of one concept stand next to each other, m at a time": either(
            turned.within, concepts.similarity_stats(prototypes, count).within
        ),
    }
