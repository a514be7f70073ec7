"""The figures of chapter 14: captions, ratios between two rows, affinities, runs, and the study.

Special: colours also differ in shape or hatch; intervals are drawn wherever a figure has one.
Use: each function gives a matplotlib Figure; a notebook shows it as the last line of a cell.
"""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from ..variants.contrastive import bandpass_weights, debias_weights
from .charts import curves
from .retrieval import CAPTIONS, Task, change
from .style import LINES, new_axes, new_figure, placed
from .trials import changes


def captions(task: Task, chosen: Sequence[int]) -> Figure:
    """Pictures as the camera delivers them, each with its own captions; in brackets, of how many
    pictures of the whole task a caption is right.
    """
    figure, axes = placed(3.1 * len(chosen), 4.8)
    for column, i in enumerate(chosen):
        ax = axes(3.1 * column + 0.03 * len(chosen), 0.05, 2.8, 2.64)
        ax.imshow(task.images[i].movedim(0, -1).numpy())
        ax.set_axis_off()
        ax.set_anchor("NW")
        numbers = range(i * CAPTIONS, (i + 1) * CAPTIONS)
        lines = [f"[{int(task.right[:, j].sum())}] {task.captions[j]}" for j in numbers]
        text = "\n".join(textwrap.fill(line, 46, subsequent_indent="     ") for line in lines)
        ax.text(0, -0.03, text, transform=ax.transAxes, fontsize=7, va="top")
    return figure


def ratios(tables: Mapping[str, tuple[Mapping, Mapping, float]]) -> Figure:
    """{title: (row, row below the line, unit of rounding)}: the ratio of every column, with what
    rounding leaves open.
    """
    figure, axes = new_figure(1, len(tables), 4.4 * len(tables), 2.7)
    for ax, (title, (a, b, unit)) in zip(axes[0], tables.items(), strict=True):
        names = list(a)
        middle = np.array([a[n] / b[n] for n in names])
        reach = np.array([unit / 2 * (1 / a[n] + 1 / b[n]) for n in names]) * middle
        ax.errorbar(range(len(names)), middle, reach, fmt="o", color=LINES[0][0], capsize=4)
        ax.axhline(np.median(middle), color="black", linestyle=":", linewidth=1)
        ax.set_xticks(range(len(names)), names, rotation=30, ha="right", fontsize=8)
        ax.set(title=title, ylabel="ratio of the two rows")
        ax.margins(x=0.1, y=0.6)
        ax.grid(alpha=0.25)
    return figure


def affinities(A: Tensor, right: Tensor) -> Figure:
    """How alike the pairs of some batches are, those that are right and those that are not, and
    the weight that each kind gives them. A, right: (batches, B, B).
    """
    words = {"xlabel": "affinity of two pairs", "ylabel": "share of the pairs"}
    figure, ax = new_axes(7.5, 3.2, title="Which pairs do the weights take away?", **words)
    off = ~torch.eye(A.shape[-1], dtype=torch.bool).expand_as(A)
    bins = np.linspace(-0.6, 1.0, 41)
    for truth, colour, hatch, label in (
        (False, "#bbbbbb", "", "true negatives"),
        (True, LINES[1][0], "//", "false negatives"),
    ):
        values = A[off & (right == truth)].numpy()
        share = np.full(len(values), 1 / len(values))
        ax.hist(values, bins, weights=share, color=colour, hatch=hatch, alpha=0.6, label=label)
    other, x = ax.twinx(), torch.linspace(-0.6, 1, 200)
    other.plot(x, debias_weights(x), color=LINES[0][0], label="weight, debias")
    other.plot(x, bandpass_weights(x), "--", color=LINES[2][0], label="weight, bandpass")
    other.set(ylabel="weight", ylim=(0, 1.05))
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    return figure


def runs(logs: Mapping[str, Sequence[Mapping]]) -> Figure:
    """Each run's own loss, and the yardstick that all share."""
    numbered = {
        name: [row | {"step": step} for step, row in enumerate(rows, 1)]  # logs count by epoch
        for name, rows in logs.items()
    }
    figure = curves(numbered, ["loss", "cross_entropy"], title="")
    losses, shared = figure.axes
    losses.set_title("each run's own loss: not comparable")
    losses.get_legend().remove()  # it would lie over the curves
    shared.set_title("plain cross-entropy of the same batches")
    shared.legend(frameon=False)
    figure.set_size_inches(8.6, 3)
    return figure


def study(result: Mapping, names: Sequence[str]) -> Figure:
    """Change against the parent run: own loss, cross-entropy, R@1 of both ways, seed by seed."""
    panels = {
        "own loss, last epoch": lambda s: s["last loss"],
        "cross-entropy": lambda s: s["last cross_entropy"],
        "pictures ask: own caption": lambda s: s["owner"]["i2t R@1"],
        "any right caption": lambda s: s["right"]["i2t R@1"],
        "captions ask: own picture": lambda s: s["owner"]["t2i R@1"],
        "any right picture": lambda s: s["right"]["t2i R@1"],
    }
    figure, axes = new_figure(1, 6, 13, 0.42 * len(names) + 1.3, sharey=True)
    axes[0, 0].set_xscale("symlog", linthresh=0.1)
    axes[0, 0].xaxis.set_major_formatter("{x:g}")
    labels = [f"{name}\nagainst {result['runs'][name]['parent']}" for name in names]
    for ax, (title, read) in zip(axes[0], panels.items(), strict=True):
        intervals = [change(result, name, read) for name in names]
        changes(ax, [(middle, high - middle) for middle, _, high in intervals], labels)
        ax.set_title(title, fontsize=9)
        ax.tick_params(labelsize=8)
        if ax is not axes[0, 0]:
            ax.locator_params(axis="x", nbins=4)
    words = (
        "change against the parent run, mean and 95 % interval over the seeds (filled: it leaves "
    )
    figure.supxlabel(f"{words}zero out); columns 3 to 6: R@1", fontsize=9)
    return figure
