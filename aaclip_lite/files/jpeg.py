"""JPEG files that break off, with an end put behind the break: decoders fill the rest with one colour
and say nothing.

Use: `refuse_filled("part.jpg", decoded.size, pixels)`.
"""

import io
import math
from pathlib import Path

import numpy as np
from PIL import Image

from .folders import COPY, REMEDY


class PictureError(ValueError):
    """Something that is not a picture, or a file that cannot be read as one."""

    remedy = REMEDY


class BrokenOff(PictureError):
    """A file whose data are damaged or end early."""

    remedy = COPY


def refuse_filled(source: str | Path | bytes, size: tuple[int, int], pixels: np.ndarray) -> None:
    """A JPEG whose data end early, with an end put behind them, is filled with one colour by
    decoders, or, if progressive, left coarse.
    """
    whole = bytes(source) if isinstance(source, bytes | bytearray) else Path(source).read_bytes()
    scans = _scans(whole)
    if len(scans) > 1:
        seen = {(component, part) for component, part, last in scans if last}
        wanted = {(component, part) for component, _, _ in scans for part in ("mean", "detail")}
        if scans[0][1] == "mean" and seen != wanted:
            raise BrokenOff("broken (a progressive JPEG whose last scans are missing)")
        return
    corner = pixels[-8:, -8:]
    if (corner == corner[:1, :1]).all():
        _refuse_early_end(whole, size, pixels)


def _scans(whole: bytes) -> list[tuple[int, str, bool]]:
    """(component, "mean" or "detail", whether to the last bit) of each scan of a progressive JPEG;
    of any other one, at most one entry.
    """
    at = 2
    progressive = False
    scans = []
    while at + 4 <= len(whole):
        marker = whole[at + 1]
        length = int.from_bytes(whole[at + 2 : at + 4], "big")
        progressive |= marker == 0xC2
        if marker == 0xDA:
            if not progressive:
                return []
            body = whole[at + 4 : at + 2 + length]
            first, last, bits = body[-3:]
            part = "mean" if first == 0 else "detail"
            done = bits & 15 == 0 and (last == 63 or part == "mean")
            scans += [(body[1 + 2 * i], part, done) for i in range(body[0])]
            at = whole.find(b"\xff\xda", at + 2)  # inside a scan 0xff is followed by 0 or a restart
            if at < 0:
                return scans
            continue
        at += 2 + length
    return scans


def _refuse_early_end(whole: bytes, size: tuple[int, int], pixels: np.ndarray) -> None:
    """Change the last bytes and decode again: in a whole file that shows in the last blocks only,
    else where the data ended.
    """
    end = whole.rfind(b"\xff\xd9")
    changed = bytearray(whole)
    for place in range(max(1, end - 4), end):
        if changed[place] != 0xFF and changed[place - 1] != 0xFF:
            changed[place] ^= 0x15 if changed[place] == 0xAA else 0x55
    try:
        with Image.open(io.BytesIO(bytes(changed)), formats=("JPEG",)) as other:
            wide, high = (8 * max(each[i] for each in other.layer) for i in (1, 2))
            full = other.size
            other.draft(None, size)
            again = np.asarray(other)
    except (OSError, ValueError):
        return
    if again.shape != pixels.shape:  # the picture was reduced further: its last rows must do
        again = np.asarray(Image.fromarray(again).resize(pixels.shape[1::-1]))
    differs = (again != pixels).reshape(*pixels.shape[:2], -1).any(axis=2)
    rows = np.flatnonzero(differs.any(axis=1))
    if not len(rows):
        return
    scale = full[1] / pixels.shape[0]
    # colours are smoothed over the edge of a block: the first row may belong to the block above
    row = int((rows[0] + 1) * scale)
    band = differs[rows[0] : rows[0] + math.ceil(high / scale)]
    column = int((np.flatnonzero(band.any(axis=0))[0] + 1) * scale)
    blocks = math.ceil(full[0] / wide)
    first = row // high * blocks + min(column // wide, blocks - 1)
    if first < blocks * math.ceil(full[1] / high) - MOST_BLOCKS:
        raise BrokenOff(f"broken (its data end at row {row} of {full[1]})")


MOST_BLOCKS = 24  # that four bytes can hold: two bits each at the least, and a few to spare
