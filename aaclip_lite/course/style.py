"""What all figures share: colours, the white ground, saving, and how values become arrays."""

import json
from contextlib import contextmanager
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from ..evaluation import NAMES
from ..files.keep import atomic

HEAT = "viridis"
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
WORDS = dict(
    zip(
        NAMES,
        (
            "pixel AUROC",
            "pixel AP",
            "pixel F1-max",
            "PRO up to 0.3",
            "pixel AUROC inside the object",
            "share of peaks on the defect",
            "image AUROC",
            "image AP",
            "image F1-max",
        ),
        strict=True,
    )
)


def save(figure: Figure, path: str | Path, dpi: int = 110) -> Path:
    """A PNG, complete or not at all."""

    def write(temporary: str) -> None:
        plain = {"Software": None}  # no version, so that the same figure gives the same bytes
        figure.savefig(temporary, dpi=dpi, format="png", facecolor="white", metadata=plain)

    return atomic(path, write)


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


def as_array(values) -> np.ndarray:
    return (
        values.detach().float().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    )


def rows_of(run) -> list[dict]:
    if isinstance(run, str | Path):
        return [json.loads(line) for line in Path(run).read_text(encoding="utf-8").splitlines()]
    return list(getattr(run, "rows", run))
