"""Metal parts, flat or turned."""

import numpy as np

from ..fields import choose, smooth
from .registry import product


@product("extension", "golden copper silver grey brown", "metal")
def coin(c):
    star = c.rng.random() < 0.5
    seed = c.rng.uniform(0, 99)
    r = np.sqrt(c.u * c.u + c.v * c.v)
    middle = c.colour(c.rng.choice(["silver", "golden", "copper"]))
    c.part(r - 0.97, choose(r < 0.63, c.base, middle), rise=0.12, bevel=0.06, gloss=0.7)
    rims = 0.05 * smooth((0.62 - r) * 30) + 0.06 * smooth((r - 0.89) * 30)
    c.emboss(rims + 0.002 * c.noise(60), 1)
    wide = 0.02 + 0.03 * (np.cos(np.round(np.arctan2(c.v, c.u) * (30 / 6.2832)) ** 2 + seed) > 0)
    with c.ringed(30):  # letters round the rim
        c.carve(np.abs(c.box(0.76, 0, 0.08, wide) + 0.02) - 0.018, -0.05, 0.02)
    with c.piece(), c.ringed(5, -90) if star else c.at():
        ten = np.minimum(c.box(-0.25, 0, 0.07, 0.38), np.abs(c.ellipse(0.19, 0, 0.25, 0.35)) - 0.06)
        shape = c.line(0, 0, 0.52, 0, 0.17, 0.01) if star else ten
        c.part(shape, middle * 1.1, rise=0.09, bevel=0.06, gloss=0.8)


@product("extension", "silver golden dark copper grey", "metal")
def gear(c):
    web, brass = c.colours("red blue dark white green", "golden copper silver")
    teeth = int(c.rng.integers(10, 17))
    bolts = int(c.rng.integers(3, 6))
    r = np.sqrt(c.u * c.u + c.v * c.v)
    with c.ringed(teeth):
        cogs = c.box(0.84, 0, 0.13, 1.7 / teeth) + 0.3 * np.maximum(c.u - 0.84, 0)
    skin = choose(np.where(r < 0.3, 2, np.abs(r - 0.5) < 0.17), c.base, web, brass)
    c.part(np.minimum(r - 0.8, cogs), skin, rise=0.2, bevel=0.05, gloss=0.6)
    c.emboss(-0.1 * smooth((0.17 - np.abs(r - 0.5)) * 25), 1)
    c.hole(np.minimum(r - 0.16, c.box(0.14, 0, 0.1, 0.05)))
    with c.ringed(bolts, 180 / bolts):
        c.hole(c.circle(0.5, 0, 0.13))
    with c.piece(), c.ringed(bolts):
        c.part(c.circle(0.5, 0, 0.1), brass, rise=0.1, bevel=0.04, gloss=0.7)
        c.carve(c.box(0.5, 0, 0.07, 0.02), 0.1, 0.02)


@product("extension", "silver golden grey copper dark", "metal")
def washer(c):
    rubber = c.colour(c.rng.choice(["black", "red", "blue", "green", "white"]))
    length = int(c.rng.integers(3, 9))
    seed = c.rng.uniform(0, 99)
    lock = c.rng.random() < 0.4
    turns = c.rng.uniform(60, 100)
    r = c.circle(0, 0, 0)
    sector = np.round(np.arctan2(c.v, c.u) * (24 / 6.2832))
    with c.ringed(24):
        wide = 0.02 + 0.035 * (np.cos(sector**2 + seed) > 0)
        sign = np.abs(c.box(0.74, 0, 0.09, wide) + 0.02) - 0.02
        tooth = np.maximum(0.9 - c.u, np.abs(c.v) - 0.05)
    sign = np.maximum(sign, np.abs(sector) - length)
    # turned rings and stamped letters
    tone = np.where(sign < 0, 3, np.int64(1.5 + 1.4 * np.sin(r * turns)))
    skin = choose(tone, *np.outer([0.88, 1, 1.12, 0.3], c.base).astype(np.float32))
    shape = np.maximum(np.abs(r - 0.66) - 0.31, -tooth if lock else r - 1)
    c.part(shape, skin, rise=0.14, bevel=0.05, gloss=0.7)
    with c.piece():
        c.part(c.ring(0, 0, 0.43, 0.09), rubber * c.mottle(0.1), rise=0.12, bevel=0.08, gloss=0.35)


@product("extension", "silver golden grey dark copper", "metal")
def bolt(c):
    nut, seal, plate = c.colours("silver golden dark", "blue white red", "silver")
    start = c.rng.uniform(-0.25, 0.1)
    lead = c.rng.uniform(38, 50)
    head = c.box(-0.72, 0, 0.25, 0.62)
    body = np.minimum(head, c.box(0.2, 0, 0.76, 0.32))
    thread = np.sin((c.u + 0.16 * c.v) * lead) * (c.u > start)
    c.part(body, choose(thread < -0.3, c.base, c.base * 0.55), rise=0.1, bevel=0.05, gloss=0.7)
    shank = np.sqrt(np.clip(1 - (c.v / 0.33) ** 2, 0, 1)) * 0.3 + 0.04 * thread
    relief = np.where(head < 0, -1.2 * np.maximum(np.abs(c.v) - 0.31, 0), shank)
    c.emboss(relief * (body < 0) + 0.002 * c.noise(60), 1)
    with c.piece():
        c.part(c.box(-0.42, 0, 0.055, 0.5), plate, rise=0.2, bevel=0.05, gloss=0.8)
    with c.piece(), c.at(c.rng.uniform(0.3, 0.6), 0):
        hexagon = c.box(0, 0, 0.2, 0.52)
        skin = choose(np.abs(c.u - 0.14) < 0.04, nut, seal)
        c.part(hexagon, skin, rise=0.3, bevel=0.07, gloss=0.7)
        c.emboss(-np.maximum(np.abs(c.v) - 0.26, 0) * (hexagon < 0), 1)


@product("extension", "silver golden copper grey", "metal")
def key(c):
    grip = c.colour(c.rng.choice(["black", "red", "blue", "green", "purple"]))
    seed = int(c.rng.integers(99))
    bow = c.circle(-0.5, 0, 0.48) if seed % 2 else c.box(-0.5, 0, 0.46, 0.45, 0.2)
    tooth = np.round(c.u / 0.17)
    # the bitting: random depths
    cut = np.take(c.rng.uniform(0.02, 0.16, 32), tooth.astype(int) + 16, mode="clip")
    notches = c.v - 0.3 + np.maximum(cut, 0.5 * np.abs(c.u - 0.17 * tooth))
    blade = np.maximum(c.box(0.4, 0, 0.57, 0.28), notches)
    groove = np.where(np.abs(c.v + 0.08) < 0.04, 1, 2 * (np.abs(c.v - 0.01) < 0.02))
    colour = choose(groove, c.base, c.base * 0.45, c.base * 0.75)
    c.part(blade, colour, rise=0.14, bevel=0.06, gloss=0.8)
    with c.piece():
        c.part(np.minimum(bow, c.box(-0.05, 0, 0.1, 0.3)), grip, rise=0.22, bevel=0.09, gloss=0.5)
    with c.at(-0.44, 0, 90), c.tiled(0.12, 9) as (i, _):  # stamped number
        wide = 0.018 + 0.026 * (np.cos(i * i + seed) > 0)
        sign = np.abs(c.box(0, 0, wide, 0.07) + 0.02) < 0.02 * (np.abs(i) < 3)
    shape = c.box(-0.44, 0, 0.11, 0.27)
    c.part(shape, choose(sign, c.base, c.base * 0.3), rise=0.03, bevel=0.03, gloss=0.8)
    c.hole(c.circle(-0.78, 0, 0.1))


@product("extension", "silver grey golden black blue white", "metal")
def bracket(c):
    screw, bead = c.colours("golden dark silver", "dark orange red white")
    slot = c.rng.uniform(0, 0.1)
    gusset = c.rng.uniform(0.1, 0.4)
    p = np.maximum(-c.u, c.v)
    q = np.maximum(c.u, -c.v)
    inner = np.minimum(0.24 - p, np.maximum(q - 0.6, c.u - c.v - gusset))
    body = np.maximum(np.maximum(p, q) - 0.8, inner)
    slots = np.hypot(np.maximum(np.abs(q - 0.5) - slot, 0), p - 0.54)
    holes = np.minimum(slots, c.circle(-0.54, 0.54, 0)) - 0.1
    rib = np.maximum(np.abs(p - 0.28) - 0.035, q - 0.3)
    zone = np.where(rib < 0, 1, 2 * (np.abs(holes) < 0.06))
    c.part(body, choose(zone, c.base, bead, c.base * 0.6), rise=0.16, bevel=0.05, gloss=0.6)
    c.emboss(0.07 * smooth(-30 * rib) - 0.07 * smooth(1 - holes * 16) + 0.0015 * c.noise(60), 1)
    c.hole(holes)
    for x, y in ((-0.54, 0.05), (-0.05, 0.54)):
        with c.piece(), c.at(x, y, c.rng.uniform(0, 90)):
            p = np.abs(c.u)
            q = np.abs(c.v)
            cross = np.maximum(np.minimum(p, q) - 0.03, p + q - 0.13) < 0
            skin = choose(cross, screw, screw * 0.3)
            c.part(c.circle(0, 0, 0.16), skin, rise=0.12, bevel=0.1, gloss=0.7)


@product("extension", "silver golden copper grey dark blue", "metal")
def metal_plate(c):
    rivet, label = c.colours("golden silver dark", "black red blue yellow white")
    seed = int(c.rng.integers(99))
    slots = int(c.rng.integers(2, 5))
    ink = label * 0.2 + 0.7 * (label.mean() < 0.45)
    lines = np.outer(c.rng.uniform(0.82, 1.14, 96), c.base).astype(np.float32)  # brushed
    body = np.maximum(c.box(0, 0, 0.86, 0.66), np.minimum(c.u - 0.7, 0.16 - np.abs(c.v + 0.1)))
    colour = np.take(lines, np.int64((c.v + 2) * 48), 0, mode="wrap")
    c.part(body, colour, rise=0.14, bevel=0.05, gloss=0.6)
    c.hole(np.maximum(c.stripes(0.2, 0.5), c.box(0.1 * (slots % 2) - 0.2, 0.42, 0.1 * slots, 0.14)))
    with c.piece(), c.at(-0.14, -0.16):
        board = c.box(0, 0, 0.5, 0.27)
        with c.tiled(0.14, 9) as (i, _):
            sign = c.letter(i * i + seed, h=0.12)
        word = (sign < 0) & (np.abs(i) < 4 - seed % 2) | (np.abs(board + 0.06) < 0.014)
        c.part(board, choose(word, label, ink), rise=0.04, bevel=0.03)
    with c.piece():
        shape = np.hypot(np.abs(c.u) - 0.71, np.abs(c.v) - 0.5) - 0.1
        c.part(shape, rivet, rise=0.12, bevel=0.1, gloss=0.8)
