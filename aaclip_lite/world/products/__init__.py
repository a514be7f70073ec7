"""The products: a few lines of drawing each, in files by trade; here is their catalogue.

Names follow the public data sets: test products are MVTec AD's, training products VisA's plus an
extension, and five more are for validation. The order decides the order of records in a data set,
and with it the fingerprint that trained adapters are checked against: append, never sort.
"""

# importing a module registers its products
from . import (  # noqa: F401
    electronics,
    food,
    household,
    metal,
    mvtec_objects,
    mvtec_surfaces,
    packed,
    surfaces,
    tools,
)
from .registry import REGISTERED, Product

_ORDER = """
candle capsules cashew chewinggum fryum macaroni1 macaroni2 pipe_fryum pcb1 pcb2 pcb3 pcb4 brick
denim marble brushed_metal concrete wicker cork striped_fabric sponge gravel roof_shingles
knitwear coin button gear washer bolt key cookie donut egg tomato battery tape_roll bracket
metal_plate leaf pencil wheel clock_dial padlock spoon connector coil lemon dice bearing
sensor_module chocolate_bar wrench keypad valve_handle bottle cable capsule carpet grid hazelnut
leather metal_nut pill screw tile toothbrush transistor wood zipper light_bulb hinge biscuit
terrazzo tweed
""".split()  # noqa: SIM905 (one name a line would be a page)
PRODUCTS: dict[str, Product] = {name: REGISTERED[name] for name in _ORDER}


def names(*splits: str) -> list[str]:
    """Product names of the given splits ('train' includes its extension), in catalogue order."""
    wanted = set(splits) | ({"extension"} if "train" in splits else set())
    return [p.name for p in PRODUCTS.values() if p.split in wanted]
