"""Every figure: sheets of pictures with their maps, training curves, bars by class, anchors before
and after.

Special: a map lies over its photograph, in one unit wherever normal parts are known (`deviations`),
and the photograph beside it stays bare; colours stay readable in grey and for the colour-blind
(viridis for maps; lines and points also differ in dash and shape), the ground is always white, and
a defect's true outline is black and white, so that it shows on anything, and keeps off the defect.
Use: `sheet(pictures, maps, masks)`, `curves(history)`, `class_bars(report)`, `save(figure,
"runs/a/loss.png")`. Each gives a matplotlib Figure; a notebook shows it when it is the last line of
a cell.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from scipy import ndimage

from .. import scoring
from ..datasets import AnomalyDataset
from ..evaluation import Report, maps_of
from .charts import anchors, class_bars, curves, finding, growth, ratios  # noqa: F401 - drawn there
from .style import (  # noqa: F401 - chapters find all of it here
    ENDS,
    HEAT,
    LINES,
    UNIT,
    WORDS,
    as_array,
    crisp,
    name_points,
    placed,
    save,
)

REFERENCES = 6  # normal pictures of a product that set the zero of its maps
LOW = 1.0  # deviations above normal where the map begins to show
HIGH = ENDS[1]  # and where it is full
# of detections, in inches: a picture's side, the gap between two, the room for a title of two lines
SIDE = 2.0
GAP = 0.06
HEAD = 0.5


def sheet(
    pictures: Sequence,
    maps: Sequence | Mapping[str, Sequence] | None = None,
    masks: Sequence | None = None,
    titles: Sequence | None = None,
    title: str = "",
    columns: int | None = None,
    scale: str | tuple[float, float] = "shared",
    unit: str = "anomaly score",
) -> Figure:
    """Pictures (H, W, 3), each with its map (H, W) laid over it to the right; the outline of its
    mask (H, W) stands on the map, or on the picture where there is none.

    maps: one a picture, or {label: maps} for several side by side. scale: "shared" colours all maps
    alike, so that they can be compared; "deviations" does so for maps in the course's one unit;
    (low, high) over several sheets; "own" stretches each to its own ends, which shows where it
    peaks but makes good parts look as alarming as bad ones.
    """
    if scale == "deviations":
        scale, unit = ENDS, UNIT
    looks = maps if isinstance(maps, Mapping) else {} if maps is None else {"": maps}
    lists = [("maps", each) for each in looks.values()]
    for name, values in (*lists, ("masks", masks), ("titles", titles)):
        if values is not None and len(values) != len(pictures):
            raise ValueError(f"{len(pictures)} pictures, but {len(values)} {name}")
    if not len(pictures) or not (scale in ("shared", "own") or len(scale) == 2):
        raise ValueError(
            f"{len(pictures)} pictures, scale {scale!r}: needs some, and 'shared', 'own' or two "
            "ends"
        )
    columns = columns or min(len(pictures), 4 if looks else 6)
    arrays = {label: [as_array(array) for array in each] for label, each in looks.items()}
    ends = (None, None) if scale == "own" else scale
    if arrays and scale == "shared":  # else one glint dims all others
        values = [array.ravel() for each in arrays.values() for array in each]
        ends = np.percentile(np.concatenate(values), (1, 99.8))
    side, step = 1.5, (1 + len(looks)) * 1.55 + 0.12  # inches
    lines, bar = math.ceil(len(pictures) / columns), 0.8 * bool(arrays and scale != "own")
    point = max(8, columns * step + bar)  # a wide sheet is shown smaller: its words are larger
    line = 0.03 * point if titles else 0.06
    head = 0.04 + 0.025 * point * len(title.splitlines())
    height = lines * (side + line) + head + 0.08
    figure, axes = placed(columns * step + bar, height)
    for i, picture in enumerate(pictures):
        row, column = divmod(i, columns)
        left, top = 0.06 + column * step, head + line + row * (side + line)
        cells = [axes(left + 1.55 * j, top, side, side) for j in range(1 + len(looks))]
        cells[0].imshow(as_array(picture))
        for ax, (label, each) in zip(cells[1:], arrays.items(), strict=True):
            shown = laid_over(ax, as_array(picture), each[i], *ends)
            ax.set_title("" if row else label, fontsize=point, pad=3, parse_math=False)
        for ax in cells:
            ax.set_axis_off()
        for ax in cells[1:] or cells:
            if masks is not None and masks[i] is not None:
                outline(ax, as_array(masks[i]))
        name = "" if titles is None else titles[i].replace("_", " ")
        cells[0].set_title(name, fontsize=point, loc="left", pad=3, parse_math=False)
    if bar:
        tall = min(2.4, height - head - line - 0.08)
        where = axes(columns * step + 0.05, head + line, 0.12, tall)
        figure.colorbar(shown, where, extend="both").set_label(unit, fontsize=point)
    figure.suptitle(title, fontsize=1.25 * point, y=1 - 0.06 / height, parse_math=False)
    return figure


def overlay(picture: np.ndarray, anomaly_map: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3) and a map (H, W) in deviations -> the map in red over the photograph."""
    share = ((anomaly_map - LOW) / (HIGH - LOW)).clip(0, 1)[..., None] * 0.65
    grey = picture.astype(float)
    red = np.array((230.0, 30.0, 20.0))
    return (grey * (1 - share) + red * share).astype(np.uint8)


def detections(
    pictures: Sequence[np.ndarray],
    maps: Sequence[np.ndarray],
    masks: Sequence[np.ndarray | None],
    titles: Sequence[str],
    columns: int = 4,
) -> Figure:
    """What a detector says of parts, large. Two rows a line: as photographed, and with its map laid
    over and the true defect outlined; the verdict stands above.
    """
    step = HEAD + 2 * (SIDE + GAP)
    figure, axes = placed(columns * (SIDE + GAP) + GAP, -(-len(pictures) // columns) * step)
    for i, picture in enumerate(pictures):
        line, column = divmod(i, columns)
        left, top = GAP + column * (SIDE + GAP), line * step + HEAD
        above = axes(left, top, SIDE, SIDE)
        above.imshow(picture)
        above.set_title(titles[i].replace("_", " "), fontsize=9)
        below = axes(left, top + SIDE + GAP, SIDE, SIDE)
        below.imshow(overlay(picture, maps[i]))
        if masks[i] is not None:
            outline(below, masks[i])
        for ax in (above, below):
            ax.set_axis_off()
    return figure


def typical(data: AnomalyDataset, count: int = 6) -> AnomalyDataset:
    """Of each of the first so many classes the defective picture whose defect is of median size."""
    chosen = []
    for name in data.classes[:count]:
        subset = data.filter(name, labels=1)
        order = sorted(range(len(subset)), key=lambda i, subset=subset: subset[i].mask.mean())
        chosen.append(subset.records[order[len(order) // 2]])
    return data.view(chosen)


def laid_over(
    ax: Axes, picture: np.ndarray, anomaly_map: np.ndarray, low: float | None, high: float | None
) -> AxesImage:
    """A map over its photograph in grey; what is given back makes a colour bar."""
    ax.imshow(picture.mean(-1), cmap="gray")
    options = {"cmap": HEAT, "vmin": low, "vmax": high, "alpha": 0.65}
    return ax.imshow(
        anomaly_map, extent=(-0.5, picture.shape[1] - 0.5, picture.shape[0] - 0.5, -0.5), **options
    )


def deviations(maps, names: Sequence[str], labels: Sequence[int]) -> torch.Tensor:
    """Maps (B, H, W) in the course's one unit: 0 is the mean and 1 the spread of the maps of each
    product's own normal pictures (label 0), which must be among them.
    """
    maps = torch.as_tensor(maps)
    counted = torch.empty_like(maps)
    for name in set(names):
        places = [i for i, each in enumerate(names) if each == name]
        normal = [i for i in places if not labels[i]]
        if not normal:
            raise ValueError(f"{name}: no normal picture among these maps, so there is no zero")
        counted[places] = scoring.z_scores(maps[places], scoring.fit_constants(maps[normal]))
    return counted


def outline(ax: Axes, mask: np.ndarray) -> None:
    """The edge of a mask (H, W), visible on any ground, a little way off what it rings."""
    if mask.any():
        # what is thin stays visible inside
        around = ndimage.binary_dilation(mask > 0, iterations=max(1, max(mask.shape) // 42))
        closed = np.pad(around, 1).astype(float)  # also where a defect touches the rim
        at = np.arange(-1, closed.shape[1] - 1), np.arange(-1, closed.shape[0] - 1)
        for colour, width in (("black", 1.5), ("white", 0.7)):
            ax.contour(*at, closed, [0.5], colors=colour, linewidths=width)


def cases(
    model, data: AnomalyDataset, report: Report, which: str = "worst", count: int = 8
) -> Figure:
    """The report's best or worst defective pictures, or its false alarms, with their maps made
    again, in deviations above normal.
    """
    rows = report.extremes(count)[which]
    if not rows:
        raise ValueError(f"the report knows no {which} pictures: no masks, or no normal pictures")
    samples = [data[row["index"]] for row in rows]
    predict = maps_of(model, report.about["stage"], report.about["domain"])
    maps = _maps_in_deviations(model, predict, data, samples)
    told = report.about["judged"] == "detector"  # else a score has no scale of its own
    titles = []
    for row in rows:
        end = f", score {row['score']:.1f}" if told else ""
        end = f", AP {row['pixel_ap']:.2f}" if row["label"] else end
        titles.append(f"{row['class_name']}: {row['defect'] or 'normal'}{end}")
    words = {
        "best": "Defects found best, by the AP of their own pixels",
        "worst": "Defects missed most, by the AP of their own pixels",
        "false alarms": "Normal parts with the highest scores"
        + ("" if told else ", each beside the normal parts of its own product"),
    }
    columns = [s.image for s in samples], maps, [s.mask for s in samples], titles
    ring = "" if which == "false alarms" else " (outline: true defect)"
    return sheet(*columns, words[which] + ring, scale="deviations")


def _maps_in_deviations(model, predict, data: AnomalyDataset, samples: Sequence) -> torch.Tensor:
    device = next(getattr(model, "model", model).parameters()).device
    zeros = []
    for name in dict.fromkeys(sample.class_name for sample in samples):
        normal = data.filter(name, labels=0)
        zeros += [normal[i] for i in range(min(REFERENCES, len(normal)))]
    maps = []
    names = [sample.class_name for sample in (*zeros, *samples)]
    for sample, name in zip((*zeros, *samples), names, strict=True):
        image = torch.from_numpy(sample.image).to(device).movedim(-1, 0)[None] / 255
        with torch.no_grad():
            maps.append(predict({"image": image, "class_name": [name]})[""][0].cpu())
    # what is shown sets no zero, even where it is normal
    labels = [0] * len(zeros) + [1] * len(samples)
    return deviations(torch.cat(maps), names, labels)[len(zeros) :]
