"""Putting a defect on a part: where, how strongly, and the exact mask of what it changed.

The lit picture with the defect is compared with the lit picture without it. What nobody could see
is drawn again, stronger, up to ten times.
"""

from collections.abc import Iterator
from functools import partial

import numpy as np
from scipy import ndimage

from .canvas import Canvas
from .defects import LOCAL
from .light import Scene, shade
from .parts import Part
from .things import spot_on

# a pixel belongs to the mask when a channel moved by more than this (9 of 255 grey levels)
CHANGED = 0.035

# the least mean change inside a mask (25 grey levels); fainter defects are drawn again, stronger
VISIBLE = 0.1


def mask_of(before: np.ndarray, after: np.ndarray, filled: bool = True) -> tuple[np.ndarray, float]:
    """What changed, as a mask, and how strongly on average inside it. Small gaps close; specks go.
    `filled`: what a change surrounds belongs to it, as in the middle of a dent (but not in the
    middle of a missing ring).
    """
    change = np.abs(after - before)
    change = np.maximum(np.maximum(change[..., 0], change[..., 1]), change[..., 2])
    mask = change > CHANGED
    if not mask.any():
        return mask, 0.0
    reach = max(1, round(len(mask) / 100))
    rows = np.flatnonzero(mask.any(1))
    columns = np.flatnonzero(mask.any(0))
    # the rest can't become part of the mask
    box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    closed = ndimage.binary_closing(np.pad(mask[box], 2 * reach), iterations=reach)
    closed = (ndimage.binary_fill_holes(closed) if filled else closed)[
        2 * reach : -2 * reach, 2 * reach : -2 * reach
    ]
    labels, count = ndimage.label(closed, np.ones((3, 3)))
    if count > 1:
        sizes = np.bincount(labels.ravel())[1:]
        closed = np.isin(labels, 1 + np.flatnonzero(sizes >= max(4, 0.04 * sizes.max())))
    mask[box] = closed
    return mask, float(change[mask].mean())


def damaged(
    part: Part, canvas: Canvas, scene: Scene, kind: str, severity: int, before: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """The lit picture with a defect, and its mask; None where this part can't show it. before:
    the lit picture without.
    """
    local = kind in LOCAL
    tries = _local if local else partial(_structural, part)
    for wrong in tries(canvas, kind, severity):
        after = shade(wrong, scene)
        mask, change = mask_of(before, after, filled=local)
        if change >= VISIBLE and 0.003 <= mask.mean() <= (0.2 if local else 0.3):
            return after, mask
    return None


def _local(canvas: Canvas, kind: str, severity: int) -> Iterator[Canvas]:
    layers = canvas.copy_layers()
    strength = (0.8, 1.0, 1.15)[severity]
    size = (0.8, 1.0, 1.3)[severity]
    canvas.place()
    for _ in range(10):
        x, y = spot_on(canvas)
        with canvas.at(x, y, canvas.rng.uniform(0, 360)):
            LOCAL[kind](canvas, size, strength)
        yield canvas
        canvas.set_layers(layers)
        strength *= 1.15


def _structural(part: Part, canvas: Canvas, kind: str, severity: int) -> Iterator[Canvas]:
    rng = canvas.rng
    amount = (0.7, 1.0, 1.4)[severity]
    for _ in range(12):
        bend = fault = None
        if kind == "bent":
            bend = _bend(rng, amount)
        elif kind in ("missing_part", "misplaced_part"):
            if not canvas.pieces:
                return
            fault = _fault(rng, amount, canvas.pieces, kind)
        wrong, _ = part.paint(canvas.size, bend, fault)
        if kind == "broken_edge" and not _bite(canvas, wrong, amount):
            return
        yield wrong


def _bend(rng, amount) -> tuple:
    """What Canvas.place takes as a bend."""
    turn = rng.uniform(0, 2 * np.pi)
    push = rng.choice([-1, 1]) * rng.uniform(0.18, 0.3) * amount
    return np.cos(turn), np.sin(turn), push, rng.uniform(-0.2, 0.3), 0.5


def _fault(rng, amount, pieces, kind) -> tuple:
    """What Canvas.piece takes as a fault: which piece, and how it is missing or misplaced."""
    dx, dy = rng.uniform(0.1, 0.22, 2) * rng.choice([-1, 1], 2) * amount
    piece = int(rng.integers(pieces))
    return piece, kind.split("_")[0], dx, dy, rng.uniform(-40, 40) * amount


def _bite(whole: Canvas, wrong: Canvas, amount) -> bool:
    """Break a piece off the rim of `wrong`; False where there is no rim in the frame."""
    rng = whole.rng
    rim = np.flatnonzero((whole.cover > 0.2) & (ndimage.minimum_filter(whole.cover, 3) < 0.2))
    if not len(rim):
        return False
    index = rim[rng.integers(len(rim))]
    x = float(whole.x.flat[index])
    y = float(whole.y.flat[index])
    wrong.place()
    wrong.rng = wrong.nature = rng
    bite = wrong.blob(x, y, rng.uniform(0.16, 0.26) * amount, 0.25, 5)
    wrong.carve(bite - 0.05, 0.1, 0.05)
    wrong.hole(bite)
    return True
