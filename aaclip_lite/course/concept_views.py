"""Pictures of chapter 16: what a box loss costs, what a prototype looks like, what a mask changes.

Special: a prototype is shown by the training patch that it is nearest to, so that "this looks like
that" can be checked by eye.
Use: `loss_curves()`, `looks_like(...)`, `live(masking(model, tokens, image), Mask(), MASK_CHOICES)`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image
from torch import Tensor

from ..variants import concepts
from .concept_measures import seen
from .flawed_parts import CONCEPTS, VERDICTS
from .style import LINES, new_figure
from .views import View

SIDE = 300  # of a picture in the masking panel


def loss_curves() -> Figure:
    """Cost and pull of one cell inside its box, by the value of the map there, for each version."""
    logits = torch.linspace(-6, 6, 241)
    figure, axes = new_figure(1, 2, 9, 3.2)
    cost, pull = axes[0]
    for version, (colour, dash, _) in zip(("old", "fixed", "bce", "hinge"), LINES, strict=True):
        cams = logits.clone().requires_grad_()
        costs = concepts.box_loss(cams[:, None, None], torch.ones(1, 1), version)
        costs.sum().backward()
        cost.plot(logits, costs.detach(), dash, color=colour, label=version)
        pull.plot(logits, -cams.grad, dash, color=colour, label=version)
    cost.set(title="cost of a cell inside the box", xlabel="map (logit)", ylabel="loss")
    pull.set(title="how hard it is pulled up", xlabel="map (logit)", ylabel="minus gradient")
    cost.legend(frameon=False)
    return figure


def nearest_patches(
    model: concepts.ConceptModel, tokens: Float[Tensor, "n width h w"]
) -> list[tuple[int, int]]:
    """For each prototype the training picture and the cell that look most like it."""

    def best(chunk):
        maps = concepts.similarity_maps(model.projector(model.neck(chunk)), model.prototypes)
        return torch.stack([each.float() for each in maps.flatten(2).max(-1)], 1)

    with torch.no_grad():
        values, cells = seen(best, tokens).unbind(1)
    pictures = values.argmax(0)
    return [(int(row), int(cells[row, p])) for p, row in enumerate(pictures)]


def share_in_box(nearest: list[tuple[int, int]], boxes: list, per_concept: int, grid: int) -> float:
    """Share of the defects' prototypes whose nearest training patch lies in a box of their concept."""
    hits = []
    for place, (row, cell) in enumerate(nearest[: (len(CONCEPTS) - 1) * per_concept]):
        right = [box for k, *box in boxes[row] if k == place // per_concept]
        hits.append(any(concepts.box_mask(box, grid, "ceil").flatten()[cell] for box in right))
    return sum(hits) / len(hits)


def _marked(ax, image: UInt8[Tensor, "3 h w"], cell: int, grid: int, title: str) -> None:
    ax.imshow(image.movedim(0, -1))
    step = image.shape[-1] / grid
    row, column = divmod(cell, grid)
    corner = ((column - 1) * step, (row - 1) * step)
    for colour, width in (("black", 3.5), ("white", 1.5)):
        frame = Rectangle(corner, 3 * step, 3 * step, fill=False, edgecolor=colour, linewidth=width)
        ax.add_patch(frame)
    ax.set_title(title, fontsize=8)
    ax.set_axis_off()


def looks_like(model, tokens, parts, rows, nearest, training) -> Figure:
    """Each part beside the training patches of the three prototypes that speak most for its verdict.

    rows: numbers in `parts`; nearest: of `nearest_patches` on the `training` parts.
    """
    grid = tokens.shape[-1]
    figure, axes = new_figure(len(rows), 4, 8.4, 2.3 * len(rows))
    for row_axes, row in zip(axes, rows, strict=True):
        with torch.no_grad():
            projected = model.projector(model.neck(tokens[row : row + 1].float()))
            maps = concepts.similarity_maps(projected, model.prototypes)[0].flatten(1)
            scores = maps.amax(1)
            said = int(model.task_head(scores).argmax())
        weight = model.task_head.weight.detach()
        speaks = (weight[said] - weight.mean(0)) * scores
        best = speaks.topk(3).indices.tolist()
        kinds = ", ".join(CONCEPTS[k] for k in parts.labels[row].nonzero().flatten())
        title = f"{parts.products[row]}: {kinds}\nsays {VERDICTS[said]}".replace("_", " ")
        _marked(row_axes[0], parts.images[row], int(maps[best[0]].argmax()), grid, title)
        for ax, p in zip(row_axes[1:], best, strict=True):
            picture, cell = nearest[p]
            name = CONCEPTS[p // model.per_concept].replace("_", " ")
            title = f"like {name} {p % model.per_concept + 1}: {scores[p]:.2f}\n"
            title += training.products[picture].replace("_", " ")
            _marked(ax, training.images[picture], cell, grid, title)
    return figure


@dataclass(frozen=True)
class Mask:
    """A square of cells that the model must not look at."""

    row: int = 0
    column: int = 0
    size: int = 0


def masking(
    model: concepts.ConceptModel, tokens: Float[Tensor, "width h w"], image: UInt8[Tensor, "3 h w"]
) -> Callable[[Mask], View]:
    """A function of a Mask that gives the picture with that square greyed, and the verdict."""
    grid = tokens.shape[-1]

    def show(setting: Mask) -> View:
        keep = torch.ones(1, grid, grid)
        rows = slice(setting.row, setting.row + setting.size)
        keep[0, rows, setting.column : setting.column + setting.size] = 0
        with torch.no_grad():
            shares = model(tokens[None].float(), keep)[0].softmax(0).tolist()
        shown = image.movedim(0, -1).numpy().copy()
        hidden = np.kron(keep[0].numpy() == 0, np.ones([image.shape[-1] // grid] * 2)) > 0
        shown[hidden] = 128
        figures = dict(zip(VERDICTS, shares, strict=True))
        text = ", ".join(f"{name} {share:.0%}" for name, share in figures.items())
        return View(Image.fromarray(shown).resize((SIDE, SIDE)), figures, text)

    return show


def beside(views: list[View], titles: list[str]) -> Figure:
    """Views of the masking panel side by side, for a page without sliders."""
    figure, axes = new_figure(1, len(views), 2.8 * len(views), 3.2)
    for ax, view, title in zip(axes[0], views, titles, strict=True):
        ax.imshow(view.picture)
        ax.set_title(f"{title}\n{view.text}", fontsize=8)
        ax.set_axis_off()
    return figure
