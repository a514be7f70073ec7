"""The one drawing of the method: two towers, adapters, levels, what stage 1 bends and what stage 2.

Special: drawn by code, and once for each chapter's place in it ("you are here"); the heads of the
chapters name these files.
Use: `method("stage 1")` gives a Figure; `python -m tests.notebooks.drawing` writes all files.
"""

from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from PIL import Image

from aaclip_lite.course.style import save

FROZEN = "#e8e8e8"
WORDS = "#f6c99f"
PATCHES = "#a8cbe6"
LIT = "#d55e00"
# what a chapter may light up, and where "you are here" then stands
PARTS = {
    "data": (0.95, 1.72),
    "clip": (2.5, 2.42),
    "words": (7.45, 4.0),
    "adapters": (3.0, 2.42),
    "stage 1": (6.4, 4.0),
    "stage 2": (6.5, 0.15),
    "losses": (9.15, 4.0),
    "maps": (9.15, 0.3),
}
SENTENCES = "a bottle\na damaged bottle"
PICTURE = "picture, cut\ninto patches"
Box = tuple[float, float, float, float]  # left, bottom, width, height


def method(here: str | None = None) -> Figure:
    """here: one of PARTS, drawn with a thick edge; None lights up nothing."""
    if here is not None and here not in PARTS:
        raise ValueError(f"here = {here!r} is not one of {', '.join(PARTS)}")
    figure, ax = plt.subplots(figsize=(8.6, 3.6), facecolor="white")
    ax.set(xlim=(0, 10), ylim=(0, 4.2))
    ax.set_axis_off()
    _text_tower(ax, here)
    _image_tower(ax, here)
    _meeting(ax, here)
    if here:
        style = {"color": "white", "weight": "bold", "ha": "center", "va": "center"}
        ground = {"boxstyle": "round,pad=0.25", "facecolor": LIT, "edgecolor": "none"}
        ax.text(*PARTS[here], "you are here", fontsize=9, bbox=ground, **style)
    figure.subplots_adjust(0, 0, 1, 1)
    plt.close(figure)
    return figure


def _text_tower(ax: Axes, here: str | None) -> None:
    _box(ax, (0.08, 2.8, 1.55, 0.85), SENTENCES, "white", here in ("data", "words"))
    for i in range(4):
        _block(ax, here, i, 2.8, "text", WORDS, "stage 1")
    _box(ax, (6.12, 2.8, 0.6, 0.85), "head", WORDS, here == "stage 1")
    _arrow(ax, (1.66, 3.22), (1.93, 3.22))
    _arrow(ax, (6.02, 3.22), (6.1, 3.22))
    words = "stage 1 bends the words: text adapters train"
    ax.text(1.95, 3.8, words, color="#8a4a12", fontsize=9)


def _image_tower(ax: Axes, here: str | None) -> None:
    _box(ax, (0.08, 0.5, 1.55, 0.85), PICTURE, "white", here == "data")
    for i in range(4):
        left = _block(ax, here, i, 0.5, "image", PATCHES, "stage 2")
        _box(ax, (left + 0.42, 1.6, 0.62, 0.32), f"level {i + 1}", PATCHES, here == "stage 2")
        _arrow(ax, (left + 0.73, 1.22), (left + 0.73, 1.58))
        ax.plot((left + 0.73, left + 0.73), (1.94, 2.1), color="#555555", linewidth=1)
    ax.plot((2.68, 6.6), (2.1, 2.1), color="#555555", linewidth=1)
    _box(ax, (6.12, 0.5, 0.75, 0.85), "detec-\ntion", PATCHES, here == "stage 2")
    _arrow(ax, (1.66, 0.92), (1.93, 0.92))
    _arrow(ax, (6.02, 0.92), (6.1, 0.92))
    words = "stage 2 bends the patches: image adapters train, words fixed"
    ax.text(0.08, 0.08, words, color="#1f4e79", fontsize=9)


def _block(
    ax: Axes, here: str | None, number: int, bottom: float, tower: str, colour: str, stage: str
) -> float:
    """A frozen block and the adapter behind it; where they begin."""
    left = 1.95 + 1.05 * number
    _box(ax, (left, bottom, 0.55, 0.85), f"{tower}\nblock", FROZEN, here == "clip")
    adapter = (left + 0.58, bottom + 0.15, 0.3, 0.55)
    _box(ax, adapter, "A", colour, here in ("adapters", stage))
    return left


def _meeting(ax: Axes, here: str | None) -> None:
    _box(ax, (7.0, 2.8, 0.95, 0.85), "anchors\nnormal,\nabnormal", WORDS, here == "words")
    _box(ax, (7.0, 1.72, 0.95, 0.68), "cosine of\neach patch", "white", here == "maps")
    _box(ax, (8.4, 1.72, 1.5, 0.68), "anomaly map", "white", here == "maps")
    _box(ax, (8.4, 2.8, 1.5, 0.85), "losses: map\nand true mask", "white", here == "losses")
    _box(ax, (8.4, 0.58, 1.5, 0.68), "score, verdict", "white", here == "maps")
    _arrow(ax, (6.75, 3.22), (6.98, 3.22))
    _arrow(ax, (7.47, 2.78), (7.47, 2.42))
    _arrow(ax, (6.6, 2.1), (6.98, 2.1))
    _arrow(ax, (7.98, 2.06), (8.38, 2.06))
    _arrow(ax, (9.15, 2.42), (9.15, 2.78))
    _arrow(ax, (9.15, 1.7), (9.15, 1.28))
    _arrow(ax, (6.9, 0.92), (8.38, 0.92))


def _box(ax: Axes, box: Box, words: str, colour: str, lit: bool) -> None:
    left, bottom, width, height = box
    patch = FancyBboxPatch(
        (left, bottom),
        width,
        height,
        boxstyle="round,pad=0.02",
        facecolor=colour,
        edgecolor=LIT if lit else "#555555",
        linewidth=3 if lit else 0.8,
    )
    ax.add_patch(patch)
    middle = (left + width / 2, bottom + height / 2)
    ax.text(*middle, words, ha="center", va="center", fontsize=9)


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    arrow = {"arrowstyle": "->", "color": "#555555", "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", end, start, arrowprops=arrow)


def file_of(here: str | None) -> str:
    return "_".join(["method", *(here or "").split()]) + ".png"


def write(folder: str | Path = "data/sheets") -> list[Path]:
    paths = []
    for here in (None, *PARTS):
        path = save(method(here), Path(folder) / file_of(here), dpi=170)
        with Image.open(path) as picture:
            few = picture.convert("RGB").quantize(48)  # a quarter of the bytes
        few.save(path, optimize=True)
        paths.append(path)
    return paths


if __name__ == "__main__":
    print(*write(), sep="\n")
