"""Training surfaces: they fill the frame."""

import numpy as np

from ..fields import smooth
from .registry import product


@product("extension", "red brown orange beige grey white", "clay", "surface")
def brick(c):  # running bond: sanded bricks of different tones in pale mortar
    a, b = c.rng.uniform(1, 6, 2).tolist()
    mortar = c.colour(str(c.rng.choice(["white", "grey", "cream"])))
    c.sheet(mortar * c.mottle(0.1, 30), gloss=0.05)
    with c.tiled(0.52, 0.25, 0.5) as (column, row):
        tone = 0.95 + 0.22 * np.sin(a * column + b * row) + 0.25 * c.noise(40) * c.noise(50)
        shape = c.box(0, 0, 0.235, 0.1, 0.02)
        c.part(shape, c.base * tone[..., None], rise=0.06, bevel=0.025, gloss=0.15)
    c.emboss(c.noise(50), 0.008)


@product("extension", "blue dark turquoise grey black", "cotton", "surface")
# twill: dyed threads over white ones in diagonal steps, uneven dye, double rows of stitches
def denim(c):
    thread = c.colour(str(c.rng.choice(["orange", "golden", "white"])))
    twill = np.sin(c.u * 75) * np.sin((c.u + c.v) * 52)
    fade = 0.75 + 0.2 * c.noise(60, 3) * c.noise(7) + 0.1 * c.noise(4)
    c.sheet(c.base * fade[..., None] + (0.35 * smooth(twill * 1.5))[..., None], gloss=0.1)
    c.emboss(twill, 0.012)
    with c.tiled(0.14, 1.1):
        c.carve(np.abs(c.v) - 0.13, 0.04, 0.06)
        stitch = np.hypot(np.maximum(np.abs(c.u) - 0.04, 0), np.abs(c.v) - 0.07) - 0.02
        c.part(stitch, thread, rise=0.05, bevel=0.02)


@product("extension", "white black green beige grey pink", "stone", "surface")
def marble(c):  # polished: soft bands, broad and fine veins, all along one direction
    drift = 1.3 * c.noise(3) + 0.35 * c.noise(7)
    other = c.colour(str(c.rng.choice(["golden", "white", "dark"])))
    veins = smooth(3.5 - 12 * np.abs(np.sin(5.5 * c.u + 1.5 * c.v + 1.7 * drift)))
    fine = smooth(1.4 - 8 * np.abs(np.sin(9 * c.u - 2 * c.v + 2.2 * drift + 0.2 * c.noise(20))))
    stone = c.base * (0.8 + 0.05 * c.noise(40) + 0.2 * np.sin(4 * c.u + drift))[..., None]
    c.sheet(stone + (other - stone) * (0.7 * veins + 0.35 * fine)[..., None], gloss=0.6)


@product("extension", "silver grey golden copper white turquoise", "metal", "surface")
# slightly wavy strokes of six widths in one direction, under wide bands of sheen
def brushed_metal(c):
    lines = np.zeros_like(c.u)
    for pitch in c.rng.uniform(20, 160, 6).tolist():
        wave = np.sin(c.u * c.rng.uniform(0.3, 1.5) + c.rng.uniform(0, 6))
        lines += np.sin(c.v * pitch + 2.5 * wave)
    sheen = 0.85 + 0.18 * np.sin(c.v * c.rng.uniform(3, 5) + c.rng.uniform(0, 6))
    c.sheet(c.base * (sheen + 0.09 * lines + 0.05 * c.noise(60))[..., None], gloss=0.6)
    c.emboss(lines, 0.006)


@product("extension", "grey silver beige white", "concrete", "surface")
# exposed: pale and dark aggregate in sandy cement, cast in large panels with joints
def concrete(c):
    gap = 0.85 - np.abs(c.u - 1.7 * np.round(c.u / 1.7))
    gap = np.minimum(gap, 0.55 - np.abs(c.v - 1.1 * np.round(c.v / 1.1)))
    joint = smooth(1.3 - 40 * gap)
    sand = c.noise(64) * c.noise(57)
    stones = c.noise(34) + 0.5 * c.noise(50)
    light = 0.6 + 0.4 * sand + 0.06 * c.noise(6)
    light = light + 0.3 * smooth(5 * stones - 2.5) - 0.3 * smooth(-5 * stones - 2.5)
    c.sheet(c.base * (light - 0.25 * joint)[..., None] + 0.06, gloss=0.08)
    c.emboss(0.03 * sand + 0.01 * stones - 0.05 * joint, 1.0)


@product("extension", "tan brown golden white cream copper", "willow", "surface")
# basket weave: strands over and under upright stakes; every second row has another tone
def wicker(c):
    stakes = smooth(1.2 - 16 * np.abs(c.u - 0.2 * np.round(c.u * 5)))
    c.sheet(c.base * (0.3 + 0.4 * stakes)[..., None], gloss=0.2)
    other = c.rng.uniform(0.25, 0.6)
    with c.tiled(0.4, 0.16, 0.5) as (_, row):
        over = np.maximum(np.abs(c.v) - 0.07, np.abs(c.u) - 0.18 - 0.3 * c.v**2)
        tone = 1 - other * np.abs(np.sin(row * 1.5708)) - 0.35 * smooth(np.abs(c.u) * 12 - 1.2)
        fibre = 0.1 * np.sin(c.v * 130) + 0.14 * c.noise(30)
        c.part(over, c.base * (tone + fibre)[..., None], rise=0.02, bevel=0.03, gloss=0.4)
        c.emboss(np.maximum(1 - (c.u / 0.2) ** 2, 0) * np.maximum(1 - (c.v / 0.08) ** 2, 0), 0.13)


@product("extension", "tan brown golden beige copper", "cork", "surface")
def cork(c):  # pressed granules of many browns at three sizes, lying over each other
    tone = 0.6 + 0.3 * c.noise(50)
    relief = 0.2 * c.noise(50)
    for pitch in (0.2, 0.15, 0.17):
        a, b, d, turn = c.rng.uniform(1, 6, 4).tolist()
        with c.at(d, a, 60 * turn), c.tiled(pitch, pitch) as (column, row):
            seed = np.sin(a * column * (row + 0.5) + b * row + d)
            far = np.hypot(c.u + 0.015 * seed, c.v - 0.015 * seed)
            grain = smooth(3 + 1.3 * seed - 50 * far + 1.2 * c.noise(44))
        tone = tone + (0.9 + 0.45 * np.sin(9 * seed) - tone) * grain
        relief = relief + (1 + seed - relief) * grain
    c.sheet(c.base * (tone + 0.1 * c.noise(60))[..., None], gloss=0.08)
    c.emboss(relief, 0.02)


@product("extension", "red blue green yellow purple turquoise", "cotton", "surface")
def striped_fabric(c):  # four colours in a repeating order of widths, over a plain weave
    more = c.rng.choice(["white", "cream", "dark", "grey", "orange", "pink", "golden"], 3, False)
    order = np.repeat(c.rng.permutation(4), c.rng.integers(1, 4, 4))
    dyes = np.array([c.base, *(c.colour(str(name)) for name in more)])[order]
    weave = np.sin(c.u * 62) * np.sin(c.v * 62)
    tone = 0.92 + 0.12 * weave + 0.1 * c.noise(60)
    c.sheet(dyes[np.floor(c.u * 11).astype(int) % len(dyes)] * tone[..., None], gloss=0.1)
    c.emboss(weave, 0.014)


@product("extension", "yellow pink green blue orange turquoise", "foam", "surface")
def sponge(c):  # soft foam with round pores of three sizes everywhere
    pores = np.ones_like(c.u)
    for pitch, size in ((0.27, 0.06), (0.19, 0.045), (0.13, 0.028)):
        a, b, d, turn = c.rng.uniform(1, 6, 4).tolist()
        with c.at(d, a, 60 * turn), c.tiled(pitch, pitch * 0.9) as (column, row):
            seed = np.sin(a * column * (row + 0.5) + b * row + d)
            z = 0.2 * pitch
            far = np.hypot(c.u + z * seed, c.v - z * np.sin(5 * seed))
            pores = np.minimum(pores, far - size * (1 + 0.4 * seed))
    c.sheet(c.base * (1 + 0.15 * c.noise(40) - 0.5 * smooth(-50 * pores))[..., None], gloss=0.08)
    c.carve(pores, 0.1, 0.04)


@product("extension", "grey beige brown white dark copper", "stone", "surface")
def gravel(c):  # pebbles of two kinds of stone, in many tones and sizes, lying over each other
    other = c.colour(str(c.rng.choice(["white", "brown", "dark", "tan", "grey", "copper"])))
    tone = np.full_like(c.u, 0.3)
    mix = np.zeros_like(c.u)
    relief = np.zeros_like(c.u)
    for pitch in (0.2, 0.24, 0.29, 0.35):
        a, b, d, turn = c.rng.uniform(1, 6, 4).tolist()
        with c.at(d, a, 60 * turn), c.tiled(pitch, pitch * 0.8) as (column, row):
            seed = np.sin(a * column * (row + 0.5) + b * row + d)
            far = c.u * c.u + (1.5 + 0.3 * seed) * c.v * c.v
            body = 1 - far / (pitch * (0.37 + 0.1 * seed)) ** 2
        top = pitch * np.sqrt(np.maximum(body, 0))
        kind = smooth(0.5 + 2 * np.sin(9 * seed))
        for layer, new in ((tone, 0.9 + 0.3 * seed), (mix, kind), (relief, top)):
            layer += (new - layer) * smooth(body * 6)
    stone = c.base + (other - c.base) * mix[..., None]
    c.sheet(stone * (tone + 0.15 * c.noise(50))[..., None], gloss=0.3)
    c.emboss(relief, 0.5)


@product("extension", "grey dark red brown green copper", "slate", "surface")
def roof_shingles(c):  # rows of rounded shingles, each row lying on the next and shifted by half
    a, b = c.rng.uniform(1, 6, 2).tolist()
    c.sheet(c.base * 0.3, gloss=0.1)
    with c.tiled(0.4, 0.3, 0.5) as (column, row):
        slate = np.maximum(np.abs(c.u) - 0.19, np.hypot(c.u, np.maximum(c.v + 0.06, 0)) - 0.2)
        tone = 0.9 + 0.25 * np.sin(a * column + b * row)
        tone = tone + 0.12 * np.sin(c.u * 60 + 3 * c.noise(8)) + 0.1 * c.noise(50)
        c.part(slate, c.base * tone[..., None], rise=0.04, bevel=0.02, gloss=0.3)
        c.emboss(c.v, 0.35)


@product("extension", "red blue green white purple grey", "wool", "surface")
# stocking stitch: columns of V-shaped loops with a repeating, mirrored two-colour pattern
def knitwear(c):
    other = c.colour(str(c.rng.choice(["cream", "dark", "yellow", "orange"])))
    motif = c.rng.random((6, 5)) < 0.4
    c.sheet(c.base * 0.35, gloss=0.05)
    with c.tiled(0.17, 10.0) as (column, _):
        c.u, c.v = np.abs(c.u), c.v + 0.9 * np.abs(c.u)
        with c.tiled(10.0, 0.13) as (_, row):
            pick = motif[row.astype(int) % 6, np.abs(column.astype(int) % 8 - 4)]
            yarn = 0.95 + 0.16 * np.sin((c.v + c.u) * 90) + 0.12 * c.noise(60)
            loop = np.hypot(c.u - 0.042, 0.55 * c.v) - 0.046
            dye = c.base + (other - c.base) * pick[..., None]
            c.part(loop, dye * yarn[..., None], rise=0.02, bevel=0.03, dome=0.07, gloss=0.1)
