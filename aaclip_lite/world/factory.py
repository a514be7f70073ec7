"""The factory: products with and without defects, exact masks, captions and regions, drawn to
order. This file gathers the public names; each is defined where it is imported from.

`draw("bottle", seed=3, defect="scratch")` gives one `Picture`; `ensure("test")` a whole data set on
disk in MVTec AD's folders with a manifest in AA-CLIP's form, drawn on first use. Every picture
follows from its product, split and number alone, so two runs agree. A mask is what a defect
CHANGED: the lit picture with it is compared with the lit picture without it.
"""
# ruff: noqa: F401

from .captions import caption
from .damage import CHANGED, VISIBLE
from .defects import LOCAL_DEFECTS, STRUCTURAL_DEFECTS, kinds_for
from .draw import NotShown, Picture, draw, first_shown
from .plans import COUNTS, PLANS, SPLITS, WORLD, jobs
from .products import PRODUCTS, names
from .sets import ensure, open_set
from .things import PLACES, THING_COLOURS, THINGS
