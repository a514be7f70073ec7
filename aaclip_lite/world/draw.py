"""One picture: a part, its light, what lies on it, its defect; with mask, facts and regions.

Use: `draw("bottle", seed=3, defect="scratch")`; the same arguments always give the same picture.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from .canvas import Canvas
from .damage import damaged
from .defects import LOCAL_DEFECTS, STRUCTURAL_DEFECTS
from .light import shade, to_uint8
from .parts import part_of
from .products import PRODUCTS
from .things import PRINTS, THINGS, add_thing


@dataclass
class Picture:
    """One drawn picture; `regions` are (phrase, mask) of what lies where, `facts` what a caption
    can say.
    """

    image: np.ndarray  # uint8 (S, S, 3)
    mask: np.ndarray  # uint8 (S, S), 1 = defect
    inside: np.ndarray  # uint8 (S, S), 1 = on the product
    product: str
    defect: str | None
    facts: dict
    regions: list[tuple[str, np.ndarray]] = field(default_factory=list)


class NotShown(ValueError):
    """This part can't carry this defect visibly; another seed is another part."""


def draw(
    name: str,
    seed: int,
    size: int = 128,
    defect: str | None = None,
    severity: int = 1,
    things: int | Sequence[str] | None = None,
    split: str = "free",
    regions: bool = False,
    station: int | None = None,
) -> Picture:
    """Draw one picture of a product. `things`: how many neutral things lie on it, or which (keys of
    THINGS); None: now and then a small print. `station`: a number; all parts of one station share
    design, ground and light.
    """
    _check(name, size, defect, severity, things)
    part = part_of(name, split, seed, station)
    canvas, facts = part.paint(size)
    scene = part.scene(size)
    inside = canvas.cover > 0.5
    rng = canvas.rng = canvas.nature = part.nature(2)  # of what is put on it: things and defects
    if things is None:
        bears = part.carries_thing(rng) and defect not in STRUCTURAL_DEFECTS
        things = [PRINTS] if bears else []
    elif isinstance(things, int):
        things = [list(THINGS)] * things
    else:
        things = [[each] for each in things]
    laid, placed = _lay(canvas, things)
    picture = shade(canvas, scene)
    mask = np.zeros((size, size), bool)
    if defect:
        result = damaged(part, canvas, scene, defect, severity, picture)
        if result is None:
            raise NotShown(
                f"{defect} can't be shown on this {name} (seed {seed}); try another seed"
            )
        picture, mask = result
    ground = None if PRODUCTS[name].texture else scene.ground_name
    facts |= {"ground": ground, "things": placed, "damaged": bool(defect)}
    return Picture(
        image=to_uint8(picture + scene.grain),
        mask=mask.astype(np.uint8),
        inside=inside.astype(np.uint8),
        product=name,
        defect=defect,
        facts=facts,
        regions=_regions(laid, inside, facts) if regions else [],
    )


def first_shown(name: str, seeds: Iterable[int], *rest, **more) -> Picture:
    """The first of these seeds' parts on which the defect can be seen; the rest as `draw` takes it."""
    for seed in seeds:
        with suppress(NotShown):
            return draw(name, seed, *rest, **more)
    raise NotShown(f"the defect can't be shown on any of these parts of {name}; try other seeds")


def _check(name: str, size: int, defect: str | None, severity: int, things) -> None:
    if name not in PRODUCTS:
        raise ValueError(f"no product {name!r}; the factory makes: {', '.join(PRODUCTS)}")
    if defect is not None and defect not in LOCAL_DEFECTS + STRUCTURAL_DEFECTS:
        raise ValueError(
            f"no defect {defect!r}; known: {', '.join(LOCAL_DEFECTS + STRUCTURAL_DEFECTS)}"
        )
    if not isinstance(things, int | None) and (unknown := set(things) - set(THINGS)):
        raise ValueError(
            f"no neutral thing {', '.join(sorted(unknown))}; known: {', '.join(THINGS)}"
        )
    check_size(size)
    if severity not in (0, 1, 2):
        raise ValueError(f"severity={severity}: 0 is slight, 1 medium, 2 severe")


def _lay(canvas: Canvas, things: list[Sequence[str]]) -> tuple[list, list]:
    """Lay things on a part, each one of the given kinds: [(phrase, mask)] of what still shows of
    them, and [(phrase, place)].
    """
    laid = []
    placed = []
    for allowed in things:
        phrase, mask, where = add_thing(canvas, allowed)
        for _, earlier in laid:
            earlier &= ~mask
        laid.append((phrase, mask))
        placed.append((phrase, where))
    return laid, placed


def _regions(regions: list, inside: np.ndarray, facts: dict) -> list[tuple[str, np.ndarray]]:
    """Phrases and masks that together cover the picture, each pixel once."""
    regions = [(phrase, seen) for phrase, seen in regions if seen.sum() >= 8]
    free = np.ones(inside.shape, bool)
    for _, seen in regions:
        free &= ~seen
    ground = facts["ground"]
    regions.append((f"the surface of a {facts['spoken']}", free & inside if ground else free))
    if ground:
        regions.append((f"{ground} background", free & ~inside))
    return regions


def check_size(size: int) -> None:
    if not isinstance(size, int) or not 64 <= size <= 512:
        raise ValueError(f"size={size}: the factory draws from 64 to 512 pixels")
