"""What a product is, and how a drawing function becomes one.

A product function draws ONE normal part on a `Canvas`, different every time: colours, print,
speckle, counts, seams. `c.rng` decides its design, `c.nature` what differs between parts of one
design. `with c.piece()` marks what can be missing or misplaced (the structural defects).
"""

from collections.abc import Callable
from dataclasses import dataclass

from ..canvas import Canvas


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


REGISTERED: dict[str, Product] = {}


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
        REGISTERED[draw.__name__] = Product(
            draw.__name__, split, tuple(colours.split()), material, pose, draw, words, **station
        )
        return draw

    return register
