"""What all figures share: colours, the unit of anomaly maps, the white ground, sharp figures in a
notebook, saving, and how values become arrays.
"""

import io
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from ..files.keep import atomic

HEAT = "viridis"
# the one unit of anomaly maps: 0 is the mean and 1 the spread of the product's normal parts
UNIT = "deviations above normal"
ENDS = (-1.0, 6.0)  # deviations with the first and the last colour
STYLE = {
    "font.size": 9,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "text.parse_math": False,  # a file or class may have a $ in its name
}
LINES = (
    ("#0072b2", "-", "o"),
    ("#d55e00", "--", "^"),
    ("#009e73", "-.", "s"),
    ("#000000", ":", "D"),
)
WORDS = {
    "pixel_auroc": "pixel AUROC",
    "pixel_ap": "pixel AP",
    "pixel_f1max": "pixel F1-max",
    "pixel_pro": "PRO up to 0.3",
    "inside_auroc": "pixel AUROC inside the object",
    "peak_hit": "share of peaks on the defect",
    "image_auroc": "image AUROC",
    "image_ap": "image AP",
    "image_f1max": "image F1-max",
}


def save(figure: Figure, path: str | Path, dpi: int = 110) -> Path:
    """A PNG, complete or not at all."""
    plain = {"Software": None}  # no version, so that the same figure gives the same bytes
    options = {"dpi": dpi, "format": "png", "facecolor": "white", "metadata": plain}
    return atomic(path, partial(figure.savefig, **options))


def crisp(times: float = 2.0) -> None:
    """For a notebook's set-up: figures as JPEG with so many times the pixels, shown at their own
    size. Less than 2 where many photographs would make the file too large.
    """
    from IPython import get_ipython

    shell = get_ipython()
    if shell is None:  # a plain script shows no figures
        return
    shell.run_line_magic("matplotlib", "inline")
    shell.run_line_magic("config", 'InlineBackend.figure_formats = ["jpeg"]')
    shell.display_formatter.formatters["image/jpeg"].for_type(Figure, partial(_fine, times))


def _fine(times: float, figure: Figure) -> tuple[bytes, dict]:
    file = io.BytesIO()
    options = {"format": "jpeg", "bbox_inches": "tight", "facecolor": "white"}
    figure.savefig(file, dpi=times * figure.dpi, pil_kwargs={"quality": 72}, **options)
    return file.getvalue(), {"width": round(Image.open(file).width / times)}


@contextmanager
def styled():
    """These settings for a while; plt.rc_context would also undo what the first figure of a
    notebook sets up.
    """
    before = {name: plt.rcParams[name] for name in STYLE}
    plt.rcParams.update(STYLE)
    try:
        yield
    finally:
        plt.rcParams.update(before)


def new_figure(
    rows: int, columns: int, width: float, height: float, **options
) -> tuple[Figure, np.ndarray]:
    with styled():
        options |= {"figsize": (width, height), "squeeze": False, "layout": "constrained"}
        figure, axes = plt.subplots(rows, columns, **options)
    plt.close(figure)  # else a notebook would show it twice
    return figure, axes


def new_axes(width: float, height: float, **words) -> tuple[Figure, Axes]:
    """A figure with one place to draw; words: of Axes.set."""
    figure, axes = new_figure(1, 1, width, height)
    axes[0, 0].set(**words)
    return figure, axes[0, 0]


def placed(width: float, height: float) -> tuple[Figure, Callable[..., Axes]]:
    """A figure, and what puts axes for a picture into it: left, top, width, height, in inches.
    matplotlib's own layout takes seconds for many axes.
    """
    with styled():
        figure = plt.figure(figsize=(width, height))
    plt.close(figure)

    def axes(left: float, top: float, wide: float, high: float) -> Axes:
        share = (left / width, 1 - (top + high) / height, wide / width, high / height)
        return figure.add_axes(share)

    return figure, axes


def as_array(values) -> np.ndarray:
    return (
        values.detach().float().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    )


def name_points(
    ax: Axes, names: Sequence[str], points: np.ndarray, far: float = 4, size: float = 9
) -> None:
    """Each point's name on the side away from its nearest neighbour, so that few names meet, but not
    over the figure's edge.

    points: (N, 2). far: points of distance.
    """
    for i, (name, spot) in enumerate(zip(names, points, strict=True)):
        others = np.delete(points, i, axis=0)
        nearest = others[np.linalg.norm(others - spot, axis=1).argmin()] if len(others) else spot
        share = (spot - points.min(0)) / (np.ptp(points, axis=0) + 1e-12)
        right, above = np.where(abs(share - 0.5) > 0.4, share < 0.5, spot >= nearest)
        ax.annotate(
            name.replace("_", " "),
            spot,
            xytext=(far if right else -far, far if above else -far),
            textcoords="offset points",
            ha="left" if right else "right",
            va="bottom" if above else "top",
            fontsize=size,
        )
