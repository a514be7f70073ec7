"""The one decoder: a picture in any form -> uint8 (H, W, 3), a mask -> uint8 (H, W) of 0 and 1.

Special: the same picture as a file, its bytes, a PIL object or an array gives the same values.
- Formats: PNG, JPEG, BMP, TIFF, WEBP by content; nothing else is tried, so no program is started.
- The turn that a camera notes (EXIF) is applied, to pictures and masks alike.
- 16 bits: values up to 4095 throughout are a camera's 12 bits, and said to be; else the full range.
- Floating point must lie in [0, 1].
- Transparency: pictures lie on white, masks on black. CMYK, palettes and grey become RGB.
- Animations and files of several pages are refused; of a phone's MPO the first picture counts.
- A picture of more than 6 million pixels is read at a half, quarter or eighth of its sides.
- A file that breaks off is refused, also where an end was put behind the break.
Use: `read("part.png")`, `read(bytes)`, `read_mask("part_mask.png")`, `header("part.png")`.
"""

import io
import math
import os
import stat
import threading
import warnings
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from .jpeg import BrokenOff, PictureError, refuse_filled

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")
READ_AT_MOST = 6_000_000  # pixels; larger pictures are reduced while they are decoded
LARGEST = 250_000_000  # pixels; beyond, a file is not decoded at all
SMALLEST = 2  # pixels a side: less shows nothing
MOST_OF_IT = 0.8  # share of a picture that a defect's mask seldom covers
SOFT = 8  # grey values: a mask has two, a labelled one some more
TWELVE_BITS = 4095
Source = str | Path | bytes | Image.Image
# The filters of warnings belong to the process: two threads that set them aside at once would
# leave "ignore" behind for good.
OPENING = threading.Lock()


def read(source: Source) -> np.ndarray:
    """uint8 (H, W, 3), upright."""
    return _decoded(source, lambda picture: _colours(picture, ground=255))


def read_mask(source: Source) -> np.ndarray:
    """uint8 (H, W): 1 wherever any channel is not zero, upright."""
    return _decoded(source, _flags)


def odd_mask(path: Path, name: str) -> list[str]:
    """What is odd about a mask that can be used."""
    if path.suffix.lower() in (".jpg", ".jpeg"):
        return [f"{name}: JPEG blurs its edges, so that defects grow; save masks as PNG"]
    values = _decoded(path, lambda picture: np.asarray(picture.convert("L")))
    share = float((values != 0).mean())
    if share > MOST_OF_IT:
        return [f"{name}: {share:.0%} of the picture are defect; is it inverted, or no mask?"]
    levels = len(np.unique(values))
    if levels > SOFT:
        return [f"{name}: {levels} grey values; all that are not zero count as defect"]
    return []


def read_sized(path: Path, size: int | None, as_mask: bool) -> tuple[np.ndarray, bool]:
    """The decoded, resized picture (H, W, 3), or mask (H, W) of 0 and 1; and whether anything was
    non-zero.
    """
    values = read_mask(path) if as_mask else read(path)
    filled = not as_mask or bool(values.any())
    if size is not None and values.shape[:2] != (size, size):
        how = Image.Resampling.NEAREST if as_mask else Image.Resampling.BICUBIC
        values = np.array(Image.fromarray(values).resize((size, size), how))
    return values, filled


def header(path: Path) -> tuple[int, int]:
    """(width, height), upright, as `read` gives it; raises if the file is no picture or breaks off.
    Intact PNG and JPEG files are not decoded.
    """
    try:
        with _opened(path) as picture:
            _refuse_odd(picture)
            ending = {"PNG": b"IEND", "JPEG": b"\xff\xd9", "MPO": b"\xff\xd9"}.get(picture.format)
            if ending is None or ending not in _tail(path):
                picture.load()
            width, height = (math.ceil(side / factor_of(picture.size)) for side in picture.size)
            return (height, width) if _turned(picture) else (width, height)
    except Exception as error:
        raise _told(error) from error


def _turned(picture: Image.Image) -> bool:
    """Whether the camera lay on its side; without decoding, as getexif() does for PNG."""
    if picture.format == "PNG" and "exif" not in picture.info:
        return False
    return picture.getexif().get(0x0112) in (5, 6, 7, 8)


def factor_of(size: tuple[int, int]) -> int:
    """By how much the sides of so large a picture are divided while it is read."""
    over = math.prod(size) / READ_AT_MOST
    return 1 if over <= 1 else 2 ** math.ceil(math.log2(over) / 2)


def refuse_size(width: int, height: int) -> None:
    """Sizes that cannot be meant."""
    if width * height > LARGEST:
        raise PictureError(
            f"{width} x {height} pixels are more than {LARGEST:,}; cut it or save it smaller"
        )
    if min(width, height) < SMALLEST:
        raise PictureError(f"{width} x {height} pixels show nothing; at least {SMALLEST} a side")


def refuse_beyond_one(values: np.ndarray | Tensor) -> None:
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 1):  # also true for NaN
        raise PictureError(
            f"floating-point values must lie in [0, 1]; this one: {low:.3g} to {high:.3g}"
        )


def array_of(values: np.ndarray) -> np.ndarray:
    """An array's values as uint8, by the rules for files: 16 bits are scaled, others refused."""
    if values.dtype == np.uint8:
        return values
    if values.dtype != np.uint16:
        raise PictureError(
            f"a picture has {values.dtype} values: expected uint8, or float in [0, 1], or uint16"
        )
    return _from_integers(values)


# ---- files ---------------------------------------------------------------------------------------


def _decoded(source: Source, convert) -> np.ndarray:
    try:
        with _opened(source) as picture:
            _refuse_odd(picture)
            reduced = _reduced(picture)
            pixels = convert(ImageOps.exif_transpose(reduced))
            if picture.format in ("JPEG", "MPO") and not isinstance(source, Image.Image):
                refuse_filled(source, picture.size, np.asarray(reduced))
            return pixels
    except Exception as error:  # decoders of damaged files raise whatever they stumble over
        raise _told(error) from error


def _opened(source: Source) -> AbstractContextManager[Image.Image]:
    """A picture whose pixels are not read yet; one that was given stays open."""
    if isinstance(source, Image.Image):
        return nullcontext(source)
    if isinstance(source, bytes | bytearray | memoryview):
        stream = io.BytesIO(source)
    else:
        if not stat.S_ISREG(os.stat(source).st_mode):  # a pipe would wait for ever
            raise PictureError("is not a file")
        stream = Path(source)
    with OPENING, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # sizes are judged here
        return Image.open(stream, formats=FORMATS)


def _refuse_odd(picture: Image.Image) -> None:
    """Sizes that cannot be meant, and files of several pictures."""
    refuse_size(*picture.size)
    if picture.format != "MPO" and getattr(picture, "is_animated", False):
        raise PictureError(
            "has several pages or frames; save the one that is meant as its own file"
        )


def _reduced(picture: Image.Image) -> Image.Image:
    factor = factor_of(picture.size)
    if factor == 1:
        return picture
    wanted = tuple(math.ceil(side / factor) for side in picture.size)
    # JPEG: a half, quarter or eighth costs less than the whole, in time and memory
    picture.draft(None, wanted)
    if picture.size == wanted:
        return picture
    if picture.mode in ("P", "1"):  # averaging numbers of a palette would give other colours
        return picture.resize(wanted, Image.Resampling.NEAREST)
    if picture.mode.startswith("I;"):
        return Image.fromarray(np.asarray(picture)[::factor, ::factor])
    return picture.resize(wanted, Image.Resampling.BOX)


def _told(error: Exception) -> Exception:
    """One kind of error for all that a decoder stumbles over; a missing file stays one."""
    if isinstance(error, FileNotFoundError | IsADirectoryError | PermissionError | PictureError):
        return error
    if isinstance(error, UnidentifiedImageError):
        known = ", ".join(FORMATS)
        return PictureError(f"not a readable picture: none of {known}")
    if isinstance(error, MemoryError):
        return PictureError("too large for this machine's memory; save it smaller")
    return BrokenOff(f"broken ({str(error).splitlines()[0] if str(error) else error!r})")


# ---- pixels --------------------------------------------------------------------------------------


def _colours(picture: Image.Image, ground: int) -> np.ndarray:
    """uint8 (H, W, 3)."""
    if picture.mode.startswith("I") or picture.mode == "F":
        values = np.asarray(picture)
        if picture.mode == "F":
            refuse_beyond_one(values)
            grey = np.rint(values * 255).astype(np.uint8)
        else:
            grey = _from_integers(values)
        return np.repeat(grey[..., None], 3, axis=2)
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        under = Image.new("RGBA", picture.size, (ground, ground, ground, 255))
        picture = Image.alpha_composite(under, picture)
    return np.array(picture.convert("RGB"))


def _flags(picture: Image.Image) -> np.ndarray:
    if picture.mode.startswith("I") or picture.mode == "F":
        values = np.asarray(picture)
        if not np.isfinite(values).all():
            raise PictureError("floating-point values are not all finite")
        return (values != 0).astype(np.uint8)
    return _colours(picture, ground=0).any(axis=2).astype(np.uint8)


def _from_integers(values: np.ndarray) -> np.ndarray:
    """More than 8 bits -> uint8."""
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    if low < 0 or high > 65535:
        raise PictureError(f"values from {low} to {high} are not 16 bits (0 to 65535)")
    if 0 < high <= TWELVE_BITS:
        warnings.warn(
            f"a 16-bit picture with no value above {high} is read as a camera's 12 bits",
            stacklevel=2,
        )
        return (values.astype(np.uint32) * 255 // TWELVE_BITS).astype(np.uint8)
    return (values // 257).astype(np.uint8)


def _tail(source: Source, size: int = 1024) -> bytes:
    with open(source, "rb") as stream:
        stream.seek(-min(size, os.path.getsize(source)), os.SEEK_END)
        return stream.read()
