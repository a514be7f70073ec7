"""Boards and what is plugged and pressed on them."""

import numpy as np

from ..fields import choose, smooth
from .registry import product


def _board(colours: str, parts: str):
    return product("train", colours, "circuit board", spoken=f"circuit board with {parts}")


def _copper(c, lanes, shape, seen=(8, 6.5, 0.6)):
    """A circuit board with copper where the sine of `lanes` is near one or minus one."""
    steep, least, strength = seen
    tone = 0.85 + 0.06 * c.noise(9) + strength * smooth(np.abs(np.sin(lanes)) * steep - least)
    c.part(shape, c.base * tone[..., None], rise=0.1, bevel=0.03, gloss=0.5)


@_board("green blue red black purple", "two sensors")
def pcb1(c):  # a distance sensor: two meshed cans, a crystal; holes in the corners
    lanes = 36 * (c.v + np.clip(c.u + c.rng.uniform(-0.3, 0.3), -0.2, 0.2))
    _copper(c, lanes, c.box(0, 0, 0.94, 0.57, 0.08))
    mesh = np.sin(c.u * 45) * np.sin(c.v * 45)
    pads = np.sqrt((np.abs(c.u) - 0.84) ** 2 + (np.abs(c.v) - 0.47) ** 2) - 0.085
    c.paint(pads, c.colour("golden"), gloss=0.9)
    c.hole(pads + 0.04)
    for x, y, length, r in ((-0.47, 0, 0, 0.41), (0.47, 0, 0, 0.41), (0, -0.45, 0.1, 0.085)):
        with c.piece():
            can = np.sqrt(np.maximum(np.abs(c.u - x) - length, 0) ** 2 + (c.v - y) ** 2) - r
            tone = 1 - (0.35 + 0.5 * smooth(4 * mesh)) * smooth(-20 * can - 1.4)
            metal = c.colour("silver") * tone[..., None]
            c.part(can, metal, rise=0.25, bevel=0.06, gloss=0.8)


@_board("green blue red black purple", "a square chip")
# a controller: a turned chip with legs all around, crystal, small parts in a row, pads along two
# sides
def pcb2(c):
    lanes = np.abs(c.u + c.rng.uniform(-0.2, 0.2)) + np.clip(np.abs(c.v) - 0.3, 0, 0.2)
    _copper(c, 34 * lanes, c.box(0, 0, 0.78, 0.74, 0.08))
    row = np.abs(c.u - 0.2 * np.round(c.u * 5))
    pads = np.sqrt((c.u - 0.125 * np.round(c.u * 8)) ** 2 + (np.abs(c.v) - 0.65) ** 2) - 0.045
    c.paint(np.maximum(pads, np.abs(c.u) - 0.7), c.colour("golden"), gloss=0.9)
    small = np.maximum(np.maximum(row - 0.07, np.abs(c.v - 0.48) - 0.05), np.abs(c.u) - 0.5)
    c.part(small, 0.15 + 0.6 * smooth(row * 50 - 1.5)[..., None], rise=0.07, bevel=0.02, gloss=0.5)
    with c.piece(), c.at(0, -0.05, 45):
        chip = c.box(0, 0, 0.31, 0.31)
        legs = np.minimum(c.stripes(0.09, 0.5), c.stripes(0.09, 0.5, 90))
        shape = np.minimum(chip, np.maximum(chip - 0.08, legs))
        c.part(shape, 0.13 + 0.6 * smooth(chip * 50)[..., None], bevel=0.03)
        c.paint(c.circle(-0.2, -0.2, 0.05), c.colour("grey"))
    with c.piece():
        shape = c.box(-0.52, -0.42, 0.17, 0.1, 0.09)
        c.part(shape, c.colour("silver"), rise=0.15, bevel=0.05, gloss=0.9)


@_board("blue green red black white", "a blue trimmer")
def pcb3(c):  # a sensor board: a long chip with legs, a blue trimmer with a brass cross, two lamps
    lanes = 30 * (c.v + np.clip(2 * c.u + c.rng.uniform(-0.5, 0.5), -0.15, 0.15))
    _copper(c, lanes, c.box(0, 0, 0.97, 0.5, 0.03), seen=(8, 6.5, 0.5))
    lamp = str(c.rng.choice(["red", "white", "green"]))
    pads = np.maximum(np.abs(np.abs(c.u) - 0.86) - 0.06, np.abs(np.abs(c.v) - 0.2) - 0.14)
    c.paint(pads, c.colour("golden"), gloss=0.9)
    with c.piece():
        chip = c.box(-0.16, 0, 0.27, 0.19)
        legs = np.maximum(c.stripes(0.13, 0.45), np.abs(c.u + 0.16) - 0.25)
        shape = np.minimum(chip, np.maximum(legs, np.abs(c.v) - 0.29))
        c.part(shape, 0.12 + 0.6 * smooth(chip * 50)[..., None], rise=0.12, bevel=0.03, gloss=0.4)
    with c.piece(), c.at(0.45, 0):
        slot = np.minimum(np.abs(c.u), np.abs(c.v))
        c.part(c.box(0, 0, 0.24, 0.29, 0.02), c.colour("blue"), rise=0.25, bevel=0.03, gloss=0.5)
        shape = np.maximum(c.circle(0, 0, 0.18), 0.03 - slot)
        c.part(shape, c.colour("golden"), rise=0.06, bevel=0.03, gloss=0.9)
    with c.piece():
        lamps = np.sqrt((c.u + 0.64) ** 2 + (np.abs(c.v) - 0.2) ** 2) - 0.14
        c.part(lamps, c.colour(lamp), bevel=0.03, dome=0.15, gloss=0.95)


@_board("green blue black red purple", "a metal plug")
# a power board: metal plug at one edge, two striped capacitors, a copper coil, a terminal block
def pcb4(c):
    lanes = 22 * (c.u + np.clip(c.v + c.rng.uniform(-0.3, 0.3), -0.2, 0.2))
    _copper(c, lanes, c.box(0.05, 0, 0.88, 0.62, 0.12), seen=(6, 3.5, 0.7))
    with c.piece():
        shell = 0.75 - 0.3 * smooth(3 - 40 * np.abs(np.abs(c.v) - 0.1))[..., None]
        c.part(c.box(-0.62, 0, 0.36, 0.28, 0.03), shell, rise=0.2, bevel=0.04, gloss=0.9)
    with c.piece():
        turns = 0.75 + 0.4 * np.sin(22 * np.arctan2(c.v, c.u - 0.12))
        wire = c.colour("copper") * turns[..., None]
        c.part(c.ring(0.12, 0, 0.19, 0.11), wire, rise=0.2, bevel=0.1, gloss=0.7)
    with c.piece():
        cans = np.sqrt((c.u - 0.05) ** 2 + (np.abs(c.v) - 0.44) ** 2) - 0.16
        stripe = smooth(c.u * 40 - 4)[..., None]
        c.part(cans, 0.75 - 0.6 * stripe, rise=0.3, bevel=0.04, gloss=0.8)
    with c.piece():
        block = c.colour("green") * (1.1 - 0.8 * smooth(3 * np.sin(c.v * 20) - 1))[..., None]
        c.part(c.box(0.72, 0, 0.18, 0.5, 0.02), block, rise=0.22, bevel=0.03, gloss=0.5)


@product("extension", "white black blue red yellow beige", "plastic")
def connector(c):
    latch, gold = c.colours("orange green dark white", "golden")
    count = int(c.rng.choice([4, 6]))
    seed = c.rng.uniform(0, 99)
    ink = c.base * 0.3 if c.base.mean() > 0.4 else latch
    wires = [c.colour(n) for n in c.rng.permutation(["red", "black", "yellow", "green", "blue"])]
    pitch = 1.36 / count
    with c.at(pitch / 2, 0), c.tiled(pitch, 9) as (i, _):
        inside = np.maximum(np.abs(c.u) - 0.36 * pitch, np.abs(i + 0.5) - count / 2)
    shape = np.maximum(inside, np.abs(c.v - 0.56) - 0.3)
    c.part(shape, np.take(wires, np.int64(i), 0, mode="wrap"), bevel=0.1)
    cavity = c.box(0, -0.28, 0.74, 0.32)
    pins = np.maximum(inside + 0.03, np.abs(np.abs(c.v + 0.28) - 0.14) - 0.09)
    zone = np.where(pins < 0, 2, cavity < 0)
    shape = c.box(0, -0.18, 0.84, 0.5)
    c.part(shape, choose(zone, c.base, c.base * 0.2, gold), rise=0.3, bevel=0.05, gloss=0.6)
    c.emboss(0.12 * smooth(-14 * pins) - 0.12 * smooth(-25 * cavity), 1)
    with c.piece():
        c.part(c.box(0, -0.7, 0.24, 0.13), latch, rise=0.4, bevel=0.06, gloss=0.5)
    with c.piece(), c.at(0, 0.18), c.tiled(0.12, 9) as (i, _):
        c.paint(np.maximum(c.letter(i * i + seed, 0.03, 0.075, 0.018), np.abs(i) - 4), ink)


@product("extension", "blue green red black purple white", "circuit board")
def sensor_module(c):
    ink = c.colour("dark" if c.base.mean() > 0.6 else "white")
    gold, shine = c.colour("golden"), c.colour("silver")
    side = int(c.rng.choice([-1, 1]))
    tilt = 45 * int(c.rng.integers(0, 4))
    pitch = c.rng.uniform(0.12, 0.16)
    corner = np.hypot(np.abs(c.u) - 0.76, np.abs(c.v) - 0.5)
    pads = np.minimum(np.maximum(c.stripes(0.14, 0.5), c.box(0, 0.53, 0.42, 0.055)), corner - 0.1)
    words = np.maximum(c.stripes(0.09, 0.45), c.box(-0.38 * side, -0.3, 0.26, 0.1)) < 0
    zone = np.where(pads < 0, 2, np.where(words, 3, c.stripes(0.1, 0.3, tilt) < 0))
    shape = c.box(0, 0, 0.87, 0.61)
    c.part(shape, choose(zone, c.base, c.base * 1.25 + 0.02, gold, ink), rise=0.1, bevel=0.03)
    c.hole(corner - 0.055)
    with c.piece(), c.at(0.4 * side, -0.06):
        dots = np.hypot(*(t - pitch * np.round(t / pitch) for t in (c.u, c.v))) < 0.04
        skin = choose(dots & (c.circle(0, 0, 0.29) < 0), shine, shine * 0.15)
        c.part(c.circle(0, 0, 0.37), skin, rise=0.3, bevel=0.06, gloss=0.8)
    with c.piece(), c.at(-0.42 * side, 0.14):
        zone = (c.u * c.u + c.v * c.v < 0.015) * (1 + (np.abs(c.u + c.v) < 0.04))
        skin = choose(zone, c.colour("blue"), gold, gold * 0.2)
        c.part(c.box(0, 0, 0.24, 0.2), skin, rise=0.25, bevel=0.04)


@product("extension", "white black grey beige blue", "plastic", "upright")
def keypad(c):
    keys = "dark" if c.base.mean() > 0.45 else "silver cream"
    key, red, green, screen = c.colours(keys, "red orange", "green blue", "olive turquoise")
    seed = int(c.rng.integers(99))
    pitch = c.rng.uniform(0.28, 0.3)
    c.part(c.box(0, 0, 0.72, 0.94, 0.1), c.base, rise=0.2, bevel=0.08, gloss=0.4)
    with c.at(0, 0.02), c.tiled(0.42, pitch) as (i, j):
        cell = c.box(0, 0, 0.16, 0.1)
        sign = c.letter(i * i + i + 3 * j + seed, h=0.07) < 0
    hue = np.where(sign, 3, np.where(j == 2, np.abs(i) + (i > 0), 0)).astype(int)
    skin = np.take([key, red, green, c.base], hue, 0, mode="clip")
    # the key left out is a piece
    keys = (np.abs(i) < 2) & (np.abs(j - 0.5) < 2) & ((i != 0) | (j != 1))
    c.part(np.where(keys, cell, 1), skin, rise=0.12, bevel=0.05, gloss=0.5)
    with c.piece():
        c.part(c.box(0, 0.02 + pitch, 0.16, 0.1), skin, rise=0.12, bevel=0.05, gloss=0.5)
    with c.piece(), c.at(0, -0.6):
        digits = np.maximum(c.stripes(0.12, 0.5), c.box(0.1, 0, 0.06 * (2 + seed % 5), 0.09)) < 0
        skin = choose(digits, screen, screen * 0.25)
        c.part(c.box(0, 0, 0.56, 0.19), skin, rise=0.05, bevel=0.03)
