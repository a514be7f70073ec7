"""What the explorer and the masking panel show: a picture with its figures, and how sheets of small
pictures are drawn.

Special: with PIL, in milliseconds, so that a slider feels live.
Use: `View(image, {"recall": 0.5}, "half of it")`, `sheet(title, tiles, bottom, foot)`,
`stack(view, view)`.
"""

import base64
import io
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from matplotlib import colormaps
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from .style import ENDS, HEAT

# pixels: a large picture's side, a small one's, the gap between two, a line of text, the paper
SIDE = 204
THUMB = 98
GAP = 8
LINE = 22
WIDTH = 860


class View(NamedTuple):
    picture: Image.Image
    figures: dict[str, float]
    text: str  # both in one sentence

    @property
    def jpeg(self) -> bytes:
        file = io.BytesIO()
        self.picture.save(file, "JPEG", quality=85)
        return file.getvalue()

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        return {"image/jpeg": base64.b64encode(self.jpeg).decode(), "text/plain": self.text}


class Tile(NamedTuple):
    at: tuple[int, int]
    side: int
    label: str
    image: np.ndarray
    outline: Sequence[tuple[str, Image.Image]] = ()  # (colour, where)
    wrong: bool = False


def sheet(
    title: str, tiles: Sequence[Tile], bottom: int, foot: str, heads: Sequence[tuple] = ()
) -> Image.Image:
    """heads: (words, where) of further lines. What is too long is set smaller, then cut."""
    paper = Image.new("RGB", (WIDTH, bottom + LINE), "white")
    draw = ImageDraw.Draw(paper)
    texts = [(title, (GAP, 2), WIDTH, 16), (foot, (GAP, bottom), WIDTH, 14)]
    texts += [(words, at, WIDTH, 15) for words, at in heads]
    for (x, y), side, label, image, outline, wrong in tiles:
        texts.append((label, (x, y - LINE + 4), side + GAP - 2, 14 if side == SIDE else 11))
        picture = Image.fromarray(image).convert("RGB").resize((side, side))
        for colour, where in outline:
            picture.paste(colour, mask=where)
        draw.rectangle((x - 4, y - 4, x + side + 3, y + side + 3), "black" if wrong else "white")
        paper.paste(picture, (x, y))
    for text, at, width, size in texts:
        text = text.replace("_", " ")
        room = width - at[0] - GAP if width == WIDTH else width
        while size > 10 and _font(size).getlength(text) > room:
            size -= 1
        while _font(size).getlength(text) > room:
            text = text.removesuffix("…")[:-1] + "…"
        draw.text(at, text, "black", _font(size))
    return paper


def stack(*views: View) -> View:
    """Views below each other, for a page."""
    paper = Image.fromarray(np.vstack([np.asarray(view.picture) for view in views]))
    return View(paper, {}, "\n".join(view.text for view in views))


def rings(mask: np.ndarray) -> list[tuple[str, Image.Image]]:
    """Three rings around a defect, a little way off, visible on any ground."""
    defect = Image.fromarray(np.uint8(mask > 0) * 255)
    edge = defect.resize((SIDE, SIDE), Image.Resampling.NEAREST).filter(ImageFilter.MaxFilter(7))
    outlines = []
    for colour in ("black", "white", "black"):
        inner, edge = edge, edge.filter(ImageFilter.MaxFilter(3))
        outlines.append((colour, ImageChops.subtract(edge, inner)))
    return outlines


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


def coloured(anomaly_map: np.ndarray) -> np.ndarray:
    """A map (H, W) in deviations above normal -> uint8 (H, W, 3)."""
    share = (anomaly_map - ENDS[0]) / (ENDS[1] - ENDS[0])
    return colormaps[HEAT](share, bytes=True)[..., :3]


def laid_over(picture: np.ndarray, anomaly_map: np.ndarray) -> np.ndarray:
    """The same over the photograph in grey."""
    grey = picture.mean(-1, keepdims=True)
    return (0.35 * grey + 0.65 * coloured(anomaly_map)).astype(np.uint8)
