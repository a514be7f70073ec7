"""Tools and machine parts."""

import numpy as np

from ..fields import choose, smooth
from .registry import product


@product("extension", "silver golden red white blue grey", "metal")
def wheel(c):
    cap, ink = c.colours("red blue black silver yellow", "white yellow grey")
    spokes = int(c.rng.integers(5, 9))
    thick = c.rng.uniform(0.05, 0.09)
    r = np.sqrt(c.u * c.u + c.v * c.v)
    words = (np.abs(r - 0.79) < 0.05) & (np.abs(c.v) < c.rng.uniform(0.2, 0.8))
    with c.ringed(40):
        tread = c.box(0.94, 0, 0.05, 0.025)
        words = words & (np.abs(c.v) < 0.03)
    with c.ringed(spokes):
        gap = np.maximum(np.abs(r - 0.43) - 0.15, thick - np.abs(c.v))
        nut = c.circle(0.22, 0, 0.04)
    zone = np.where(r < 0.66, 2 + (gap < 0), words)
    skin = choose(zone, c.colour("black"), ink, c.base, c.base * 0.22)
    c.part(r - 0.97, skin, rise=0.2, bevel=0.12, gloss=0.5)
    rim = 0.1 * smooth((0.66 - r) * 20)
    c.emboss(rim - 0.15 * smooth(-20 * gap) - 0.08 * smooth(-30 * tread), 1)
    c.carve(nut, -0.06, 0.03)
    with c.piece():
        shape = np.minimum(c.circle(0, 0, 0.15), c.box(0.62, 0, 0.1, 0.04))
        c.part(shape, cap, rise=0.1, bevel=0.05, gloss=0.7)


@product("extension", "golden red blue black green copper", "metal", "upright")
def padlock(c):
    plate, steel = c.colours("silver black white golden", "silver")
    seed = c.rng.uniform(0, 99)
    pitch = c.rng.uniform(0.12, 0.2)
    r = np.hypot(c.u, c.v - 0.63)
    with c.piece():
        arch = np.abs(np.where(c.v < -0.4, np.hypot(c.u, c.v + 0.4), np.abs(c.u)) - 0.42) - 0.13
        c.part(np.maximum(arch, c.v), steel, rise=0.25, bevel=0.13, gloss=0.9)
    body = c.box(0, 0.36, 0.8, 0.6, 0.13)
    groove = c.stripes(pitch, 0.2, 90)
    slot = np.minimum(c.circle(0, 0.58, 0.07), c.box(0, 0.69, 0.04, 0.08))
    zone = np.where(r < 0.2, 2 + (slot < 0), groove < 0)
    skin = choose(zone, c.base, c.base * 0.5, steel, steel * 0.08)
    c.part(body, skin, rise=0.3, bevel=0.1, gloss=0.7)
    depth = np.where(r < 0.2, 0.2 * smooth(-30 * slot) - 0.06, 0.06 * smooth(-30 * groove))
    c.emboss(-depth * (body < -0.03), 1)
    with c.piece(), c.at(0, 0.12):
        with c.tiled(0.14, 9) as (i, _):
            word = (c.letter(i * i + seed, h=0.11) <= 0) & (np.abs(i) < 4)
        skin = choose(word, plate, 0.15 * steel if plate.mean() > 0.4 else steel)
        c.part(c.box(0, 0, 0.52, 0.2), skin, rise=0.06, bevel=0.04, gloss=0.6)


@product("extension", "silver golden copper tan white", "metal")
def spoon(c):
    grip, dots = c.colours("red blue green brown black", "white yellow cream")
    pitch = c.rng.uniform(0.1, 0.16)
    kind = int(c.rng.integers(3))
    bowl = c.ellipse(-0.46, 0, 0.5, 0.47)
    c.part(np.minimum(bowl, c.box(0.35, 0, 0.55, 0.1)), c.base, rise=0.16, bevel=0.06, gloss=0.8)
    inside = -0.06 - bowl
    hollow = -0.28 * smooth(inside / 0.26) - 0.04 * smooth(inside / 0.03)
    c.emboss(hollow + 0.002 * c.noise(60), 1)
    with c.piece():
        sleeve = c.box(0.54, 0, 0.44, 0.23, 0.16)
        with c.tiled(pitch, pitch, 0.5):
            mark = c.circle(0, 0, 0.035) if kind == 0 else c.stripes(pitch, 0.4, 45 * kind)
        skin = choose(np.maximum(mark, sleeve + 0.05) < 0, grip, dots)
        c.part(sleeve, skin, rise=0.12, bevel=0.12, gloss=0.6)
    c.hole(c.circle(0.85, 0, 0.055))


@product("extension", "yellow green grey white blue black", "wire")
def coil(c):
    wire, second = c.colours("copper copper red golden", "white dark yellow")
    r = np.sqrt(c.u * c.u + c.v * c.v)
    turns = int(c.rng.integers(24, 40))
    gap = c.rng.uniform(0.35, 0.8)
    wedge = gap * c.u - np.abs(c.v)
    skin = choose(np.abs(r - 0.6) < 0.16, c.base, second)
    c.part(np.abs(r - 0.6) - 0.3, skin, rise=0.1, bevel=0.1, dome=0.25, gloss=0.4)
    with c.ringed(turns, 180 / turns):
        winding = np.maximum(np.abs(c.v) - 2.7 / turns * c.u, np.abs(r - 0.6) - 0.36)
    c.part(np.maximum(winding, wedge), wire, rise=0.12, bevel=0.05, gloss=0.8)
    for side in (-1, 1):
        with c.piece(), c.at(0, 0, side * float(np.degrees(np.arctan(gap)) - 3)):
            end = choose(c.u > 0.85, wire, c.colour("silver"))
            c.part(c.box(0.76, 0, 0.22, 0.055), end, rise=0.15, bevel=0.05, gloss=0.8)


@product("extension", "golden black blue red orange green", "metal")
def bearing(c):
    steel, ball = c.colours("silver grey dark", "silver")
    race, bore, length = c.rng.uniform((0.58, 0.24, 0.2), (0.62, 0.32, 0.8)).tolist()
    balls = int(c.rng.integers(8, 13))
    r = np.sqrt(c.u * c.u + c.v * c.v)
    gap = np.abs(r - race)
    first = c.circle(race, 0, 0.15)
    words = np.maximum(np.abs(r - 0.88) - 0.035, np.abs(c.v) - length) < 0
    with c.ringed(44):
        words &= np.abs(c.v) < 0.02
    skin = choose(np.where(gap < 0.18, 1 + (gap < 0.1), words), steel, steel * 0.25, c.base)
    c.part(np.maximum(r - 0.97, bore - r), skin, rise=0.2, bevel=0.05, gloss=0.8)
    c.emboss(0.06 * smooth((0.1 - gap) * 25) - 0.16 * smooth((0.18 - gap) * 25) - 0.05 * words, 1)
    with c.ringed(balls):
        c.part(np.maximum(c.circle(race, 0, 0.135), -first), ball, rise=0.2, bevel=0.13, gloss=0.9)
    with c.piece():
        c.part(c.circle(race, 0, 0.135), ball, rise=0.2, bevel=0.13, gloss=0.9)


@product("extension", "silver golden dark grey copper", "metal")
def wrench(c):
    grip, ink = c.colours("red blue black green yellow", "white cream yellow")
    slant, seed, size = c.rng.uniform((-20, 0, 0.15), (20, 99, 0.19)).tolist()
    with c.at(-0.57, 0, slant):
        jaw = np.maximum(c.u - 0.07, np.abs(c.v) - size)
    body = np.minimum(c.box(0, 0, 0.5, 0.2), np.maximum(c.circle(-0.52, 0, 0.45), -jaw))
    c.part(np.minimum(body, c.circle(0.61, 0, 0.38)), c.base, rise=0.18, bevel=0.06, gloss=0.8)
    c.carve(c.circle(0.61, 0, 0.3), 0.06, 0.03)
    with c.at(0.61, 0):
        c.hole(c.polygon(6, size + 0.01))
    with c.piece():
        with c.tiled(0.12, 9) as (i, _):
            word = (c.letter(i * i + seed, 0.025) <= 0) & (np.abs(i) < 3)
        c.part(c.box(0.04, 0, 0.31, 0.23), choose(word, grip, ink), rise=0.1, bevel=0.08, gloss=0.5)


@product("extension", "red blue yellow green black orange", "metal")
def valve_handle(c):
    plate, steel = c.colours("white black yellow blue", "silver golden dark")
    lobes = int(c.rng.integers(8, 15))
    spokes = int(c.rng.integers(3, 6))
    r = np.sqrt(c.u * c.u + c.v * c.v)
    wide = c.rng.uniform(0.08, 0.13)
    gap = c.rng.uniform(0.05, 0.2)
    ink = plate * 0.2 + 0.7 * (plate.mean() < 0.4)
    rim = np.abs(r - 0.79) - 0.15 - 0.02 * np.cos(lobes * np.arctan2(c.v, c.u))
    with c.ringed(spokes):
        arm = np.maximum(np.abs(c.v) - wide - 0.1 * c.u, r - 0.8)
    c.part(np.minimum(np.minimum(rim, arm), r - 0.4), c.base, rise=0.25, bevel=0.12, gloss=0.6)
    c.emboss(-0.6 * smooth(-20 * arm - 1) * (r < 0.62) + 0.07 * c.noise(50), 0.04)
    with c.piece():
        mark = np.maximum(c.ring(0, 0, 0.28, 0.03), gap - np.abs(c.v)) < 0
        c.part(c.circle(0, 0, 0.36), choose(mark, plate, ink), rise=0.04, bevel=0.03)
    with c.piece():
        c.part(c.polygon(6, 0.17), steel, rise=0.15, bevel=0.05, gloss=0.8)
        c.carve(c.circle(0, 0, 0.08), 0.1, 0.03)


@product("val", "silver golden copper dark white", "metal", "free", turn=5)
def hinge(c):
    brush = np.sin(c.v * 120 + 2 * c.noise(3)) + 1.2 * c.noise(9)
    brush = brush - 7 * smooth(2 - np.abs(np.abs(c.u) - 0.24) * 50)
    metal = c.colour(c.rng.choice(["silver", "golden", "dark", "copper"]))
    cut = c.rng.uniform(0.6, 1.2)
    shape = c.box(0, 0, 0.88, 0.68, 0.12)
    c.part(shape, c.base * (1 + 0.1 * brush)[..., None], rise=0.1, bevel=0.04, gloss=0.6)
    for x in (-0.56, 0.56):
        with c.piece(), c.at(x, 0):  # two screws with a cross in the head
            u = c.u
            v = np.abs(c.v) - 0.38
            head = np.sqrt(u * u + v * v) - 0.2
            cross = np.minimum(np.abs(cut * u + v), np.abs(cut * v - u)) - 0.05
            tone = 0.35 + 0.65 * smooth(40 * np.maximum(cross, head + 0.06))
            tone = tone - 0.4 * smooth(20 * head + 1)
            c.part(head, metal * tone[..., None], rise=0.08, bevel=0.06, gloss=0.8)
    with c.piece():
        joint = c.base * (0.35 + 0.75 * smooth(3.5 * np.sin(c.v * 8.5) ** 2))[..., None]
        shape = np.maximum(np.abs(c.u) - 0.17, np.abs(c.v) - 0.85)
        c.part(shape, joint, rise=0.05, bevel=0.04, dome=0.25, gloss=0.9)
