"""Which data sets there are, and of how many pictures.

A set's `world` is part of its stamp on disk: raise it when its pictures change, and only that set
is drawn again.
"""

from dataclasses import dataclass

from .products import PRODUCTS, names

WORLD = "3"  # of pictures drawn without a station; raise when they change


@dataclass(frozen=True)
class Plan:
    """How a data set is drawn. `counts`: pictures of a product: sound ones set aside as references
    (never judged: split "train" on disk, as in MVTec AD), then sound and defective ones to judge.
    """

    counts: tuple[int, int, int]
    products: str  # whose products: train, val or test of the catalogue
    key: str  # goes into every picture's seed
    world: str = WORLD  # raise when this set's pictures change: only this set is drawn again
    station: int | None = None  # the number of its products' stations; None: wild
    structural: bool = False


PLANS = {
    "train": Plan((0, 50, 99), "train", "train"),
    "val": Plan((20, 45, 63), "val", "val", world="4", station=1),
    "test": Plan((20, 45, 63), "test", "test", world="4", station=0),
    "val_wild": Plan((20, 45, 63), "val", "val"),
    "test_wild": Plan((20, 45, 63), "test", "test"),
    "test_hard": Plan((0, 20, 24), "test", "test_hard", structural=True),
}

SPLITS = tuple(PLANS)

COUNTS = {split: plan.counts for split, plan in PLANS.items()}


def jobs(split: str) -> list[str]:
    """The products of a data set; no structural defect is known on textures."""
    plan = PLANS[split]
    return [n for n in names(plan.products) if not (plan.structural and PRODUCTS[n].texture)]
