"""The figures of chapter 14: captions, ratios between two rows, affinities, runs, and the study.

Special: colours also differ in shape or hatch; intervals are drawn wherever a figure has one.
Use: each function gives a matplotlib Figure; a notebook shows it as the last line of a cell.
"""

import textwrap
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from ..variants.contrastive import bandpass_weights, debias_weights
from . import retrieval
from .retrieval import CAPTIONS, Task

BLUE, ORANGE, GREEN, BLACK = "#0072b2", "#d55e00", "#009e73", "#000000"


def _new(columns: int, width: float, height: float, **options):
    figure, axes = plt.subplots(
        1, columns, figsize=(width, height), layout="constrained", facecolor="white", **options
    )
    plt.close(figure)  # else a notebook shows it twice
    return figure, axes


def captions(task: Task, chosen: Sequence[int]) -> Figure:
    """Pictures as the camera delivers them, each with its own captions; in brackets, of how many
    pictures of the whole task a caption is right.
    """
    figure = plt.figure(figsize=(3.1 * len(chosen), 4.8), facecolor="white")
    plt.close(figure)
    for column, i in enumerate(chosen):
        ax = figure.add_axes((column / len(chosen) + 0.01, 0.44, 0.9 / len(chosen), 0.55))
        ax.imshow(task.images[i].movedim(0, -1).numpy())
        ax.set_axis_off()
        ax.set_anchor("NW")
        own = range(i * CAPTIONS, (i + 1) * CAPTIONS)
        lines = [f"[{int(task.right[:, j].sum())}] {task.captions[j]}" for j in own]
        text = "\n".join(textwrap.fill(line, 46, subsequent_indent="     ") for line in lines)
        ax.text(0, -0.03, text, transform=ax.transAxes, fontsize=7, va="top")
    return figure


def ratios(tables: Mapping[str, tuple[Mapping, Mapping, float]]) -> Figure:
    """{title: (row, row below the line, unit of rounding)}: the ratio of every column, with what
    rounding leaves open.
    """
    figure, axes = _new(len(tables), 4.4 * len(tables), 2.7)
    for ax, (title, (a, b, unit)) in zip(np.atleast_1d(axes), tables.items(), strict=True):
        names = list(a)
        middle = np.array([a[n] / b[n] for n in names])
        reach = np.array([unit / 2 * (1 / a[n] + 1 / b[n]) for n in names]) * middle
        ax.errorbar(range(len(names)), middle, reach, fmt="o", color=BLUE, capsize=4)
        ax.axhline(np.median(middle), color=BLACK, linestyle=":", linewidth=1)
        ax.set_xticks(range(len(names)), names, rotation=30, ha="right", fontsize=8)
        ax.set(title=title, ylabel="ratio of the two rows")
        ax.margins(x=0.1, y=0.6)
        ax.grid(alpha=0.25)
    return figure


def affinities(A: Tensor, right: Tensor) -> Figure:
    """How alike the pairs of some batches are, those that are right and those that are not, and
    the weight that each kind gives them. A, right: (batches, B, B).
    """
    figure, ax = _new(1, 7.5, 3.2)
    off = ~torch.eye(A.shape[-1], dtype=torch.bool).expand_as(A)
    bins = np.linspace(-0.6, 1.0, 41)
    for truth, colour, hatch, label in (
        (False, "#bbbbbb", "", "true negatives"),
        (True, ORANGE, "//", "false negatives"),
    ):
        values = A[off & (right == truth)].numpy()
        share = np.full(len(values), 1 / len(values))
        ax.hist(values, bins, weights=share, color=colour, hatch=hatch, alpha=0.6, label=label)
    ax.set(xlabel="affinity of two pairs", ylabel="share of the pairs")
    other, x = ax.twinx(), torch.linspace(-0.6, 1, 200)
    other.plot(x, debias_weights(x), color=BLUE, label="weight, debias")
    other.plot(x, bandpass_weights(x), "--", color=GREEN, label="weight, bandpass")
    other.set(ylabel="weight", ylim=(0, 1.05))
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    ax.set_title("Which pairs do the weights take away?")
    return figure


def runs(logs: Mapping[str, Sequence[Mapping]]) -> Figure:
    """Each run's own loss, and the yardstick that all share."""
    figure, axes = _new(2, 8.6, 3.0)
    styles = ((BLUE, "-"), (ORANGE, "--"), (GREEN, "-."), (BLACK, ":"))
    for ax, column in zip(axes, ("loss", "cross_entropy"), strict=True):
        for (name, rows), (colour, dash) in zip(logs.items(), styles, strict=False):
            values = np.array([row[column] for row in rows])
            smooth = np.convolve(np.pad(values, (7, 0), "edge"), np.ones(8) / 8, "valid")
            ax.plot(smooth, dash, color=colour, label=name)
        ax.set(title=column.replace("_", "-"), xlabel="step")
        ax.grid(alpha=0.25)
    axes[0].set_title("each run's own loss: not comparable")
    axes[1].set_title("plain cross-entropy of the same batches")
    axes[1].legend(frameon=False, fontsize=8)
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
    figure, axes = _new(6, 13, 0.42 * len(names) + 1.3, sharey=True)
    axes[0].set_xscale("symlog", linthresh=0.1)
    for ax, (title, read) in zip(axes, panels.items(), strict=True):
        for place, name in enumerate(names):
            middle, low, high = change(result, name, read)
            sure = low > 0 or high < 0
            ax.plot([low, high], [place, place], color=ORANGE if sure else "#777777", linewidth=2)
            ax.plot(middle, place, "D" if sure else "o", color=ORANGE if sure else "#777777")
        ax.axvline(0, color=BLACK, linewidth=0.8)
        ax.set_title(title, fontsize=9)
        ax.tick_params(axis="x", labelsize=7)
        if ax is not axes[0]:
            ax.locator_params(axis="x", nbins=4)
        ax.grid(alpha=0.25)
    labels = [f"{name}\nagainst {result['runs'][name]['parent']}" for name in names]
    axes[0].set_yticks(range(len(names)), labels, fontsize=8)
    axes[0].invert_yaxis()
    figure.supxlabel(
        "change against the parent run, mean and 95 % interval over the seeds; columns 3 to 6: R@1",
        fontsize=9,
    )
    return figure


def change(result: Mapping, name: str, read) -> tuple[float, float, float]:
    """(mean, low, high) of what `read` finds in a seed's result, against the parent's."""
    return retrieval.change(result, name, result["runs"][name]["parent"], read)
