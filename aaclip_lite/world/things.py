"""Neutral things: what may lie or be printed on a part without harming it.

Pretraining teaches words with them, and a detector must not call them defects. The order of THINGS
and PRINTS decides what a seed draws.
Use: `phrase, mask, where = add_thing(canvas, rng, list(THINGS))`.
"""

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from .canvas import Canvas
from .fields import smooth

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


def _painted(shape_of, strength=1.0):
    """Colour alone."""

    def draw(c, rng, r, colour):
        shape = shape_of(c, rng, r)
        c.paint(shape, colour, strength)
        return shape

    return draw


def _raised(shape_of, **relief):
    """A body; relief: what Canvas.part takes."""

    def draw(c, rng, r, colour):
        shape = shape_of(c, rng, r)
        c.part(shape, colour, **relief)
        return shape

    return draw


def _label(c, rng, r, colour):
    shape = c.box(0, 0, 1.2 * r, 0.8 * r, 0.1 * r)
    c.part(shape, colour, rise=0.01, bevel=0.02, gloss=0.1)
    rows = np.maximum(c.box(0, 0, r, 0.55 * r), c.stripes(0.36 * r, 0.4, 90))
    ink = (0.12, 0.12, 0.14) if colour.mean() > 0.4 else (0.9, 0.9, 0.88)
    c.paint(rows, np.float32(ink))
    return shape


def _barcode(c, rng, r, colour):
    shape = c.box(0, 0, 1.2 * r, 0.75 * r)
    c.paint(shape, np.float32((0.92, 0.92, 0.9)))
    bars = np.maximum(c.box(0, 0, r, 0.55 * r), c.stripes(0.3 * r, 0.45))
    c.paint(bars, np.float32((0.06, 0.06, 0.07)))
    return shape


def _screw_head(c, rng, r, colour):
    shape = c.circle(0, 0, 0.8 * r)
    c.part(shape, c.colour("silver"), rise=0.07, bevel=0.06, gloss=0.9)
    slots = np.minimum(c.box(0, 0, 0.6 * r, 0.12 * r), c.box(0, 0, 0.12 * r, 0.6 * r))
    c.carve(slots, 0.05, 0.03, (0.2, 0.2, 0.2))
    return shape


def _drop(c, rng, r, colour):
    shape = c.ellipse(0, 0, 0.8 * r, 0.65 * r)
    if not c.muted:
        alpha = c._alpha(shape)
        c.albedo *= (1 - 0.18 * alpha)[..., None]
        c.gloss += (1.2 - c.gloss) * alpha
        c.height += 0.09 * np.sqrt(np.clip(-shape / (0.65 * r), 0, 1)).astype(np.float32)
    return shape


def _dimple(c, rng, r, colour):
    shape = c.circle(0, 0, 0.9 * r)
    c.carve(shape, 0.09, 0.9 * r)
    return shape


def _seam(c, rng, r, colour):
    shape = c.box(0, 0, 3 * r, 0.16 * r)
    c.carve(shape - 0.01, 0.05, 0.03, (0.1, 0.1, 0.1), 0.7)
    return shape


def _ridge(c, rng, r, colour):
    shape = c.box(0, 0, 2.4 * r, 0.22 * r, 0.1 * r)
    c.emboss(smooth(-shape / (0.2 * r)), 0.07)
    return shape


def _staple(c, rng, r, colour):
    shape = c.path([(-r, 0.3 * r), (-r, -0.2 * r), (r, -0.2 * r), (r, 0.3 * r)], 0.11 * r)
    c.part(shape, c.colour("silver"), rise=0.05, bevel=0.02, gloss=0.9)
    return shape


def _chalk(c, rng, r, colour):
    shape = c.path(
        [(-1.4 * r, 0), (-0.4 * r, -0.3 * r), (0.5 * r, 0.3 * r), (1.4 * r, -0.1 * r)], 0.16 * r
    )
    c.paint(shape + 0.03 * c.noise(48), colour, 0.7, soft=0.02)
    return shape


def _strokes(width, *ends):
    """Straight strokes between points given in units of r."""
    return _painted(
        lambda c, rng, r: np.min([c.line(*(r * v for v in end), width * r) for end in ends], 0)
    )


_arrow = _strokes(0.16, (-1, 0, 1, 0), (1, 0, 0.3, -0.6), (1, 0, 0.3, 0.6))
_cross = _strokes(0.17, (-0.8, -0.8, 0.8, 0.8), (-0.8, 0.8, 0.8, -0.8))
_triangle = _painted(lambda c, rng, r: c.polygon(3, 0.5 * r))
_square = _painted(lambda c, rng, r: c.box(0, 0, 0.75 * r, 0.75 * r))
_dot = _painted(lambda c, rng, r: c.circle(0, 0, 0.7 * r))
_ring_mark = _painted(lambda c, rng, r: c.ring(0, 0, 0.85 * r, 0.17 * r))
_stripe_mark = _painted(lambda c, rng, r: c.box(0, 0, 1.7 * r, 0.25 * r))
_splash = _painted(lambda c, rng, r: c.blob(0, 0, 0.75 * r, 0.35, 5), 0.9)
_tape = _raised(lambda c, rng, r: c.box(0, 0, 2 * r, 0.45 * r), rise=0.01, bevel=0.02, gloss=0.5)
_band = _raised(lambda c, rng, r: c.ring(0, 0, r, 0.13 * r), rise=0.06, bevel=0.03, gloss=0.3)
_hair = _raised(
    lambda c, rng, r: c.arc(0, 0, 1.8 * r, -60, 60, 0.07 * r), rise=0.03, bevel=0.02, gloss=0.2
)
_bead = _raised(
    lambda c, rng, r: c.circle(0, 0, 0.65 * r), rise=0.02, bevel=0.03, dome=0.12, gloss=0.9
)


@_painted
def _letter(c, rng, r):
    strokes = _LETTERS[str(rng.choice(list(_LETTERS)))]
    return c.path([(x * r * 0.7, y * r) for x, y in strokes], 0.2 * r)


def _nine_grains(c, rng, r):
    points = rng.normal(0, 0.6 * r, (9, 2))
    return np.min([c.circle(x, y, 0.13 * r) for x, y in points], 0)


_grains = _raised(_nine_grains, rise=0.03, bevel=0.02, gloss=0.1)

# phrase (with {} where it has a colour) -> how it is drawn
THINGS: dict[str, Callable] = {
    "{} dot": _dot,
    "{} ring mark": _ring_mark,
    "{} triangle": _triangle,
    "{} square": _square,
    "{} cross": _cross,
    "{} arrow": _arrow,
    "{} stripe": _stripe_mark,
    "printed {} letter": _letter,
    "{} label": _label,
    "barcode": _barcode,
    "metal screw": _screw_head,
    "{} bead": _bead,
    "water drop": _drop,
    "shallow dimple": _dimple,
    "dark seam": _seam,
    "raised ridge": _ridge,
    "{} tape": _tape,
    "{} rubber band": _band,
    "{} sand grains": _grains,
    "metal staple": _staple,
    "{} chalk line": _chalk,
    "{} hair": _hair,
    "{} ink splash": _splash,
}

THING_COLOURS = (
    "white",
    "black",
    "red",
    "orange",
    "yellow",
    "green",
    "blue",
    "purple",
    "pink",
    "brown",
    "turquoise",
)

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

PLACES = (
    "top left",
    "top",
    "top right",
    "left",
    "middle",
    "right",
    "bottom left",
    "bottom",
    "bottom right",
)


def place_name(x: float, y: float) -> str:
    """'top left' ... 'middle' ... for a point of the frame."""
    rows = ("top", "", "bottom")
    columns = ("left", "", "right")
    words = f"{rows[int(np.clip((y + 1) * 1.5, 0, 2))]} {columns[int(np.clip((x + 1) * 1.5, 0, 2))]}".strip()
    return words or "middle"


def spot_on(canvas: Canvas, rng, margin=0.06):
    """A random point on the product, not too close to its rim."""
    cover = canvas.cover
    inner = ndimage.uniform_filter(cover, max(3, int(margin * canvas.size)), mode="nearest") > 0.97
    where = np.flatnonzero(inner if inner.any() else cover > 0.5)
    index = int(where[rng.integers(len(where))])
    return float(canvas.x.flat[index]), float(canvas.y.flat[index])


def add_thing(canvas: Canvas, rng, allowed) -> tuple[str, np.ndarray, str]:
    phrase = str(rng.choice(allowed))
    colour_name = str(rng.choice(THING_COLOURS))
    x, y = spot_on(canvas, rng)
    canvas.u = canvas.x
    canvas.v = canvas.y
    canvas.unit = 1.0
    with canvas.at(x, y, rng.uniform(0, 360)):
        shape = THINGS[phrase](canvas, rng, rng.uniform(0.09, 0.19), canvas.colour(colour_name))
    return phrase.format(colour_name), (shape < 0) & (canvas.cover > 0.5), place_name(x, y)
