"""Test products with the names of MVTec AD, and for validation terrazzo and tweed: surfaces."""

import numpy as np

from ..fields import smooth
from .registry import product


@product("test", "grey dark brown blue red", "woven wool", "surface", turn=2, varies=0.03)
def carpet(c):
    yarn = c.nature.random(16384, np.float32)
    pattern = np.zeros(16384, np.float32)
    pattern[:: int(c.rng.integers(4, 9))] = 0.3
    other = c.colour(c.rng.choice(["beige", "silver", "tan", "cream"]))
    c.sheet(c.base * 0.3, 0.05)
    with c.tiled(0.085, 0.075, 0.5) as (i, j):
        tuft = c.ellipse(0, 0, 0.046, 0.034)
        knot = (i + 127 * j).astype(int)
        light = np.float32(yarn[knot] + pattern[knot] > 0.72)[..., None]
        tone = (0.65 + 0.5 * yarn[knot] + 0.15 * c.noise(60))[..., None]
        c.part(tuft, (c.base + (other - c.base) * light) * tone, rise=0.07, bevel=0.03, gloss=0.05)


@product("test", "silver grey copper golden black", "steel wire", "surface", turn=1.5)
def grid(c):
    pitch = c.rng.uniform(0.24, 0.32)
    share = c.rng.uniform(0.24, 0.34)
    floor = c.colour(c.rng.choice(["black", "dark", "brown", "cream"]))
    k = pitch * share
    wave = 0.5 + 0.5 * np.sin(c.u * (3.1416 / pitch)) * np.sin(c.v * (3.1416 / pitch))
    c.sheet(floor * (1 + 0.25 * c.noise(20) * c.noise(60))[..., None], 0.1)
    for angle, over in ((0, wave), (90, 1 - wave)):
        wire = c.stripes(pitch, share, angle)
        c.paint(wire - 0.03, floor * 0.3, 0.6, 0.03)
        tone = (0.7 + 0.5 * over + 0.1 * c.noise(48))[..., None]
        c.part(wire, c.base * tone, rise=k * 0.9, bevel=k * 0.55, gloss=0.8)
        c.emboss(over * (wire < 0), 0.06)


@product("test", "brown tan copper olive dark", "leather", "surface", turn=8, varies=0.06)
def leather(c):
    c.u = c.u + 0.05 * c.noise(12) + 0.02 * c.noise(30)
    c.v = c.v + 0.05 * c.noise(12) + 0.02 * c.noise(30)
    tone = c.nature.uniform(-0.09, 0.09, 9999).astype(np.float32)
    pitch = c.rng.uniform(0.11, 0.15)
    # pebbles in a warped pattern, creases between them
    with c.tiled(pitch, pitch * 0.8, 0.5) as (i, j):
        far = np.sqrt(c.u * c.u + 1.4 * c.v * c.v)
        pebble = smooth(1.9 - 2.6 * far / pitch + 0.3 * c.noise(40))
    shade = 0.42 + 0.6 * pebble + tone[(i + 97 * j).astype(int)]
    shade = shade + 0.08 * c.noise(6) + 0.1 * c.noise(64)
    c.sheet(c.base * shade[..., None], 0.4)
    c.emboss(pebble + 0.4 * c.noise(30), 0.035)


@product("test", "white grey beige cream silver", "ceramic", "surface", varies=0.05)
def tile(c):
    a = c.noise(30) + 0.5 * c.noise(60)
    b = c.noise(26) + 0.5 * c.noise(54)
    cut = c.rng.uniform(0.3, 0.45)
    dark = c.colour(c.rng.choice(["black", "dark", "brown", "blue"]))
    c.sheet(c.base * (1 + 0.05 * c.noise(20))[..., None], 0.45)
    c.paint(cut + b, c.colour("tan"), 0.5, 0.04)
    c.paint(cut - b, (dark + c.base) / 2, 0.9, 0.04)
    c.paint(cut - a, dark, 0.95, 0.04)


@product("test", "brown tan golden copper beige", "oak wood", "surface", turn=3, varies=0.08)
def wood(c):
    warp = 0.25 * c.noise(2) + 0.03 * c.noise(7)
    fibre = c.grain(3, 110)
    ring = c.v * c.rng.uniform(2.5, 5) + warp * 2
    ring = ring - np.floor(ring)
    late = smooth(ring * 1.5 - 0.5) * smooth((1 - ring) * 8)
    c.sheet(c.base * (1.08 - 0.4 * late + 0.15 * fibre + 0.1 * c.noise(3))[..., None], 0.2)
    c.paint(0.55 - fibre - 0.3 * late, c.base * 0.45, 0.75, 0.12)
    c.emboss(fibre, 0.005)


@product("val", "grey white beige dark cream", "polished stone", "surface", turn=180, varies=0.03)
def terrazzo(c):
    c.sheet(c.base * (1 + 0.1 * c.noise(50) + 0.05 * c.noise(64))[..., None], 0.4)
    names = ["white", "black", "brown", "copper", "olive", "tan", "grey", "red", "cream"]
    inks = np.stack([c.colour(name) for name in c.rng.choice(names, 5, False)])
    for pitch in (0.24, 0.11):
        kind = inks[c.nature.integers(0, 5, 9999)]
        spots = c.nature.uniform(-0.2, 0.2, (2, 9999)).astype(np.float32)
        # a chip in every cell, each its own
        with c.at(0, 0, c.rng.uniform(0, 90)), c.tiled(pitch, pitch) as (i, j):
            cell = (i + 97 * j).astype(int)
            dx = spots[0][cell]
            dy = spots[1][cell]
            p = c.u / pitch - dx
            q = c.v / pitch - dy
            p, q = np.abs(p + q * dy * 4), np.abs(q - p * dx * 4)
            shape = (np.maximum(np.maximum(p, q), 0.7 * (p + q)) - 0.32 - 0.6 * dx) * pitch
            c.paint(shape, kind.take(cell, 0))


@product("val", "brown grey olive blue tan", "wool cloth", "surface", turn=4, varies=0.03)
def tweed(c):
    wide = c.rng.uniform(0.25, 0.4)
    flecks = c.noise(64) + 0.6 * c.noise(50)
    fold = np.abs(c.u - wide * np.round(c.u / wide))  # herringbone: the twill turns at every stripe
    twill = np.sin((c.v + fold) * 62)
    tone = (1 + 0.22 * flecks)[..., None]
    c.sheet(c.base * tone, 0.04)
    c.paint(twill * 0.02, c.colour(c.rng.choice(["cream", "black", "beige", "dark"])) * tone)
    fleck = c.colour(c.rng.choice(["red", "orange", "yellow", "turquoise"]))
    c.paint(0.85 - flecks, fleck, 0.8, 0.05)
    c.emboss(twill + 0.5 * flecks, 0.012)
