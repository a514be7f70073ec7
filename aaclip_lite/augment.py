"""Augmentation: a whole batch of pictures and masks turned, shifted, mirrored and coloured at once,
on its device.

Special: what happens to a picture follows from (seed, epoch, its index) alone, so a run can stop
and go on, and two processes draw what one would. Drawing (`draw`, numpy) and applying (`apply`,
kornia) are apart: a test feeds the same numbers to a slow per-picture reference. Mask values are
always copied, never mixed: they stay 0 or 1.

    drawn = draw(VARIANTS["released"], [(seed, epoch, 0), (seed, epoch, 1)])
    images, masks = apply(VARIANTS["released"], drawn, images, masks)  # (B, 3, H, W), (B, C, H, W)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from .clip import MEAN_STD

Drawn = dict[str, Shaped[np.ndarray, " B"]]  # what happens to each picture, by name
Images = Float[Tensor, "B 3 S S"]
Masks = Float[Tensor, "B C S S"]  # channels that move with the picture: the defect, the object


@dataclass(frozen=True)
class Variant:
    """How far each change may go (0: not at all) and how often it happens."""

    rotation: float = 0.0  # degrees either way
    rotation_p: float = 1.0
    shift: float = 0.0  # share of the side, either way
    shift_p: float = 1.0
    zoom: tuple[float, float] = (1.0, 1.0)
    crop: bool = False  # shift as far as the zoom allows without leaving the picture
    flips: tuple[float, float] = (0.0, 0.0)  # probabilities: left-right, top-bottom
    quarter_turns: bool = False  # any of the four, as often: many parts have no up
    # brightness, contrast and saturation factors lie in 1 - colour .. 1 + colour
    colour: float = 0.0
    colour_p: float = 0.7
    colour_together: bool = True  # one decision for the three, or one each
    mode: str = "bilinear"  # how image values are read between pixels
    padding: str = "zeros"  # what lies outside: zeros (shown as `fill`) or reflection
    fill: tuple[float, float, float] = (0.0, 0.0, 0.0)
    # rotate first, then shift by whole pixels: two readings instead of one
    whole_pixels: bool = False


VARIANTS = {
    # The reference document names a random crop without a size: read here as the usual 8/7
    # enlargement, cropped back.
    "documented": Variant(rotation=5, zoom=(8 / 7, 8 / 7), crop=True, flips=(0.5, 0), colour=0.2),
    # The public code turns pictures after normalising them: its fill of 0 is CLIP's mean colour,
    # not black.
    "released": Variant(
        rotation=30,
        rotation_p=0.5,
        shift=0.15,
        shift_p=0.5,
        flips=(0.5, 0.5),
        colour=0.5,
        colour_together=False,
        mode="nearest",
        fill=MEAN_STD["clip"][0],
        whole_pixels=True,
    ),
    "course": Variant(
        rotation=10,
        shift=0.05,
        zoom=(0.9, 1.1),
        flips=(0.5, 0.5),
        quarter_turns=True,
        colour=0.2,
        padding="reflection",
    ),
}


def change(augment: object, seed: int, view: int, stage: int) -> Callable | None:
    """What happens to the rows of a batch: a function of rows, images and masks; None: nothing.

    augment: a recipe or the name of its variant. view: the epoch, so that each shows others.
    """
    name = getattr(augment, "augmentation", augment) or "none"
    if name == "none":
        return None
    if name not in VARIANTS:
        raise ValueError(f"augment={name!r}: choose none, {', '.join(VARIANTS)}")
    variant = VARIANTS[name]

    def vary(rows: list[int], images: Images, masks: Masks) -> tuple[Images, Masks]:
        drawn = draw(variant, [(seed, view, row) for row in rows])
        return apply(variant, drawn, images, masks, with_colour=stage == 2)

    return vary


def draw(variant: Variant, keys: Sequence[tuple[int, ...]]) -> Drawn:
    """What happens to each picture: arrays (B,), one entry a key, each following from its key
    alone.
    """
    # (16, B): each change has its own row, so that a new one would not move the draws of others
    chance = np.stack([np.random.default_rng(key).random(16) for key in keys], axis=1)
    either_way = 2 * chance - 1  # from -1 to 1

    def colour_factor(which: int) -> Float[np.ndarray, " B"]:
        happens = chance[8 if variant.colour_together else 8 + which] < variant.colour_p
        return np.where(happens, 1 + variant.colour * either_way[11 + which], 1.0)

    zoom = variant.zoom[0] + chance[4] * (variant.zoom[1] - variant.zoom[0])  # evenly between
    reach = (zoom - 1) / 2 if variant.crop else variant.shift * (chance[5] < variant.shift_p)
    return {
        # counter-clockwise
        "angle": np.where(chance[0] < variant.rotation_p, variant.rotation * either_way[1], 0.0),
        "shift_x": reach * either_way[2],
        "shift_y": reach * either_way[3],
        "zoom": zoom,
        "turns": np.floor(4 * chance[14]) * variant.quarter_turns,
        "flip_x": chance[6] < variant.flips[0],
        "flip_y": chance[7] < variant.flips[1],
        "brightness": colour_factor(0),
        "contrast": colour_factor(1),
        "saturation": colour_factor(2),
    }


def matrices(variant: Variant, drawn: Drawn, side: int) -> list[Float[np.ndarray, "B 2 3"]]:
    """The warps, in order, from a pixel (x, y) to where it goes, about the middle of the picture."""
    angle = np.deg2rad(drawn["angle"] + 90 * drawn["turns"])  # in an image y points down
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    turn = drawn["zoom"][:, None, None] * turn.transpose(2, 0, 1)
    shift = (side if variant.whole_pixels else side - 1) * np.stack(
        [drawn["shift_x"], drawn["shift_y"]], 1
    )
    # -1 mirrors an axis
    sign = 1.0 - 2.0 * np.stack([drawn["flip_x"], drawn["flip_y"]], 1)

    def about_middle(
        linear: Float[np.ndarray, "B 2 2"], move: Float[np.ndarray, "B 2"]
    ) -> Float[np.ndarray, "B 2 3"]:
        middle = np.full((2, 1), (side - 1) / 2)  # pixel centres run from 0 to side - 1
        return np.concatenate([linear, move[..., None] + middle - linear @ middle], axis=2)

    mirror = sign[:, :, None] * np.eye(2)  # (B, 2, 2)
    if variant.whole_pixels:
        return [about_middle(turn, 0 * shift), about_middle(mirror, sign * np.round(shift))]
    return [about_middle(mirror @ turn, sign * shift)]


def colour(drawn: Drawn, images: Images) -> Images:
    """Brightness, then contrast, then saturation, each cut to [0, 1]."""
    from kornia import enhance  # only training needs it

    brightness, contrast, saturation = (
        torch.as_tensor(drawn[name], dtype=images.dtype, device=images.device)
        for name in ("brightness", "contrast", "saturation")
    )
    images = enhance.adjust_brightness_accumulative(images, brightness)
    images = enhance.adjust_contrast_with_mean_subtraction(images, contrast)
    return enhance.adjust_saturation_with_gray_subtraction(images, saturation)


def apply(
    variant: Variant,
    drawn: Drawn,
    images: Images,
    masks: Masks,
    with_colour: bool = True,
) -> tuple[Images, Masks]:
    """Images and masks moved together; colour (stage 2 only, in every recipe) first."""
    from kornia.geometry import warp_affine

    side = images.shape[-1]
    images = colour(drawn, images) if with_colour else images  # never the masks
    fill = torch.tensor(variant.fill, dtype=images.dtype, device=images.device).view(3, 1, 1)
    images = images - fill  # so that the zeros that come in from outside are the fill
    for matrix in matrices(variant, drawn, side):
        moves = torch.as_tensor(matrix, dtype=images.dtype, device=images.device)
        warp = partial(
            warp_affine,
            M=moves,
            dsize=(side, side),
            padding_mode=variant.padding,
            align_corners=True,
        )
        if variant.mode == "nearest":  # one reading serves both
            both = warp(torch.cat([images, masks], 1), mode="nearest")
            images, masks = both.split([3, masks.shape[1]], 1)
        else:
            images = warp(images, mode=variant.mode)
            masks = warp(masks, mode="nearest")  # a mask stays 0 or 1
    return (images + fill).clamp(0, 1), masks
