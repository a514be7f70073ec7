"""The local defects: each edits the layers around (0, 0) of the current coordinates, before the
light falls on them. s is size, k strength.

Use: `with canvas.at(x, y): LOCAL["scratch"](canvas, 1.0, 1.0)`.
"""

from collections.abc import Callable

import numpy as np

from .canvas import Canvas
from .fields import PALETTE, smooth
from .products import PRODUCTS

STRUCTURAL_DEFECTS = ("missing_part", "misplaced_part", "bent", "broken_edge")


def _wander(rng, length, bends, wild):
    """A wandering line through the origin as points."""
    t = np.linspace(-length / 2, length / 2, bends)
    side = np.cumsum(rng.normal(0, wild * length / bends, bends))
    return list(zip(t, side - side[bends // 2], strict=True))


def _under(c: Canvas):
    """The mean colour of what lies under the origin."""
    spot = c.albedo[np.hypot(c.u, c.v) < 0.12]
    return spot.mean(0) if len(spot) else c.base


def _contrast(c: Canvas, k, dark=0.65):
    """A colour that differs from what lies under the origin, darker more often than lighter."""
    here = _under(c)
    lighter = here.mean() < 0.16 or (here.mean() < 0.6 and c.rng.random() > dark)
    if lighter:
        return np.clip(here + (1 - here) * 0.5 * k, 0, 0.97)
    return here * max(1 - 0.62 * k, 0.06)


def _scratch(c, s, k):
    colour = _contrast(c, k, 0.4)
    for offset in c.rng.normal(0, 0.05, c.rng.integers(1, 3)):
        points = _wander(c.rng, c.rng.uniform(0.55, 0.85) * s, 5, 0.18)
        line = c.path([(x, y + offset) for x, y in points], 0.020 * s**0.5)
        c.carve(line - 0.012, 0.05 * k, 0.03)
        c.paint(line, colour, 0.8)


def _crack(c, s, k):
    points = _wander(c.rng, c.rng.uniform(0.5, 0.8) * s, 8, 0.7)
    line = c.path(points, 0.020 * s**0.5)
    for i in c.rng.choice(np.arange(1, 7), 2, replace=False):
        (x, y), turn = points[i], c.rng.choice([-1, 1]) * c.rng.uniform(0.5, 1.2)
        reach = c.rng.uniform(0.12, 0.22) * s
        end = x + reach * np.cos(turn), y + reach * np.sin(turn)
        line = np.minimum(line, c.line(x, y, *end, 0.018 * s**0.5, 0.008))
    c.carve(line - 0.01, 0.12 * k, 0.05)
    c.paint(line, np.float32((0.05, 0.045, 0.04)), min(0.85 * k, 0.95), gloss=0)


def _hole(c, s, k):
    shape = c.blob(0, 0, c.rng.uniform(0.08, 0.12) * s, 0.12, 4)
    c.emboss(smooth(1 - np.abs(shape) / 0.05), 0.03 * k)
    c.carve(shape, 0.3 * k, 0.07)
    c.paint(shape, np.float32((0.05, 0.05, 0.05)), 0.92, gloss=0)


def _stain(c, s, k):
    shape = c.blob(0, 0, c.rng.uniform(0.17, 0.25) * s, 0.3, 5) + 0.03 * c.noise(10)
    tints = ((0.55, 0.38, 0.18), (0.25, 0.22, 0.2), (0.35, 0.3, 0.42), (0.62, 0.5, 0.25))
    tint = np.float32(tints[c.rng.integers(4)])
    rim = 1 + 0.5 * smooth(1 - np.abs(shape) / 0.05)
    alpha = smooth(0.5 - shape / 0.05) * np.clip(0.62 * k, 0, 0.85) * np.clip(rim, 0, 1.2)
    c.albedo += (c.albedo * tint - c.albedo) * np.clip(alpha, 0, 0.95)[..., None]
    c.gloss *= 1 - 0.8 * alpha


def _dent(c, s, k):
    shape = np.hypot(c.u, c.v * c.rng.uniform(1, 1.5)) - c.rng.uniform(0.15, 0.22) * s
    c.carve(shape, 0.15 * k * s, 0.16 * s)
    c.emboss(smooth(1 - np.abs(shape) / 0.05), 0.03 * k)


def _cut(c, s, k):
    reach = c.rng.uniform(0.2, 0.32) * s
    lean = c.rng.uniform(-0.1, 0.1)
    gash = c.line(-reach, -lean, reach, lean, 0.035 * s**0.5, 0.012)
    c.emboss(smooth(1 - np.abs(gash - 0.03) / 0.035), 0.045 * k)
    c.carve(gash, 0.16 * k, 0.035)
    c.paint(gash, _contrast(c, k * 0.8, 0.9), 0.6)


def _colour_spot(c, s, k):
    here = _under(c)
    names = ("red", "blue", "green", "yellow", "purple", "orange", "turquoise", "pink")
    vivid = [np.float32(PALETTE[name]) for name in names]
    far = sorted(vivid, key=lambda rgb: -np.abs(rgb - here).sum())
    shape = c.blob(0, 0, c.rng.uniform(0.10, 0.15) * s, 0.35, 6)
    for _ in range(c.rng.integers(1, 4)):  # splashes around it
        x, y = c.rng.normal(0, 0.17 * s, 2)
        shape = np.minimum(shape, c.circle(x, y, c.rng.uniform(0.02, 0.04) * s))
    c.paint(shape, far[c.rng.integers(4)], np.clip(0.75 * k, 0, 0.95))


def _contamination(c, s, k):
    colours = ((0.08, 0.07, 0.06), (0.32, 0.2, 0.1), (0.6, 0.6, 0.62), (0.85, 0.83, 0.75))
    colour = np.float32(colours[c.rng.integers(4)])
    crumbs = []
    for _ in range(c.rng.integers(5, 10)):
        x, y = c.rng.normal(0, 0.09 * s, 2)
        end = x + c.rng.normal(0, 0.04), y + c.rng.normal(0, 0.04)
        crumbs.append(c.line(x, y, *end, c.rng.uniform(0.02, 0.04) * s))
    colour = colour * (1 + 0.25 * c.noise(40))[..., None]
    c.part(np.min(crumbs, 0), colour, rise=0.07 * k, bevel=0.03, gloss=0.2)


def _thread(c, s, k):
    bow = c.rng.uniform(-0.5, 0.5)
    reach = c.rng.uniform(0.4, 0.65) * s
    t = np.linspace(-1, 1, 9)
    side = bow * reach * (t**2 - 0.3) + 0.06 * np.sin(3 * t + c.rng.uniform(0, 6))
    points = list(zip(t * reach, side, strict=True))
    colours = ((0.92, 0.9, 0.86), (0.1, 0.1, 0.14), (0.7, 0.12, 0.12), (0.15, 0.3, 0.7))
    colour = np.float32(colours[c.rng.integers(4)])
    c.part(c.path(points, 0.022 * s**0.3), colour, rise=0.06 * k, bevel=0.02, gloss=0.1)


_DRAWN = (_scratch, _crack, _hole, _stain, _dent, _cut, _colour_spot, _contamination, _thread)
LOCAL: dict[str, Callable] = {draw.__name__.removeprefix("_"): draw for draw in _DRAWN}
LOCAL_DEFECTS = tuple(LOCAL)

# what a material can't suffer: cloth does not crack, stone does not dent
SOFT = ("cotton", "wool", "woven wool", "wool cloth", "foam")

BRITTLE = ("stone", "polished stone", "concrete", "slate", "clay", "ceramic", "circuit board")


def kinds_for(name: str, structural: bool = False) -> tuple[str, ...]:
    """The defects that make sense on a product."""
    if structural:
        return () if PRODUCTS[name].texture else STRUCTURAL_DEFECTS
    material = PRODUCTS[name].material
    unlikely = ("crack", "dent") if material in SOFT else ("dent",) if material in BRITTLE else ()
    return tuple(kind for kind in LOCAL_DEFECTS if kind not in unlikely)
