"""Food: cookies to tomatoes, and the nuts and biscuits among VisA's and the validation products."""

import numpy as np

from ..fields import choose, smooth
from .registry import product


@product("train", "cream beige tan golden brown", "nut")
# a freckled kidney: a soft seam along its back, a strip of brown skin inside, a pale tip
def cashew(c):
    c.v = c.v + 0.28
    side = float(c.rng.choice([-1, 1]))
    wide = 0.3 + 0.05 * side * c.u + 0.12 * np.maximum(c.v, 0)
    body = c.arc(0, 0, 0.55, -12, 192, wide) + 0.02 * c.noise(4)
    back = np.abs(np.hypot(c.u, c.v) - 0.62 - 0.03 * c.noise(4))
    seam = smooth(1.4 - 20 * np.maximum(back, 0.15 - c.v))
    tone = 1 + 0.2 * c.noise(6) + 0.6 * c.noise(26) * c.noise(30) - 0.35 * seam
    c.part(body, c.base * tone[..., None], rise=0.1, bevel=0.2, dome=0.3, gloss=0.35)
    c.emboss(0.012 * c.noise(14) - 0.03 * seam, 1.0)
    with c.piece():
        shape = c.arc(0, 0, 0.36, 65 + 37 * side, 115 + 37 * side, 0.09)
        c.part(shape, c.base * 0.45, rise=0.02, bevel=0.05)
    with c.piece():
        shape = c.ellipse(side * 0.55, -0.14, 0.13, 0.16)
        c.part(shape, c.base * 1.12 + 0.05, rise=0.08, bevel=0.12, gloss=0.4)


@product("extension", "tan golden brown beige", "food")
def cookie(c):
    jitter = c.rng.uniform(-0.09, 0.09, (3, 64)).astype(np.float32)
    rough = c.noise(16) + 0.7 * c.noise(34)
    edge = c.blob(0, 0, 0.93, 0.06, 3)
    chip = c.colour(c.rng.choice(["brown", "dark", "cream"])) * 0.7
    # the rim is baked darker
    shades = np.outer(np.linspace(0.6, 1.2, 25), c.base).astype(np.float32)
    baked = np.int64(20 + 2.5 * rough - 16 * smooth(1 + edge / 0.22))
    skin = np.take(shades, baked, 0, mode="clip")
    c.part(edge, skin, rise=0.16, bevel=0.25, gloss=0.15)
    c.emboss(rough, 0.022)
    with c.tiled(0.36, 0.33, 0.5) as (i, j):
        dx, dy, dr = np.take(jitter, np.int64(9 * i + 5 * j), 1, mode="wrap")
        shape = np.maximum(np.hypot(c.u - dx, c.v - dy) - 0.1 - 0.35 * dr, edge + 0.1)
        c.part(shape, chip, rise=0.09, bevel=0.06)
    for x, names in ((-0.35, ("red", "yellow")), (0.35, ("green", "white"))):
        with c.piece(), c.at(x, c.rng.uniform(-0.5, 0.5)):
            colour = c.colour(c.rng.choice(names))
            c.part(c.circle(0, 0, 0.15), colour, rise=0.1, bevel=0.12, gloss=0.7)


@product("extension", "pink brown white turquoise yellow dark", "food")
def donut(c):
    inks = [c.base, *(c.colour(n) for n in ("red", "yellow", "blue", "white", "green"))]
    bend = c.rng.uniform(0, 6)
    jitter = c.rng.uniform(-0.05, 0.05, (2, 81)).astype(np.float32)
    hue = c.rng.integers(1, 6, 81)
    c.part(c.ring(0, 0, 0.6, 0.36), c.colour("tan"), rise=0.1, bevel=0.1, dome=0.3, gloss=0.2)
    with c.piece():
        icing = c.ring(0, 0, 0.59, 0.27) - 0.025 * np.cos(6 * np.arctan2(c.v, c.u) + bend)
        with c.tiled(0.19, 0.17, 0.5) as (i, j):
            k = np.int64(9 * i + 4 * j) % 81
            p = c.u - np.take(jitter[0], k)
            q = (c.v - np.take(jitter[1], k)) * np.take((-1, 1), k % 2)
            sprinkle = np.maximum(np.abs(p + q) - 0.11, np.abs(p - q) - 0.04)
        skin = choose(np.where(sprinkle < 0, np.take(hue, k), 0), *inks)
        c.part(icing, skin, rise=0.07, bevel=0.06, gloss=0.8)
        c.emboss(smooth(-25 * sprinkle) * (icing < 0), 0.02)


@product("extension", "white beige brown cream turquoise tan", "shell")
def egg(c):
    jitter = c.rng.uniform(-1, 1, (3, 256)).astype(np.float32)
    spots = c.colour("brown")
    ink = c.colour(c.rng.choice(["red", "dark"]))
    seed = c.rng.uniform(0, 99)
    amount = c.rng.uniform(-0.012, 0.022)
    with c.tiled(0.13, 0.13, 0.5) as (i, j):
        dx, dy, dr = np.take(jitter, np.int64(17 * i + 5 * j), 1, mode="wrap")
        speck = np.hypot(c.u - 0.04 * dx, c.v - 0.04 * dy) < amount + 0.018 * dr
    skin = choose(speck, c.base, 0.2 * c.base + 0.7 * spots)
    shape = (np.hypot(c.u / 0.97, c.v / (0.74 - 0.13 * c.u)) - 1) * 0.72
    c.part(shape, skin, bevel=0.12, dome=0.5, gloss=0.35)
    c.emboss(c.noise(60), 0.003)
    # the printed code
    with c.piece(), c.at(0, 0, c.rng.uniform(-30, 30)), c.tiled(0.14, 0.26, 0.5) as (i, j):
        sign = c.letter(i * i + 3 * j + seed)
        c.paint(np.maximum(sign, np.maximum(np.abs(i) - 2, np.abs(j - 0.5) - 0.6)), ink, 0.85)


@product("extension", "red orange yellow green purple", "fruit")
def tomato(c):
    shoulder, label = c.colours("green yellow orange", "white blue yellow black")
    lobes = int(c.rng.integers(5, 8))
    r = np.sqrt(c.u * c.u + c.v * c.v)
    ribs = np.cos(lobes * np.arctan2(c.v, c.u))
    fade = np.linspace(0, 0.6, 24, dtype=np.float32)[:, None]
    ripe = np.int64(23 * smooth((0.6 + 0.1 * ribs - r) * 2))
    skin = choose(ripe, *(c.base * (1 - fade) + shoulder * fade))
    c.part(r - 0.95 + 0.015 * ribs, skin, rise=0.1, bevel=0.1, dome=0.45, gloss=0.8)
    c.emboss((r + 0.2) * ribs * (r < 0.92), 0.02)
    with c.piece(), c.ringed(int(c.rng.integers(5, 7)), c.rng.uniform(0, 60)):
        calyx = choose(c.u < 0.12, c.colour("green") * 0.8, c.colour("olive") * 1.3)
        c.part(c.line(0, 0, 0.55, 0, 0.17, 0.015), calyx, rise=0.1, bevel=0.09)
    with c.piece(), c.at(0.55, c.rng.uniform(-0.2, 0.3), c.rng.uniform(0, 360)):
        words = c.box(0, 0.04, 0.13, 0.03) * c.box(0, -0.06, 0.1, 0.025) < 0
        print_ = choose(words, label, shoulder * 0.7)
        c.part(c.ellipse(0, 0, 0.22, 0.16), print_, rise=0.02, bevel=0.02)


@product("extension", "yellow green golden", "fruit", spoken="sliced lemon")
def lemon(c):
    count = int(c.rng.integers(8, 12))
    core, rind = c.rng.uniform((0.04, 0.86), (0.1, 0.9)).tolist()
    slope = float(np.tan(np.pi / count))
    r = np.sqrt(c.u * c.u + c.v * c.v)
    with c.ringed(count, c.rng.uniform(0, 30)):
        wedge = np.maximum(r - 0.8, np.abs(c.v) - slope * c.u + 0.04)
        wedge = np.maximum(wedge, core + 0.06 - c.u)
        pulp = np.sin(c.v * 40 / (0.25 + c.u)) * np.sin(14 * r + c.noise(9))
    shades = [c.colour("cream"), *np.outer(np.linspace(0.75, 1.2, 24), c.base).astype(np.float32)]
    juicy = np.int64(16 - 8 * smooth(1 - r) + 8 * pulp)
    tone = np.where(wedge < 0, juicy, np.where(r < rind, 0, 6))
    c.part(r - 0.96, np.take(shades, tone, 0, mode="clip"), rise=0.2, bevel=0.1, gloss=0.5)
    c.emboss(0.05 * smooth(-16 * wedge) + 0.015 * pulp * (r < 0.78), 1)
    for turn in (c.rng.uniform(0, 150), c.rng.uniform(180, 330)):
        with c.piece(), c.at(0, 0, turn):
            shape = c.line(0.3, 0, 0.42, 0, 0.035, 0.07)
            c.part(shape, c.colour("tan"), rise=0.08, bevel=0.06, gloss=0.5)


@product("extension", "brown dark cream tan", "food")
def chocolate_bar(c):
    paper, foil, ink = c.colours("red blue purple green", "silver", "white golden")
    pitch = 1.7 / int(c.rng.integers(4, 7))
    edge = c.rng.uniform(-0.3, 0)
    seed = int(c.rng.integers(99))
    with c.tiled(pitch, 0.4):
        block = c.box(0, 0, pitch / 2, 0.2)
        diamond = np.abs(c.u) + np.abs(c.v) - 0.11
        logo = (diamond, c.ring(0, 0, 0.08, 0.025), c.box(0, 0, 0.1, 0.04))[seed % 3]
    skin = choose(logo < 0, c.base, c.base * 0.65)
    c.part(c.box(0, 0, 0.85, 0.6), skin, rise=0.1, bevel=0.05, gloss=0.5)
    c.emboss(smooth(-block / 0.06) - 0.3 * smooth(-logo / 0.03), 0.14)
    with c.piece():
        teeth = 0.06 * np.abs(c.v / 0.1 - np.round(c.v / 0.1))
        shape = np.maximum(c.box(0, 0, 0.88, 0.62), c.u - edge + teeth)
        c.part(shape, foil, rise=0.06, bevel=0.04, gloss=0.8)
    with c.piece():
        emblem = np.abs(c.ellipse((edge - 1) / 2, 0, 0.17, 0.36)) < (0.03 if seed % 2 else 0.1)
        bands = np.abs(np.abs(c.v) - 0.5 + 0.03 * (seed % 4)) < 0.02 + 0.01 * (seed % 5)
        shape = np.maximum(c.box(0, 0, 0.9, 0.64), c.u - edge + 0.1)
        c.part(shape, choose(bands | emblem, paper, ink), rise=0.05, bevel=0.04, gloss=0.5)


@product("val", "golden tan brown cream", "baked dough", "free", turn=12, varies=0.06)
def biscuit(c):
    ends = np.abs(c.u) - 0.86 + 0.03 * np.cos(c.v * 42)
    edge = np.maximum(ends, np.abs(c.v) - 0.64 + 0.03 * np.cos(c.u * 42))
    baked = 4 * smooth(1 + edge * 5) + 1.5 * smooth(1 - np.abs(edge + 0.15) * 40)
    baked = baked - c.noise(64) - 0.6 * c.noise(14)
    c.part(edge, c.base * (1.1 - 0.1 * baked)[..., None], rise=0.2, bevel=0.1, gloss=0.12)
    with c.tiled(0.26, 0.36):
        hole = np.maximum(c.circle(0, 0, 0.05), edge + 0.2)
        c.carve(hole, 0.1, 0.04, c.base * 0.35)
    bits = ((c.rng.random((64, 64)) < 0.65) & (np.arange(64) % 4 < 3)).ravel()
    # the maker's name: four letters of 3 x 5 random dots
    with c.piece(), c.tiled(0.065, 0.052) as (i, j):
        text = np.float32((np.abs(i + 0.5) < 8) & (np.abs(j) < 3))
        c.part(0.5 - bits[(i + 64 * j).astype(int)] * text, c.base * 0.6, rise=0.06, bevel=0.02)
