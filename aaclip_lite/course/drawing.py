"""The one drawing of the method: two towers, adapters, levels, what stage 1 bends and what stage 2.

Special: drawn by code, so that a chapter can light up where it stands.
Use: `method("stage 1")` gives a Figure; `python -m aaclip_lite.course.drawing` writes the file.
"""

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

FROZEN = "#e8e8e8"
WORDS = "#f6c99f"
PATCHES = "#a8cbe6"
LIT = "#d55e00"
PARTS = ("clip", "adapters", "stage 1", "stage 2", "maps", "data")
Box = tuple[float, float, float, float]  # left, bottom, width, height


def method(here: str | None = None) -> Figure:
    """here: one of PARTS, drawn with a thick edge; None lights up nothing."""
    if here not in (None, *PARTS):
        raise ValueError(f"here = {here!r} is not one of {', '.join(PARTS)}")
    figure, ax = plt.subplots(figsize=(10, 4.1), facecolor="white")
    ax.set(xlim=(0, 10), ylim=(0, 4.1))
    ax.set_axis_off()
    _text_tower(ax, here)
    _image_tower(ax, here)
    _meeting(ax, here)
    figure.subplots_adjust(0, 0, 1, 1)
    plt.close(figure)
    return figure


def _text_tower(ax: Axes, here: str | None) -> None:
    _box(ax, (0.1, 2.75, 1.7, 0.9), "a bottle\na damaged bottle", "white", here == "data")
    for i in range(3):
        left = 2.2 + 1.25 * i
        _box(ax, (left, 2.75, 0.62, 0.9), "text\nblock", FROZEN, here == "clip")
        _box(ax, (left + 0.66, 2.9, 0.42, 0.6), "A", WORDS, here in ("adapters", "stage 1"))
    _box(ax, (6.0, 2.75, 0.7, 0.9), "head", WORDS, here == "stage 1")
    _arrow(ax, (1.8, 3.2), (2.2, 3.2))
    _arrow(ax, (5.85, 3.2), (6.0, 3.2))
    ax.text(2.2, 3.78, "stage 1 bends the words: text adapters train", color="#8a4a12", fontsize=9)


def _image_tower(ax: Axes, here: str | None) -> None:
    _box(ax, (0.1, 0.55, 1.7, 0.9), "picture, cut into\npatches", "white", here == "data")
    for i in range(3):
        left = 2.2 + 1.25 * i
        _box(ax, (left, 0.55, 0.62, 0.9), "image\nblock", FROZEN, here == "clip")
        _box(ax, (left + 0.66, 0.7, 0.42, 0.6), "A", PATCHES, here in ("adapters", "stage 2"))
        _arrow(ax, (left + 0.87, 1.3), (left + 0.87, 1.62))
        _box(ax, (left + 0.55, 1.62, 0.64, 0.34), f"level {i + 1}", PATCHES, here == "stage 2")
    _box(ax, (6.0, 0.55, 0.7, 0.9), "detec-\ntion", PATCHES, here == "stage 2")
    _arrow(ax, (1.8, 1.0), (2.2, 1.0))
    _arrow(ax, (5.85, 1.0), (6.0, 1.0))
    words = "stage 2 bends the patches: image adapters train against the fixed words"
    ax.text(2.2, 0.22, words, color="#1f4e79", fontsize=9)


def _meeting(ax: Axes, here: str | None) -> None:
    _box(ax, (7.1, 2.75, 0.95, 0.9), "anchors\nnormal\nabnormal", WORDS, here == "stage 1")
    _box(ax, (7.1, 1.62, 0.95, 0.6), "cosine of\neach patch", "white", here == "maps")
    _box(ax, (8.45, 1.62, 1.4, 0.6), "anomaly map", "white", here == "maps")
    _box(ax, (8.45, 0.55, 1.4, 0.7), "score, verdict", "white", here == "maps")
    _arrow(ax, (6.7, 3.2), (7.1, 3.2))
    _arrow(ax, (7.57, 2.75), (7.57, 2.22))
    _arrow(ax, (5.95, 1.79), (7.1, 1.85))
    _arrow(ax, (8.05, 1.92), (8.45, 1.92))
    _arrow(ax, (9.15, 1.62), (9.15, 1.25))
    _arrow(ax, (6.7, 0.9), (8.45, 0.9))


def _box(ax: Axes, box: Box, words: str, colour: str, lit: bool) -> None:
    left, bottom, width, height = box
    edge = LIT if lit else "#555555"
    patch = FancyBboxPatch(
        (left, bottom),
        width,
        height,
        boxstyle="round,pad=0.02",
        facecolor=colour,
        edgecolor=edge,
        linewidth=3 if lit else 0.8,
    )
    ax.add_patch(patch)
    middle = (left + width / 2, bottom + height / 2)
    ax.text(*middle, words, ha="center", va="center", fontsize=8.5)


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    ax.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": "#555555"})


if __name__ == "__main__":
    from .plots import save

    print(save(method(), "data/sheets/method.png", dpi=160))
