"""Neutral things: what may lie or be printed on a part without harming it.

Pretraining teaches words with them, and a detector must not call them defects. The order of THINGS
and PRINTS decides what a seed draws.
Use: `phrase, mask, where = add_thing(canvas, list(THINGS))`.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
from scipy import ndimage

from .canvas import Canvas
from .fields import PALETTE, smooth

_LETTERS = {
    "A": [(-0.6, 1), (0, -1), (0.6, 1), (0.3, 0.3), (-0.3, 0.3)],
    "L": [(-0.5, -1), (-0.5, 1), (0.6, 1)],
    "N": [(-0.6, 1), (-0.6, -1), (0.6, 1), (0.6, -1)],
    "T": [(-0.7, -1), (0.7, -1), (0, -1), (0, 1)],
    "V": [(-0.7, -1), (0, 1), (0.7, -1)],
    "Z": [(-0.6, -1), (0.6, -1), (-0.6, 1), (0.6, 1)],
    "E": [(0.6, -1), (-0.5, -1), (-0.5, 0), (0.4, 0), (-0.5, 0), (-0.5, 1), (0.6, 1)],
    "7": [(-0.6, -1), (0.6, -1), (-0.2, 1)],
}


def _made(put, shape_of, **how):
    """A thing that is one shape in one colour, put on the canvas in one of its ways."""

    def draw(c, r, colour):
        shape = shape_of(c, r)
        put(c, shape, colour, **how)
        return shape

    return draw


_painted = partial(_made, Canvas.paint)
_raised = partial(_made, Canvas.part)


def _strokes(width, *ends):
    """Straight strokes between points given in units of r."""
    return _painted(
        lambda c, r: np.min([c.line(*(r * v for v in end), width * r) for end in ends], 0)
    )


@_painted
def _letter(c, r):
    strokes = _LETTERS[str(c.rng.choice(list(_LETTERS)))]
    return c.path([(x * r * 0.7, y * r) for x, y in strokes], 0.2 * r)


def _label(c, r, colour):
    shape = c.box(0, 0, 1.2 * r, 0.8 * r, 0.1 * r)
    c.part(shape, colour, rise=0.01, bevel=0.02, gloss=0.1)
    rows = np.maximum(c.box(0, 0, r, 0.55 * r), c.stripes(0.36 * r, 0.4, 90))
    ink = (0.12, 0.12, 0.14) if colour.mean() > 0.4 else (0.9, 0.9, 0.88)
    c.paint(rows, np.float32(ink))
    return shape


def _barcode(c, r, colour):
    shape = c.box(0, 0, 1.2 * r, 0.75 * r)
    c.paint(shape, np.float32((0.92, 0.92, 0.9)))
    bars = np.maximum(c.box(0, 0, r, 0.55 * r), c.stripes(0.3 * r, 0.45))
    c.paint(bars, np.float32((0.06, 0.06, 0.07)))
    return shape


def _screw_head(c, r, colour):
    shape = c.circle(0, 0, 0.8 * r)
    c.part(shape, c.colour("silver"), rise=0.07, bevel=0.06, gloss=0.9)
    slots = np.minimum(c.box(0, 0, 0.6 * r, 0.12 * r), c.box(0, 0, 0.12 * r, 0.6 * r))
    c.carve(slots, 0.05, 0.03, (0.2, 0.2, 0.2))
    return shape


def _drop(c, r, colour):
    shape = c.ellipse(0, 0, 0.8 * r, 0.65 * r)
    alpha = c.alpha(shape)
    c.albedo *= (1 - 0.18 * alpha)[..., None]
    c.gloss += (1.2 - c.gloss) * alpha
    c.height += 0.09 * np.sqrt(np.clip(-shape / (0.65 * r), 0, 1)).astype(np.float32)
    return shape


def _dimple(c, r, colour):
    shape = c.circle(0, 0, 0.9 * r)
    c.carve(shape, 0.09, 0.9 * r)
    return shape


def _seam(c, r, colour):
    shape = c.box(0, 0, 3 * r, 0.16 * r)
    c.carve(shape - 0.01, 0.05, 0.03, (0.1, 0.1, 0.1), 0.7)
    return shape


def _ridge(c, r, colour):
    shape = c.box(0, 0, 2.4 * r, 0.22 * r, 0.1 * r)
    c.emboss(smooth(-shape / (0.2 * r)), 0.07)
    return shape


def _staple(c, r, colour):
    shape = c.path([(-r, 0.3 * r), (-r, -0.2 * r), (r, -0.2 * r), (r, 0.3 * r)], 0.11 * r)
    c.part(shape, c.colour("silver"), rise=0.05, bevel=0.02, gloss=0.9)
    return shape


def _chalk(c, r, colour):
    points = [(-1.4 * r, 0), (-0.4 * r, -0.3 * r), (0.5 * r, 0.3 * r), (1.4 * r, -0.1 * r)]
    shape = c.path(points, 0.16 * r)
    c.paint(shape + 0.03 * c.noise(48), colour, 0.7, soft=0.02)
    return shape


def _grains(c, r):
    points = c.rng.normal(0, 0.6 * r, (9, 2))
    return np.min([c.circle(x, y, 0.13 * r) for x, y in points], 0)


def _hair(c, r):
    return c.arc(0, 0, 1.8 * r, -60, 60, 0.07 * r)


# phrase (with {} where it has a colour) -> how it is drawn: what it returns is its shape
THINGS: dict[str, Callable] = {
    "{} dot": _painted(lambda c, r: c.circle(0, 0, 0.7 * r)),
    "{} ring mark": _painted(lambda c, r: c.ring(0, 0, 0.85 * r, 0.17 * r)),
    "{} triangle": _painted(lambda c, r: c.polygon(3, 0.5 * r)),
    "{} square": _painted(lambda c, r: c.box(0, 0, 0.75 * r, 0.75 * r)),
    "{} cross": _strokes(0.17, (-0.8, -0.8, 0.8, 0.8), (-0.8, 0.8, 0.8, -0.8)),
    "{} arrow": _strokes(0.16, (-1, 0, 1, 0), (1, 0, 0.3, -0.6), (1, 0, 0.3, 0.6)),
    "{} stripe": _painted(lambda c, r: c.box(0, 0, 1.7 * r, 0.25 * r)),
    "printed {} letter": _letter,
    "{} label": _label,
    "barcode": _barcode,
    "metal screw": _screw_head,
    "{} bead": _raised(
        lambda c, r: c.circle(0, 0, 0.65 * r), rise=0.02, bevel=0.03, dome=0.12, gloss=0.9
    ),
    "water drop": _drop,
    "shallow dimple": _dimple,
    "dark seam": _seam,
    "raised ridge": _ridge,
    "{} tape": _raised(lambda c, r: c.box(0, 0, 2 * r, 0.45 * r), rise=0.01, bevel=0.02, gloss=0.5),
    "{} rubber band": _raised(
        lambda c, r: c.ring(0, 0, r, 0.13 * r), rise=0.06, bevel=0.03, gloss=0.3
    ),
    "{} sand grains": _raised(_grains, rise=0.03, bevel=0.02, gloss=0.1),
    "metal staple": _staple,
    "{} chalk line": _chalk,
    "{} hair": _raised(_hair, rise=0.03, bevel=0.02, gloss=0.2),
    "{} ink splash": _painted(lambda c, r: c.blob(0, 0, 0.75 * r, 0.35, 5), strength=0.9),
}

# shades of other colours would be taken for them
_SHADES = ("grey", "silver", "beige", "golden", "copper", "tan", "cream", "dark", "olive")
THING_COLOURS = tuple(name for name in PALETTE if name not in _SHADES)

PRINTS = (
    "{} dot",
    "{} triangle",
    "{} square",
    "printed {} letter",
    "{} label",
    "barcode",
    "{} arrow",
    "{} stripe",
)

_ROWS = ("top", "", "bottom")
_COLUMNS = ("left", "", "right")
PLACES = tuple(f"{row} {column}".strip() or "middle" for row in _ROWS for column in _COLUMNS)


def place_name(x: float, y: float) -> str:
    """'top left' ... 'middle' ... for a point of the frame."""
    row, column = (int(np.clip((value + 1) * 1.5, 0, 2)) for value in (y, x))
    return PLACES[3 * row + column]


def spot_on(canvas: Canvas) -> tuple[float, float]:
    """A random point on the product, not too close to its rim."""
    cover = canvas.cover
    inner = ndimage.uniform_filter(cover, max(3, int(0.06 * canvas.size)), mode="nearest") > 0.97
    where = np.flatnonzero(inner if inner.any() else cover > 0.5)
    index = int(where[canvas.rng.integers(len(where))])
    return float(canvas.x.flat[index]), float(canvas.y.flat[index])


def add_thing(canvas: Canvas, allowed) -> tuple[str, np.ndarray, str]:
    rng = canvas.rng
    phrase = str(rng.choice(allowed))
    colour_name = str(rng.choice(THING_COLOURS))
    x, y = spot_on(canvas)
    canvas.place()
    with canvas.at(x, y, rng.uniform(0, 360)):
        shape = THINGS[phrase](canvas, rng.uniform(0.09, 0.19), canvas.colour(colour_name))
    return phrase.format(colour_name), (shape < 0) & (canvas.cover > 0.5), place_name(x, y)
