"""Contact sheets of the factory's products and defects, as PNG files of 256 colours.

Special: pictures are drawn at twice their size on the sheet and made smaller, as in print; a
damaged one stands beside a copy with its mask's outline. Nothing of the data sets is read.
Use: `captions = sheets(Path("data/sheets"))`, which the data card shows.
"""

from itertools import count
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from ..files import keep
from ..world import factory
from ..world.products import PRODUCTS
from . import study

TILE = 120  # a picture on a sheet, pixels
DRAWN = 240  # the size it is drawn at
LINE = 18  # height of the text above a row
MAGENTA = np.uint8((255, 0, 255))
CARRIERS = ("candle", "pcb2", "brushed_metal", "leaf", "wicker", "cookie")
CAPTIONS = {
    "train": "Training products with VisA's names, normal parts.",
    "extension": "The extension of the training products, normal parts.",
    "unseen": "Validation (first five) and test products: normal, then damaged and outlined.",
    "kinds": "Every local kind of defect in three severities.",
    "hard": "The hard set: structural defects on test products.",
    "stations": "The stations: five sound parts, two damaged ones, the last outlined.",
}
Block = tuple[str, list[Image.Image]]  # a line of text and the pictures below it


def tiles(
    name: str,
    seed: int,
    split="sheet",
    defect: str | None = None,
    severity: int = 1,
    station: int | None = None,
) -> list[Image.Image]:
    """One picture of a product; of a damaged one also a copy with the mask's outline."""
    options = (DRAWN, defect, severity)
    picture = factory.first_shown(name, count(seed, 1000), *options, split=split, station=station)
    shown = [picture.image]
    if defect:
        near, far = (ndimage.binary_dilation(picture.mask, iterations=by) for by in (3, 6))
        shown.append(np.where((far & ~near)[..., None], MAGENTA, picture.image))
    small = (TILE, TILE)
    return [Image.fromarray(pixels).resize(small, Image.Resampling.LANCZOS) for pixels in shown]


def sheet(path: Path, blocks: list[Block], across: int) -> None:
    """Blocks of pictures with a line of text above each."""
    wide = max(len(row) for _, row in blocks) * TILE + 8
    rows = -(-len(blocks) // across)
    canvas = Image.new("RGB", (across * wide, rows * (TILE + LINE)), "white")
    pen = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(12)
    for number, (text, row) in enumerate(blocks):
        x = number % across * wide
        y = number // across * (TILE + LINE)
        pen.text((x + 2, y + 1), study.words(text), fill="black", font=font)
        for i, tile in enumerate(row):
            canvas.paste(tile, (x + i * TILE, y + LINE))
    keep.atomic(path, lambda name: canvas.quantize(256).save(name, "PNG", optimize=True))


def normal_blocks(split: str, count: int) -> list[Block]:
    names = [name for name, item in PRODUCTS.items() if item.split == split]
    return [(name, [tiles(name, i)[0] for i in range(count)]) for name in names]


def unseen_blocks() -> list[Block]:
    blocks = []
    for number, name in enumerate(factory.jobs("val") + factory.jobs("test")):
        able = factory.kinds_for(name)
        kinds = [able[(3 * number + k) % len(able)] for k in range(3)]
        row = tiles(name, 9)
        for k, kind in enumerate(kinds):
            row += tiles(name, k, "sheet", kind, (number + k) % 3)
        blocks.append((f"{name}: normal, {', '.join(kinds)}", row))
    return blocks


def kind_blocks() -> list[Block]:
    blocks = []
    for number, kind in enumerate(factory.LOCAL_DEFECTS):
        able = [name for name in CARRIERS if kind in factory.kinds_for(name)]
        for name in (able[number % len(able)], able[(number + 3) % len(able)]):
            row = [tile for severity in range(3) for tile in tiles(name, 20, kind, kind, severity)]
            blocks.append((f"{kind} on {name}: slight, medium, severe", row))
    return blocks


def hard_blocks() -> list[Block]:
    kinds = factory.STRUCTURAL_DEFECTS
    blocks = []
    for name in factory.jobs("test_hard"):
        damaged = [tile for kind in kinds for tile in tiles(name, 30, "hard", kind)]
        blocks.append((f"{name}: normal, {', '.join(kinds)}", tiles(name, 30) + damaged))
    return blocks


def station_blocks(split: str) -> list[Block]:
    """One design a product, photographed many times."""
    station = factory.PLANS[split].station
    blocks = []
    for number, name in enumerate(factory.jobs(split)):
        able = factory.kinds_for(name)
        kinds = [able[(2 * number + k) % len(able)] for k in range(2)]
        row = [tiles(name, i, split, station=station)[0] for i in range(5)]
        row += tiles(name, 100, split, kinds[0], 1, station)[:1]
        row += tiles(name, 100, split, kinds[1], 2, station)
        blocks.append((f"{name}: sound, {', '.join(kinds)}", row))
    return blocks


def sheets(folder: Path) -> None:
    """Draw the sheets of CAPTIONS."""
    sheet(folder / "train.png", normal_blocks("train", 6), 2)
    sheet(folder / "extension.png", normal_blocks("extension", 3), 3)
    sheet(folder / "unseen.png", unseen_blocks(), 2)
    sheet(folder / "kinds.png", kind_blocks(), 2)
    sheet(folder / "hard.png", hard_blocks(), 1)
    sheet(folder / "stations.png", station_blocks("val") + station_blocks("test"), 2)
