"""Small goods of one mould: candles, capsules, gum, pasta, fried dough."""

import numpy as np

from ..fields import smooth
from .registry import product


@product("train", "white cream red green pink purple", "wax")
# a tea light from above: fluted tin cup, pressed petals, melted pool, wick in its holder
def candle(c):
    tin = c.colour("silver")
    lean = c.rng.uniform(0, 360)
    petals = int(c.rng.integers(7, 13))
    r = np.hypot(c.u, c.v)
    phi = np.arctan2(c.v, c.u)
    petal = np.abs(r - 0.66) + 0.03 - 0.17 * np.sqrt(np.maximum(np.sin(petals * phi + lean), 0))
    tone = 1 + 0.06 * c.noise(12) - 0.3 * smooth(-petal * 30) - 0.25 * smooth((0.45 - r) * 15)
    flutes = tin * (0.8 + 0.25 * np.sin(44 * phi))[..., None]
    c.part(r - 0.97, flutes, rise=0.2, bevel=0.05, gloss=0.8)
    c.part(r - 0.87, c.base * tone[..., None], rise=-0.1, bevel=0.05, gloss=0.6)
    c.carve(np.minimum(petal, np.abs(r - 0.45) - 0.03), 0.06, 0.05)
    with c.piece():
        c.part(c.circle(0, 0, 0.2), tin * 0.85, rise=0.06, bevel=0.04, gloss=0.9)
    with c.piece(), c.at(0, 0, lean):
        shape = c.line(0, 0, 0.3, 0.06, 0.08, 0.06)
        c.part(shape, 0.09 + 0.6 * smooth(0.8 - c.u * 8)[..., None], rise=0.2, bevel=0.07)


@product("train", "green red orange blue yellow turquoise", "gelatine")
# nine scattered capsules in two tones, the clear halves show pellets; one cap is the loose piece
def capsules(c):
    cap = c.colour(str(c.rng.choice(["white", "cream", "dark", "pink"])))
    k = int(c.rng.integers(9))
    i, j = k % 3 - 1, k // 3 - 1
    p, q, w, bead = c.rng.uniform(30, 300, 4).tolist()
    with c.tiled(0.57, 0.57) as (column, row), c.at(angle=p * column + q * row + w * column * row):
        nine = np.maximum(np.abs(column), np.abs(row)) - 1.5
        body = np.maximum(c.line(-0.14, 0, 0.14, 0, 0.13), nine)
        body = np.maximum(body, c.u - 9 * np.abs(column - i) - 9 * np.abs(row - j))
        fine = 26 + bead / 30
        clear = (
            c.base * (0.7 + 0.9 * smooth(3 * np.sin(c.u * fine) * np.sin(c.v * fine)))[..., None]
        )
        colour = clear + (cap - clear) * smooth(c.u * 50)[..., None]
        c.part(body, colour, rise=0.05, bevel=0.05, dome=0.14, gloss=0.9)
    with c.piece(), c.at(i * 0.57, j * 0.57, p * i + q * j + w * i * j):
        shape = np.maximum(c.line(0, 0, 0.14, 0, 0.135), -c.u)
        c.part(shape, cap, rise=0.05, bevel=0.05, dome=0.14, gloss=0.9)


@product("train", "white turquoise pink cream blue green", "candy coating")
# a cushion-shaped tablet: crimped rim, sugar speckle, a printed badge, an embossed leaf
def chewinggum(c):
    flavour = c.colour(str(c.rng.choice(["green", "red", "purple", "orange"])))
    pitch = c.rng.uniform(22, 32)
    body = c.box(0, 0, 0.95 - 0.09 * c.v**2, 0.67 - 0.09 * c.u**2, 0.2)
    across = np.sin(c.u * pitch + 2 * c.noise(9))
    sugar = smooth(5 * across * np.sin(c.v * pitch + 2 * c.noise(9)) - 2.8)
    colour = c.base + (flavour - c.base) * (0.8 * sugar[..., None])
    c.part(body, colour, rise=0.12, bevel=0.08, gloss=0.85)
    c.emboss(np.sqrt(np.maximum((1 - c.u**2) * (1 - (c.v / 0.72) ** 2), 0)), 0.4)
    c.carve(np.maximum(np.abs(body + 0.1) - 0.02, c.stripes(0.09, 0.6)), 0.06, 0.03)
    with c.piece():
        shape = c.ellipse(0, 0, 0.45, 0.33)
        c.part(shape, c.base * 0.4 + flavour * 0.6, rise=0.03, bevel=0.04, gloss=0.9)
    with c.piece(), c.at(0, 0, c.rng.uniform(0, 360)):
        shape = np.hypot(c.u, np.abs(c.v) + 0.2) - 0.33
        c.part(shape, c.base * 0.1 + 0.85, rise=0.05, bevel=0.06, gloss=0.8)


@product("train", "yellow orange golden red brown cream", "dough")
# a fried wheel: notched rim, six to eight spokes, blisters, a hub and a bead on the rim
def fryum(c):
    r = np.hypot(c.u, c.v)
    phi = np.arctan2(c.v, c.u) + c.rng.uniform(0, 6)
    n = int(c.rng.integers(6, 9))
    notch = smooth(3 * np.sin(4 * n * phi + 8 * r) - 1.6) * smooth(r * 20 - 13)
    spokes = np.maximum(np.abs(np.sin(n / 2 * phi)) * r * (2 / n) - 0.055 - 0.03 * r, r - 0.8)
    wheel = np.minimum(np.minimum(np.abs(r - 0.81) - 0.15, r - 0.3), spokes)
    wheel = wheel + 0.02 * c.noise(12) + 0.04 * notch
    tone = 1 + 0.4 * c.noise(16) * c.noise(22) + 0.2 * c.noise(5) - 0.4 * notch
    c.part(wheel + 0.01 * c.noise(30), c.base * tone[..., None], rise=0.18, bevel=0.14, gloss=0.45)
    with c.piece():
        c.part(c.circle(0, 0, 0.2), c.base * 0.55, rise=0.08, bevel=0.06, dome=0.06, gloss=0.5)
    with c.piece():
        bead = c.circle(0.81, 0, 0.13)
        c.part(bead, c.base * 0.8 + 0.2, rise=0.05, bevel=0.06, dome=0.08, gloss=0.6)


def _elbow(c, away, bend, ridge, tone):
    """A ridged elbow of pasta where `away` is negative; bend: its radius, and the length of its arms."""
    radius, arm = bend
    r = np.sqrt(c.u**2 + np.minimum(c.v, 0) ** 2)
    ends = np.sqrt((np.abs(c.u) - radius) ** 2 + (2 * c.v - 2 * arm) ** 2) - 0.075
    body = np.minimum(np.maximum(np.abs(r - radius) - 0.1, c.v - arm), ends - 0.02)
    tube = (1 + 0.2 * np.sin(ridge * r) + 0.2 * np.sin(tone)) * (1 - 0.75 * smooth(-ends * 40))
    tinted = c.base * tube[..., None]
    c.part(np.maximum(body, away), tinted, rise=0.06, bevel=0.04, dome=0.12, gloss=0.5)


@product("train", "yellow golden orange cream red green", "pasta", "free", "macaroni in a row")
def macaroni1(c):  # nine ridged elbows in ordered rows, all turned alike, tones by place
    ridge = c.rng.uniform(75, 100)
    a, b = c.rng.uniform(1, 6, 2).tolist()
    k = int(c.rng.integers(9))
    # all but elbow k; then elbow k, the loose piece
    for where, side in ((c.at(), 1), (c.piece(), -1)):
        with where, c.tiled(0.59, 0.55) as (i, j):
            away = side * (0.5 - np.abs(i + 3 * j + 4 - k))
            away = np.maximum(np.maximum(np.abs(i), np.abs(j)) - 1.5, away)
            _elbow(c, away, (0.18, 0.12), ridge, a * i + b * j)


@product("train", "golden yellow cream orange brown green", "pasta", "free", "scattered macaroni")
def macaroni2(c):  # nine ridged elbows turned at random; the loose piece is one arm of elbow k
    ridge = c.rng.uniform(75, 100)
    a, b, d = c.rng.uniform(60, 300, 3).tolist()
    k = int(c.rng.integers(9))
    for where, side in ((c.at(), 1), (c.piece(), -1)):
        with where, c.tiled(0.56, 0.56) as (i, j), c.at(angle=a * i + b * j + d * i * j):
            away = side * np.minimum(0.5 - np.abs(i + 3 * j + 4 - k), c.u)
            away = np.maximum(np.maximum(np.abs(i), np.abs(j)) - 1.5, away)
            _elbow(c, away, (0.17, 0.07), ridge, a * i + b * j)


@product("train", "golden yellow orange brown cream red", "dough")
def pipe_fryum(c):  # a fried tube: slanting grooves, blisters, an open end
    slant = c.rng.uniform(-0.25, 0.25)
    pitch = c.rng.uniform(24, 36)
    shift = c.rng.uniform(0, 6)
    c.u = c.u + 0.05 * np.sin(c.v * 3 + shift)
    body = c.box(0, 0, 0.95, 0.46, 0.2) + 0.012 * c.noise(8)
    tube = np.sqrt(np.maximum(1 - (c.v / 0.48) ** 2, 0))
    groove = smooth(2.5 * np.sin((c.u + slant * c.v + 0.1 * tube) * pitch + shift) - 1.2)
    tone = 1 + 0.5 * c.noise(14) * c.noise(20) + 0.15 * c.noise(5) - 0.45 * groove
    c.part(body, c.base * tone[..., None], rise=0.05, bevel=0.08, gloss=0.5)
    c.emboss(0.35 * tube - 0.03 * groove + 0.012 * c.noise(34), 1.0)
    with c.piece():
        c.part(c.ellipse(0.84, 0, 0.15, 0.42), c.base * 1.1, rise=0.05, bevel=0.05, gloss=0.4)
        c.carve(c.ellipse(0.86, 0, 0.095, 0.32), 0.2, 0.06, c.base * 0.22)
