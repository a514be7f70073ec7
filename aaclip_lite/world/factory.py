"""The factory: products with and without defects, exact masks, captions and regions, drawn to
order. This file gathers the public names; each is defined where it is imported from.

`draw("bottle", seed=3, defect="scratch")` gives one `Picture`; `ensure("test")` a whole data set on
disk in MVTec AD's folders with a manifest in AA-CLIP's form, drawn on first use. Every picture
follows from its product, split and number alone, so two runs agree. A mask is what a defect
CHANGED: the lit picture with it is compared with the lit picture without it.
"""

from .captions import caption
from .damage import CHANGED, VISIBLE, mask_of
from .defects import BRITTLE, LOCAL_DEFECTS, SOFT, STRUCTURAL_DEFECTS, kinds_for
from .draw import NotShown, Picture, draw
from .parts import origin_of, paint_product
from .plans import COUNTS, PLANS, SPLITS, WORLD, Plan, jobs
from .products import PRODUCTS, names
from .sets import draw_share, ensure, open_set, world_key
from .things import PLACES, PRINTS, THING_COLOURS, THINGS, place_name

__all__ = [
    "BRITTLE",
    "CHANGED",
    "COUNTS",
    "LOCAL_DEFECTS",
    "PLACES",
    "PLANS",
    "PRINTS",
    "PRODUCTS",
    "SOFT",
    "SPLITS",
    "STRUCTURAL_DEFECTS",
    "THINGS",
    "THING_COLOURS",
    "VISIBLE",
    "WORLD",
    "NotShown",
    "Picture",
    "Plan",
    "caption",
    "draw",
    "draw_share",
    "ensure",
    "jobs",
    "kinds_for",
    "mask_of",
    "names",
    "open_set",
    "origin_of",
    "paint_product",
    "place_name",
    "world_key",
]
