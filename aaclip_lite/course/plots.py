"""Every figure: sheets of pictures with their maps, training curves, bars by class, anchors before
and after.

Special: colours stay readable in grey and for the colour-blind (viridis for maps; lines and points
also differ in dash and shape), the ground is always white, and a defect's true outline is black and
white, so that it shows on anything.
Use: `sheet(pictures, maps, masks)`, `curves(history)`, `class_bars(report)`, `save(figure,
"runs/a/loss.png")`. Each gives a matplotlib Figure; a notebook shows it when it is the last line of
a cell.
"""

import math
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import ndimage

from ..datasets import AnomalyDataset
from ..evaluation import Report, maps_of
from .charts import anchors, class_bars, curves, finding, growth, ratios
from .style import HEAT, LINES, STYLE, WORDS, as_array, save, styled

__all__ = [
    "HEAT",
    "LINES",
    "STYLE",
    "WORDS",
    "anchors",
    "cases",
    "class_bars",
    "curves",
    "finding",
    "growth",
    "outline",
    "ratios",
    "save",
    "sheet",
]


def sheet(
    pictures: Sequence,
    maps: Sequence | None = None,
    masks: Sequence | None = None,
    titles: Sequence | None = None,
    title: str = "",
    columns: int | None = None,
    scale: str | tuple[float, float] = "shared",
    unit: str = "anomaly score",
) -> Figure:
    """Pictures (H, W, 3), each with its map (H, W) to the right and its mask (H, W) as an outline
    on both.

    scale: "shared" colours all maps alike, so that they can be compared; (low, high) does so over
    several sheets; "own" stretches each to its own ends, which shows where it peaks but makes good
    parts look as alarming as bad ones.
    """
    for name, given in (("maps", maps), ("masks", masks), ("titles", titles)):
        if given is not None and len(given) != len(pictures):
            raise ValueError(f"{len(pictures)} pictures, but {len(given)} {name}")
    if not len(pictures) or not (scale in ("shared", "own") or len(scale) == 2):
        raise ValueError(
            f"{len(pictures)} pictures, scale {scale!r}: needs some, and 'shared', 'own' or two "
            "ends"
        )
    each, columns = (
        1 if maps is None else 2,
        columns or min(len(pictures), 6 if maps is None else 4),
    )
    heats = [] if maps is None else [as_array(heat) for heat in maps]
    ends = (None, None) if scale == "own" else scale
    values = np.concatenate([heat.ravel() for heat in heats]) if heats else None
    # else one glint dims all others
    ends = np.percentile(values, (1, 99.8)) if heats and scale == "shared" else ends
    # Placed by hand, in inches: matplotlib's own layout takes seconds for this many axes.
    side, line, head, step = (
        1.5,
        0.24 if titles else 0.06,
        0.04 + 0.2 * len(title.splitlines()),
        each * 1.55 + 0.12,
    )
    rows, bar = math.ceil(len(pictures) / columns), 0.8 * bool(heats and scale != "own")
    size = np.array((columns * step + bar, rows * (side + line) + head + 0.08))
    with styled():
        figure = plt.figure(figsize=size)
    plt.close(figure)

    def axes(left: float, top: float, width: float, height: float) -> Axes:
        return figure.add_axes(
            (left / size[0], 1 - (top + height) / size[1], width / size[0], height / size[1])
        )

    for i, picture in enumerate(pictures):
        row, column = divmod(i, columns)
        left, top = 0.06 + column * step, head + line + row * (side + line)
        cells = [axes(left + 1.55 * j, top, side, side) for j in range(each)]
        cells[0].imshow(as_array(picture))
        shown = cells[1].imshow(heats[i], cmap=HEAT, vmin=ends[0], vmax=ends[1]) if heats else None
        for ax in cells:
            ax.set_axis_off()
            if masks is not None and masks[i] is not None:
                outline(ax, as_array(masks[i]))
        name = "" if titles is None else titles[i]
        cells[0].set_title(name, fontsize=8, loc="left", pad=3, parse_math=False)
    if bar:
        where = axes(
            size[0] - bar + 0.05, head + line, 0.12, min(2.4, size[1] - head - line - 0.08)
        )
        figure.colorbar(shown, where, extend="both").set_label(unit, fontsize=8)
    figure.suptitle(title, fontsize=10, y=1 - 0.06 / size[1], parse_math=False)
    return figure


def outline(ax: Axes, mask: np.ndarray) -> None:
    """The edge of a mask (H, W), visible on any ground."""
    if mask.any():
        # thin ones stay visible
        around = ndimage.binary_dilation(mask > 0, iterations=max(1, max(mask.shape) // 64))
        closed = np.pad(around, 1).astype(float)  # also where a defect touches the rim
        at = np.arange(-1, closed.shape[1] - 1), np.arange(-1, closed.shape[0] - 1)
        for colour, width in (("black", 1.8), ("white", 0.8)):
            ax.contour(*at, closed, [0.5], colors=colour, linewidths=width)


def cases(
    model, data: AnomalyDataset, report: Report, which: str = "worst", count: int = 8
) -> Figure:
    """The report's best or worst defective pictures, or its false alarms, with their maps made
    again.
    """
    rows = report.extremes(count)[which]
    if not rows:
        raise ValueError(f"the report knows no {which} pictures: no masks, or no normal pictures")
    samples = [data[row["index"]] for row in rows]
    heat, maps = maps_of(model, report.about["stage"], report.about["domain"]), []
    for sample in samples:
        image = torch.from_numpy(sample.image).to(
            next(getattr(model, "model", model).parameters()).device
        )
        with torch.no_grad():
            found = heat(
                {"image": image.movedim(-1, 0)[None] / 255, "class_name": [sample.class_name]}
            )
        maps.append(found[""][0][0])
    ends = [
        f"AP {row['pixel_ap']:.2f}" if row["label"] else f"score {row['score']:.2f}" for row in rows
    ]
    titles = [
        f"{row['class_name']}: {row['defect'] or 'normal'}, {end}"
        for row, end in zip(rows, ends, strict=True)
    ]
    words = {
        "best": "Defects found best",
        "worst": "Defects missed most",
        "false alarms": "Most alarming normal parts",
    }
    given = (
        [s.image for s in samples],
        maps,
        [s.mask for s in samples],
        [title.replace("_", " ") for title in titles],
    )
    return sheet(*given, f"{words[which]} (outline: true defect)")
