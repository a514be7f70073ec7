"""Test products with the names of MVTec AD: objects that stand upright."""

import numpy as np

from ..fields import smooth
from .registry import product


@product("test", "blue red green white orange purple", "plastic and nylon", "upright", turn=2)
def toothbrush(c):
    body = np.minimum(
        c.box(0, -0.12, 0.6, 0.85, 0.42), np.maximum(np.abs(c.u) - 0.17, np.abs(c.v - 0.8) - 0.4)
    )
    c.part(body, c.base * c.mottle(0.06), rise=0.14, bevel=0.1, gloss=0.7)
    fibre = c.noise(64) + 0.6 * c.noise(60)
    ink = str(c.rng.choice(["blue", "green", "red", "turquoise", "yellow"]))
    tone = (0.95 + 0.25 * fibre)[..., None]
    for k, colour in enumerate(("white", ink, "white")):
        with c.piece(), c.tiled(0.2, 0.165) as (i, j):  # three rows of tufts each
            block = np.maximum(
                np.abs(j - 3 * k + 4) - 1.5, np.abs(i) + np.maximum(np.abs(j + 1) - 3, 0) - 2.5
            )
            tuft = np.maximum(np.sqrt(c.u * c.u + 1.5 * c.v * c.v) - 0.1, block)
            c.part(tuft, c.colour(colour) * tone, rise=0.14, bevel=0.05, gloss=0.15)
    c.emboss(fibre * (c.height > 0.13), 0.035)


@product("test", "black dark grey brown blue", "plastic and tin", "upright", turn=4)
def transistor(c):
    bits = ((c.rng.random((64, 64)) < 0.58) & (np.arange(64) % 4 < 3)).ravel()
    tin = c.colour("silver") * (1 + 0.2 * c.noise(64, 5))[..., None]
    shape = np.maximum(np.abs(c.u) - 0.66, np.abs(c.v + 0.62) - 0.34)
    c.part(shape, tin, rise=0.08, bevel=0.04, gloss=0.8)
    c.hole(c.circle(0, -0.72, 0.15))  # the cooling tab and its hole
    for x in (-0.42, 0.0, 0.42):
        with c.piece():
            leg = np.maximum(
                np.abs(c.u - x) - np.clip(5.5 - 10 * c.v, 0.08, 0.13), np.abs(c.v - 0.55) - 0.42
            )
            c.part(leg, tin, rise=0.12, bevel=0.06, gloss=0.9)
    shape = c.box(0, -0.1, 0.72, 0.36, 0.05)
    c.part(shape, c.base * c.mottle(0.12, 40), rise=0.26, bevel=0.08, gloss=0.4)
    # print: two lines of four letters
    with c.piece(), c.at(0, -0.1), c.tiled(0.052, 0.05) as (i, j):
        text = np.float32((np.abs(i + 0.5) < 8) & (np.abs(np.abs(j) - 3) < 2.5))
        c.paint(0.5 - bits[(i + 64 * j).astype(int)] * text, c.colour("white"), 0.85)


@product("test", "black blue red brown beige green", "fabric and metal", "upright", turn=2)
def zipper(c):
    side = np.abs(c.u)
    pitch = c.rng.uniform(0.2, 0.25)
    yarn = c.colour(c.rng.choice(["white", "cream", "orange"]))
    weave = np.sin(75 * (side + c.v)) * np.sin(60 * c.u)
    metal = c.colour(c.rng.choice(["silver", "golden", "white"]))
    colour = c.base * (1 - 0.4 * smooth(2.2 - 8 * side) + 0.25 * weave)[..., None]
    c.part(side - 0.8, colour, rise=0.1, bevel=0.06)
    c.emboss(weave - 2 * smooth(1 - np.abs(side - 0.4) * 40), 0.012)
    with c.piece():
        shape = np.maximum(np.abs(np.abs(c.u) - 0.62) - 0.026, 0.1 * np.sin(c.v * 48))
        c.part(shape, yarn, rise=0.05, bevel=0.03)
    for end in (-1, 1):
        with c.piece(), c.tiled(9, pitch) as (_, row):
            half = c.u * np.sign(c.v)  # one tooth from each side by turns
            tooth = np.maximum(
                np.abs(half - 0.1) - 0.18, np.abs(np.abs(c.v) - pitch / 4) - pitch * 0.19
            )
            tooth = np.maximum(tooth, 0.25 - (row + 0.5) * end)
            colour = metal * (0.85 + 0.25 * np.sign(half))[..., None]
            c.part(tooth, colour, rise=0.14, bevel=0.05, gloss=0.8)
