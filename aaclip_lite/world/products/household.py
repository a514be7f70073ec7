"""What lies about in a house."""

import numpy as np

from ..fields import choose, smooth
from .registry import product


@product("extension", "red blue white green brown pink black", "plastic")
def button(c):
    other, thread = c.colours("cream golden dark turquoise", "white red black")
    count = int(c.rng.choice([2, 4]))
    notches = int(c.rng.integers(16, 30))
    r = np.sqrt(c.u * c.u + c.v * c.v)
    with c.ringed(notches):
        rim = c.box(0.83, 0, 0.1, 1.1 / notches)
    skin = choose((rim < 0) + 2 * (np.abs(r - 0.5) < 0.04), c.base, other, c.base * 0.8)
    c.part(r - 0.97, skin, rise=0.18, bevel=0.1, gloss=0.7)
    c.emboss(0.1 * smooth((r - 0.6) * 14) + 0.03 * smooth(-30 * rim) + 0.002 * c.noise(40), 1)
    with c.ringed(count, 45):
        c.carve(c.circle(0.24, 0, 0.17), -0.04, 0.03)
        c.hole(c.circle(0.24, 0, 0.11))
    with c.piece(), c.at(0, 0, 45):
        cross = (np.minimum(np.abs(c.u), np.abs(c.v)) if count == 4 else np.abs(c.v)) - 0.07
        shape = np.maximum(cross, c.circle(0, 0, 0.3))
        c.part(shape, thread * c.mottle(0.15, 40), rise=0.12, bevel=0.07)


@product("extension", "black blue red green grey purple", "metal")
def battery(c):
    top, ink = c.colours("copper golden silver orange", "white yellow cream")
    edge = c.rng.uniform(0.1, 0.4)
    seed = c.rng.uniform(0, 99)
    rows = float(c.rng.integers(2)) / 2
    body = c.box(-0.05, 0, 0.88, 0.47)
    zone = np.where(np.abs(c.u - edge) < 0.03, 2, c.u > edge)
    c.part(body, choose(zone, c.base, top, ink), rise=0.06, bevel=0.06, gloss=0.8)
    tube = np.sqrt(np.clip(1 - (c.v / 0.48) ** 2, 0, 1)) * (body < 0)
    c.emboss(tube - 0.1 * (np.abs(c.u + 0.86) < 0.02), 0.4)
    with c.piece():
        c.part(c.box(0.89, 0, 0.08, 0.17), c.colour("silver"), rise=0.2, bevel=0.06, gloss=0.8)
    with c.piece():
        plus = np.minimum(c.box(0.64, 0, 0.1, 0.03), c.box(0.64, 0, 0.03, 0.1))
        length = np.abs(c.u + 0.36) - 0.36
        with c.at(0, 0.26 * rows), c.tiled(0.13, 0.26) as (i, j):
            sign = c.letter(i * i + 3 * j + seed, 0.03)
        c.paint(np.minimum(np.maximum(sign, np.maximum(length, np.abs(j + rows) - 0.6)), plus), ink)


@product("extension", "golden tan white blue red yellow green dark", "plastic")
def tape_roll(c):
    core, second, label = c.colours("tan", "white dark grey", "yellow red blue")
    width, turns, where = c.rng.uniform((0.05, 55, 0.6), (0.14, 110, 0.8)).tolist()
    shades = np.float32([k * ink for ink in (c.base, second, core) for k in (0.92, 1.06)])
    r = c.circle(0, 0, 0)
    zone = 2 * (np.abs(r - where) < width) + (np.sin(r * turns) > 0)
    zone = np.where(r < 0.44, 4 + (c.stripes(0.12, 0.7, 45) < 0), zone)
    c.part(np.abs(r - 0.635) - 0.315, choose(zone, *shades), rise=0.25, bevel=0.06, gloss=0.5)
    c.carve(np.abs(r - 0.45) - 0.02, 0.15, 0.02)
    with c.piece():  # the loose end
        shape = np.maximum(c.box(0.1, 0.85, 0.2, 0.15), c.circle(0, 0, 1))
        c.part(shape, c.base * 1.15, rise=0.06, bevel=0.03)
    with c.piece(), c.at(0, -0.68):
        words = np.maximum(c.stripes(0.09, 0.45), np.abs(c.v) - 0.1) < 0
        c.part(c.box(0, 0, 0.29, 0.17), choose(words, label, second * 0.3), rise=0.03, bevel=0.02)


@product("extension", "green olive yellow red orange purple", "plant")
def leaf(c):
    pale = c.colour(c.rng.choice(["cream", "yellow", "green", "pink"]))
    width, slant, pitch = c.rng.uniform((0.35, 0.6, 0.15), (0.5, 1.1, 0.24)).tolist()
    margin = c.rng.uniform(-0.02, 0.14)
    along = c.u - 0.05 - slant * np.abs(c.v)
    vein = np.abs(along - pitch * np.round(along / pitch)) / pitch
    reach = np.float32(np.hypot(width, 0.93))
    body = np.hypot(c.u - 0.05, np.abs(c.v) + width) - reach + 0.08 * vein
    c.part(body, c.base * c.mottle(0.12), rise=0.07, bevel=0.06, gloss=0.35)
    c.emboss(np.minimum(vein, 0.2) - 0.6 * np.exp(-np.abs(c.v) * 25), 0.16)
    lines = np.minimum(vein * pitch - 0.012, np.abs(c.v) - 0.028)
    c.paint(np.maximum(body, np.minimum(lines, -margin - body - 0.1 * vein)), pale, 0.85)
    with c.piece():
        c.part(c.line(-0.98, 0.06, -0.75, 0, 0.05, 0.035), pale * 0.8, rise=0.08, bevel=0.05)


@product("extension", "yellow red green blue orange black", "wood")
def pencil(c):
    metal, ink, rubber = c.colours("silver golden", "white golden", "pink red")
    bands, seed, start = c.rng.uniform((0.05, 0, -0.2), (0.14, 99, 0.1)).tolist()
    with c.tiled(0.1, 9) as (i, _):
        sign = c.letter(i * i + seed, 0.02, 0.07, 0.017) < 0
    ring = np.abs(np.abs(c.u + 0.4) - 0.5 * bands) < 0.3 * bands
    word = sign & (np.abs(c.u - start) < 0.26) | ring
    wood = c.u > 0.5 + 0.05 * np.cos(c.v * 34)
    lead = c.u > 0.84 - 0.4 * np.abs(c.v)
    zone = np.where(wood, 2 + lead, word)
    skin = choose(zone, c.base, ink, c.colour("beige"), c.colour("dark"))
    shape = np.maximum(c.box(0.2, 0, 0.77, 0.3), np.abs(c.v) - 0.65 * (0.96 - c.u))
    c.part(shape, skin, rise=0.1, bevel=0.06)
    c.emboss(np.minimum(0.12 * (1 - wood) - np.abs(c.v), 0), 0.9)
    with c.piece():
        c.part(c.box(-0.84, 0, 0.13, 0.3, 0.08), rubber, rise=0.16, bevel=0.1)
    with c.piece():
        ridges = choose(c.stripes(0.075, 0.5) < 0, metal, metal * 0.75)
        c.part(c.box(-0.62, 0, 0.12, 0.32), ridges, rise=0.12, bevel=0.1, gloss=0.8)


@product("extension", "white cream black blue green red", "metal", "upright")
def clock_dial(c):
    rim, second = c.colours("silver golden dark copper", "orange red")
    ink = c.colour("dark" if c.base.mean() > 0.5 else "white")
    big, logo = c.rng.uniform((0.03, 0.1), (0.06, 0.25)).tolist()
    marks = c.box(0, -0.35, logo, 0.035)
    r = np.sqrt(c.u * c.u + c.v * c.v)
    with c.ringed(60):
        marks = np.minimum(marks, c.box(0.78, 0, 0.03, 0.014))
    with c.ringed(12):
        marks = np.minimum(marks, c.box(0.7, 0, c.rng.uniform(0.05, 0.11), big))
    colour = choose(np.where(r > 0.84, 2, marks < 0), c.base, ink, rim)
    c.part(r - 0.97, colour, rise=0.22, bevel=0.1, gloss=0.6)
    c.carve(r - 0.84, 0.14, 0.04)
    for half, width in ((0.26, 0.05), (0.39, 0.035), (0.42, 0.016)):
        with c.piece(), c.at(0, 0, c.rng.uniform(0, 360)):
            shape = c.box(half - 0.1, 0, half, width)
            c.part(shape, second if width < 0.02 else ink, rise=0.05, bevel=0.03, gloss=0.5)


@product("extension", "white red black blue green purple cream", "plastic")
def dice(c):
    ink = c.colour("dark" if c.base.mean() > 0.45 else "white")
    size = c.rng.uniform(0.09, 0.12)
    pips = np.array(
        [[[k > 1, k > 5, k > 3], [0, k % 2, 0], [k > 3, k > 5, k > 1]] for k in range(7)], bool
    )
    values = np.array([k if c.rng.random() < 0.5 else 7 - k for k in c.rng.permutation(3) + 1])
    face = np.int64(np.round(np.arctan2(c.v, c.u) * (3 / 6.2832)))
    tints = np.float32(np.outer([1, 0.7, 0.85], c.base))
    skin = np.take(tints, face, 0, mode="wrap")
    c.part(c.polygon(6, 0.84, 30), skin, rise=0.08, bevel=0.08, gloss=0.4)
    rows = np.take(9 * values + 4, face, mode="wrap")
    for front in (False, True):  # two faces, then the piece: a, b run along the sides of a face
        with c.piece() if front else c.at(), c.ringed(3):
            a = (c.u + c.v * 0.577) / 0.28 - 1.73
            b = (c.u - c.v * 0.577) / 0.28 - 1.73
            i = np.clip(np.round(a), -1, 1)
            j = np.clip(np.round(b), -1, 1)
            shown = np.take(pips, rows + np.int64(3 * i + j)) & (front == (face == 0))
            c.carve(np.where(shown, np.hypot(a - i, b - j) * 0.28 - size, 1), 0.08, 0.05, ink)
    c.carve(0.06 - 0.28 * (np.minimum(a, b) + 1.73), 0.05, 0.06)  # rounded inner edges


@product("val", "white cream golden silver blue", "glass and metal", "free", turn=8)
def light_bulb(c):
    globe = np.minimum(c.circle(0, -0.33, 0.64), c.line(0, -0.1, 0, 0.4, 0.55, 0.27))
    glass = 0.7 + 0.4 * smooth(-globe * 2.2) + 0.08 * c.noise(7)
    turn = np.sin(c.v * 50 + c.u * 7)
    c.part(globe, c.base * glass[..., None], rise=0.1, bevel=0.12, dome=0.25, gloss=0.9)
    with c.piece():  # the filament: a coil on two posts
        wire = np.abs(c.v + 0.38 + c.rng.uniform(0.05, 0.09) * np.sin(c.u * 42)) - 0.03
        coil = np.maximum(wire, np.abs(c.u) - 0.27)
        posts = np.abs(np.abs(c.u) - 0.12 + 0.26 * (c.v - 0.2)) - 0.022
        shape = np.minimum(coil, np.maximum(posts, np.abs(c.v) - 0.4))
        c.paint(shape, (c.colour("orange") - 0.6 * smooth(8 * coil)[..., None]).clip(0.1), 0.9)
    cap = np.maximum(np.abs(c.u) - 0.31 - 0.02 * turn, np.abs(c.v - 0.64) - 0.22)
    colour = c.colour("silver") * (0.85 + 0.3 * turn)[..., None]
    c.part(cap, colour, rise=0.08, bevel=0.06, dome=0.2, gloss=0.9)
    with c.piece():
        shape = np.maximum(np.abs(c.u) - 0.6 + 0.5 * c.v, np.abs(c.v - 0.9) - 0.08)
        c.part(shape, c.colour("dark"), gloss=0.5)
