"""One normal part, and the seeds it follows from: in the wild or at a station.

Use: `canvas, facts = part_of("bottle", "test", 3, station=0).paint(128)`.
"""

import zlib
from dataclasses import dataclass

import numpy as np

from .canvas import Canvas
from .light import Scene
from .products import PRODUCTS, Product


@dataclass(frozen=True)
class Part:
    """A product, and the seeds that one of it follows from. In the wild its own decide everything.
    At a station the design (colours, print, counts, ground, light) is the station's, the same for
    every part.
    """

    name: str
    own: tuple[int, ...]
    station: tuple[int, int] | None = None

    def design(self, purpose: int) -> np.random.Generator:
        return np.random.default_rng([*(self.station or self.own), purpose])

    def nature(self, purpose: int) -> np.random.Generator:
        return np.random.default_rng([*self.own, purpose])

    def scene(self, size: int) -> Scene:
        return Scene(self.design(3), size, self.nature(3) if self.station else None)

    def carries_thing(self, rng: np.random.Generator) -> bool:
        """Whether a part that nobody ordered otherwise bears a random neutral thing."""
        if self.station:  # every 25th part
            return (sum(self.station) + self.own[1]) % 25 == 0
        return rng.random() < 0.25

    def paint(self, size: int, bend=None, fault=None) -> tuple[Canvas, dict]:
        """Draw the layers of the normal part (or with a structural fault), and tell its facts."""
        item = PRODUCTS[self.name]
        rng = self.design(1)
        canvas = Canvas(size, rng, bend, fault)
        canvas.colour_name = str(rng.choice(item.colours))
        canvas.base = canvas.colour(canvas.colour_name)
        if item.texture:
            angle = rng.uniform(0, 360)
            scale = rng.uniform(0.8, 1.25)
            shift = rng.uniform(-1, 1, 2)
        else:
            angle = rng.uniform(0, 360) if item.pose == "free" else rng.uniform(-9, 9)
            scale = rng.uniform(0.82, 0.98)
            shift = rng.uniform(-0.04, 0.04, 2)
        if self.station:
            part = canvas.nature = self.nature(1)
            turn = part.uniform(-item.turn, item.turn)
            angle = angle + turn if item.texture else turn
            scale *= part.uniform(0.99, 1.01)
            shift = part.uniform(-1, 1, 2) if item.texture else part.uniform(-0.03, 0.03, 2)
            canvas.turned = float(np.radians(angle))
            canvas.base = canvas.base * np.float32(1 + item.varies * part.uniform(-1, 1))
        canvas.place(angle, scale, *shift)
        item.draw(canvas)
        facts = {"product": self.name, "spoken": item.spoken, "colour": canvas.colour_name}
        return canvas, facts | {"material": item.material, "pose": _pose(item, angle)}


def part_of(name: str, split: str, seed: int, station: int | None) -> Part:
    if station is None:
        return Part(name, (zlib.crc32(f"{name}/{split}".encode()), seed))
    own = f"{name}/{split}/station {station}"
    shared = f"{name}/station"
    return Part(name, (zlib.crc32(own.encode()), seed), (zlib.crc32(shared.encode()), station))


def _pose(item: Product, angle: float) -> str:
    """How a caption says that a part lies."""
    if item.texture:
        return "filling the frame"
    if item.pose == "upright":
        return "upright"
    return "tilted" if 20 < angle % 90 < 70 else "straight"
