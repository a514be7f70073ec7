"""Checks of the exercises of chapter 16_boxes_and_prototypes."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F

from ...variants import concepts
from .judge import Hint, exercise, same


def _cells(box: tuple, n: int, near: Callable, far: Callable) -> torch.Tensor:
    x_min, y_min, x_max, y_max = box
    mask = torch.zeros(n, n)
    mask[max(0, near(y_min * n)) : far(y_max * n), max(0, near(x_min * n)) : far(x_max * n)] = 1
    return mask


@exercise("16_boxes_and_prototypes")
def whole_box(learner: Callable) -> None:
    cases = (
        ((0.5, 0.25, 0.75, 0.5), 8),
        ((0.3, 0.05, 0.6, 0.4), 8),
        ((0.3, 0.3, 0.34, 0.34), 4),
        ((0.9, 0.1, 1.0, 0.95), 5),
    )
    for box, n in cases:
        true = concepts.box_mask(box, n, "ceil")
        x_min, y_min, x_max, y_max = box
        hints = [
            (concepts.box_mask(box, n), "the far edges are cut: round them up, not down"),
            (true.T, "rows and columns are swapped: y counts the rows, x the columns"),
            (1 - true, "inside and outside are swapped"),
            (_cells(box, n, math.ceil, math.ceil), "the near edges must be rounded down"),
            (_cells(box, n, round, round), "rounding to the nearest cell can still lose a box"),
            (
                _cells(box, n, int, lambda edge: int(edge) + 1),
                "one cell too many where an edge lies exactly on a border: +1 is not rounding up",
            ),
            (
                concepts.box_mask((x_min, y_min, x_min + x_max, y_min + y_max), n, "ceil"),
                "the last two numbers are the far edges, not width and height",
            ),
            (true.flip(0), "row 0 is at the top, where y is 0"),
        ]
        hints = [(wrong, say) for wrong, say in hints if not torch.equal(wrong, true)]
        same(learner(box, n), true, f"the mask of box {box} on {n} x {n} cells", 1e-6, hints)


@exercise("16_boxes_and_prototypes")
def hinge_box(learner: Callable) -> None:
    generator = torch.Generator().manual_seed(0)
    for n, margin, box in ((4, 1.0, (0, 0, 0.5, 0.5)), (6, 0.5, (0.2, 0.4, 0.9, 0.8))):
        cam = 1.5 * torch.randn(n, n, generator=generator)
        mask = concepts.box_mask(box, n)
        loss = concepts.box_loss
        true = loss(cam, mask, "hinge", margin)
        inside, outside = F.relu(margin - cam), F.relu(margin + cam)
        hints = [
            (loss(cam, mask, "old"), "this is the version without a margin: zeros are free"),
            (loss(-cam, mask, "hinge", margin), "signs are turned: it asks for low inside"),
            (
                (inside * mask + outside * (1 - mask)).mean(),
                "one mean over all cells: a small box drowns; take a mean for each region",
            ),
            (
                (inside * mask).sum() + (outside * (1 - mask)).sum(),
                "sums grow with the box: divide each by the number of its cells",
            ),
            ((inside * mask).sum() / mask.sum(), "the outside is missing"),
            ((outside * (1 - mask)).sum() / (1 - mask).sum(), "the inside is missing"),
            (
                loss(cam, mask, "hinge", 1.0 if margin != 1 else 2.0),
                "the margin that was given is not used",
            ),
            (
                (inside**2 * mask).sum() / mask.sum()
                + (outside**2 * (1 - mask)).sum() / (1 - mask).sum(),
                "the hinge is not squared",
            ),
        ]
        what = f"the loss of a {n} x {n} map, margin {margin:g},"
        same(learner(cam, mask, margin), true, what, 1e-4, hints)
    empty = learner(torch.zeros(4, 4), torch.zeros(4, 4), 1.0)
    if not torch.isfinite(torch.as_tensor(empty)):
        raise Hint("a box without cells gives 0 / 0: add a little (1e-6) to the number of cells")
    same(empty, torch.tensor(1.0), "the loss of a map of zeros with an empty box", 1e-4)


@exercise("16_boxes_and_prototypes")
def within_similarity(learner: Callable) -> None:
    generator = torch.Generator().manual_seed(0)
    for count, m in ((3, 2), (4, 3), (2, 5)):
        prototypes = torch.randn(count * m, 6, generator=generator) + 0.4
        prototypes = prototypes * torch.rand(count * m, 1, generator=generator).add(0.3)
        stats = concepts.similarity_stats(prototypes, m)
        unit = F.normalize(prototypes, dim=1)
        blocks = (unit @ unit.T).reshape(count, m, count, m).diagonal(dim1=0, dim2=2)
        raw = (prototypes @ prototypes.T).reshape(count, m, count, m).diagonal(dim1=0, dim2=2)
        upper = torch.triu_indices(m, m, 1)
        turned = concepts.similarity_stats(
            prototypes.reshape(m, count, 6).transpose(0, 1).flatten(0, 1), m
        )
        hints = [
            (stats.mean, "this is the mean over all pairs: it hides what happens within a concept"),
            (stats.between, "these are pairs of two concepts: take pairs of one"),
            (stats.max, "this is the largest cosine: take the mean within concepts"),
            (blocks.mean(), "each prototype is compared with itself too: leave the diagonal out"),
            (
                (blocks.sum() - count * m) / (count * m * m),
                "the diagonal is left out of the sum but not of the number of pairs",
            ),
            (raw[upper[0], upper[1]].mean(), "cosines need unit vectors: normalise first"),
            (turned.within, "prototypes of one concept stand next to each other, m at a time"),
        ]
        what = f"the similarity within {count} concepts of {m} prototypes"
        same(learner(prototypes, m), stats.within, what, 1e-4, hints)
