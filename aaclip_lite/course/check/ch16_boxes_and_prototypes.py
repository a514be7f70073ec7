"""Checks of the exercises of chapter 16_boxes_and_prototypes."""

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

from ...variants import concepts
from .judge import Steps, either, exercise, whatever

BOXES = (((0.5, 0.25, 0.75, 0.5), 8), ((0.35, 0.05, 0.6, 0.4), 8), ((0.3, 0.3, 0.34, 0.34), 4))
BOXES += (((0.9, 0.1, 1.0, 0.95), 5),)


@exercise("the mask of the box", 1e-6, cases=BOXES)
def whole_box(box: tuple, n: int) -> Steps:
    box, n = yield box, n
    true = concepts.box_mask(box, n, "ceil")
    yield true
    x_min, y_min, x_max, y_max = box
    floor, ceil, swapped = math.floor, math.ceil, "rows and columns are swapped: y counts the rows"

    def cells(near: Callable = floor, far: Callable = ceil, scale: int = n) -> torch.Tensor:
        left, top, right, bottom = (edge * scale for edge in box)
        mask = torch.zeros(n, n)
        mask[max(0, near(top)) : far(bottom), max(0, near(left)) : far(right)] = 1
        return mask

    def moved(rounded: Callable, by: int) -> Callable:
        return lambda edge: rounded(edge) + by

    middles = (torch.arange(n) + 0.5) / n
    inside = [(middles >= a) & (middles < b) for a, b in ((y_min, y_max), (x_min, x_max))]
    edges, touched = torch.arange(n) / n, "a cell that is touched counts whole: 0 or 1, no shares"
    shares = [
        n * ((edges + 1 / n).clamp(max=b) - edges.clamp(min=a)).clamp(min=0)
        for a, b in ((y_min, y_max), (x_min, x_max))
    ]
    yield {
        "the far edges are cut: round them up, not down": concepts.box_mask(box, n),
        swapped: true.T,
        f"{swapped}. And the far edges are cut": concepts.box_mask(box, n).T,
        "the near edges must be rounded down": cells(ceil, ceil),
        "cells covered in part belong to it: near down, far up": cells(ceil, floor),
        "rounding to the nearest cell can still lose a box": either(
            cells(round, round), cells(round, ceil)
        ),
        "the box is full: not its edge alone": true - cells(moved(floor, 1), moved(ceil, -1)),
        "0 and 1 are asked for": 255 * true,
        "a cell counts when the box touches it, not only when its middle is inside": (
            inside[0][:, None] & inside[1]
        ).float(),
        touched: shares[0][:, None] * shares[1],
        "one cell too many where an edge lies exactly on a border: +1 is not rounding up": cells(
            floor, moved(floor, 1)
        ),
        "a slice ends before its last index: rounded up is enough, without - 1": cells(
            floor, moved(ceil, -1)
        ),
        "one cell too many: rounded up, or down, is enough": either(
            cells(floor, moved(ceil, 1)),
            cells(moved(floor, -1), ceil),
        ),
        "the edges are shares of the side: times n": cells(floor, ceil, 1),
        "the last two numbers are the far edges, not width and height": concepts.box_mask(
            (x_min, y_min, x_min + x_max, y_min + y_max), n, "ceil"
        ),
        "the side has n cells, not n - 1": cells(floor, ceil, n - 1),
    }


@exercise(
    "the loss",
    cases=((4, 1.0, (0, 0, 0.5, 0.5)), (6, 0.5, (0.2, 0.4, 0.9, 0.8)), (4, 1.0, (0, 0, 0, 0))),
)
def hinge_box(n: int, margin: float, box: tuple) -> Steps:
    mask = concepts.box_mask(box, n)
    cam, mask, m = yield 1.5 * torch.randn(n, n) * mask.any(), mask, margin
    yield concepts.box_loss(cam, mask, "hinge", m)
    if not mask.any():
        yield {
            "an empty box takes only the inside away: the outside still counts": 0.0,
            "a box without cells gives 0 / 0: add a little (1e-6) to the number of cells": whatever,
        }

    def mean(inside, outside, little: float = 1e-6) -> torch.Tensor:
        into, out = mask, 1 - mask
        return (inside * into).sum() / (into.sum() + little) + (outside * out).sum() / (
            out.sum() + little
        )

    inside, outside = F.relu(m - cam), F.relu(m + cam)
    each = inside * mask + outside * (1 - mask)
    yield {
        "inside and outside are added: one number": lambda result: np.shape(result) == (2,),
        "inside a LOW cell costs: margin - c, not c - margin": mean(F.relu(cam - m), outside),
        "both signs are turned: margin - c, margin + c": mean(F.relu(cam - m), F.relu(-cam - m)),
        "one mean over all cells: a small box drowns; take a mean for each region": each.mean(),
        "the margin that was given is not used": either(
            mean(F.relu(1 - cam), F.relu(1 + cam)), mean(F.relu(0.5 - cam), F.relu(0.5 + cam))
        ),
        "the outside is missing": mean(inside, 0 * cam),
        "the inside is missing": mean(0 * cam, outside),
        "the mask comes behind the relu: before it, every cell outside costs the margin": (
            F.relu(m - cam * mask).sum() / mask.sum()
            + F.relu(m + cam * (1 - mask)).sum() / (1 - mask).sum()
        ),
        "all cells of a region are counted, not only those that cost": (
            (inside * mask).sum() / (inside * mask > 0).sum()
            + (outside * (1 - mask)).sum() / (outside * (1 - mask) > 0).sum()
        ),
        "the 1 beside the number of cells is too much: a little (1e-6)": mean(inside, outside, 1),
    }


@exercise("the similarity within concepts", cases=((3, 2), (4, 3), (2, 5)))
def within_similarity(count: int, m: int) -> Steps:
    prototypes = torch.randn(count * m, 6) + 0.4
    prototypes, m = yield prototypes * torch.rand(count * m, 1).add(0.3), m
    stats = concepts.similarity_stats(prototypes, m)
    yield stats.within
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
    yield {
        "this is the mean over all pairs: it hides what happens within a concept": stats.mean,
        "this is the largest cosine: take the mean within concepts": stats.max,
        "these are pairs of two concepts: take pairs of one": stats.between,
        "this is the largest cosine of each concept: take the mean of all": (
            cosines.masked_fill(torch.eye(m) > 0, -1).amax((1, 2)).mean()
        ),
        "each prototype is compared with itself too: leave the diagonal out": cosines.mean(),
        "the diagonal is to be left out": cosines[:, torch.ones(m, m).triu() > 0].mean(),
        "the diagonal is left out of the sum but not of the pairs": total / (count * m * m),
        f"{number} they stand once above the diagonal": pairs.sum() / (count * m * m),
        "the sum of the cosines is to be divided by the number of pairs": either(
            total, pairs.sum()
        ),
        f"{few} here only the first two prototypes": (groups[:, 0] * groups[:, 1]).sum(-1).mean(),
        "only the first concept is looked at: take the mean of all": pairs[0].mean(),
        "the sign counts: opposite prototypes are not alike": pairs.abs().mean(),
        "the cosines are not squared": pairs.square().mean(),
        f"{few} here only those with the first": (groups[:, 1:] * groups[:, :1]).sum(-1).mean(),
        f"{few} here only neighbours": (groups[:, :-1] * groups[:, 1:]).sum(-1).mean(),
        "neighbours in the list are not always of one concept": (
            (unit[:-1] * unit[1:]).sum(-1).mean()
        ),
        "this is the spread of the cosines: take their mean": pairs.std(),
        "prototypes of one concept stand next to each other, m at a time": either(
            turned.within, concepts.similarity_stats(prototypes, count).within
        ),
    }
