"""Test products with the names of MVTec AD: objects; the last three stand upright."""

import numpy as np

from ..fields import smooth
from .registry import product


@product("test", "brown green blue olive turquoise", "glass", "free", turn=180)
def bottle(c):
    r = np.sqrt(c.u * c.u + c.v * c.v)
    phi = np.arctan2(c.v, c.u)
    neck = c.rng.uniform(0.50, 0.56)
    lit = c.rng.uniform(-3, 3)
    count = int(c.rng.integers(40, 56))
    lit -= c.turned  # the glint stays where the lamp is
    glow = 0.8 + 0.5 * smooth(1.2 * np.cos(phi - lit)) * smooth(3 * r - 1.2)
    glow = glow + 0.5 * smooth(1 - np.abs(r - 0.88) * 12) + 0.08 * c.noise(12)
    c.part(r - 0.97, c.base * glow[..., None], rise=0.32, bevel=0.3, gloss=0.8)
    c.emboss(smooth(1 - np.abs(r - 0.91) * 25) * smooth(np.cos(phi * count)), 0.06)
    deep = 0.25 + 0.9 * smooth(1 - np.abs(r - 0.27) * 12) + 0.15 * c.noise(20)
    c.paint(r - neck, c.base * deep[..., None])
    c.carve(r - neck + 0.05, 0.3, 0.2)
    shape = np.maximum(np.abs(r - 0.76) - 0.05, 0.75 - np.cos(phi - lit))
    c.paint(shape, c.base * 0.4 + 0.55, 0.85, 0.03)
    with c.piece():
        c.part(c.ring(0, 0, neck, 0.1), c.base * 1.3, rise=0.16, bevel=0.08, gloss=0.9)


@product("test", "grey black white blue orange", "plastic and copper", "free", turn=8)
def cable(c):
    p = c.u * 28
    q = c.v * 48.5
    grit = 1 + 0.25 * c.noise(60)
    strand = (np.cos(2 * p) + np.cos(p + q) + np.cos(p - q)) / 3
    r = np.sqrt(c.u * c.u + c.v * c.v)
    copper = c.colour("copper") * ((0.85 + 0.55 * strand) * grit)[..., None]
    c.part(r - 0.97, c.base, rise=0.2, bevel=0.08, gloss=0.35)
    c.paint(r - 0.85, c.colour(c.rng.choice(["cream", "dark", "silver"])) * grit[..., None])
    for k, inks in enumerate((("blue", "grey"), ("green", "yellow"), ("brown", "red"))):
        with c.piece(), c.at(0.44 * float(np.cos(k * 2.094)), 0.44 * float(np.sin(k * 2.094))):
            core = c.circle(0, 0, 0.28)
            sheath = c.colour(c.rng.choice(inks))
            c.part(c.circle(0, 0, 0.385), sheath, rise=0.18, bevel=0.07, gloss=0.6)
            c.paint(core, copper)
            c.emboss((strand - 2.5) * (core < 0), 0.035)


@product("test", "orange red blue green yellow", "gelatine", "free", turn=4)
def capsule(c):
    seam = c.rng.uniform(-0.12, 0.08)
    mark = int(c.rng.integers(2))
    cap = c.colour(("dark", "white")[mark])
    ink = c.colour(("white", "red")[mark])
    bits = ((c.rng.random((64, 64)) < 0.65) & (np.arange(64) % 4 < 3)).ravel()
    c.part(c.line(-0.56, 0, 0.5, 0, 0.41), c.base * c.mottle(0.08), dome=0.3, rise=0.05, gloss=0.8)
    with c.piece():
        lip = (0.6 + 0.4 * smooth(np.abs(c.u - seam - 0.09) * 20))[..., None]
        shape = np.maximum(c.line(0, 0, 0.54, 0, 0.435), seam - c.u)
        c.part(shape, cap * lip, rise=0.06, bevel=0.04, gloss=0.8)
    # print: three letters of 3 x 5 random dots
    with c.piece(), c.at(-0.46, 0), c.tiled(0.05, 0.07) as (i, j):
        text = np.float32((np.abs(i + 0.5) < 6) & (np.abs(j) < 3))
        c.paint(0.5 - bits[(i + 64 * j).astype(int)] * text, c.colour("white"))
    with c.piece():
        c.paint(np.minimum(np.abs(c.circle(0.5, 0, 0.14)) - 0.025, c.box(0.5, 0, 0.022, 0.22)), ink)


@product("test", "brown tan copper", "nut shell", "free", turn=180, varies=0.1)
def hazelnut(c):
    phi = np.arctan2(c.v, c.u + 0.4)
    r = np.sqrt((c.u + 0.4) ** 2 + c.v * c.v)
    a = c.nature.uniform(0, 6)
    streak = np.sin(phi * 17 + a + 2 * c.noise(4))
    streak = streak + np.sin(phi * 41 + 2 * a + 2 * c.noise(6)) + c.noise(60)
    shell = 0.85 + 0.11 * streak * smooth(r * 3 - 1) - 0.2 * smooth(r - 0.6) + 0.25 * smooth(1 - r)
    body = np.maximum(c.ellipse(0, 0, 0.97, 0.88), r - 1.37)
    wide = c.nature.uniform(0.3, 0.42)
    rough = c.noise(50)
    colour = (c.base * 0.6 + c.colour("brown") * 0.5) * shell[..., None]
    c.part(body, colour, bevel=0.25, dome=0.45, gloss=0.4)
    with c.piece():
        disc = c.ellipse(-0.42, 0, 0.36, wide) + 0.02 * rough
        husk = (0.75 + 0.3 * rough + 0.3 * smooth(np.abs(disc + 0.12) * 15))[..., None]
        c.part(disc, c.colour("tan") * husk, rise=0.05, bevel=0.05, gloss=0.05)
    with c.piece():
        c.part(c.line(0.76, 0, 0.95, 0, 0.11, 0.03), c.colour("cream"), rise=0.08, bevel=0.06)


@product("test", "silver grey golden copper dark", "metal", "free", turn=180)
def metal_nut(c):
    r = np.sqrt(c.u * c.u + c.v * c.v)
    rub = c.rng.uniform(0, 6)
    with c.ringed(4), c.at(1.0, 0.02, 18):
        body = np.maximum(r - 0.97, -c.box(0, 0, 0.24, 0.25, 0.08))
    shine = 1 + 0.07 * np.sin(r * 140 + rub) + 0.12 * c.noise(12) + 0.1 * c.noise(60)
    c.part(body, c.base * shine[..., None], rise=0.22, bevel=0.08, gloss=0.7)
    with c.ringed(4, 47):
        c.carve(np.maximum(np.abs(c.u - 0.79) - 0.06, np.abs(c.v) - 0.13), 0.07, 0.03, c.base * 0.5)
    with c.piece():
        c.part(c.ring(0, 0, 0.51, 0.12), c.base * 1.15, rise=0.14, bevel=0.05, gloss=0.9)
    c.hole(r - 0.36)


@product("test", "white cream beige pink yellow", "pressed powder", "free", turn=5)
def pill(c):
    body = c.ellipse(0, 0, 0.97, 0.66)
    speck = c.noise(46) + 0.5 * c.noise(64)
    rich = c.rng.uniform(0.55, 0.8)
    colour = c.base * (1 + 0.05 * c.noise(64))[..., None]
    c.part(body, colour, rise=0.16, bevel=0.1, dome=0.25, gloss=0.3)
    c.paint(np.maximum(rich - speck, body), c.colour("red"), 0.9, 0.05)
    c.paint(np.maximum(rich + 0.1 + speck, body), c.colour("brown"), 0.9, 0.05)
    for x in (-0.2, 0.24):
        with c.piece(), c.at(x, 0):  # an F: its stem, then two bars
            stem = np.maximum(np.abs(c.u + 0.12) - 0.05, np.abs(c.v) - 0.3)
            long = np.maximum(np.abs(c.v + 0.25), c.u - 0.12)
            bars = np.minimum(long, np.maximum(np.abs(c.v), c.u - 0.06))
            shape = np.minimum(stem, np.maximum(bars - 0.05, -0.13 - c.u))
            c.carve(shape, 0.12, 0.06, c.base * 0.5, 0.8)


@product("test", "silver grey golden copper dark", "steel", "free", turn=180)
def screw(c):
    wide = c.rng.uniform(0.25, 0.3)
    ink = c.colour(c.rng.choice(["blue", "red", "green"]))
    thread = np.sin((c.u + 0.12 * c.v) * c.rng.uniform(38, 48))
    thread = thread * smooth((c.u + c.rng.uniform(0.1, 0.5)) * 12)
    metal = c.base * (0.8 + 0.35 * thread + 0.1 * c.noise(20))[..., None]
    shape = np.maximum(np.abs(c.v) - wide - 0.045 * thread, np.abs(c.u) - 0.76)
    c.part(shape, metal, dome=0.25, bevel=0.05, gloss=0.8)
    with c.piece():  # the point
        shape = np.maximum(np.abs(c.v) - 1.3 * (0.97 - c.u), 0.72 - c.u)
        c.part(shape, metal, rise=0.15, bevel=0.15, gloss=0.8)
    with c.piece():  # a ring of thread lock
        shape = np.abs(c.u - 0.25) - 0.17 + (c.cover < 0.5)
        c.paint(shape, ink * (0.8 + 0.3 * thread)[..., None], 0.85)
    with c.piece():
        head = np.abs(c.v) - np.clip(0.56 - 1.1 * (c.u + 0.86), wide, 0.56)
        head = np.maximum(head, np.abs(c.u + 0.73) - 0.24)
        colour = metal * (0.7 + 0.4 * smooth(np.abs(c.u + 0.83) * 25))[..., None]
        c.part(head, colour, rise=0.2, bevel=0.14, gloss=0.9)


@product("test", "blue red green white orange purple", "plastic and nylon", "upright", turn=2)
def toothbrush(c):
    handle = np.maximum(np.abs(c.u) - 0.17, np.abs(c.v - 0.8) - 0.4)
    body = np.minimum(c.box(0, -0.12, 0.6, 0.85, 0.42), handle)
    c.part(body, c.base * c.mottle(0.06), rise=0.14, bevel=0.1, gloss=0.7)
    fibre = c.noise(64) + 0.6 * c.noise(60)
    ink = str(c.rng.choice(["blue", "green", "red", "turquoise", "yellow"]))
    tone = (0.95 + 0.25 * fibre)[..., None]
    for k, colour in enumerate(("white", ink, "white")):
        with c.piece(), c.tiled(0.2, 0.165) as (i, j):  # three rows of tufts each
            wide = np.abs(i) + np.maximum(np.abs(j + 1) - 3, 0) - 2.5
            block = np.maximum(np.abs(j - 3 * k + 4) - 1.5, wide)
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
            leg = np.abs(c.u - x) - np.clip(5.5 - 10 * c.v, 0.08, 0.13)
            leg = np.maximum(leg, np.abs(c.v - 0.55) - 0.42)
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
            high = np.abs(np.abs(c.v) - pitch / 4) - pitch * 0.19
            tooth = np.maximum(np.abs(half - 0.1) - 0.18, high)
            tooth = np.maximum(tooth, 0.25 - (row + 0.5) * end)
            colour = metal * (0.85 + 0.25 * np.sign(half))[..., None]
            c.part(tooth, colour, rise=0.14, bevel=0.05, gloss=0.8)
