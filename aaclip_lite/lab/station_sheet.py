"""The contact sheet of the inspection stations: one design a product, photographed many times.

python -m aaclip_lite.lab.station_sheet data/sheets/stations.png
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from ..world import factory
from . import sheets


def contact_sheet(path: Path) -> None:
    """Five sound parts of every station, then two damaged ones, the second with its outline too."""
    blocks = []
    for split in ("val", "test"):
        where = {"split": split, "station": factory.PLANS[split].station}
        for number, name in enumerate(factory.jobs(split)):
            row = [_tile(factory.draw(name, i, sheets.DRAWN, **where).image) for i in range(5)]
            kinds = factory.kinds_for(name)
            chosen = [kinds[(2 * number + k) % len(kinds)] for k in range(2)]
            for severity, kind in zip((1, 2), chosen, strict=True):
                picture = _first_shown(name, kind, severity, where)
                row.append(_tile(picture.image))
            near, far = (ndimage.binary_dilation(picture.mask, iterations=by) for by in (3, 6))
            row.append(_tile(np.where((far & ~near)[..., None], sheets.MAGENTA, picture.image)))
            blocks.append((f"{name}: sound, {', '.join(chosen)}", row))
    sheets.sheet(path, blocks, across=2)


def _tile(image: np.ndarray) -> Image.Image:
    small = (sheets.TILE, sheets.TILE)
    return Image.fromarray(image).resize(small, Image.Resampling.LANCZOS)


def _first_shown(name: str, kind: str, severity: int, where: dict) -> factory.Picture:
    for seed in range(100, 140):
        try:
            return factory.draw(name, seed, sheets.DRAWN, kind, severity, **where)
        except factory.NotShown:
            continue
    raise RuntimeError(f"{kind} could not be shown on {name} in 40 tries")


if __name__ == "__main__":
    contact_sheet(Path(sys.argv[1]))
