"""A picture in any form that people hold one -> a tensor; a folder or list -> its pictures.

Special: files, bytes and PIL objects go through the one decoder, arrays and tensors follow its
rules; pictures of one size are grouped, fewer at once where they are large.
Use: `to_tensor("part.png")`, `list_pictures("photos")`, `alike(((p, to_tensor(p)) for p in files), 16)`.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby, islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from . import pictures
from .folders import ENDINGS, below
from .jpeg import PictureError

Picture = str | Path | bytes | Image.Image | np.ndarray | Tensor
# pixels of one group, measured at once; more would cost gigabytes
AT_ONCE = 12_000_000


def list_pictures(images: Picture | Sequence[Picture]) -> list[Picture]:
    """One picture, several, or a folder (all pictures below it, in the order of their names) -> a
    list.
    """
    if isinstance(images, str | Path) and Path(images).is_dir():
        held = below(images)
        if held.closed:
            raise PermissionError(held.closed[0])
        refuse_none(images, held.pictures)
        return held.pictures
    several = list(images) if is_several(images) else [images]
    for each in several:
        if isinstance(each, str | Path) and not Path(each).is_file():
            raise FileNotFoundError(
                f"{each}: no such picture; check the path, as seen from {Path.cwd()}"
            )
    if not several:
        raise PictureError("no pictures were given: the list is empty")
    return several


def refuse_none(folder: str | Path, paths: list[Path]) -> None:
    if not paths:
        raise FileNotFoundError(
            f"no pictures below {folder}: files must end in {', '.join(ENDINGS)}"
        )


def read_each(images: Picture | Sequence[Picture]) -> Iterator[tuple[str, Tensor]]:
    """(path, picture); the path of what is no file is empty."""
    for picture in list_pictures(images):
        yield str(picture) if isinstance(picture, str | Path) else "", to_tensor(picture)


def to_tensor(picture: Picture) -> Tensor:
    """A picture in any accepted form -> (3, H, W), float in [0, 1]; files as in training."""
    if isinstance(picture, str | Path | bytes | Image.Image):
        name = picture if isinstance(picture, str | Path) else f"this {type(picture).__name__}"
        try:
            picture = pictures.read(picture)
        except PictureError as error:
            raise PictureError(
                f"{name} is no readable picture ({error}): {error.remedy}"
            ) from error
    if isinstance(picture, np.ndarray):
        picture = picture if picture.dtype.kind == "f" else pictures.array_of(picture)
        picture = picture[..., None] if picture.ndim == 2 else picture
        # a copy: PyTorch warns of arrays that can't be written to, as np.asarray(PIL picture) is
        picture = torch.from_numpy(np.array(picture, order="C")).movedim(-1, 0)
    if not isinstance(picture, Tensor):
        raise PictureError(
            f"a {type(picture).__name__} is no picture: give a path, PIL picture, array or tensor"
        )
    return _of_values(picture)


def _of_values(picture: Tensor) -> Tensor:
    """(3, H, W) or (1, H, W), uint8 or float -> (3, H, W), float in [0, 1], of a bounded size."""
    # grey
    picture = picture.expand(3, -1, -1) if picture.ndim == 3 and len(picture) == 1 else picture
    if picture.ndim != 3 or len(picture) != 3 or not picture.numel():
        shape = f"{tuple(picture.shape)}, colour first,"
        raise PictureError(
            f"{shape} is no picture: give an array (H, W, 3) or (H, W), or a tensor (3, H, W)"
        )
    if picture.dtype != torch.uint8 and not picture.is_floating_point():
        raise PictureError(
            f"a picture has {picture.dtype} values: expected uint8, or float in [0, 1]"
        )
    height, width = picture.shape[1:]
    pictures.refuse_size(width, height)
    picture = picture.float() / 255 if picture.dtype == torch.uint8 else picture.float()
    pictures.refuse_beyond_one(picture)
    factor = pictures.factor_of((width, height))
    if factor > 1:
        size = -(-height // factor), -(-width // factor)
        picture = nn.functional.interpolate(picture[None], size, mode="area")[0]
    return picture


def is_several(images: Picture | Sequence[Picture]) -> bool:
    if isinstance(images, str | Path):
        return Path(images).is_dir()
    return isinstance(images, list | tuple) or getattr(images, "ndim", 0) == 4


def alike(
    pictures: Iterator[tuple[str, Tensor]], batch_size: int
) -> Iterator[list[tuple[str, Tensor]]]:
    """Neighbours of one size, in groups of at most `batch_size`, fewer where they are large."""
    for shape, run in groupby(pictures, key=lambda named: named[1].shape):
        number = max(1, min(batch_size, AT_ONCE // (shape[1] * shape[2])))
        while group := list(islice(run, number)):
            yield group


def refuse_endless(maps: Tensor, scores: Tensor, names: Sequence[str]) -> None:
    """A score that is no number decides nothing, and must not pass for "normal"."""
    sound = maps.flatten(1).isfinite().all(1) & scores.isfinite()
    if not sound.all():
        first = int(sound.logical_not().nonzero()[0])
        raise ValueError(
            f"picture {names[first] or first}: the score is not finite; the adapters or the "
            "calibration are damaged, train or calibrate again"
        )
