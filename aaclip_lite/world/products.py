"""The catalogue: every product of the factory, each a few lines of drawing on a `Canvas`.

Names follow the public data sets: test products are MVTec AD's, training products VisA's plus an
extension, and five more are for validation. A product function draws ONE normal part, different
every time: colours, print, speckle, counts, seams. `with c.piece()` marks what can be missing or
misplaced (the structural defects).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .canvas import Canvas, smooth


@dataclass(frozen=True)
class Product:
    """One class of the factory. `pose`: free (any angle), upright (a few degrees), surface (fills
    the frame).
    """

    name: str
    split: str  # train (VisA's names), extension (also for training), val, test (MVTec AD's names)
    colours: tuple[str, ...]
    material: str
    pose: str
    draw: Callable[[Canvas], None]
    spoken: str
    # at a station: how far parts turn (degrees, either way), how much their lightness differs
    turn: float = 3.0
    varies: float = 0.0

    @property
    def texture(self) -> bool:
        return self.pose == "surface"


PRODUCTS: dict[str, Product] = {}


def product(
    split: str,
    colours: str,
    material: str,
    pose: str = "free",
    spoken: str | None = None,
    **station: float,
):
    """Register a drawing function as a product; its main colour arrives as `c.base`, and `station`
    holds its `turn` and `varies`.
    """

    def register(draw):
        words = spoken or draw.__name__.replace("_", " ")
        PRODUCTS[draw.__name__] = Product(
            draw.__name__, split, tuple(colours.split()), material, pose, draw, words, **station
        )
        return draw

    return register


def names(*splits: str) -> list[str]:
    """Product names of the given splits ('train' includes its extension), in catalogue order."""
    wanted = set(splits) | ({"extension"} if "train" in splits else set())
    return [p.name for p in PRODUCTS.values() if p.split in wanted]


@product("train", "white cream red green pink purple", "wax")
# a tea light from above: fluted tin cup, pressed petals, melted pool, wick in its holder
def candle(
    c,
):
    tin, lean, petals = c.colour("silver"), c.rng.uniform(0, 360), int(c.rng.integers(7, 13))
    r, phi = np.hypot(c.u, c.v), np.arctan2(c.v, c.u)
    petal = np.abs(r - 0.66) + 0.03 - 0.17 * np.sqrt(np.maximum(np.sin(petals * phi + lean), 0))
    wax = (
        c.base
        * (1 + 0.06 * c.noise(12) - 0.3 * smooth(-petal * 30) - 0.25 * smooth((0.45 - r) * 15))[
            ..., None
        ]
    )
    c.part(
        r - 0.97, tin * (0.8 + 0.25 * np.sin(44 * phi))[..., None], rise=0.2, bevel=0.05, gloss=0.8
    )
    c.part(r - 0.87, wax, rise=-0.1, bevel=0.05, gloss=0.6)
    c.carve(np.minimum(petal, np.abs(r - 0.45) - 0.03), 0.06, 0.05)
    with c.piece():
        c.part(c.circle(0, 0, 0.2), tin * 0.85, rise=0.06, bevel=0.04, gloss=0.9)
    with c.piece(), c.at(0, 0, lean):
        c.part(
            c.line(0, 0, 0.3, 0.06, 0.08, 0.06),
            0.09 + 0.6 * smooth(0.8 - c.u * 8)[..., None],
            rise=0.2,
            bevel=0.07,
        )


@product("train", "green red orange blue yellow turquoise", "gelatine")
def capsules(
    c,
    # nine scattered capsules in two tones, the clear halves show pellets; one cap is the loose
    # piece
):
    cap, k = c.colour(str(c.rng.choice(["white", "cream", "dark", "pink"]))), int(c.rng.integers(9))
    (p, q, w, bead), i, j = c.rng.uniform(30, 300, 4).tolist(), k % 3 - 1, k // 3 - 1
    with c.tiled(0.57, 0.57) as (column, row), c.at(angle=p * column + q * row + w * column * row):
        body = np.maximum(
            c.line(-0.14, 0, 0.14, 0, 0.13), np.maximum(np.abs(column), np.abs(row)) - 1.5
        )
        body = np.maximum(body, c.u - 9 * np.abs(column - i) - 9 * np.abs(row - j))
        pellets = 0.7 + 0.9 * smooth(
            3 * np.sin(c.u * (26 + bead / 30)) * np.sin(c.v * (26 + bead / 30))
        )
        tone = (
            c.base * pellets[..., None]
            + (cap - c.base * pellets[..., None]) * smooth(c.u * 50)[..., None]
        )
        c.part(body, tone, rise=0.05, bevel=0.05, dome=0.14, gloss=0.9)
    with c.piece(), c.at(i * 0.57, j * 0.57, p * i + q * j + w * i * j):
        c.part(
            np.maximum(c.line(0, 0, 0.14, 0, 0.135), -c.u),
            cap,
            rise=0.05,
            bevel=0.05,
            dome=0.14,
            gloss=0.9,
        )


@product("train", "cream beige tan golden brown", "nut")
# a freckled kidney: a soft seam along its back, a strip of brown skin inside, a pale tip
def cashew(
    c,
):
    c.v, side = c.v + 0.28, float(c.rng.choice([-1, 1]))
    body = c.arc(
        0, 0, 0.55, -12, 192, 0.3 + 0.05 * side * c.u + 0.12 * np.maximum(c.v, 0)
    ) + 0.02 * c.noise(4)
    seam = smooth(
        1.4 - 20 * np.maximum(np.abs(np.hypot(c.u, c.v) - 0.62 - 0.03 * c.noise(4)), 0.15 - c.v)
    )
    tone = 1 + 0.2 * c.noise(6) + 0.6 * c.noise(26) * c.noise(30) - 0.35 * seam
    c.part(body, c.base * tone[..., None], rise=0.1, bevel=0.2, dome=0.3, gloss=0.35)
    c.emboss(0.012 * c.noise(14) - 0.03 * seam, 1.0)
    with c.piece():
        c.part(
            c.arc(0, 0, 0.36, 65 + 37 * side, 115 + 37 * side, 0.09),
            c.base * 0.45,
            rise=0.02,
            bevel=0.05,
        )
    with c.piece():
        c.part(
            c.ellipse(side * 0.55, -0.14, 0.13, 0.16),
            c.base * 1.12 + 0.05,
            rise=0.08,
            bevel=0.12,
            gloss=0.4,
        )


@product("train", "white turquoise pink cream blue green", "candy coating")
# a cushion-shaped tablet: crimped rim, sugar speckle, a printed badge, an embossed leaf
def chewinggum(
    c,
):
    flavour, pitch = (
        c.colour(str(c.rng.choice(["green", "red", "purple", "orange"]))),
        c.rng.uniform(22, 32),
    )
    body = c.box(0, 0, 0.95 - 0.09 * c.v**2, 0.67 - 0.09 * c.u**2, 0.2)
    sugar = smooth(
        5 * np.sin(c.u * pitch + 2 * c.noise(9)) * np.sin(c.v * pitch + 2 * c.noise(9)) - 2.8
    )
    c.part(
        body,
        c.base + (flavour - c.base) * (0.8 * sugar[..., None]),
        rise=0.12,
        bevel=0.08,
        gloss=0.85,
    )
    c.emboss(np.sqrt(np.maximum((1 - c.u**2) * (1 - (c.v / 0.72) ** 2), 0)), 0.4)
    c.carve(np.maximum(np.abs(body + 0.1) - 0.02, c.stripes(0.09, 0.6)), 0.06, 0.03)
    with c.piece():
        c.part(
            c.ellipse(0, 0, 0.45, 0.33),
            c.base * 0.4 + flavour * 0.6,
            rise=0.03,
            bevel=0.04,
            gloss=0.9,
        )
    with c.piece(), c.at(0, 0, c.rng.uniform(0, 360)):
        c.part(
            np.hypot(c.u, np.abs(c.v) + 0.2) - 0.33,
            c.base * 0.1 + 0.85,
            rise=0.05,
            bevel=0.06,
            gloss=0.8,
        )


@product("train", "yellow orange golden red brown cream", "dough")
# a fried wheel: notched rim, six to eight spokes, blisters, a hub and a bead on the rim
def fryum(
    c,
):
    r, phi, n = (
        np.hypot(c.u, c.v),
        np.arctan2(c.v, c.u) + c.rng.uniform(0, 6),
        int(c.rng.integers(6, 9)),
    )
    notch = smooth(3 * np.sin(4 * n * phi + 8 * r) - 1.6) * smooth(r * 20 - 13)
    spokes = np.maximum(np.abs(np.sin(n / 2 * phi)) * r * (2 / n) - 0.055 - 0.03 * r, r - 0.8)
    wheel = (
        np.minimum(np.minimum(np.abs(r - 0.81) - 0.15, r - 0.3), spokes)
        + 0.02 * c.noise(12)
        + 0.04 * notch
    )
    tone = 1 + 0.4 * c.noise(16) * c.noise(22) + 0.2 * c.noise(5) - 0.4 * notch
    c.part(wheel + 0.01 * c.noise(30), c.base * tone[..., None], rise=0.18, bevel=0.14, gloss=0.45)
    with c.piece():
        c.part(c.circle(0, 0, 0.2), c.base * 0.55, rise=0.08, bevel=0.06, dome=0.06, gloss=0.5)
    with c.piece():
        c.part(
            c.circle(0.81, 0, 0.13), c.base * 0.8 + 0.2, rise=0.05, bevel=0.06, dome=0.08, gloss=0.6
        )


@product("train", "yellow golden orange cream red green", "pasta", "free", "macaroni in a row")
def macaroni1(c):  # nine ridged elbows in ordered rows, all turned alike, tones by place
    ridge, (a, b), k = (
        c.rng.uniform(75, 100),
        c.rng.uniform(1, 6, 2).tolist(),
        int(c.rng.integers(9)),
    )
    # all but elbow k; then elbow k, the loose piece
    for where, side in (
        (c.at(), 1),
        (c.piece(), -1),
    ):
        with where, c.tiled(0.59, 0.55) as (column, row):
            away = side * (0.5 - np.abs(column + 3 * row + 4 - k))
            away = np.maximum(np.maximum(np.abs(column), np.abs(row)) - 1.5, away)
            r = np.sqrt(c.u**2 + np.minimum(c.v, 0) ** 2)
            ends = np.sqrt((np.abs(c.u) - 0.18) ** 2 + (2 * c.v - 0.24) ** 2) - 0.075
            body = np.minimum(np.maximum(np.abs(r - 0.18) - 0.1, c.v - 0.12), ends - 0.02)
            tube = (1 + 0.2 * np.sin(ridge * r) + 0.2 * np.sin(a * column + b * row)) * (
                1 - 0.75 * smooth(-ends * 40)
            )
            c.part(
                np.maximum(body, away),
                c.base * tube[..., None],
                rise=0.06,
                bevel=0.04,
                dome=0.12,
                gloss=0.5,
            )


@product("train", "golden yellow cream orange brown green", "pasta", "free", "scattered macaroni")
def macaroni2(c):  # nine ridged elbows turned at random; the loose piece is one arm of elbow k
    ridge, (a, b, d), k = (
        c.rng.uniform(75, 100),
        c.rng.uniform(60, 300, 3).tolist(),
        int(c.rng.integers(9)),
    )
    for where, side in ((c.at(), 1), (c.piece(), -1)):
        with (
            where,
            c.tiled(0.56, 0.56) as (column, row),
            c.at(angle=a * column + b * row + d * column * row),
        ):
            away = side * np.minimum(0.5 - np.abs(column + 3 * row + 4 - k), c.u)
            away = np.maximum(np.maximum(np.abs(column), np.abs(row)) - 1.5, away)
            r = np.sqrt(c.u**2 + np.minimum(c.v, 0) ** 2)
            ends = np.sqrt((np.abs(c.u) - 0.17) ** 2 + (2 * c.v - 0.14) ** 2) - 0.075
            body = np.minimum(np.maximum(np.abs(r - 0.17) - 0.1, c.v - 0.07), ends - 0.02)
            tube = (1 + 0.2 * np.sin(ridge * r) + 0.2 * np.sin(a * column + b * row)) * (
                1 - 0.75 * smooth(-ends * 40)
            )
            c.part(
                np.maximum(body, away),
                c.base * tube[..., None],
                rise=0.06,
                bevel=0.04,
                dome=0.12,
                gloss=0.5,
            )


@product("train", "golden yellow orange brown cream red", "dough")
def pipe_fryum(c):  # a fried tube: slanting grooves, blisters, an open end
    slant, pitch, shift = c.rng.uniform(-0.25, 0.25), c.rng.uniform(24, 36), c.rng.uniform(0, 6)
    c.u = c.u + 0.05 * np.sin(c.v * 3 + shift)
    body, tube = (
        c.box(0, 0, 0.95, 0.46, 0.2) + 0.012 * c.noise(8),
        np.sqrt(np.maximum(1 - (c.v / 0.48) ** 2, 0)),
    )
    groove = smooth(2.5 * np.sin((c.u + slant * c.v + 0.1 * tube) * pitch + shift) - 1.2)
    tone = 1 + 0.5 * c.noise(14) * c.noise(20) + 0.15 * c.noise(5) - 0.45 * groove
    c.part(body, c.base * tone[..., None], rise=0.05, bevel=0.08, gloss=0.5)
    c.emboss(0.35 * tube - 0.03 * groove + 0.012 * c.noise(34), 1.0)
    with c.piece():
        c.part(c.ellipse(0.84, 0, 0.15, 0.42), c.base * 1.1, rise=0.05, bevel=0.05, gloss=0.4)
        c.carve(c.ellipse(0.86, 0, 0.095, 0.32), 0.2, 0.06, c.base * 0.22)


@product(
    "train",
    "green blue red black purple",
    "circuit board",
    "free",
    "circuit board with two sensors",
)
def pcb1(c):  # a distance sensor: two meshed cans, a crystal; holes in the corners
    lanes = np.abs(np.sin(36 * (c.v + np.clip(c.u + c.rng.uniform(-0.3, 0.3), -0.2, 0.2))))
    tone, mesh = (
        0.85 + 0.06 * c.noise(9) + 0.6 * smooth(lanes * 8 - 6.5),
        np.sin(c.u * 45) * np.sin(c.v * 45),
    )
    c.part(c.box(0, 0, 0.94, 0.57, 0.08), c.base * tone[..., None], rise=0.1, bevel=0.03, gloss=0.5)
    pads = np.sqrt((np.abs(c.u) - 0.84) ** 2 + (np.abs(c.v) - 0.47) ** 2) - 0.085
    c.paint(pads, c.colour("golden"), gloss=0.9)
    c.hole(pads + 0.04)
    for x, y, length, r in ((-0.47, 0, 0, 0.41), (0.47, 0, 0, 0.41), (0, -0.45, 0.1, 0.085)):
        with c.piece():
            can = np.sqrt(np.maximum(np.abs(c.u - x) - length, 0) ** 2 + (c.v - y) ** 2) - r
            metal = (
                c.colour("silver")
                * (1 - (0.35 + 0.5 * smooth(4 * mesh)) * smooth(-20 * can - 1.4))[..., None]
            )
            c.part(can, metal, rise=0.25, bevel=0.06, gloss=0.8)


@product(
    "train",
    "green blue red black purple",
    "circuit board",
    "free",
    "circuit board with a square chip",
)
def pcb2(
    c,
    # a controller: a turned chip with legs all around, crystal, small parts in a row, pads along
    # two sides
):
    lanes = np.abs(
        np.sin(34 * (np.abs(c.u + c.rng.uniform(-0.2, 0.2)) + np.clip(np.abs(c.v) - 0.3, 0, 0.2)))
    )
    tone, row = (
        0.85 + 0.06 * c.noise(9) + 0.6 * smooth(lanes * 8 - 6.5),
        np.abs(c.u - 0.2 * np.round(c.u * 5)),
    )
    c.part(c.box(0, 0, 0.78, 0.74, 0.08), c.base * tone[..., None], rise=0.1, bevel=0.03, gloss=0.5)
    pads = np.sqrt((c.u - 0.125 * np.round(c.u * 8)) ** 2 + (np.abs(c.v) - 0.65) ** 2) - 0.045
    c.paint(np.maximum(pads, np.abs(c.u) - 0.7), c.colour("golden"), gloss=0.9)
    small = np.maximum(np.maximum(row - 0.07, np.abs(c.v - 0.48) - 0.05), np.abs(c.u) - 0.5)
    c.part(small, 0.15 + 0.6 * smooth(row * 50 - 1.5)[..., None], rise=0.07, bevel=0.02, gloss=0.5)
    with c.piece(), c.at(0, -0.05, 45):
        chip, legs = (
            c.box(0, 0, 0.31, 0.31),
            np.minimum(c.stripes(0.09, 0.5), c.stripes(0.09, 0.5, 90)),
        )
        c.part(
            np.minimum(chip, np.maximum(chip - 0.08, legs)),
            0.13 + 0.6 * smooth(chip * 50)[..., None],
            bevel=0.03,
        )
        c.paint(c.circle(-0.2, -0.2, 0.05), c.colour("grey"))
    with c.piece():
        c.part(
            c.box(-0.52, -0.42, 0.17, 0.1, 0.09),
            c.colour("silver"),
            rise=0.15,
            bevel=0.05,
            gloss=0.9,
        )


@product(
    "train",
    "blue green red black white",
    "circuit board",
    "free",
    "circuit board with a blue trimmer",
)
def pcb3(c):  # a sensor board: a long chip with legs, a blue trimmer with a brass cross, two lamps
    lanes = np.abs(np.sin(30 * (c.v + np.clip(2 * c.u + c.rng.uniform(-0.5, 0.5), -0.15, 0.15))))
    tone, lamp = (
        0.85 + 0.06 * c.noise(9) + 0.5 * smooth(lanes * 8 - 6.5),
        str(c.rng.choice(["red", "white", "green"])),
    )
    c.part(c.box(0, 0, 0.97, 0.5, 0.03), c.base * tone[..., None], rise=0.1, bevel=0.03, gloss=0.5)
    pads = np.maximum(np.abs(np.abs(c.u) - 0.86) - 0.06, np.abs(np.abs(c.v) - 0.2) - 0.14)
    c.paint(pads, c.colour("golden"), gloss=0.9)
    with c.piece():
        chip, legs = (
            c.box(-0.16, 0, 0.27, 0.19),
            np.maximum(c.stripes(0.13, 0.45), np.abs(c.u + 0.16) - 0.25),
        )
        legs = np.maximum(legs, np.abs(c.v) - 0.29)
        c.part(
            np.minimum(chip, legs),
            0.12 + 0.6 * smooth(chip * 50)[..., None],
            rise=0.12,
            bevel=0.03,
            gloss=0.4,
        )
    with c.piece(), c.at(0.45, 0):
        slot = np.minimum(np.abs(c.u), np.abs(c.v))
        c.part(c.box(0, 0, 0.24, 0.29, 0.02), c.colour("blue"), rise=0.25, bevel=0.03, gloss=0.5)
        c.part(
            np.maximum(c.circle(0, 0, 0.18), 0.03 - slot),
            c.colour("golden"),
            rise=0.06,
            bevel=0.03,
            gloss=0.9,
        )
    with c.piece():
        lamps = np.sqrt((c.u + 0.64) ** 2 + (np.abs(c.v) - 0.2) ** 2) - 0.14
        c.part(lamps, c.colour(lamp), bevel=0.03, dome=0.15, gloss=0.95)


@product(
    "train",
    "green blue black red purple",
    "circuit board",
    "free",
    "circuit board with a metal plug",
)
# a power board: metal plug at one edge, two striped capacitors, a copper coil, a terminal block
def pcb4(
    c,
):
    lanes = np.abs(np.sin(22 * (c.u + np.clip(c.v + c.rng.uniform(-0.3, 0.3), -0.2, 0.2))))
    tone = 0.85 + 0.06 * c.noise(9) + 0.7 * smooth(lanes * 6 - 3.5)
    c.part(
        c.box(0.05, 0, 0.88, 0.62, 0.12), c.base * tone[..., None], rise=0.1, bevel=0.03, gloss=0.5
    )
    with c.piece():
        shell = 0.75 - 0.3 * smooth(3 - 40 * np.abs(np.abs(c.v) - 0.1))[..., None]
        c.part(c.box(-0.62, 0, 0.36, 0.28, 0.03), shell, rise=0.2, bevel=0.04, gloss=0.9)
    with c.piece():
        wire = (
            c.colour("copper") * (0.75 + 0.4 * np.sin(22 * np.arctan2(c.v, c.u - 0.12)))[..., None]
        )
        c.part(c.ring(0.12, 0, 0.19, 0.11), wire, rise=0.2, bevel=0.1, gloss=0.7)
    with c.piece():
        cans, stripe = (
            np.sqrt((c.u - 0.05) ** 2 + (np.abs(c.v) - 0.44) ** 2) - 0.16,
            smooth(c.u * 40 - 4)[..., None],
        )
        c.part(cans, 0.75 - 0.6 * stripe, rise=0.3, bevel=0.04, gloss=0.8)
    with c.piece():
        block = c.colour("green") * (1.1 - 0.8 * smooth(3 * np.sin(c.v * 20) - 1))[..., None]
        c.part(c.box(0.72, 0, 0.18, 0.5, 0.02), block, rise=0.22, bevel=0.03, gloss=0.5)


@product("extension", "red brown orange beige grey white", "clay", "surface")
def brick(c):  # running bond: sanded bricks of different tones in pale mortar
    (a, b), mortar = (
        c.rng.uniform(1, 6, 2).tolist(),
        c.colour(str(c.rng.choice(["white", "grey", "cream"]))),
    )
    c.sheet(mortar * c.mottle(0.1, 30), gloss=0.05)
    with c.tiled(0.52, 0.25, 0.5) as (column, row):
        tone = 0.95 + 0.22 * np.sin(a * column + b * row) + 0.25 * c.noise(40) * c.noise(50)
        c.part(
            c.box(0, 0, 0.235, 0.1, 0.02),
            c.base * tone[..., None],
            rise=0.06,
            bevel=0.025,
            gloss=0.15,
        )
    c.emboss(c.noise(50), 0.008)


@product("extension", "blue dark turquoise grey black", "cotton", "surface")
# twill: dyed threads over white ones in diagonal steps, uneven dye, double rows of stitches
def denim(
    c,
):
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
    drift, other = (
        1.3 * c.noise(3) + 0.35 * c.noise(7),
        c.colour(str(c.rng.choice(["golden", "white", "dark"]))),
    )
    veins = smooth(3.5 - 12 * np.abs(np.sin(5.5 * c.u + 1.5 * c.v + 1.7 * drift)))
    fine = smooth(1.4 - 8 * np.abs(np.sin(9 * c.u - 2 * c.v + 2.2 * drift + 0.2 * c.noise(20))))
    stone = c.base * (0.8 + 0.05 * c.noise(40) + 0.2 * np.sin(4 * c.u + drift))[..., None]
    c.sheet(stone + (other - stone) * (0.7 * veins + 0.35 * fine)[..., None], gloss=0.6)


@product("extension", "silver grey golden copper white turquoise", "metal", "surface")
# slightly wavy strokes of six widths in one direction, under wide bands of sheen
def brushed_metal(
    c,
):
    lines = np.zeros_like(c.u)
    for pitch in c.rng.uniform(20, 160, 6).tolist():
        lines += np.sin(
            c.v * pitch + 2.5 * np.sin(c.u * c.rng.uniform(0.3, 1.5) + c.rng.uniform(0, 6))
        )
    sheen = 0.85 + 0.18 * np.sin(c.v * c.rng.uniform(3, 5) + c.rng.uniform(0, 6))
    c.sheet(c.base * (sheen + 0.09 * lines + 0.05 * c.noise(60))[..., None], gloss=0.6)
    c.emboss(lines, 0.006)


@product("extension", "grey silver beige white", "concrete", "surface")
# exposed: pale and dark aggregate in sandy cement, cast in large panels with joints
def concrete(
    c,
):
    gap = np.minimum(
        0.85 - np.abs(c.u - 1.7 * np.round(c.u / 1.7)),
        0.55 - np.abs(c.v - 1.1 * np.round(c.v / 1.1)),
    )
    joint, sand, stones = (
        smooth(1.3 - 40 * gap),
        c.noise(64) * c.noise(57),
        c.noise(34) + 0.5 * c.noise(50),
    )
    light = (
        0.6
        + 0.4 * sand
        + 0.06 * c.noise(6)
        + 0.3 * smooth(5 * stones - 2.5)
        - 0.3 * smooth(-5 * stones - 2.5)
    )
    c.sheet(c.base * (light - 0.25 * joint)[..., None] + 0.06, gloss=0.08)
    c.emboss(0.03 * sand + 0.01 * stones - 0.05 * joint, 1.0)


@product("extension", "tan brown golden white cream copper", "willow", "surface")
# basket weave: strands over and under upright stakes; every second row has another tone
def wicker(
    c,
):
    c.sheet(
        c.base * (0.3 + 0.4 * smooth(1.2 - 16 * np.abs(c.u - 0.2 * np.round(c.u * 5))))[..., None],
        gloss=0.2,
    )
    other = c.rng.uniform(0.25, 0.6)
    with c.tiled(0.4, 0.16, 0.5) as (_, row):
        over = np.maximum(np.abs(c.v) - 0.07, np.abs(c.u) - 0.18 - 0.3 * c.v**2)
        tone = 1 - other * np.abs(np.sin(row * 1.5708)) - 0.35 * smooth(np.abs(c.u) * 12 - 1.2)
        fibre = 0.1 * np.sin(c.v * 130) + 0.14 * c.noise(30)
        c.part(over, c.base * (tone + fibre)[..., None], rise=0.02, bevel=0.03, gloss=0.4)
        c.emboss(np.maximum(1 - (c.u / 0.2) ** 2, 0) * np.maximum(1 - (c.v / 0.08) ** 2, 0), 0.13)


@product("extension", "tan brown golden beige copper", "cork", "surface")
def cork(c):  # pressed granules of many browns at three sizes, lying over each other
    tone, relief = 0.6 + 0.3 * c.noise(50), 0.2 * c.noise(50)
    for pitch in (0.2, 0.15, 0.17):
        a, b, d, turn = c.rng.uniform(1, 6, 4).tolist()
        with c.at(d, a, 60 * turn), c.tiled(pitch, pitch) as (column, row):
            seed = np.sin(a * column * (row + 0.5) + b * row + d)
            grain = smooth(
                3
                + 1.3 * seed
                - 50 * np.hypot(c.u + 0.015 * seed, c.v - 0.015 * seed)
                + 1.2 * c.noise(44)
            )
        tone, relief = (
            tone + (0.9 + 0.45 * np.sin(9 * seed) - tone) * grain,
            relief + (1 + seed - relief) * grain,
        )
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
            seed, z = np.sin(a * column * (row + 0.5) + b * row + d), 0.2 * pitch
            pores = np.minimum(
                pores,
                np.hypot(c.u + z * seed, c.v - z * np.sin(5 * seed)) - size * (1 + 0.4 * seed),
            )
    c.sheet(c.base * (1 + 0.15 * c.noise(40) - 0.5 * smooth(-50 * pores))[..., None], gloss=0.08)
    c.carve(pores, 0.1, 0.04)


@product("extension", "grey beige brown white dark copper", "stone", "surface")
def gravel(c):  # pebbles of two kinds of stone, in many tones and sizes, lying over each other
    other = c.colour(str(c.rng.choice(["white", "brown", "dark", "tan", "grey", "copper"])))
    tone, mix, relief = np.full_like(c.u, 0.3), np.zeros_like(c.u), np.zeros_like(c.u)
    for pitch in (0.2, 0.24, 0.29, 0.35):
        a, b, d, turn = c.rng.uniform(1, 6, 4).tolist()
        with c.at(d, a, 60 * turn), c.tiled(pitch, pitch * 0.8) as (column, row):
            seed = np.sin(a * column * (row + 0.5) + b * row + d)
            body = (
                1
                - (c.u * c.u + (1.5 + 0.3 * seed) * c.v * c.v) / (pitch * (0.37 + 0.1 * seed)) ** 2
            )
        top, kind = pitch * np.sqrt(np.maximum(body, 0)), smooth(0.5 + 2 * np.sin(9 * seed))
        for layer, new in ((tone, 0.9 + 0.3 * seed), (mix, kind), (relief, top)):
            layer += (new - layer) * smooth(body * 6)
    c.sheet(
        (c.base + (other - c.base) * mix[..., None]) * (tone + 0.15 * c.noise(50))[..., None],
        gloss=0.3,
    )
    c.emboss(relief, 0.5)


@product("extension", "grey dark red brown green copper", "slate", "surface")
def roof_shingles(c):  # rows of rounded shingles, each row lying on the next and shifted by half
    a, b = c.rng.uniform(1, 6, 2).tolist()
    c.sheet(c.base * 0.3, gloss=0.1)
    with c.tiled(0.4, 0.3, 0.5) as (column, row):
        slate = np.maximum(np.abs(c.u) - 0.19, np.hypot(c.u, np.maximum(c.v + 0.06, 0)) - 0.2)
        tone = (
            0.9
            + 0.25 * np.sin(a * column + b * row)
            + 0.12 * np.sin(c.u * 60 + 3 * c.noise(8))
            + 0.1 * c.noise(50)
        )
        c.part(slate, c.base * tone[..., None], rise=0.04, bevel=0.02, gloss=0.3)
        c.emboss(c.v, 0.35)


@product("extension", "red blue green white purple grey", "wool", "surface")
# stocking stitch: columns of V-shaped loops with a repeating, mirrored two-colour pattern
def knitwear(
    c,
):
    other, motif = (
        c.colour(str(c.rng.choice(["cream", "dark", "yellow", "orange"]))),
        c.rng.random((6, 5)) < 0.4,
    )
    c.sheet(c.base * 0.35, gloss=0.05)
    with c.tiled(0.17, 10.0) as (column, _):
        c.u, c.v = np.abs(c.u), c.v + 0.9 * np.abs(c.u)
        with c.tiled(10.0, 0.13) as (_, row):
            pick = motif[row.astype(int) % 6, np.abs(column.astype(int) % 8 - 4)][..., None].astype(
                np.float32
            )
            yarn = 0.95 + 0.16 * np.sin((c.v + c.u) * 90) + 0.12 * c.noise(60)
            loop, dye = np.hypot(c.u - 0.042, 0.55 * c.v) - 0.046, c.base + (other - c.base) * pick
            c.part(loop, dye * yarn[..., None], rise=0.02, bevel=0.03, dome=0.07, gloss=0.1)


@product("extension", "golden copper silver grey brown", "metal")
def coin(c):
    star, seed, r = c.rng.random() < 0.5, c.rng.uniform(0, 99), np.sqrt(c.u * c.u + c.v * c.v)
    inks = np.stack([c.base, c.colour(c.rng.choice(["silver", "golden", "copper"]))])
    c.part(r - 0.97, np.take(inks, (r < 0.63) * 1, 0), rise=0.12, bevel=0.06, gloss=0.7)
    c.emboss(
        0.05 * smooth((0.62 - r) * 30) + 0.06 * smooth((r - 0.89) * 30) + 0.002 * c.noise(60), 1
    )
    wide = 0.02 + 0.03 * (np.cos(np.round(np.arctan2(c.v, c.u) * (30 / 6.2832)) ** 2 + seed) > 0)
    with c.ringed(30):  # letters round the rim
        c.carve(np.abs(c.box(0.76, 0, 0.08, wide) + 0.02) - 0.018, -0.05, 0.02)
    with c.piece(), c.ringed(5, -90) if star else c.at():
        ten = np.minimum(c.box(-0.25, 0, 0.07, 0.38), np.abs(c.ellipse(0.19, 0, 0.25, 0.35)) - 0.06)
        c.part(
            c.line(0, 0, 0.52, 0, 0.17, 0.01) if star else ten,
            inks[1] * 1.1,
            rise=0.09,
            bevel=0.06,
            gloss=0.8,
        )


@product("extension", "red blue white green brown pink black", "plastic")
def button(c):
    other, thread = (
        c.colour(c.rng.choice(n.split()))
        for n in ("cream golden dark turquoise", "white red black")
    )
    count, notches, r = (
        int(c.rng.choice([2, 4])),
        int(c.rng.integers(16, 30)),
        np.sqrt(c.u * c.u + c.v * c.v),
    )
    with c.ringed(notches):
        rim = c.box(0.83, 0, 0.1, 1.1 / notches)
    skin = np.take([c.base, other, c.base * 0.8], (rim < 0) + 2 * (np.abs(r - 0.5) < 0.04), 0)
    c.part(r - 0.97, skin, rise=0.18, bevel=0.1, gloss=0.7)
    c.emboss(0.1 * smooth((r - 0.6) * 14) + 0.03 * smooth(-30 * rim) + 0.002 * c.noise(40), 1)
    with c.ringed(count, 45):
        c.carve(c.circle(0.24, 0, 0.17), -0.04, 0.03)
        c.hole(c.circle(0.24, 0, 0.11))
    with c.piece(), c.at(0, 0, 45):
        cross = (np.minimum(np.abs(c.u), np.abs(c.v)) if count == 4 else np.abs(c.v)) - 0.07
        c.part(
            np.maximum(cross, c.circle(0, 0, 0.3)),
            thread * c.mottle(0.15, 40),
            rise=0.12,
            bevel=0.07,
        )


@product("extension", "silver golden dark copper grey", "metal")
def gear(c):
    web, brass = (
        c.colour(c.rng.choice(n.split()))
        for n in ("red blue dark white green", "golden copper silver")
    )
    teeth, bolts, r = (
        int(c.rng.integers(10, 17)),
        int(c.rng.integers(3, 6)),
        np.sqrt(c.u * c.u + c.v * c.v),
    )
    with c.ringed(teeth):
        cogs = c.box(0.84, 0, 0.13, 1.7 / teeth) + 0.3 * np.maximum(c.u - 0.84, 0)
    skin = np.take([c.base, web, brass], np.where(r < 0.3, 2, np.abs(r - 0.5) < 0.17), 0)
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
    rubber, length = (
        c.colour(c.rng.choice(["black", "red", "blue", "green", "white"])),
        int(c.rng.integers(3, 9)),
    )
    seed, lock, turns, r = (
        c.rng.uniform(0, 99),
        c.rng.random() < 0.4,
        c.rng.uniform(60, 100),
        c.circle(0, 0, 0),
    )
    sector = np.round(np.arctan2(c.v, c.u) * (24 / 6.2832))
    with c.ringed(24):
        sign = (
            np.abs(c.box(0.74, 0, 0.09, 0.02 + 0.035 * (np.cos(sector**2 + seed) > 0)) + 0.02)
            - 0.02
        )
        tooth = np.maximum(0.9 - c.u, np.abs(c.v) - 0.05)
    sign = np.maximum(sign, np.abs(sector) - length)
    # turned rings and stamped letters
    tone = np.where(sign < 0, 3, np.int64(1.5 + 1.4 * np.sin(r * turns)))
    skin = np.take(np.outer([0.88, 1, 1.12, 0.3], c.base).astype(np.float32), tone, 0)
    c.part(
        np.maximum(np.abs(r - 0.66) - 0.31, -tooth if lock else r - 1),
        skin,
        rise=0.14,
        bevel=0.05,
        gloss=0.7,
    )
    with c.piece():
        c.part(c.ring(0, 0, 0.43, 0.09), rubber * c.mottle(0.1), rise=0.12, bevel=0.08, gloss=0.35)


@product("extension", "silver golden grey dark copper", "metal")
def bolt(c):
    nut, seal, plate = (
        c.colour(c.rng.choice(n.split()))
        for n in ("silver golden dark", "blue white red", "silver")
    )
    start, lead, head = (
        c.rng.uniform(-0.25, 0.1),
        c.rng.uniform(38, 50),
        c.box(-0.72, 0, 0.25, 0.62),
    )
    body, thread = (
        np.minimum(head, c.box(0.2, 0, 0.76, 0.32)),
        np.sin((c.u + 0.16 * c.v) * lead) * (c.u > start),
    )
    c.part(
        body,
        np.take([c.base, c.base * 0.55], (thread < -0.3) * 1, 0),
        rise=0.1,
        bevel=0.05,
        gloss=0.7,
    )
    shank = np.sqrt(np.clip(1 - (c.v / 0.33) ** 2, 0, 1)) * 0.3 + 0.04 * thread
    c.emboss(
        np.where(head < 0, -1.2 * np.maximum(np.abs(c.v) - 0.31, 0), shank) * (body < 0)
        + 0.002 * c.noise(60),
        1,
    )
    with c.piece():
        c.part(c.box(-0.42, 0, 0.055, 0.5), plate, rise=0.2, bevel=0.05, gloss=0.8)
    with c.piece(), c.at(c.rng.uniform(0.3, 0.6), 0):
        hexagon, skin = (
            c.box(0, 0, 0.2, 0.52),
            np.take([nut, seal], (np.abs(c.u - 0.14) < 0.04) * 1, 0),
        )
        c.part(hexagon, skin, rise=0.3, bevel=0.07, gloss=0.7)
        c.emboss(-np.maximum(np.abs(c.v) - 0.26, 0) * (hexagon < 0), 1)


@product("extension", "silver golden copper grey", "metal")
def key(c):
    grip, seed = (
        c.colour(c.rng.choice(["black", "red", "blue", "green", "purple"])),
        int(c.rng.integers(99)),
    )
    bow, tooth = (
        c.circle(-0.5, 0, 0.48) if seed % 2 else c.box(-0.5, 0, 0.46, 0.45, 0.2),
        np.round(c.u / 0.17),
    )
    # the bitting: random depths
    cut = np.take(c.rng.uniform(0.02, 0.16, 32), tooth.astype(int) + 16, mode="clip")
    blade = np.maximum(
        c.box(0.4, 0, 0.57, 0.28), c.v - 0.3 + np.maximum(cut, 0.5 * np.abs(c.u - 0.17 * tooth))
    )
    groove = np.where(np.abs(c.v + 0.08) < 0.04, 1, 2 * (np.abs(c.v - 0.01) < 0.02))
    c.part(
        blade,
        np.take([c.base, c.base * 0.45, c.base * 0.75], groove, 0),
        rise=0.14,
        bevel=0.06,
        gloss=0.8,
    )
    with c.piece():
        c.part(np.minimum(bow, c.box(-0.05, 0, 0.1, 0.3)), grip, rise=0.22, bevel=0.09, gloss=0.5)
    with c.at(-0.44, 0, 90), c.tiled(0.12, 9) as (i, _):  # stamped number
        sign = np.abs(
            c.box(0, 0, 0.018 + 0.026 * (np.cos(i * i + seed) > 0), 0.07) + 0.02
        ) < 0.02 * (np.abs(i) < 3)
    c.part(
        c.box(-0.44, 0, 0.11, 0.27),
        np.take([c.base, c.base * 0.3], sign * 1, 0),
        rise=0.03,
        bevel=0.03,
        gloss=0.8,
    )
    c.hole(c.circle(-0.78, 0, 0.1))


@product("extension", "tan golden brown beige", "food")
def cookie(c):
    jitter, rough = (
        c.rng.uniform(-0.09, 0.09, (3, 64)).astype(np.float32),
        c.noise(16) + 0.7 * c.noise(34),
    )
    edge, chip = (
        c.blob(0, 0, 0.93, 0.06, 3),
        c.colour(c.rng.choice(["brown", "dark", "cream"])) * 0.7,
    )
    # the rim is baked darker
    shades = np.outer(np.linspace(0.6, 1.2, 25), c.base).astype(np.float32)
    skin = np.take(
        shades, np.int64(20 + 2.5 * rough - 16 * smooth(1 + edge / 0.22)), 0, mode="clip"
    )
    c.part(edge, skin, rise=0.16, bevel=0.25, gloss=0.15)
    c.emboss(rough, 0.022)
    with c.tiled(0.36, 0.33, 0.5) as (i, j):
        dx, dy, dr = np.take(jitter, np.int64(9 * i + 5 * j), 1, mode="wrap")
        c.part(
            np.maximum(np.hypot(c.u - dx, c.v - dy) - 0.1 - 0.35 * dr, edge + 0.1),
            chip,
            rise=0.09,
            bevel=0.06,
        )
    for x, names in ((-0.35, ("red", "yellow")), (0.35, ("green", "white"))):
        with c.piece(), c.at(x, c.rng.uniform(-0.5, 0.5)):
            c.part(
                c.circle(0, 0, 0.15), c.colour(c.rng.choice(names)), rise=0.1, bevel=0.12, gloss=0.7
            )


@product("extension", "pink brown white turquoise yellow dark", "food")
def donut(c):
    inks, bend = (
        [c.base, *(c.colour(n) for n in ("red", "yellow", "blue", "white", "green"))],
        c.rng.uniform(0, 6),
    )
    jitter, hue = c.rng.uniform(-0.05, 0.05, (2, 81)).astype(np.float32), c.rng.integers(1, 6, 81)
    c.part(c.ring(0, 0, 0.6, 0.36), c.colour("tan"), rise=0.1, bevel=0.1, dome=0.3, gloss=0.2)
    with c.piece():
        icing = c.ring(0, 0, 0.59, 0.27) - 0.025 * np.cos(6 * np.arctan2(c.v, c.u) + bend)
        with c.tiled(0.19, 0.17, 0.5) as (i, j):
            k = np.int64(9 * i + 4 * j) % 81
            p, q = (
                c.u - np.take(jitter[0], k),
                (c.v - np.take(jitter[1], k)) * np.take((-1, 1), k % 2),
            )
            sprinkle = np.maximum(np.abs(p + q) - 0.11, np.abs(p - q) - 0.04)
        skin = np.take(inks, np.where(sprinkle < 0, np.take(hue, k), 0), 0)
        c.part(icing, skin, rise=0.07, bevel=0.06, gloss=0.8)
        c.emboss(smooth(-25 * sprinkle) * (icing < 0), 0.02)


@product("extension", "white beige brown cream turquoise tan", "shell")
def egg(c):
    jitter, spots = c.rng.uniform(-1, 1, (3, 256)).astype(np.float32), c.colour("brown")
    ink, seed, amount = (
        c.colour(c.rng.choice(["red", "dark"])),
        c.rng.uniform(0, 99),
        c.rng.uniform(-0.012, 0.022),
    )
    with c.tiled(0.13, 0.13, 0.5) as (i, j):
        dx, dy, dr = np.take(jitter, np.int64(17 * i + 5 * j), 1, mode="wrap")
        speck = np.hypot(c.u - 0.04 * dx, c.v - 0.04 * dy) < amount + 0.018 * dr
    skin = np.take([c.base, 0.2 * c.base + 0.7 * spots], speck * 1, 0)
    c.part(
        (np.hypot(c.u / 0.97, c.v / (0.74 - 0.13 * c.u)) - 1) * 0.72,
        skin,
        bevel=0.12,
        dome=0.5,
        gloss=0.35,
    )
    c.emboss(c.noise(60), 0.003)
    # the printed code
    with (
        c.piece(),
        c.at(0, 0, c.rng.uniform(-30, 30)),
        c.tiled(0.14, 0.26, 0.5) as (i, j),
    ):
        sign = (
            np.abs(c.box(0, 0, 0.02 + 0.035 * (np.cos(i * i + 3 * j + seed) > 0), 0.09) + 0.02)
            - 0.02
        )
        c.paint(np.maximum(sign, np.maximum(np.abs(i) - 2, np.abs(j - 0.5) - 0.6)), ink, 0.85)


@product("extension", "red orange yellow green purple", "fruit")
def tomato(c):
    shoulder, label = (
        c.colour(c.rng.choice(n.split()))
        for n in ("green yellow orange", "white blue yellow black")
    )
    lobes, r = int(c.rng.integers(5, 8)), np.sqrt(c.u * c.u + c.v * c.v)
    ribs, fade = (
        np.cos(lobes * np.arctan2(c.v, c.u)),
        np.linspace(0, 0.6, 24, dtype=np.float32)[:, None],
    )
    skin = np.take(
        c.base * (1 - fade) + shoulder * fade, np.int64(23 * smooth((0.6 + 0.1 * ribs - r) * 2)), 0
    )
    c.part(r - 0.95 + 0.015 * ribs, skin, rise=0.1, bevel=0.1, dome=0.45, gloss=0.8)
    c.emboss((r + 0.2) * ribs * (r < 0.92), 0.02)
    with c.piece(), c.ringed(int(c.rng.integers(5, 7)), c.rng.uniform(0, 60)):
        calyx = np.take([c.colour("green") * 0.8, c.colour("olive") * 1.3], (c.u < 0.12) * 1, 0)
        c.part(c.line(0, 0, 0.55, 0, 0.17, 0.015), calyx, rise=0.1, bevel=0.09)
    with c.piece(), c.at(0.55, c.rng.uniform(-0.2, 0.3), c.rng.uniform(0, 360)):
        print_ = np.take(
            [label, shoulder * 0.7],
            (c.box(0, 0.04, 0.13, 0.03) * c.box(0, -0.06, 0.1, 0.025) < 0) * 1,
            0,
        )
        c.part(c.ellipse(0, 0, 0.22, 0.16), print_, rise=0.02, bevel=0.02)


@product("extension", "black blue red green grey purple", "metal")
def battery(c):
    top, ink = (
        c.colour(c.rng.choice(n.split()))
        for n in ("copper golden silver orange", "white yellow cream")
    )
    edge, seed, rows = c.rng.uniform(0.1, 0.4), c.rng.uniform(0, 99), float(c.rng.integers(2)) / 2
    body, zone = c.box(-0.05, 0, 0.88, 0.47), np.where(np.abs(c.u - edge) < 0.03, 2, c.u > edge)
    c.part(body, np.take([c.base, top, ink], zone, 0), rise=0.06, bevel=0.06, gloss=0.8)
    c.emboss(
        np.sqrt(np.clip(1 - (c.v / 0.48) ** 2, 0, 1)) * (body < 0)
        - 0.1 * (np.abs(c.u + 0.86) < 0.02),
        0.4,
    )
    with c.piece():
        c.part(c.box(0.89, 0, 0.08, 0.17), c.colour("silver"), rise=0.2, bevel=0.06, gloss=0.8)
    with c.piece():
        plus, length = (
            np.minimum(c.box(0.64, 0, 0.1, 0.03), c.box(0.64, 0, 0.03, 0.1)),
            np.abs(c.u + 0.36) - 0.36,
        )
        with c.at(0, 0.26 * rows), c.tiled(0.13, 0.26) as (i, j):
            sign = (
                np.abs(c.box(0, 0, 0.02 + 0.03 * (np.cos(i * i + 3 * j + seed) > 0), 0.09) + 0.02)
                - 0.02
            )
        c.paint(np.minimum(np.maximum(sign, np.maximum(length, np.abs(j + rows) - 0.6)), plus), ink)


@product("extension", "golden tan white blue red yellow green dark", "plastic")
def tape_roll(c):
    core, second, label = (
        c.colour(c.rng.choice(n.split())) for n in ("tan", "white dark grey", "yellow red blue")
    )
    width, turns, where = c.rng.uniform((0.05, 55, 0.6), (0.14, 110, 0.8)).tolist()
    shades, r = (
        np.float32([k * ink for ink in (c.base, second, core) for k in (0.92, 1.06)]),
        c.circle(0, 0, 0),
    )
    zone = 2 * (np.abs(r - where) < width) + (np.sin(r * turns) > 0)
    zone = np.where(r < 0.44, 4 + (c.stripes(0.12, 0.7, 45) < 0), zone)
    c.part(np.abs(r - 0.635) - 0.315, np.take(shades, zone, 0), rise=0.25, bevel=0.06, gloss=0.5)
    c.carve(np.abs(r - 0.45) - 0.02, 0.15, 0.02)
    with c.piece():  # the loose end
        c.part(
            np.maximum(c.box(0.1, 0.85, 0.2, 0.15), c.circle(0, 0, 1)),
            c.base * 1.15,
            rise=0.06,
            bevel=0.03,
        )
    with c.piece(), c.at(0, -0.68):
        print_ = np.take(
            [label, second * 0.3], (np.maximum(c.stripes(0.09, 0.45), np.abs(c.v) - 0.1) < 0) * 1, 0
        )
        c.part(c.box(0, 0, 0.29, 0.17), print_, rise=0.03, bevel=0.02)


@product("extension", "silver grey golden black blue white", "metal")
def bracket(c):
    screw, bead = (
        c.colour(c.rng.choice(n.split())) for n in ("golden dark silver", "dark orange red white")
    )
    slot, gusset, p, q = (
        c.rng.uniform(0, 0.1),
        c.rng.uniform(0.1, 0.4),
        np.maximum(-c.u, c.v),
        np.maximum(c.u, -c.v),
    )
    body = np.maximum(
        np.maximum(p, q) - 0.8, np.minimum(0.24 - p, np.maximum(q - 0.6, c.u - c.v - gusset))
    )
    holes = (
        np.minimum(
            np.hypot(np.maximum(np.abs(q - 0.5) - slot, 0), p - 0.54), c.circle(-0.54, 0.54, 0)
        )
        - 0.1
    )
    rib = np.maximum(np.abs(p - 0.28) - 0.035, q - 0.3)
    zone = np.where(rib < 0, 1, 2 * (np.abs(holes) < 0.06))
    c.part(body, np.take([c.base, bead, c.base * 0.6], zone, 0), rise=0.16, bevel=0.05, gloss=0.6)
    c.emboss(0.07 * smooth(-30 * rib) - 0.07 * smooth(1 - holes * 16) + 0.0015 * c.noise(60), 1)
    c.hole(holes)
    for x, y in ((-0.54, 0.05), (-0.05, 0.54)):
        with c.piece(), c.at(x, y, c.rng.uniform(0, 90)):
            cross = (
                np.maximum(
                    np.minimum(np.abs(c.u), np.abs(c.v)) - 0.03, np.abs(c.u) + np.abs(c.v) - 0.13
                )
                < 0
            )
            c.part(
                c.circle(0, 0, 0.16),
                np.take([screw, screw * 0.3], cross * 1, 0),
                rise=0.12,
                bevel=0.1,
                gloss=0.7,
            )


@product("extension", "silver golden copper grey dark blue", "metal")
def metal_plate(c):
    rivet, label = (
        c.colour(c.rng.choice(n.split()))
        for n in ("golden silver dark", "black red blue yellow white")
    )
    seed, slots, ink = (
        int(c.rng.integers(99)),
        int(c.rng.integers(2, 5)),
        label * 0.2 + 0.7 * (label.mean() < 0.45),
    )
    lines = np.outer(c.rng.uniform(0.82, 1.14, 96), c.base).astype(np.float32)  # brushed
    body = np.maximum(c.box(0, 0, 0.86, 0.66), np.minimum(c.u - 0.7, 0.16 - np.abs(c.v + 0.1)))
    c.part(
        body,
        np.take(lines, np.int64((c.v + 2) * 48), 0, mode="wrap"),
        rise=0.14,
        bevel=0.05,
        gloss=0.6,
    )
    c.hole(np.maximum(c.stripes(0.2, 0.5), c.box(0.1 * (slots % 2) - 0.2, 0.42, 0.1 * slots, 0.14)))
    with c.piece(), c.at(-0.14, -0.16):
        board = c.box(0, 0, 0.5, 0.27)
        with c.tiled(0.14, 9) as (i, _):
            sign = (
                np.abs(c.box(0, 0, 0.02 + 0.035 * (np.cos(i * i + seed) > 0), 0.12) + 0.02) - 0.02
            )
        word = (sign < 0) & (np.abs(i) < 4 - seed % 2) | (np.abs(board + 0.06) < 0.014)
        c.part(board, np.take([label, ink], word * 1, 0), rise=0.04, bevel=0.03)
    with c.piece():
        c.part(
            np.hypot(np.abs(c.u) - 0.71, np.abs(c.v) - 0.5) - 0.1,
            rivet,
            rise=0.12,
            bevel=0.1,
            gloss=0.8,
        )


@product("extension", "green olive yellow red orange purple", "plant")
def leaf(c):
    pale = c.colour(c.rng.choice(["cream", "yellow", "green", "pink"]))
    width, slant, pitch, margin = c.rng.uniform(
        (0.35, 0.6, 0.15, -0.02), (0.5, 1.1, 0.24, 0.14)
    ).tolist()
    along = c.u - 0.05 - slant * np.abs(c.v)
    vein = np.abs(along - pitch * np.round(along / pitch)) / pitch
    body = (
        np.hypot(c.u - 0.05, np.abs(c.v) + width) - np.float32(np.hypot(width, 0.93)) + 0.08 * vein
    )
    c.part(body, c.base * c.mottle(0.12), rise=0.07, bevel=0.06, gloss=0.35)
    c.emboss(np.minimum(vein, 0.2) - 0.6 * np.exp(-np.abs(c.v) * 25), 0.16)
    lines = np.minimum(vein * pitch - 0.012, np.abs(c.v) - 0.028)
    c.paint(np.maximum(body, np.minimum(lines, -margin - body - 0.1 * vein)), pale, 0.85)
    with c.piece():
        c.part(c.line(-0.98, 0.06, -0.75, 0, 0.05, 0.035), pale * 0.8, rise=0.08, bevel=0.05)


@product("extension", "yellow red green blue orange black", "wood")
def pencil(c):
    metal, ink, rubber = (
        c.colour(c.rng.choice(n.split())) for n in ("silver golden", "white golden", "pink red")
    )
    bands, seed, start = c.rng.uniform((0.05, 0, -0.2), (0.14, 99, 0.1)).tolist()
    with c.tiled(0.1, 9) as (i, _):
        sign = np.abs(c.box(0, 0, 0.017 + 0.02 * (np.cos(i * i + seed) > 0), 0.07) + 0.017) < 0.017
    word = sign & (np.abs(c.u - start) < 0.26) | (
        np.abs(np.abs(c.u + 0.4) - 0.5 * bands) < 0.3 * bands
    )
    wood, lead = c.u > 0.5 + 0.05 * np.cos(c.v * 34), c.u > 0.84 - 0.4 * np.abs(c.v)
    skin = np.take(
        [c.base, ink, c.colour("beige"), c.colour("dark")], np.where(wood, 2 + lead, word), 0
    )
    c.part(
        np.maximum(c.box(0.2, 0, 0.77, 0.3), np.abs(c.v) - 0.65 * (0.96 - c.u)),
        skin,
        rise=0.1,
        bevel=0.06,
    )
    c.emboss(np.minimum(0.12 * (1 - wood) - np.abs(c.v), 0), 0.9)
    with c.piece():
        c.part(c.box(-0.84, 0, 0.13, 0.3, 0.08), rubber, rise=0.16, bevel=0.1)
    with c.piece():
        ridges = np.take([metal, metal * 0.75], (c.stripes(0.075, 0.5) < 0) * 1, 0)
        c.part(c.box(-0.62, 0, 0.12, 0.32), ridges, rise=0.12, bevel=0.1, gloss=0.8)


@product("extension", "silver golden red white blue grey", "metal")
def wheel(c):
    cap, ink = (
        c.colour(c.rng.choice(n.split()))
        for n in ("red blue black silver yellow", "white yellow grey")
    )
    spokes, thick, r = (
        int(c.rng.integers(5, 9)),
        c.rng.uniform(0.05, 0.09),
        np.sqrt(c.u * c.u + c.v * c.v),
    )
    words = (np.abs(r - 0.79) < 0.05) & (np.abs(c.v) < c.rng.uniform(0.2, 0.8))
    with c.ringed(40):
        tread, words = c.box(0.94, 0, 0.05, 0.025), words & (np.abs(c.v) < 0.03)
    with c.ringed(spokes):
        gap, nut = np.maximum(np.abs(r - 0.43) - 0.15, thick - np.abs(c.v)), c.circle(0.22, 0, 0.04)
    skin = np.take(
        [c.colour("black"), ink, c.base, c.base * 0.22], np.where(r < 0.66, 2 + (gap < 0), words), 0
    )
    c.part(r - 0.97, skin, rise=0.2, bevel=0.12, gloss=0.5)
    c.emboss(
        0.1 * smooth((0.66 - r) * 20) - 0.15 * smooth(-20 * gap) - 0.08 * smooth(-30 * tread), 1
    )
    c.carve(nut, -0.06, 0.03)
    with c.piece():
        c.part(
            np.minimum(c.circle(0, 0, 0.15), c.box(0.62, 0, 0.1, 0.04)),
            cap,
            rise=0.1,
            bevel=0.05,
            gloss=0.7,
        )


@product("extension", "white cream black blue green red", "metal", "upright")
def clock_dial(c):
    rim, second = (
        c.colour(c.rng.choice(n.split())) for n in ("silver golden dark copper", "orange red")
    )
    ink, (big, logo) = (
        c.colour("dark" if c.base.mean() > 0.5 else "white"),
        c.rng.uniform((0.03, 0.1), (0.06, 0.25)),
    )
    marks, r = c.box(0, -0.35, float(logo), 0.035), np.sqrt(c.u * c.u + c.v * c.v)
    with c.ringed(60):
        marks = np.minimum(marks, c.box(0.78, 0, 0.03, 0.014))
    with c.ringed(12):
        marks = np.minimum(marks, c.box(0.7, 0, c.rng.uniform(0.05, 0.11), float(big)))
    c.part(
        r - 0.97,
        np.take([c.base, ink, rim], np.where(r > 0.84, 2, marks < 0), 0),
        rise=0.22,
        bevel=0.1,
        gloss=0.6,
    )
    c.carve(r - 0.84, 0.14, 0.04)
    for half, width in ((0.26, 0.05), (0.39, 0.035), (0.42, 0.016)):
        with c.piece(), c.at(0, 0, c.rng.uniform(0, 360)):
            c.part(
                c.box(half - 0.1, 0, half, width),
                second if width < 0.02 else ink,
                rise=0.05,
                bevel=0.03,
                gloss=0.5,
            )


@product("extension", "golden red blue black green copper", "metal", "upright")
def padlock(c):
    plate, steel = (
        c.colour(c.rng.choice(n.split())) for n in ("silver black white golden", "silver")
    )
    seed, pitch, r = c.rng.uniform(0, 99), c.rng.uniform(0.12, 0.2), np.hypot(c.u, c.v - 0.63)
    with c.piece():
        arch = np.abs(np.where(c.v < -0.4, np.hypot(c.u, c.v + 0.4), np.abs(c.u)) - 0.42) - 0.13
        c.part(np.maximum(arch, c.v), steel, rise=0.25, bevel=0.13, gloss=0.9)
    body, groove = c.box(0, 0.36, 0.8, 0.6, 0.13), c.stripes(pitch, 0.2, 90)
    slot = np.minimum(c.circle(0, 0.58, 0.07), c.box(0, 0.69, 0.04, 0.08))
    skin = np.take(
        [c.base, c.base * 0.5, steel, steel * 0.08],
        np.where(r < 0.2, 2 + (slot < 0), groove < 0),
        0,
    )
    c.part(body, skin, rise=0.3, bevel=0.1, gloss=0.7)
    c.emboss(
        -np.where(r < 0.2, 0.2 * smooth(-30 * slot) - 0.06, 0.06 * smooth(-30 * groove))
        * (body < -0.03),
        1,
    )
    with c.piece(), c.at(0, 0.12):
        with c.tiled(0.14, 9) as (i, _):
            word = np.abs(
                c.box(0, 0, 0.02 + 0.035 * (np.cos(i * i + seed) > 0), 0.11) + 0.02
            ) < 0.02 * (np.abs(i) < 4)
        skin = np.take([plate, 0.15 * steel if plate.mean() > 0.4 else steel], word * 1, 0)
        c.part(c.box(0, 0, 0.52, 0.2), skin, rise=0.06, bevel=0.04, gloss=0.6)


@product("extension", "silver golden copper tan white", "metal")
def spoon(c):
    grip, dots = (
        c.colour(c.rng.choice(n.split()))
        for n in ("red blue green brown black", "white yellow cream")
    )
    pitch, kind, bowl = (
        c.rng.uniform(0.1, 0.16),
        int(c.rng.integers(3)),
        c.ellipse(-0.46, 0, 0.5, 0.47),
    )
    c.part(np.minimum(bowl, c.box(0.35, 0, 0.55, 0.1)), c.base, rise=0.16, bevel=0.06, gloss=0.8)
    c.emboss(
        -0.28 * smooth((-0.06 - bowl) / 0.26)
        - 0.04 * smooth((-0.06 - bowl) / 0.03)
        + 0.002 * c.noise(60),
        1,
    )
    with c.piece():
        sleeve = c.box(0.54, 0, 0.44, 0.23, 0.16)
        with c.tiled(pitch, pitch, 0.5):
            mark = c.circle(0, 0, 0.035) if kind == 0 else c.stripes(pitch, 0.4, 45 * kind)
        skin = np.take([grip, dots], (np.maximum(mark, sleeve + 0.05) < 0) * 1, 0)
        c.part(sleeve, skin, rise=0.12, bevel=0.12, gloss=0.6)
    c.hole(c.circle(0.85, 0, 0.055))


@product("extension", "white black blue red yellow beige", "plastic")
def connector(c):
    latch, gold = (c.colour(c.rng.choice(n.split())) for n in ("orange green dark white", "golden"))
    count, seed, ink = (
        int(c.rng.choice([4, 6])),
        c.rng.uniform(0, 99),
        c.base * 0.3 if c.base.mean() > 0.4 else latch,
    )
    wires, pitch = (
        [c.colour(n) for n in c.rng.permutation(["red", "black", "yellow", "green", "blue"])],
        1.36 / count,
    )
    with c.at(pitch / 2, 0), c.tiled(pitch, 9) as (i, _):
        inside = np.maximum(np.abs(c.u) - 0.36 * pitch, np.abs(i + 0.5) - count / 2)
    c.part(
        np.maximum(inside, np.abs(c.v - 0.56) - 0.3),
        np.take(wires, np.int64(i), 0, mode="wrap"),
        bevel=0.1,
    )
    cavity, pins = (
        c.box(0, -0.28, 0.74, 0.32),
        np.maximum(inside + 0.03, np.abs(np.abs(c.v + 0.28) - 0.14) - 0.09),
    )
    zone = np.where(pins < 0, 2, cavity < 0)
    c.part(
        c.box(0, -0.18, 0.84, 0.5),
        np.take([c.base, c.base * 0.2, gold], zone, 0),
        rise=0.3,
        bevel=0.05,
        gloss=0.6,
    )
    c.emboss(0.12 * smooth(-14 * pins) - 0.12 * smooth(-25 * cavity), 1)
    with c.piece():
        c.part(c.box(0, -0.7, 0.24, 0.13), latch, rise=0.4, bevel=0.06, gloss=0.5)
    with c.piece(), c.at(0, 0.18), c.tiled(0.12, 9) as (i, _):
        sign = np.abs(c.box(0, 0, 0.018 + 0.03 * (np.cos(i * i + seed) > 0), 0.075) + 0.018) - 0.018
        c.paint(np.maximum(sign, np.abs(i) - 4), ink)


@product("extension", "yellow green grey white blue black", "wire")
def coil(c):
    wire, second = (
        c.colour(c.rng.choice(n.split())) for n in ("copper copper red golden", "white dark yellow")
    )
    r, turns, gap = (
        np.sqrt(c.u * c.u + c.v * c.v),
        int(c.rng.integers(24, 40)),
        c.rng.uniform(0.35, 0.8),
    )
    wedge, skin = (
        gap * c.u - np.abs(c.v),
        np.take([c.base, second], (np.abs(r - 0.6) < 0.16) * 1, 0),
    )
    c.part(np.abs(r - 0.6) - 0.3, skin, rise=0.1, bevel=0.1, dome=0.25, gloss=0.4)
    with c.ringed(turns, 180 / turns):
        winding = np.maximum(
            np.maximum(np.abs(c.v) - 2.7 / turns * c.u, np.abs(r - 0.6) - 0.36), wedge
        )
    c.part(winding, wire, rise=0.12, bevel=0.05, gloss=0.8)
    for side in (-1, 1):
        with c.piece(), c.at(0, 0, side * float(np.degrees(np.arctan(gap)) - 3)):
            end = np.take([wire, c.colour("silver")], (c.u > 0.85) * 1, 0)
            c.part(c.box(0.76, 0, 0.22, 0.055), end, rise=0.15, bevel=0.05, gloss=0.8)


@product("extension", "yellow green golden", "fruit", spoken="sliced lemon")
def lemon(c):
    count, (core, rind) = (
        int(c.rng.integers(8, 12)),
        c.rng.uniform((0.04, 0.86), (0.1, 0.9)).tolist(),
    )
    slope, r = float(np.tan(np.pi / count)), np.sqrt(c.u * c.u + c.v * c.v)
    with c.ringed(count, c.rng.uniform(0, 30)):
        wedge = np.maximum(np.maximum(r - 0.8, np.abs(c.v) - slope * c.u + 0.04), core + 0.06 - c.u)
        pulp = np.sin(c.v * 40 / (0.25 + c.u)) * np.sin(14 * r + c.noise(9))
    shades = [c.colour("cream"), *np.outer(np.linspace(0.75, 1.2, 24), c.base).astype(np.float32)]
    tone = np.where(
        wedge < 0, np.int64(16 - 8 * smooth(1 - r) + 8 * pulp), np.where(r < rind, 0, 6)
    )
    c.part(r - 0.96, np.take(shades, tone, 0, mode="clip"), rise=0.2, bevel=0.1, gloss=0.5)
    c.emboss(0.05 * smooth(-16 * wedge) + 0.015 * pulp * (r < 0.78), 1)
    for turn in (c.rng.uniform(0, 150), c.rng.uniform(180, 330)):
        with c.piece(), c.at(0, 0, turn):
            c.part(
                c.line(0.3, 0, 0.42, 0, 0.035, 0.07),
                c.colour("tan"),
                rise=0.08,
                bevel=0.06,
                gloss=0.5,
            )


@product("extension", "white red black blue green purple cream", "plastic")
def dice(c):
    ink, size = c.colour("dark" if c.base.mean() > 0.45 else "white"), c.rng.uniform(0.09, 0.12)
    pips = np.array(
        [[[k > 1, k > 5, k > 3], [0, k % 2, 0], [k > 3, k > 5, k > 1]] for k in range(7)], bool
    )
    values = np.array([k if c.rng.random() < 0.5 else 7 - k for k in c.rng.permutation(3) + 1])
    face, tints = (
        np.int64(np.round(np.arctan2(c.v, c.u) * (3 / 6.2832))),
        np.outer([1, 0.7, 0.85], c.base),
    )
    c.part(
        c.polygon(6, 0.84, 30),
        np.take(np.float32(tints), face, 0, mode="wrap"),
        rise=0.08,
        bevel=0.08,
        gloss=0.4,
    )
    rows = np.take(9 * values + 4, face, mode="wrap")
    for front in (False, True):  # two faces, then the piece: a, b run along the sides of a face
        with c.piece() if front else c.at(), c.ringed(3):
            a, b = (c.u + c.v * 0.577) / 0.28 - 1.73, (c.u - c.v * 0.577) / 0.28 - 1.73
            i, j = np.clip(np.round(a), -1, 1), np.clip(np.round(b), -1, 1)
            shown = np.take(pips, rows + np.int64(3 * i + j)) & (front == (face == 0))
            c.carve(np.where(shown, np.hypot(a - i, b - j) * 0.28 - size, 1), 0.08, 0.05, ink)
    c.carve(0.06 - 0.28 * (np.minimum(a, b) + 1.73), 0.05, 0.06)  # rounded inner edges


@product("extension", "golden black blue red orange green", "metal")
def bearing(c):
    steel, ball = (c.colour(c.rng.choice(n.split())) for n in ("silver grey dark", "silver"))
    race, bore, length = c.rng.uniform((0.58, 0.24, 0.2), (0.62, 0.32, 0.8)).tolist()
    balls, r = int(c.rng.integers(8, 13)), np.sqrt(c.u * c.u + c.v * c.v)
    gap, first = np.abs(r - race), c.circle(race, 0, 0.15)
    words = np.maximum(np.abs(r - 0.88) - 0.035, np.abs(c.v) - length) < 0
    with c.ringed(44):
        words &= np.abs(c.v) < 0.02
    skin = np.take([steel, steel * 0.25, c.base], np.where(gap < 0.18, 1 + (gap < 0.1), words), 0)
    c.part(np.maximum(r - 0.97, bore - r), skin, rise=0.2, bevel=0.05, gloss=0.8)
    c.emboss(0.06 * smooth((0.1 - gap) * 25) - 0.16 * smooth((0.18 - gap) * 25) - 0.05 * words, 1)
    with c.ringed(balls):
        c.part(np.maximum(c.circle(race, 0, 0.135), -first), ball, rise=0.2, bevel=0.13, gloss=0.9)
    with c.piece():
        c.part(c.circle(race, 0, 0.135), ball, rise=0.2, bevel=0.13, gloss=0.9)


@product("extension", "blue green red black purple white", "circuit board")
def sensor_module(c):
    ink, gold, shine = (
        c.colour(n) for n in ("dark" if c.base.mean() > 0.6 else "white", "golden", "silver")
    )
    side, tilt, pitch = (
        int(c.rng.choice([-1, 1])),
        45 * int(c.rng.integers(0, 4)),
        c.rng.uniform(0.12, 0.16),
    )
    corner = np.hypot(np.abs(c.u) - 0.76, np.abs(c.v) - 0.5)
    pads = np.minimum(np.maximum(c.stripes(0.14, 0.5), c.box(0, 0.53, 0.42, 0.055)), corner - 0.1)
    words = np.maximum(c.stripes(0.09, 0.45), c.box(-0.38 * side, -0.3, 0.26, 0.1)) < 0
    zone = np.where(pads < 0, 2, np.where(words, 3, c.stripes(0.1, 0.3, tilt) < 0))
    c.part(
        c.box(0, 0, 0.87, 0.61),
        np.take([c.base, c.base * 1.25 + 0.02, gold, ink], zone, 0),
        rise=0.1,
        bevel=0.03,
    )
    c.hole(corner - 0.055)
    with c.piece(), c.at(0.4 * side, -0.06):
        dots = (np.hypot(*(t - pitch * np.round(t / pitch) for t in (c.u, c.v))) < 0.04) & (
            c.circle(0, 0, 0.29) < 0
        )
        c.part(
            c.circle(0, 0, 0.37),
            np.take([shine, shine * 0.15], dots * 1, 0),
            rise=0.3,
            bevel=0.06,
            gloss=0.8,
        )
    with c.piece(), c.at(-0.42 * side, 0.14):
        zone = (c.u * c.u + c.v * c.v < 0.015) * (1 + (np.abs(c.u + c.v) < 0.04))
        c.part(
            c.box(0, 0, 0.24, 0.2),
            np.take([c.colour("blue"), gold, gold * 0.2], zone, 0),
            rise=0.25,
            bevel=0.04,
        )


@product("extension", "brown dark cream tan", "food")
def chocolate_bar(c):
    paper, foil, ink = (
        c.colour(c.rng.choice(n.split()))
        for n in ("red blue purple green", "silver", "white golden")
    )
    pitch, edge, seed = (
        1.7 / int(c.rng.integers(4, 7)),
        c.rng.uniform(-0.3, 0),
        int(c.rng.integers(99)),
    )
    with c.tiled(pitch, 0.4):
        block, diamond = c.box(0, 0, pitch / 2, 0.2), np.abs(c.u) + np.abs(c.v) - 0.11
        logo = (
            diamond
            if seed % 3 == 0
            else c.ring(0, 0, 0.08, 0.025)
            if seed % 3 == 1
            else c.box(0, 0, 0.1, 0.04)
        )
    c.part(
        c.box(0, 0, 0.85, 0.6),
        np.take([c.base, c.base * 0.65], (logo < 0) * 1, 0),
        rise=0.1,
        bevel=0.05,
        gloss=0.5,
    )
    c.emboss(smooth(-block / 0.06) - 0.3 * smooth(-logo / 0.03), 0.14)
    with c.piece():
        teeth = 0.06 * np.abs(c.v / 0.1 - np.round(c.v / 0.1))
        c.part(
            np.maximum(c.box(0, 0, 0.88, 0.62), c.u - edge + teeth),
            foil,
            rise=0.06,
            bevel=0.04,
            gloss=0.8,
        )
    with c.piece():
        emblem = np.abs(c.ellipse((edge - 1) / 2, 0, 0.17, 0.36)) < (0.03 if seed % 2 else 0.1)
        bands = np.abs(np.abs(c.v) - 0.5 + 0.03 * (seed % 4)) < 0.02 + 0.01 * (seed % 5)
        skin = np.take([paper, ink], (bands | emblem) * 1, 0)
        c.part(
            np.maximum(c.box(0, 0, 0.9, 0.64), c.u - edge + 0.1),
            skin,
            rise=0.05,
            bevel=0.04,
            gloss=0.5,
        )


@product("extension", "silver golden dark grey copper", "metal")
def wrench(c):
    grip, ink = (
        c.colour(c.rng.choice(n.split()))
        for n in ("red blue black green yellow", "white cream yellow")
    )
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
            word = np.abs(
                c.box(0, 0, 0.02 + 0.025 * (np.cos(i * i + seed) > 0), 0.09) + 0.02
            ) < 0.02 * (np.abs(i) < 3)
        c.part(
            c.box(0.04, 0, 0.31, 0.23),
            np.take([grip, ink], word * 1, 0),
            rise=0.1,
            bevel=0.08,
            gloss=0.5,
        )


@product("extension", "white black grey beige blue", "plastic", "upright")
def keypad(c):
    groups = (
        "dark" if c.base.mean() > 0.45 else "silver cream",
        "red orange",
        "green blue",
        "olive turquoise",
    )
    key, red, green, screen = (c.colour(c.rng.choice(n.split())) for n in groups)
    seed, pitch = int(c.rng.integers(99)), c.rng.uniform(0.28, 0.3)
    c.part(c.box(0, 0, 0.72, 0.94, 0.1), c.base, rise=0.2, bevel=0.08, gloss=0.4)
    with c.at(0, 0.02), c.tiled(0.42, pitch) as (i, j):
        cell = c.box(0, 0, 0.16, 0.1)
        sign = (
            np.abs(c.box(0, 0, 0.02 + 0.035 * (np.cos(i * i + i + 3 * j + seed) > 0), 0.07) + 0.02)
            < 0.02
        )
    hue = np.where(sign, 3, np.where(j == 2, np.abs(i) + (i > 0), 0)).astype(int)
    skin = np.take([key, red, green, c.base], hue, 0, mode="clip")
    # the key left out is a piece
    keys = (np.abs(i) < 2) & (np.abs(j - 0.5) < 2) & ((i != 0) | (j != 1))
    c.part(np.where(keys, cell, 1), skin, rise=0.12, bevel=0.05, gloss=0.5)
    with c.piece():
        c.part(c.box(0, 0.02 + pitch, 0.16, 0.1), skin, rise=0.12, bevel=0.05, gloss=0.5)
    with c.piece(), c.at(0, -0.6):
        digits = np.maximum(c.stripes(0.12, 0.5), c.box(0.1, 0, 0.06 * (2 + seed % 5), 0.09)) < 0
        c.part(
            c.box(0, 0, 0.56, 0.19),
            np.take([screen, screen * 0.25], digits * 1, 0),
            rise=0.05,
            bevel=0.03,
        )


@product("extension", "red blue yellow green black orange", "metal")
def valve_handle(c):
    plate, steel = (
        c.colour(c.rng.choice(n.split())) for n in ("white black yellow blue", "silver golden dark")
    )
    lobes, spokes, r = (
        int(c.rng.integers(8, 15)),
        int(c.rng.integers(3, 6)),
        np.sqrt(c.u * c.u + c.v * c.v),
    )
    wide, gap, ink = (
        c.rng.uniform(0.08, 0.13),
        c.rng.uniform(0.05, 0.2),
        plate * 0.2 + 0.7 * (plate.mean() < 0.4),
    )
    rim = np.abs(r - 0.79) - 0.15 - 0.02 * np.cos(lobes * np.arctan2(c.v, c.u))
    with c.ringed(spokes):
        arm = np.maximum(np.abs(c.v) - wide - 0.1 * c.u, r - 0.8)
    c.part(np.minimum(np.minimum(rim, arm), r - 0.4), c.base, rise=0.25, bevel=0.12, gloss=0.6)
    c.emboss(-0.6 * smooth(-20 * arm - 1) * (r < 0.62) + 0.07 * c.noise(50), 0.04)
    with c.piece():
        mark = np.maximum(c.ring(0, 0, 0.28, 0.03), gap - np.abs(c.v)) < 0
        c.part(c.circle(0, 0, 0.36), np.take([plate, ink], mark * 1, 0), rise=0.04, bevel=0.03)
    with c.piece():
        c.part(c.polygon(6, 0.17), steel, rise=0.15, bevel=0.05, gloss=0.8)
        c.carve(c.circle(0, 0, 0.08), 0.1, 0.03)


@product("test", "brown green blue olive turquoise", "glass", "free", turn=180)
def bottle(c):
    r, phi = np.sqrt(c.u * c.u + c.v * c.v), np.arctan2(c.v, c.u)
    neck, lit, count = c.rng.uniform(0.50, 0.56), c.rng.uniform(-3, 3), int(c.rng.integers(40, 56))
    lit -= c.turned  # the glint stays where the lamp is
    glow = (
        0.8
        + 0.5 * smooth(1.2 * np.cos(phi - lit)) * smooth(3 * r - 1.2)
        + 0.5 * smooth(1 - np.abs(r - 0.88) * 12)
    )
    c.part(
        r - 0.97, c.base * (glow + 0.08 * c.noise(12))[..., None], rise=0.32, bevel=0.3, gloss=0.8
    )
    c.emboss(smooth(1 - np.abs(r - 0.91) * 25) * smooth(np.cos(phi * count)), 0.06)
    c.paint(
        r - neck,
        c.base * (0.25 + 0.9 * smooth(1 - np.abs(r - 0.27) * 12) + 0.15 * c.noise(20))[..., None],
    )
    c.carve(r - neck + 0.05, 0.3, 0.2)
    c.paint(
        np.maximum(np.abs(r - 0.76) - 0.05, 0.75 - np.cos(phi - lit)),
        c.base * 0.4 + 0.55,
        0.85,
        0.03,
    )
    with c.piece():
        c.part(
            np.abs(np.sqrt(c.u * c.u + c.v * c.v) - neck) - 0.1,
            c.base * 1.3,
            rise=0.16,
            bevel=0.08,
            gloss=0.9,
        )


@product("test", "grey black white blue orange", "plastic and copper", "free", turn=8)
def cable(c):
    p, q, grit = c.u * 28, c.v * 48.5, 1 + 0.25 * c.noise(60)
    strand, r = (np.cos(2 * p) + np.cos(p + q) + np.cos(p - q)) / 3, np.sqrt(c.u * c.u + c.v * c.v)
    copper = c.colour("copper") * ((0.85 + 0.55 * strand) * grit)[..., None]
    c.part(r - 0.97, c.base, rise=0.2, bevel=0.08, gloss=0.35)
    c.paint(r - 0.85, c.colour(c.rng.choice(["cream", "dark", "silver"])) * grit[..., None])
    for k, inks in enumerate((("blue", "grey"), ("green", "yellow"), ("brown", "red"))):
        with c.piece(), c.at(0.44 * float(np.cos(k * 2.094)), 0.44 * float(np.sin(k * 2.094))):
            r = np.sqrt(c.u * c.u + c.v * c.v)
            c.part(r - 0.385, c.colour(c.rng.choice(inks)), rise=0.18, bevel=0.07, gloss=0.6)
            c.paint(r - 0.28, copper)
            c.emboss((strand - 2.5) * (r < 0.28), 0.035)


@product("test", "orange red blue green yellow", "gelatine", "free", turn=4)
def capsule(c):
    seam, mark = c.rng.uniform(-0.12, 0.08), int(c.rng.integers(2))
    cap, ink = c.colour(("dark", "white")[mark]), c.colour(("white", "red")[mark])
    bits = ((c.rng.random((64, 64)) < 0.65) & (np.arange(64) % 4 < 3)).ravel()
    c.part(c.line(-0.56, 0, 0.5, 0, 0.41), c.base * c.mottle(0.08), dome=0.3, rise=0.05, gloss=0.8)
    with c.piece():
        lip = (0.6 + 0.4 * smooth(np.abs(c.u - seam - 0.09) * 20))[..., None]
        c.part(
            np.maximum(c.line(0, 0, 0.54, 0, 0.435), seam - c.u),
            cap * lip,
            rise=0.06,
            bevel=0.04,
            gloss=0.8,
        )
    # print: three letters of 3 x 5 random dots
    with (
        c.piece(),
        c.at(-0.46, 0),
        c.tiled(0.05, 0.07) as (i, j),
    ):
        text = np.float32((np.abs(i + 0.5) < 6) & (np.abs(j) < 3))
        c.paint(0.5 - bits[(i + 64 * j).astype(int)] * text, c.colour("white"))
    with c.piece():
        c.paint(np.minimum(np.abs(c.circle(0.5, 0, 0.14)) - 0.025, c.box(0.5, 0, 0.022, 0.22)), ink)


@product("test", "grey dark brown blue red", "woven wool", "surface", turn=2, varies=0.03)
def carpet(c):
    yarn, pattern = c.nature.random(16384, np.float32), np.zeros(16384, np.float32)
    pattern[:: int(c.rng.integers(4, 9))] = 0.3
    other = c.colour(c.rng.choice(["beige", "silver", "tan", "cream"]))
    c.sheet(c.base * 0.3, 0.05)
    with c.tiled(0.085, 0.075, 0.5) as (i, j):
        tuft, knot = c.ellipse(0, 0, 0.046, 0.034), (i + 127 * j).astype(int)
        light = np.float32(yarn[knot] + pattern[knot] > 0.72)[..., None]
        tone = (0.65 + 0.5 * yarn[knot] + 0.15 * c.noise(60))[..., None]
        c.part(tuft, (c.base + (other - c.base) * light) * tone, rise=0.07, bevel=0.03, gloss=0.05)


@product("test", "silver grey copper golden black", "steel wire", "surface", turn=1.5)
def grid(c):
    pitch, share = c.rng.uniform(0.24, 0.32), c.rng.uniform(0.24, 0.34)
    floor, k = c.colour(c.rng.choice(["black", "dark", "brown", "cream"])), pitch * share
    wave = 0.5 + 0.5 * np.sin(c.u * (3.1416 / pitch)) * np.sin(c.v * (3.1416 / pitch))
    c.sheet(floor * (1 + 0.25 * c.noise(20) * c.noise(60))[..., None], 0.1)
    for angle, over in ((0, wave), (90, 1 - wave)):
        wire = c.stripes(pitch, share, angle)
        c.paint(wire - 0.03, floor * 0.3, 0.6, 0.03)
        tone = (0.7 + 0.5 * over + 0.1 * c.noise(48))[..., None]
        c.part(wire, c.base * tone, rise=k * 0.9, bevel=k * 0.55, gloss=0.8)
        c.emboss(over * (wire < 0), 0.06)


@product("test", "brown tan copper", "nut shell", "free", turn=180, varies=0.1)
def hazelnut(c):
    phi, r, a = (
        np.arctan2(c.v, c.u + 0.4),
        np.sqrt((c.u + 0.4) ** 2 + c.v * c.v),
        c.nature.uniform(0, 6),
    )
    streak = (
        np.sin(phi * 17 + a + 2 * c.noise(4))
        + np.sin(phi * 41 + 2 * a + 2 * c.noise(6))
        + c.noise(60)
    )
    shell = 0.85 + 0.11 * streak * smooth(r * 3 - 1) - 0.2 * smooth(r - 0.6) + 0.25 * smooth(1 - r)
    body, wide, rough = (
        np.maximum(c.ellipse(0, 0, 0.97, 0.88), r - 1.37),
        c.nature.uniform(0.3, 0.42),
        c.noise(50),
    )
    c.part(
        body,
        (c.base * 0.6 + c.colour("brown") * 0.5) * shell[..., None],
        bevel=0.25,
        dome=0.45,
        gloss=0.4,
    )
    with c.piece():
        disc = c.ellipse(-0.42, 0, 0.36, wide) + 0.02 * rough
        husk = (0.75 + 0.3 * rough + 0.3 * smooth(np.abs(disc + 0.12) * 15))[..., None]
        c.part(disc, c.colour("tan") * husk, rise=0.05, bevel=0.05, gloss=0.05)
    with c.piece():
        c.part(c.line(0.76, 0, 0.95, 0, 0.11, 0.03), c.colour("cream"), rise=0.08, bevel=0.06)


@product("test", "brown tan copper olive dark", "leather", "surface", turn=8, varies=0.06)
def leather(c):
    c.u, c.v = (
        c.u + 0.05 * c.noise(12) + 0.02 * c.noise(30),
        c.v + 0.05 * c.noise(12) + 0.02 * c.noise(30),
    )
    tone, pitch = c.nature.uniform(-0.09, 0.09, 9999).astype(np.float32), c.rng.uniform(0.11, 0.15)
    # pebbles in a warped pattern, creases between them
    with c.tiled(pitch, pitch * 0.8, 0.5) as (
        i,
        j,
    ):
        pebble = smooth(
            1.9 - 2.6 * np.sqrt(c.u * c.u + 1.4 * c.v * c.v) / pitch + 0.3 * c.noise(40)
        )
    shade = (
        0.42 + 0.6 * pebble + tone[(i + 97 * j).astype(int)] + 0.08 * c.noise(6) + 0.1 * c.noise(64)
    )
    c.sheet(c.base * shade[..., None], 0.4)
    c.emboss(pebble + 0.4 * c.noise(30), 0.035)


@product("test", "silver grey golden copper dark", "metal", "free", turn=180)
def metal_nut(c):
    r, rub = np.sqrt(c.u * c.u + c.v * c.v), c.rng.uniform(0, 6)
    with c.ringed(4), c.at(1.0, 0.02, 18):
        body = np.maximum(r - 0.97, -c.box(0, 0, 0.24, 0.25, 0.08))
    shine = 1 + 0.07 * np.sin(r * 140 + rub) + 0.12 * c.noise(12) + 0.1 * c.noise(60)
    c.part(body, c.base * shine[..., None], rise=0.22, bevel=0.08, gloss=0.7)
    with c.ringed(4, 47):
        c.carve(np.maximum(np.abs(c.u - 0.79) - 0.06, np.abs(c.v) - 0.13), 0.07, 0.03, c.base * 0.5)
    with c.piece():
        c.part(
            np.abs(np.sqrt(c.u * c.u + c.v * c.v) - 0.51) - 0.12,
            c.base * 1.15,
            rise=0.14,
            bevel=0.05,
            gloss=0.9,
        )
    c.hole(r - 0.36)


@product("test", "white cream beige pink yellow", "pressed powder", "free", turn=5)
def pill(c):
    body, speck, rich = (
        c.ellipse(0, 0, 0.97, 0.66),
        c.noise(46) + 0.5 * c.noise(64),
        c.rng.uniform(0.55, 0.8),
    )
    c.part(
        body,
        c.base * (1 + 0.05 * c.noise(64))[..., None],
        rise=0.16,
        bevel=0.1,
        dome=0.25,
        gloss=0.3,
    )
    c.paint(np.maximum(rich - speck, body), c.colour("red"), 0.9, 0.05)
    c.paint(np.maximum(rich + 0.1 + speck, body), c.colour("brown"), 0.9, 0.05)
    for x in (-0.2, 0.24):
        with c.piece(), c.at(x, 0):  # an F: its stem, then two bars
            stem = np.maximum(np.abs(c.u + 0.12) - 0.05, np.abs(c.v) - 0.3)
            bars = np.minimum(
                np.maximum(np.abs(c.v + 0.25), c.u - 0.12), np.maximum(np.abs(c.v), c.u - 0.06)
            )
            c.carve(
                np.minimum(stem, np.maximum(bars - 0.05, -0.13 - c.u)),
                0.12,
                0.06,
                c.base * 0.5,
                0.8,
            )


@product("test", "silver grey golden copper dark", "steel", "free", turn=180)
def screw(c):
    wide, ink = c.rng.uniform(0.25, 0.3), c.colour(c.rng.choice(["blue", "red", "green"]))
    thread = np.sin((c.u + 0.12 * c.v) * c.rng.uniform(38, 48)) * smooth(
        (c.u + c.rng.uniform(0.1, 0.5)) * 12
    )
    metal = c.base * (0.8 + 0.35 * thread + 0.1 * c.noise(20))[..., None]
    c.part(
        np.maximum(np.abs(c.v) - wide - 0.045 * thread, np.abs(c.u) - 0.76),
        metal,
        dome=0.25,
        bevel=0.05,
        gloss=0.8,
    )
    with c.piece():  # the point
        c.part(
            np.maximum(np.abs(c.v) - 1.3 * (0.97 - c.u), 0.72 - c.u),
            metal,
            rise=0.15,
            bevel=0.15,
            gloss=0.8,
        )
    with c.piece():  # a ring of thread lock
        c.paint(
            np.abs(c.u - 0.25) - 0.17 + (c.cover < 0.5), ink * (0.8 + 0.3 * thread)[..., None], 0.85
        )
    with c.piece():
        head = np.maximum(
            np.abs(c.v) - np.clip(0.56 - 1.1 * (c.u + 0.86), wide, 0.56), np.abs(c.u + 0.73) - 0.24
        )
        c.part(
            head,
            metal * (0.7 + 0.4 * smooth(np.abs(c.u + 0.83) * 25))[..., None],
            rise=0.2,
            bevel=0.14,
            gloss=0.9,
        )


@product("test", "white grey beige cream silver", "ceramic", "surface", varies=0.05)
def tile(c):
    a, b = c.noise(30) + 0.5 * c.noise(60), c.noise(26) + 0.5 * c.noise(54)
    cut, dark = c.rng.uniform(0.3, 0.45), c.colour(c.rng.choice(["black", "dark", "brown", "blue"]))
    c.sheet(c.base * (1 + 0.05 * c.noise(20))[..., None], 0.45)
    c.paint(cut + b, c.colour("tan"), 0.5, 0.04)
    c.paint(cut - b, (dark + c.base) / 2, 0.9, 0.04)
    c.paint(cut - a, dark, 0.95, 0.04)


@product("test", "blue red green white orange purple", "plastic and nylon", "upright", turn=2)
def toothbrush(c):
    body = np.minimum(
        c.box(0, -0.12, 0.6, 0.85, 0.42), np.maximum(np.abs(c.u) - 0.17, np.abs(c.v - 0.8) - 0.4)
    )
    c.part(body, c.base * c.mottle(0.06), rise=0.14, bevel=0.1, gloss=0.7)
    fibre, ink = (
        c.noise(64) + 0.6 * c.noise(60),
        str(c.rng.choice(["blue", "green", "red", "turquoise", "yellow"])),
    )
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
    c.part(
        np.maximum(np.abs(c.u) - 0.66, np.abs(c.v + 0.62) - 0.34),
        tin,
        rise=0.08,
        bevel=0.04,
        gloss=0.8,
    )
    c.hole(c.circle(0, -0.72, 0.15))  # the cooling tab and its hole
    for x in (-0.42, 0.0, 0.42):
        with c.piece():
            leg = np.maximum(
                np.abs(c.u - x) - np.clip(5.5 - 10 * c.v, 0.08, 0.13), np.abs(c.v - 0.55) - 0.42
            )
            c.part(leg, tin, rise=0.12, bevel=0.06, gloss=0.9)
    c.part(
        c.box(0, -0.1, 0.72, 0.36, 0.05),
        c.base * c.mottle(0.12, 40),
        rise=0.26,
        bevel=0.08,
        gloss=0.4,
    )
    # print: two lines of four letters
    with (
        c.piece(),
        c.at(0, -0.1),
        c.tiled(0.052, 0.05) as (i, j),
    ):
        text = np.float32((np.abs(i + 0.5) < 8) & (np.abs(np.abs(j) - 3) < 2.5))
        c.paint(0.5 - bits[(i + 64 * j).astype(int)] * text, c.colour("white"), 0.85)


@product("test", "brown tan golden copper beige", "oak wood", "surface", turn=3, varies=0.08)
def wood(c):
    warp, fibre = 0.25 * c.noise(2) + 0.03 * c.noise(7), c.grain(3, 110)
    ring = c.v * c.rng.uniform(2.5, 5) + warp * 2
    ring = ring - np.floor(ring)
    late = smooth(ring * 1.5 - 0.5) * smooth((1 - ring) * 8)
    c.sheet(c.base * (1.08 - 0.4 * late + 0.15 * fibre + 0.1 * c.noise(3))[..., None], 0.2)
    c.paint(0.55 - fibre - 0.3 * late, c.base * 0.45, 0.75, 0.12)
    c.emboss(fibre, 0.005)


@product("test", "black blue red brown beige green", "fabric and metal", "upright", turn=2)
def zipper(c):
    side, pitch, yarn = (
        np.abs(c.u),
        c.rng.uniform(0.2, 0.25),
        c.colour(c.rng.choice(["white", "cream", "orange"])),
    )
    weave, metal = (
        np.sin(75 * (side + c.v)) * np.sin(60 * c.u),
        c.colour(c.rng.choice(["silver", "golden", "white"])),
    )
    c.part(
        side - 0.8,
        c.base * (1 - 0.4 * smooth(2.2 - 8 * side) + 0.25 * weave)[..., None],
        rise=0.1,
        bevel=0.06,
    )
    c.emboss(weave - 2 * smooth(1 - np.abs(side - 0.4) * 40), 0.012)
    with c.piece():
        c.part(
            np.maximum(np.abs(np.abs(c.u) - 0.62) - 0.026, 0.1 * np.sin(c.v * 48)),
            yarn,
            rise=0.05,
            bevel=0.03,
        )
    for end in (-1, 1):
        with c.piece(), c.tiled(9, pitch) as (_, row):
            half = c.u * np.sign(c.v)  # one tooth from each side by turns
            tooth = np.maximum(
                np.abs(half - 0.1) - 0.18, np.abs(np.abs(c.v) - pitch / 4) - pitch * 0.19
            )
            tooth = np.maximum(tooth, 0.25 - (row + 0.5) * end)
            c.part(
                tooth,
                metal * (0.85 + 0.25 * np.sign(half))[..., None],
                rise=0.14,
                bevel=0.05,
                gloss=0.8,
            )


@product("val", "white cream golden silver blue", "glass and metal", "free", turn=8)
def light_bulb(c):
    globe = np.minimum(c.circle(0, -0.33, 0.64), c.line(0, -0.1, 0, 0.4, 0.55, 0.27))
    glass, turn = 0.7 + 0.4 * smooth(-globe * 2.2) + 0.08 * c.noise(7), np.sin(c.v * 50 + c.u * 7)
    c.part(globe, c.base * glass[..., None], rise=0.1, bevel=0.12, dome=0.25, gloss=0.9)
    with c.piece():  # the filament: a coil on two posts
        coil = np.maximum(
            np.abs(c.v + 0.38 + c.rng.uniform(0.05, 0.09) * np.sin(c.u * 42)) - 0.03,
            np.abs(c.u) - 0.27,
        )
        posts = np.maximum(
            np.abs(np.abs(c.u) - 0.12 + 0.26 * (c.v - 0.2)) - 0.022, np.abs(c.v) - 0.4
        )
        c.paint(
            np.minimum(coil, posts),
            (c.colour("orange") - 0.6 * smooth(8 * coil)[..., None]).clip(0.1),
            0.9,
        )
    cap = np.maximum(np.abs(c.u) - 0.31 - 0.02 * turn, np.abs(c.v - 0.64) - 0.22)
    c.part(
        cap,
        c.colour("silver") * (0.85 + 0.3 * turn)[..., None],
        rise=0.08,
        bevel=0.06,
        dome=0.2,
        gloss=0.9,
    )
    with c.piece():
        c.part(
            np.maximum(np.abs(c.u) - 0.6 + 0.5 * c.v, np.abs(c.v - 0.9) - 0.08),
            c.colour("dark"),
            gloss=0.5,
        )


@product("val", "silver golden copper dark white", "metal", "free", turn=5)
def hinge(c):
    brush = (
        np.sin(c.v * 120 + 2 * c.noise(3))
        + 1.2 * c.noise(9)
        - 7 * smooth(2 - np.abs(np.abs(c.u) - 0.24) * 50)
    )
    metal, cut = (
        c.colour(c.rng.choice(["silver", "golden", "dark", "copper"])),
        c.rng.uniform(0.6, 1.2),
    )
    c.part(
        c.box(0, 0, 0.88, 0.68, 0.12),
        c.base * (1 + 0.1 * brush)[..., None],
        rise=0.1,
        bevel=0.04,
        gloss=0.6,
    )
    for x in (-0.56, 0.56):
        with c.piece(), c.at(x, 0):  # two screws with a cross in the head
            u, v = c.u, np.abs(c.v) - 0.38
            head, cross = (
                np.sqrt(u * u + v * v) - 0.2,
                np.minimum(np.abs(cut * u + v), np.abs(cut * v - u)) - 0.05,
            )
            tone = (
                0.35
                + 0.65 * smooth(40 * np.maximum(cross, head + 0.06))
                - 0.4 * smooth(20 * head + 1)
            )
            c.part(head, metal * tone[..., None], rise=0.08, bevel=0.06, gloss=0.8)
    with c.piece():
        joint = c.base * (0.35 + 0.75 * smooth(3.5 * np.sin(c.v * 8.5) ** 2))[..., None]
        c.part(
            np.maximum(np.abs(c.u) - 0.17, np.abs(c.v) - 0.85),
            joint,
            rise=0.05,
            bevel=0.04,
            dome=0.25,
            gloss=0.9,
        )


@product("val", "golden tan brown cream", "baked dough", "free", turn=12, varies=0.06)
def biscuit(c):
    edge = np.maximum(
        np.abs(c.u) - 0.86 + 0.03 * np.cos(c.v * 42), np.abs(c.v) - 0.64 + 0.03 * np.cos(c.u * 42)
    )
    baked = (
        4 * smooth(1 + edge * 5)
        + 1.5 * smooth(1 - np.abs(edge + 0.15) * 40)
        - c.noise(64)
        - 0.6 * c.noise(14)
    )
    c.part(edge, c.base * (1.1 - 0.1 * baked)[..., None], rise=0.2, bevel=0.1, gloss=0.12)
    with c.tiled(0.26, 0.36):
        c.carve(
            np.maximum(np.sqrt(c.u * c.u + c.v * c.v) - 0.05, edge + 0.2), 0.1, 0.04, c.base * 0.35
        )
    bits = ((c.rng.random((64, 64)) < 0.65) & (np.arange(64) % 4 < 3)).ravel()
    # the maker's name: four letters of 3 x 5 random dots
    with (
        c.piece(),
        c.tiled(0.065, 0.052) as (i, j),
    ):
        text = np.float32((np.abs(i + 0.5) < 8) & (np.abs(j) < 3))
        c.part(0.5 - bits[(i + 64 * j).astype(int)] * text, c.base * 0.6, rise=0.06, bevel=0.02)


@product("val", "grey white beige dark cream", "polished stone", "surface", turn=180, varies=0.03)
def terrazzo(c):
    c.sheet(c.base * (1 + 0.1 * c.noise(50) + 0.05 * c.noise(64))[..., None], 0.4)
    inks = c.rng.choice(
        ["white", "black", "brown", "copper", "olive", "tan", "grey", "red", "cream"], 5, False
    )
    inks = np.stack([c.colour(name) for name in inks])
    for pitch in (0.24, 0.11):
        kind, spots = (
            inks[c.nature.integers(0, 5, 9999)],
            c.nature.uniform(-0.2, 0.2, (2, 9999)).astype(np.float32),
        )
        # a chip in every cell, each its own
        with (
            c.at(0, 0, c.rng.uniform(0, 90)),
            c.tiled(pitch, pitch) as (i, j),
        ):
            cell = (i + 97 * j).astype(int)
            dx, dy = spots[0][cell], spots[1][cell]
            p, q = c.u / pitch - dx, c.v / pitch - dy
            p, q = np.abs(p + q * dy * 4), np.abs(q - p * dx * 4)
            c.paint(
                (np.maximum(np.maximum(p, q), 0.7 * (p + q)) - 0.32 - 0.6 * dx) * pitch,
                kind.take(cell, 0),
            )


@product("val", "brown grey olive blue tan", "wool cloth", "surface", turn=4, varies=0.03)
def tweed(c):
    wide, flecks = c.rng.uniform(0.25, 0.4), c.noise(64) + 0.6 * c.noise(50)
    fold = np.abs(c.u - wide * np.round(c.u / wide))  # herringbone: the twill turns at every stripe
    twill, tone = np.sin((c.v + fold) * 62), (1 + 0.22 * flecks)[..., None]
    c.sheet(c.base * tone, 0.04)
    c.paint(twill * 0.02, c.colour(c.rng.choice(["cream", "black", "beige", "dark"])) * tone)
    c.paint(
        0.85 - flecks, c.colour(c.rng.choice(["red", "orange", "yellow", "turquoise"])), 0.8, 0.05
    )
    c.emboss(twill + 0.5 * flecks, 0.012)
