"""The factory: products with and without defects, exact masks, captions and regions, drawn to
order.

`draw("bottle", seed=3, defect="scratch")` gives one `Picture`; `ensure("test")` a whole data set on
disk in MVTec AD's folders with a manifest in AA-CLIP's form, drawn on first use. Every picture
follows from its product, split and number alone, so two runs agree. A mask is what a defect
CHANGED: the lit picture with it is compared with the lit picture without it.

The sets: `train` (54 products), `val` (5) and `test` (15) at inspection stations, `val_wild` and
`test_wild` (the same products, each picture with another design, ground and light) and `test_hard`
(structural defects, wild). A station has one design, one ground and one light; its parts differ in
what a fixture and nature leave open: pose within the product's tolerance, grain, exposure, focus,
noise. Of each product 20 sound parts are references, never judged: split "train" of the set.

    python -m aaclip_lite factory --out data/factory
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from filelock import FileLock
from PIL import Image
from scipy import ndimage

from ..files.environment import generated_path
from .canvas import PALETTE, Canvas, Scene, shade, smooth, to_uint8
from .products import PRODUCTS, Product, names

LOCAL_DEFECTS = (
    "scratch",
    "crack",
    "hole",
    "stain",
    "dent",
    "cut",
    "colour_spot",
    "contamination",
    "thread",
)
STRUCTURAL_DEFECTS = ("missing_part", "misplaced_part", "bent", "broken_edge")
# a pixel belongs to the mask when a channel moved by more than this (9 of 255 grey levels)
CHANGED = 0.035
# the least mean change inside a mask (25 grey levels); fainter defects are drawn again, stronger
VISIBLE = 0.1
WORLD = "3"  # of pictures drawn without a station; raise when they change


@dataclass
class Picture:
    """One drawn picture; `regions` are (phrase, mask) of what lies where, `facts` what a caption
    can say.
    """

    image: np.ndarray  # uint8 (S, S, 3)
    mask: np.ndarray  # uint8 (S, S), 1 = defect
    inside: np.ndarray  # uint8 (S, S), 1 = on the product
    product: str
    defect: str | None
    facts: dict
    regions: list[tuple[str, np.ndarray]] = field(default_factory=list)


# -- defects: each edits the layers around (0, 0) of the current coordinates; s is size, k strength


def _wander(rng, length, bends, wild):
    """A wandering line through the origin as points."""
    t = np.linspace(-length / 2, length / 2, bends)
    side = np.cumsum(rng.normal(0, wild * length / bends, bends))
    return list(zip(t, side - side[bends // 2], strict=True))


def _contrast(c: Canvas, rng, k, dark=0.65):
    """A colour that differs from what lies under the origin, darker more often than lighter."""
    spot = c.albedo[np.hypot(c.u, c.v) < 0.12]
    here = spot.mean(0) if len(spot) else c.base
    lighter = here.mean() < 0.16 or (here.mean() < 0.6 and rng.random() > dark)
    return (
        np.clip(here + (1 - here) * 0.5 * k, 0, 0.97) if lighter else here * max(1 - 0.62 * k, 0.06)
    )


def _scratch(c, rng, s, k):
    colour = _contrast(c, rng, k, 0.4)
    for offset in rng.normal(0, 0.05, rng.integers(1, 3)):
        line = c.path(
            [(x, y + offset) for x, y in _wander(rng, rng.uniform(0.55, 0.85) * s, 5, 0.18)],
            0.020 * s**0.5,
        )
        c.carve(line - 0.012, 0.05 * k, 0.03)
        c.paint(line, colour, 0.8)


def _crack(c, rng, s, k):
    points = _wander(rng, rng.uniform(0.5, 0.8) * s, 8, 0.7)
    line = c.path(points, 0.020 * s**0.5)
    for i in rng.choice(np.arange(1, 7), 2, replace=False):
        (x, y), turn = points[i], rng.choice([-1, 1]) * rng.uniform(0.5, 1.2)
        reach = rng.uniform(0.12, 0.22) * s
        line = np.minimum(
            line,
            c.line(x, y, x + reach * np.cos(turn), y + reach * np.sin(turn), 0.018 * s**0.5, 0.008),
        )
    c.carve(line - 0.01, 0.12 * k, 0.05)
    c.paint(line, np.float32((0.05, 0.045, 0.04)), min(0.85 * k, 0.95), gloss=0)


def _hole(c, rng, s, k):
    shape = c.blob(0, 0, rng.uniform(0.08, 0.12) * s, 0.12, 4)
    c.emboss(smooth(1 - np.abs(shape) / 0.05), 0.03 * k)
    c.carve(shape, 0.3 * k, 0.07)
    c.paint(shape, np.float32((0.05, 0.05, 0.05)), 0.92, gloss=0)


def _stain(c, rng, s, k):
    shape = c.blob(0, 0, rng.uniform(0.17, 0.25) * s, 0.3, 5) + 0.03 * c.noise(10)
    tint = np.float32(
        [(0.55, 0.38, 0.18), (0.25, 0.22, 0.2), (0.35, 0.3, 0.42), (0.62, 0.5, 0.25)][
            rng.integers(4)
        ]
    )
    rim = 1 + 0.5 * smooth(1 - np.abs(shape) / 0.05)
    alpha = (smooth(0.5 - shape / 0.05) * np.clip(0.62 * k, 0, 0.85) * np.clip(rim, 0, 1.2))[
        ..., None
    ]
    c.albedo += (c.albedo * tint - c.albedo) * np.clip(alpha, 0, 0.95)
    c.gloss *= 1 - 0.8 * alpha[..., 0]


def _dent(c, rng, s, k):
    shape = np.hypot(c.u, c.v * rng.uniform(1, 1.5)) - rng.uniform(0.15, 0.22) * s
    c.carve(shape, 0.15 * k * s, 0.16 * s)
    c.emboss(smooth(1 - np.abs(shape) / 0.05), 0.03 * k)


def _cut(c, rng, s, k):
    reach, lean = rng.uniform(0.2, 0.32) * s, rng.uniform(-0.1, 0.1)
    gash = c.line(-reach, -lean, reach, lean, 0.035 * s**0.5, 0.012)
    c.emboss(smooth(1 - np.abs(gash - 0.03) / 0.035), 0.045 * k)
    c.carve(gash, 0.16 * k, 0.035)
    c.paint(gash, _contrast(c, rng, k * 0.8, 0.9), 0.6)


def _colour_spot(c, rng, s, k):
    here = c.albedo[np.hypot(c.u, c.v) < 0.12]
    here = here.mean(0) if len(here) else c.base
    names = ("red", "blue", "green", "yellow", "purple", "orange", "turquoise", "pink")
    vivid = [np.float32(PALETTE[name]) for name in names]
    far = sorted(vivid, key=lambda rgb: -np.abs(rgb - here).sum())
    shape = c.blob(0, 0, rng.uniform(0.10, 0.15) * s, 0.35, 6)
    for _ in range(rng.integers(1, 4)):  # splashes around it
        x, y = rng.normal(0, 0.17 * s, 2)
        shape = np.minimum(shape, c.circle(x, y, rng.uniform(0.02, 0.04) * s))
    c.paint(shape, far[rng.integers(4)], np.clip(0.75 * k, 0, 0.95))


def _contamination(c, rng, s, k):
    colour = np.float32(
        [(0.08, 0.07, 0.06), (0.32, 0.2, 0.1), (0.6, 0.6, 0.62), (0.85, 0.83, 0.75)][
            rng.integers(4)
        ]
    )
    shape = None
    for _ in range(rng.integers(5, 10)):
        x, y = rng.normal(0, 0.09 * s, 2)
        crumb = c.line(
            x, y, x + rng.normal(0, 0.04), y + rng.normal(0, 0.04), rng.uniform(0.02, 0.04) * s
        )
        shape = crumb if shape is None else np.minimum(shape, crumb)
    c.part(
        shape, colour * (1 + 0.25 * c.noise(40))[..., None], rise=0.07 * k, bevel=0.03, gloss=0.2
    )


def _thread(c, rng, s, k):
    bow, reach = rng.uniform(-0.5, 0.5), rng.uniform(0.4, 0.65) * s
    t = np.linspace(-1, 1, 9)
    points = list(
        zip(
            t * reach,
            bow * reach * (t**2 - 0.3) + 0.06 * np.sin(3 * t + rng.uniform(0, 6)),
            strict=True,
        )
    )
    colour = np.float32(
        [(0.92, 0.9, 0.86), (0.1, 0.1, 0.14), (0.7, 0.12, 0.12), (0.15, 0.3, 0.7)][rng.integers(4)]
    )
    c.part(c.path(points, 0.022 * s**0.3), colour, rise=0.06 * k, bevel=0.02, gloss=0.1)


_DRAW_DEFECT: dict[str, Callable] = {kind: globals()[f"_{kind}"] for kind in LOCAL_DEFECTS}


# -- neutral things: what may lie or be printed on a part without harming it -----------------------

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


def _letter(c, rng, r, colour):
    shape = c.path(
        [(x * r * 0.7, y * r) for x, y in _LETTERS[str(rng.choice(list(_LETTERS)))]], 0.2 * r
    )
    c.paint(shape, colour)
    return shape


def _painted(shape_of):
    def draw(c, rng, r, colour):
        shape = shape_of(c, rng, r)
        c.paint(shape, colour)
        return shape

    return draw


def _label(c, rng, r, colour):
    shape = c.box(0, 0, 1.2 * r, 0.8 * r, 0.1 * r)
    c.part(shape, colour, rise=0.01, bevel=0.02, gloss=0.1)
    rows = np.maximum(c.box(0, 0, r, 0.55 * r), c.stripes(0.36 * r, 0.4, 90))
    c.paint(
        rows,
        np.float32((0.12, 0.12, 0.14)) if colour.mean() > 0.4 else np.float32((0.9, 0.9, 0.88)),
    )
    return shape


def _barcode(c, rng, r, colour):
    shape = c.box(0, 0, 1.2 * r, 0.75 * r)
    c.paint(shape, np.float32((0.92, 0.92, 0.9)))
    c.paint(
        np.maximum(c.box(0, 0, r, 0.55 * r), c.stripes(0.3 * r, 0.45)),
        np.float32((0.06, 0.06, 0.07)),
    )
    return shape


def _screw_head(c, rng, r, colour):
    shape = c.circle(0, 0, 0.8 * r)
    c.part(shape, c.colour("silver"), rise=0.07, bevel=0.06, gloss=0.9)
    c.carve(
        np.minimum(c.box(0, 0, 0.6 * r, 0.12 * r), c.box(0, 0, 0.12 * r, 0.6 * r)),
        0.05,
        0.03,
        (0.2, 0.2, 0.2),
    )
    return shape


def _bead(c, rng, r, colour):
    shape = c.circle(0, 0, 0.65 * r)
    c.part(shape, colour, rise=0.02, bevel=0.03, dome=0.12, gloss=0.9)
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


def _tape(c, rng, r, colour):
    shape = c.box(0, 0, 2 * r, 0.45 * r)
    c.part(shape, colour, rise=0.01, bevel=0.02, gloss=0.5)
    return shape


def _band(c, rng, r, colour):
    shape = c.ring(0, 0, r, 0.13 * r)
    c.part(shape, colour, rise=0.06, bevel=0.03, gloss=0.3)
    return shape


def _grains(c, rng, r, colour):
    points = rng.normal(0, 0.6 * r, (9, 2))
    shape = np.min([c.circle(x, y, 0.13 * r) for x, y in points], 0)
    c.part(shape, colour, rise=0.03, bevel=0.02, gloss=0.1)
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


def _hair(c, rng, r, colour):
    shape = c.arc(0, 0, 1.8 * r, -60, 60, 0.07 * r)
    c.part(shape, colour, rise=0.03, bevel=0.02, gloss=0.2)
    return shape


def _splash(c, rng, r, colour):
    shape = c.blob(0, 0, 0.75 * r, 0.35, 5)
    c.paint(shape, colour, 0.9)
    return shape


def _strokes(width, *ends):
    """Straight strokes between points given in units of r."""
    return _painted(
        lambda c, rng, r: np.min([c.line(*(r * v for v in end), width * r) for end in ends], 0)
    )


_arrow = _strokes(0.16, (-1, 0, 1, 0), (1, 0, 0.3, -0.6), (1, 0, 0.3, 0.6))
_triangle = _painted(lambda c, rng, r: c.polygon(3, 0.5 * r))
_square = _painted(lambda c, rng, r: c.box(0, 0, 0.75 * r, 0.75 * r))
_dot = _painted(lambda c, rng, r: c.circle(0, 0, 0.7 * r))
_ring_mark = _painted(lambda c, rng, r: c.ring(0, 0, 0.85 * r, 0.17 * r))
_cross = _strokes(0.17, (-0.8, -0.8, 0.8, 0.8), (-0.8, 0.8, 0.8, -0.8))
_stripe_mark = _painted(lambda c, rng, r: c.box(0, 0, 1.7 * r, 0.25 * r))

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
    rows, columns = ("top", "", "bottom"), ("left", "", "right")
    words = f"{rows[int(np.clip((y + 1) * 1.5, 0, 2))]} {columns[int(np.clip((x + 1) * 1.5, 0, 2))]}".strip()
    return words or "middle"


def _spot_on(canvas: Canvas, rng, margin=0.06):
    """A random point on the product, not too close to its rim."""
    cover = canvas.cover
    inner = ndimage.uniform_filter(cover, max(3, int(margin * canvas.size)), mode="nearest") > 0.97
    where = np.flatnonzero(inner if inner.any() else cover > 0.5)
    index = int(where[rng.integers(len(where))])
    return float(canvas.x.flat[index]), float(canvas.y.flat[index])


def _add_thing(canvas: Canvas, rng, allowed) -> tuple[str, np.ndarray, str]:
    phrase = str(rng.choice(allowed))
    colour_name = str(rng.choice(THING_COLOURS))
    x, y = _spot_on(canvas, rng)
    canvas.u, canvas.v, canvas.unit = canvas.x, canvas.y, 1.0
    with canvas.at(x, y, rng.uniform(0, 360)):
        shape = THINGS[phrase](canvas, rng, rng.uniform(0.09, 0.19), canvas.colour(colour_name))
    return phrase.format(colour_name), (shape < 0) & (canvas.cover > 0.5), place_name(x, y)


# -- one picture -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Origin:
    """The seeds a picture follows from. In the wild a part decides everything. At a station the
    design (colours, print, counts, ground, light) is the station's, the same for every part.
    """

    part: tuple[int, int]
    station: tuple[int, int] | None = None

    def design(self, purpose: int) -> np.random.Generator:
        return np.random.default_rng([*(self.station or self.part), purpose])

    def nature(self, purpose: int) -> np.random.Generator:
        return np.random.default_rng([*self.part, purpose])

    def scene(self, size: int) -> Scene:
        return Scene(self.design(3), size, self.nature(3) if self.station else None)

    def carries_thing(self, rng: np.random.Generator) -> bool:
        """Whether a part that nobody ordered otherwise bears a random neutral thing."""
        if self.station:  # every 25th part
            return (sum(self.station) + self.part[1]) % 25 == 0
        return rng.random() < 0.25


def _origin(name: str, split: str, seed: int, station: int | None) -> Origin:
    if station is None:
        return Origin((zlib.crc32(f"{name}/{split}".encode()), seed))
    own, shared = f"{name}/{split}/station {station}", f"{name}/station"
    return Origin((zlib.crc32(own.encode()), seed), (zlib.crc32(shared.encode()), station))


def _paint_product(
    name: str, size: int, origin: Origin, bend=None, fault=None
) -> tuple[Canvas, dict]:
    """Draw the layers of one normal part (or of one with a structural fault)."""
    item = PRODUCTS[name]
    rng = origin.design(1)
    canvas = Canvas(size, rng, bend, fault)
    canvas.colour_name = str(rng.choice(item.colours))
    canvas.base = canvas.colour(canvas.colour_name)
    if item.texture:
        angle = rng.uniform(0, 360)
        scale, shift = rng.uniform(0.8, 1.25), rng.uniform(-1, 1, 2)
    else:
        angle = rng.uniform(0, 360) if item.pose == "free" else rng.uniform(-9, 9)
        scale, shift = rng.uniform(0.82, 0.98), rng.uniform(-0.04, 0.04, 2)
    if origin.station:
        part = canvas.nature = origin.nature(1)
        turn = part.uniform(-item.turn, item.turn)
        angle = angle + turn if item.texture else turn
        scale *= part.uniform(0.99, 1.01)
        shift = part.uniform(-1, 1, 2) if item.texture else part.uniform(-0.03, 0.03, 2)
        canvas.turned = float(np.radians(angle))
        canvas.base = canvas.base * np.float32(1 + item.varies * part.uniform(-1, 1))
    canvas.place(angle, scale, *shift)
    item.draw(canvas)
    facts = {"product": name, "spoken": item.spoken, "colour": canvas.colour_name}
    return canvas, facts | {"material": item.material, "pose": _pose(item, angle)}


def _pose(item: Product, angle: float) -> str:
    """How a caption says that a part lies."""
    if item.texture:
        return "filling the frame"
    if item.pose == "upright":
        return "upright"
    return "tilted" if 20 < angle % 90 < 70 else "straight"


def _mask_of(
    before: np.ndarray, after: np.ndarray, filled: bool = True
) -> tuple[np.ndarray, float]:
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
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    # the rest can't become part of the mask
    box = (
        slice(rows[0], rows[-1] + 1),
        slice(columns[0], columns[-1] + 1),
    )
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


def _with_local_defect(canvas, scene, rng, kind, severity, before):
    layers = canvas.copy_layers()
    strength, size = (0.8, 1.0, 1.15)[severity], (0.8, 1.0, 1.3)[severity]
    for _ in range(10):
        x, y = _spot_on(canvas, rng)
        canvas.u, canvas.v, canvas.unit = canvas.x, canvas.y, 1.0
        with canvas.at(x, y, rng.uniform(0, 360)):
            _DRAW_DEFECT[kind](canvas, rng, size, strength)
        after = shade(canvas, scene, as_float=True)
        mask, change = _mask_of(before, after)
        if change >= VISIBLE and 0.003 <= mask.mean() <= 0.2:
            return after, mask
        canvas.set_layers(layers)
        strength *= 1.15
    return None


def _with_structural_defect(name, size, origin, scene, rng, kind, severity, canvas, before):
    amount = (0.7, 1.0, 1.4)[severity]
    for _ in range(12):
        bend = fault = None
        if kind == "bent":
            turn = rng.uniform(0, 2 * np.pi)
            push = rng.choice([-1, 1]) * rng.uniform(0.18, 0.3) * amount
            bend = (np.cos(turn), np.sin(turn), push, rng.uniform(-0.2, 0.3), 0.5)
        elif kind in ("missing_part", "misplaced_part"):
            if not canvas.pieces:
                return None
            dx, dy = rng.uniform(0.1, 0.22, 2) * rng.choice([-1, 1], 2) * amount
            fault = (
                int(rng.integers(canvas.pieces)),
                kind.split("_")[0],
                dx,
                dy,
                rng.uniform(-40, 40) * amount,
            )
        wrong, _ = _paint_product(name, size, origin, bend, fault)
        if kind == "broken_edge":
            rim = np.flatnonzero(
                (canvas.cover > 0.2) & (ndimage.minimum_filter(canvas.cover, 3) < 0.2)
            )
            if not len(rim):
                return None
            index = rim[rng.integers(len(rim))]
            x, y = float(canvas.x.flat[index]), float(canvas.y.flat[index])
            wrong.u, wrong.v, wrong.unit = wrong.x, wrong.y, 1.0
            wrong.rng = wrong.nature = rng
            bite = wrong.blob(x, y, rng.uniform(0.16, 0.26) * amount, 0.25, 5)
            wrong.carve(bite - 0.05, 0.1, 0.05)
            wrong.hole(bite)
        after = shade(wrong, scene, as_float=True)
        mask, change = _mask_of(before, after, filled=False)
        if change >= VISIBLE and 0.003 <= mask.mean() <= 0.3:
            return after, mask
    return None


class NotShown(ValueError):
    """This part can't carry this defect visibly; another seed is another part."""


def draw(
    name: str,
    seed: int,
    size: int = 128,
    defect: str | None = None,
    severity: int = 1,
    things: int | Sequence[str] | None = None,
    split: str = "free",
    regions: bool = False,
    station: int | None = None,
) -> Picture:
    """Draw one picture of a product. `things`: how many neutral things lie on it, or which (keys of
    THINGS); None: now and then a small print. `station`: a number; all parts of one station share
    design, ground and light.
    """
    if name not in PRODUCTS:
        raise ValueError(f"no product {name!r}; the factory makes: {', '.join(PRODUCTS)}")
    if defect is not None and defect not in LOCAL_DEFECTS + STRUCTURAL_DEFECTS:
        raise ValueError(
            f"no defect {defect!r}; known: {', '.join(LOCAL_DEFECTS + STRUCTURAL_DEFECTS)}"
        )
    if not isinstance(things, int | None) and (unknown := set(things) - set(THINGS)):
        raise ValueError(
            f"no neutral thing {', '.join(sorted(unknown))}; known: {', '.join(THINGS)}"
        )
    _check_size(size)
    if severity not in (0, 1, 2):
        raise ValueError(f"severity={severity}: 0 is slight, 1 medium, 2 severe")
    origin = _origin(name, split, seed, station)
    canvas, facts = _paint_product(name, size, origin)
    rng = origin.nature(2)
    scene = origin.scene(size)
    inside = canvas.cover > 0.5
    found, placed = [], []
    structural = defect in STRUCTURAL_DEFECTS
    if things is None:
        choices = [PRINTS] * (origin.carries_thing(rng) and not structural)
    else:
        choices = (
            [list(THINGS)] * things if isinstance(things, int) else [[each] for each in things]
        )
    canvas.rng = canvas.nature = rng
    for allowed in choices:
        phrase, mask, where = _add_thing(canvas, rng, allowed)
        for _, earlier in found:
            earlier &= ~mask
        found.append((phrase, mask))
        placed.append((phrase, where))
    picture = shade(canvas, scene, as_float=True)
    mask = np.zeros((size, size), bool)
    if defect:
        if structural:
            result = _with_structural_defect(
                name, size, origin, scene, rng, defect, severity, canvas, picture
            )
        else:
            result = _with_local_defect(canvas, scene, rng, defect, severity, picture)
        if result is None:
            raise NotShown(
                f"{defect} can't be shown on this {name} (seed {seed}); try another seed"
            )
        picture, mask = result
    ground = None if PRODUCTS[name].texture else scene.ground_name
    facts |= {"ground": ground, "things": placed, "damaged": bool(defect)}
    if regions:  # together they cover the picture, each pixel once
        found = [(phrase, seen) for phrase, seen in found if seen.sum() >= 8]
        free = (
            ~np.any([seen for _, seen in found], axis=0) if found else np.ones((size, size), bool)
        )
        found.append((f"the surface of a {facts['spoken']}", free & inside if ground else free))
        if ground:
            found.append((f"{ground} background", free & ~inside))
    image = to_uint8(picture + scene.grain)
    return Picture(
        image,
        mask.astype(np.uint8),
        inside.astype(np.uint8),
        name,
        defect,
        facts,
        found if regions else [],
    )


def caption(
    facts: dict, rng: np.random.Generator, mirrored: bool = False, damage_word: str | None = None
) -> str:
    """One of many ways to say what a picture shows; drawn anew each time. Mirrored pictures swap
    left and right.
    """
    noun = facts["spoken"] if rng.random() < 0.6 else facts["product"].replace("_", " ")
    if damage_word:
        noun = f"{damage_word} {noun}"
    if rng.random() < 0.75:
        noun = f"{facts['colour']} {noun}"
    article = rng.choice(["a ", "a ", "the ", ""])
    text = f"{article}{noun}"
    if rng.random() < 0.25:
        text += f" made of {facts['material']}"
    if rng.random() < 0.2:
        text += f", {facts['pose']}"
    if facts["ground"] and rng.random() < 0.6:
        text += f" on a {facts['ground']} {rng.choice(['background', 'ground', 'table'])}"
    if facts["things"] and rng.random() < 0.9:
        spoken = []
        for phrase, where in facts["things"]:
            if mirrored:
                where = (
                    where.replace("left", "right")
                    if "left" in where
                    else where.replace("right", "left")
                )
            spoken.append(
                f"a {phrase}"
                + (f" {rng.choice(['at', 'in'])} the {where}" if rng.random() < 0.7 else "")
            )
        text += " with " + " and ".join(spoken)
    frames = ["{}", "{}.", "a photo of {}", "a photo of {}.", "a picture of {}", "an image of {}"]
    return str(rng.choice(frames)).format(text)


# -- data sets on disk -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """How a data set is drawn. `counts`: pictures of a product: sound ones set aside as references
    (never judged: split "train" on disk, as in MVTec AD), then sound and defective ones to judge.
    """

    counts: tuple[int, int, int]
    products: str  # whose products: train, val or test of the catalogue
    key: str  # goes into every picture's seed
    world: str = WORLD  # raise when this set's pictures change: only this set is drawn again
    station: int | None = None  # the number of its products' stations; None: wild
    structural: bool = False


PLANS = {
    "train": Plan((0, 50, 99), "train", "train"),
    "val": Plan((20, 45, 63), "val", "val", world="4", station=1),
    "test": Plan((20, 45, 63), "test", "test", world="4", station=0),
    "val_wild": Plan((20, 45, 63), "val", "val"),
    "test_wild": Plan((20, 45, 63), "test", "test"),
    "test_hard": Plan((0, 20, 24), "test", "test_hard", structural=True),
}
SPLITS = tuple(PLANS)
COUNTS = {split: plan.counts for split, plan in PLANS.items()}


def jobs(split: str) -> list[str]:
    """The products of a data set; no structural defect is known on textures."""
    plan = PLANS[split]
    return [n for n in names(plan.products) if not (plan.structural and PRODUCTS[n].texture)]


def _draw_class(
    split: str, name: str, folder: Path, size: int, counts: tuple[int, int, int]
) -> None:
    """Draw one class into a temporary folder, then put it in place in one step."""
    references, normal, defective = counts
    plan = PLANS[split]
    kinds = kinds_for(name, plan.structural)
    work = Path(tempfile.mkdtemp(prefix=f"{WORK}{name}-", dir=folder))
    lines, index, numbers = [], 0, dict.fromkeys(kinds, 0)

    def put(picture, part, kind, number, severity):
        paths = {"image_path": f"{name}/{part}/{kind}/{number:03d}.png", "mask_path": ""}
        pixels = {"image_path": picture.image}
        if kind != "good":
            paths["mask_path"] = f"{name}/ground_truth/{kind}/{number:03d}_mask.png"
            pixels["mask_path"] = picture.mask * 255
        paths["inside_path"] = f"{name}/inside/{part}_{kind}/{number:03d}.png"
        pixels["inside_path"] = picture.inside * 255
        for key, values in pixels.items():
            target = work / Path(paths[key]).relative_to(name)
            # one level at a time: where the work's own folder was removed, this fails
            target.parent.parent.mkdir(exist_ok=True)
            target.parent.mkdir(exist_ok=True)
            Image.fromarray(values).save(target, compress_level=1)
        line = {"image_path": paths["image_path"], "label": int(kind != "good"), "class_name": name}
        line |= {"mask_path": paths["mask_path"], "inside_path": paths["inside_path"]}
        lines.append(line | {"defect": kind, "severity": severity, "split": part})

    for part, count in (("train", references), ("test", normal)):
        for number in range(count):
            put(
                draw(name, index, size, split=plan.key, station=plan.station),
                part,
                "good",
                number,
                0,
            )
            index += 1
    for i in range(defective):
        for attempt in range(40):
            kind, severity = kinds[(i + attempt) % len(kinds)], (i // len(kinds)) % 3
            index += 1
            try:
                picture = draw(
                    name, index, size, kind, severity, split=plan.key, station=plan.station
                )
            except NotShown:
                continue
            put(picture, "test", kind, numbers[kind], severity)
            numbers[kind] += 1
            break
        else:
            raise RuntimeError(f"could not draw defect {i} of {split}/{name}")
    (work / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    os.chmod(work, 0o755)
    _settle(work, folder / name)


def _settle(work: Path, target: Path) -> None:
    """Put a drawn class in its place; what else lies there stays."""
    _remove_own(target)
    if not target.exists():
        os.replace(work, target)
        return
    # the manifest comes last: it says that the class is whole
    drawn = sorted(path for path in work.rglob("*.png"))
    for path in [*drawn, work / "manifest.jsonl"]:
        place = target / path.relative_to(work)
        place.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, place)
    shutil.rmtree(work)


# -- which files are the factory's own, and whether all are there ----------------------------------

WORK = ".drawing-"  # begins the names of the folders that classes are drawn in
_OWN_PICTURE = re.compile(
    r"(train|test)/[a-z_]+/\d{3,}\.png|ground_truth/[a-z_]+/\d{3,}_mask\.png"
    r"|inside/[a-z_]+/\d{3,}\.png|manifest\.jsonl"
)
_OWN_FILES = ("world.json", "manifest.jsonl", ".drawing.json", ".manifest.tmp")


def _remove_own(folder: Path) -> None:
    """Remove the files of one class that the factory draws, and folders that are empty then."""
    if not folder.is_dir() or folder.is_symlink():
        return
    # the manifest goes first: a class without it counts as not drawn
    (folder / "manifest.jsonl").unlink(missing_ok=True)
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            with contextlib.suppress(OSError):  # something else lies in it
                path.rmdir()
        elif _OWN_PICTURE.fullmatch(path.relative_to(folder).as_posix()):
            path.unlink()
    with contextlib.suppress(OSError):
        folder.rmdir()


def _remove_set(folder: Path) -> None:
    """Remove a set that another world has drawn; files that are not the factory's stay."""
    for name in _OWN_FILES:
        (folder / name).unlink(missing_ok=True)
    for name in PRODUCTS:
        _remove_own(folder / name)


def _is_whole(folder: Path, counts: tuple[int, int, int]) -> bool:
    """Whether every file that a class's manifest names is there, and as many pictures as are meant."""
    try:
        lines = (folder / "manifest.jsonl").read_text().splitlines()
        entries = [json.loads(line) for line in lines]
        paths = [entry[key] for entry in entries for key in PICTURE_KEYS if entry[key]]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    there = {
        Path(place, name).relative_to(folder.parent).as_posix()
        for place, _, names in os.walk(folder)
        for name in names
    }
    return len(entries) == sum(counts) and there.issuperset(paths)


PICTURE_KEYS = ("image_path", "mask_path", "inside_path")


def _missing(split: str, folder: Path) -> list[str]:
    """The classes of a set that are not drawn, or of which files are missing."""
    return [name for name in jobs(split) if not _is_whole(folder / name, COUNTS[split])]


# -- workers ---------------------------------------------------------------------------------------


def draw_share(
    split: str, folder: str, size: int, classes: list[str], counts: tuple[int, int, int]
) -> None:
    """One worker's share of a data set: those of its classes that are not there yet."""
    for name in classes:
        if not _is_whole(Path(folder) / name, counts):
            _draw_class(split, name, Path(folder), size, counts)


def _work(arguments: str) -> None:
    """What a worker process runs: draw a share, and end at once when the parent has ended.

    The parent holds the other end of our standard input and never writes: it ends when the parent
    does, however that came about (a killed parent can't tell its workers).
    """

    def end_with_parent():
        os.read(0, 1)  # not sys.stdin: its lock would be held when the worker ends by itself
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
    draw_share(*json.loads(arguments))


def world_key(split: str, size: int) -> str:
    """Names the world that a cached data set was drawn in; a test holds each set's world to its
    pictures' digest.
    """
    return f"world {PLANS[split].world}, {size} px"


def ensure(
    split: str,
    root: str | Path | None = None,
    size: int = 128,
    workers: int | None = None,
    progress: bool = True,
) -> Path:
    """The folder of a factory data set, drawn first if it is not there yet (restartable, several
    processes).
    """
    _check(split, size, workers)
    folder = Path(root or generated_path("factory")) / split
    if _is_complete(split, folder, size):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / f".{split}.lock"):  # a second process waits, then finds it drawn
        if not _is_complete(split, folder, size):
            _draw_set(split, folder, size, workers or os.cpu_count() or 1, progress)
    return folder


def open_set(split: str, root: str | Path | None = None) -> tuple[Path, dict[str, str]]:
    """What open_dataset("factory/...") asks for: the folder, and which classes are textures."""
    groups = {name: "textures" if p.texture else "objects" for name, p in PRODUCTS.items()}
    return ensure(split, root), groups


def _check(split: str, size: int, workers: int | None) -> None:
    """Refuse what can't be drawn before a file is touched."""
    if split not in SPLITS:
        raise ValueError(f"no factory data set {split!r}; there are {', '.join(SPLITS)}")
    _check_size(size)
    if workers is not None and workers < 1:
        raise ValueError(f"workers={workers}: at least 1 process draws; leave it out for all cores")


def _check_size(size: int) -> None:
    if not isinstance(size, int) or not 64 <= size <= 512:
        raise ValueError(f"size={size}: the factory draws from 64 to 512 pixels")


def _key(split: str, size: int) -> str:
    return json.dumps({"world": world_key(split, size), "split": split})


def _reads(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(errors="replace") == text


def _is_complete(split: str, folder: Path, size: int) -> bool:
    """Stamped as this world's, and no file is missing."""
    stamped = _reads(folder / "world.json", _key(split, size))
    return stamped and (folder / "manifest.jsonl").is_file() and not _missing(split, folder)


def _make_room(folder: Path, key: str) -> None:
    """Leave in the folder what counts for the set `key`: its finished classes, and others' files."""
    started, stamp = folder / ".drawing.json", folder / "world.json"
    ours = stamp.is_file() or started.is_file()
    if folder.exists() and not ours and any(folder.iterdir()):
        raise FileExistsError(
            f"{folder} holds files that are not a factory data set; choose another folder"
        )
    if ours and not _reads(started, key) and not _reads(stamp, key):
        _remove_set(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in folder.glob(f"{WORK}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    started.write_text(key)
    stamp.unlink(missing_ok=True)


def _start_workers(split: str, folder: Path, size: int, workers: int) -> list[subprocess.Popen]:
    # plain subprocesses, not multiprocessing: works alike in scripts, notebooks and on every
    # platform
    code = "import sys; from aaclip_lite.world import factory; factory._work(sys.argv[1])"
    path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    env = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": path}
    classes, running = jobs(split), []
    for i in range(min(workers, len(classes))):
        share = json.dumps([split, str(folder), size, classes[i::workers], COUNTS[split]])
        running.append(
            subprocess.Popen(
                [sys.executable, "-c", code, share],
                env=env,
                stdin=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    return running


def _draw_set(split: str, folder: Path, size: int, workers: int, progress: bool) -> None:
    """Draw what is missing, in several processes; what an interrupted run has finished is kept."""
    key = _key(split, size)
    _make_room(folder, key)
    running = _start_workers(split, folder, size, workers)
    try:
        _watch(running, split, folder, progress)
    finally:
        for process in running:
            process.terminate()
            process.communicate()
    if missing := _missing(split, folder):
        raise RuntimeError(
            f"drawing {split} in {folder}: files of {', '.join(missing)} have gone meanwhile; "
            "the same call again goes on"
        )
    temporary = folder / ".manifest.tmp"
    parts = [(folder / name / "manifest.jsonl").read_text() for name in jobs(split)]
    temporary.write_text("".join(parts))
    os.replace(temporary, folder / "manifest.jsonl")
    temporary.write_text(key)
    os.replace(temporary, folder / "world.json")
    (folder / ".drawing.json").unlink()


def _watch(running: list[subprocess.Popen], split: str, folder: Path, progress: bool) -> None:
    """Show how far the workers are until all have ended; the first that failed ends the others."""
    from tqdm.auto import tqdm

    classes = jobs(split)
    with tqdm(
        total=len(classes), desc=f"drawing {split}", unit="class", disable=not progress
    ) as bar:
        while True:
            ended = [process.poll() for process in running]
            if new := sum((folder / name / "manifest.jsonl").is_file() for name in classes) - bar.n:
                bar.update(new)
            if failed := [process for process, code in zip(running, ended, strict=True) if code]:
                reason = failed[0].stderr.read().strip().splitlines() or [
                    f"exit code {failed[0].returncode}"
                ]
                raise RuntimeError(
                    f"drawing {split} in {folder} failed: {reason[-1]}; the same call again goes on"
                )
            if None not in ended:
                return
            time.sleep(0.1)
