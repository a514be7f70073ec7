"""The figures of chapter 17."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from matplotlib.figure import Figure

from ..style import HEAT, new_axes, new_figure
from .claim import VERDICTS
from .reading import counts

COLOURS = ("#009e73", "#d55e00", "#f0e442", "#cc79a7", "#cccccc", "#0072b2")
HATCHES = ("", "//", "..", "xx", "", "\\\\")
BESIDE = {"frameon": False, "loc": "upper left", "bbox_to_anchor": (1, 1)}  # a legend's place


def verdicts() -> Figure:
    """How many claims of each document met which verdict."""
    by_document = counts()
    figure, ax = new_axes(8, 2.8, title="Claims by document and verdict", xlabel="claims")
    left = np.zeros(len(by_document))
    for verdict, colour, hatch in zip(VERDICTS, COLOURS, HATCHES, strict=True):
        widths = np.array([row[verdict] for row in by_document.values()])
        style = {"color": colour, "hatch": hatch, "edgecolor": "black", "lw": 0.5}
        bars = ax.barh(list(by_document), widths, left=left, label=verdict, **style)
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1, "alpha": 0.8}
        numbers = [str(width) if width else "" for width in widths]
        ax.bar_label(bars, numbers, label_type="center", bbox=box)
        left += widths
    ax.invert_yaxis()
    ax.legend(**BESIDE)
    return figure


def yardsticks(betas: Sequence[float], losses: Sequence[float]) -> Figure:
    """One model's loss as its definition changes."""
    words = {"xlabel": "beta: how much negatives are weighed up"}
    words |= {"ylabel": "loss above cross-entropy [%]"}
    figure, ax = new_axes(6, 3, title="The same model, the same data, another definition", **words)
    ax.plot(betas, 100 * (np.array(losses) / losses[0] - 1), "o-", color="#0072b2")
    ax.axhline(33.9, color="#d55e00", ls="--", label="the report's “serious issues”")
    ax.legend(frameon=False)
    return figure


def descents(start: torch.Tensor, mask: torch.Tensor, ends: Mapping[str, torch.Tensor]) -> Figure:
    """A free map before and after it descended each loss, the box outlined."""
    shown = {"start": start, **ends}
    fine = np.kron(mask, np.ones((16, 16)))  # else a contour cuts the corners of cells
    extent = (-0.5, mask.shape[1] - 0.5, -0.5, mask.shape[0] - 0.5)
    figure, axes = new_figure(1, len(shown), 3 * len(shown), 2.8)
    for ax, (title, cam) in zip(axes[0], shown.items(), strict=True):
        image = ax.imshow(cam, cmap=HEAT, vmin=-3, vmax=3)
        ax.contour(fine, levels=[0.5], extent=extent, colors="white", linewidths=2)
        ax.set_title(title, fontsize=10)
        ax.set_axis_off()
    figure.colorbar(image, ax=axes, label="map", shrink=0.8)
    return figure


def chance(error: Callable[[int, int], float], readings: Mapping[str, tuple[float, int]]) -> Figure:
    """AUC values on the band that chance alone fills, by the number of pictures of each kind."""
    words = {"title": "What chance alone gives", "xlabel": "pictures of each kind", "ylabel": "AUC"}
    figure, ax = new_axes(6.4, 3.2, **words)
    sizes = np.unique(np.geomspace(10, 2000, 40).astype(int))
    spread = np.array([error(int(n), int(n)) for n in sizes])
    ax.fill_between(sizes, 0.5 - 2 * spread, 0.5 + 2 * spread, color="#cccccc", label="chance ± 2")
    for (name, (value, n)), marker in zip(readings.items(), "os^Dv", strict=False):
        ax.plot(n, value, marker, color="#0072b2", label=name)
    ax.set(xscale="log", ylim=(0.2, 0.8))
    ax.legend(**BESIDE)
    return figure
