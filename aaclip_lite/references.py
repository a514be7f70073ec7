"""What sound parts of one product look like: a bank of patches from a few reference pictures, and
how far the patches of a new picture lie from the nearest of them.

Special: a patch is its features of all levels side by side, so that a match has to hold at every
level; each reference is read many times, moved by parts of a patch, for a new part never lies on
the grid of patches as a reference did; a large bank keeps what is rare on sound parts (a print, a
highlight), where chance would drop it.
Use: `bank, owner = make_bank([patches_of(levels)])`, `distances(levels, bank)`.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from .files.coreset import thinned

# D in shapes is all levels' d together, V the readings of one picture, m and M rows that are kept
WEIGHT = 18.0  # of a distance in a map, beside the words' cosine difference; chosen on validation
READINGS = 128  # of all references together, at most: each is a pass through the tower


def joined(levels: Sequence[Float[Tensor, "B N d"]]) -> Float[Tensor, "B N D"]:
    """The levels' features side by side, again of length 1."""
    return F.normalize(torch.cat(tuple(levels), dim=-1), dim=-1)  # so that a product is a cosine


def steps(pictures: int, readings: int) -> int:
    """How many places a side each picture is read at, so that all are read so often at most."""
    # few references need many readings, many show the places between by themselves
    return next((n for n in (4, 2) if pictures * n**2 <= readings), 1)


def moved(images: Float[Tensor, "1 3 S S"], patch: int, steps: int) -> Float[Tensor, "V 3 S S"]:
    """A picture as it is, and moved by parts of a patch both ways; the rim is continued."""
    side = images.shape[-1]
    wide = F.pad(images, (0, patch, 0, patch), mode="replicate")  # black would look like an edge
    places = [patch * k // steps for k in range(steps)]  # 0 first: the picture as it lies
    return torch.cat([wide[..., y : y + side, x : x + side] for y in places for x in places])


def patches_of(levels: Sequence[Float[Tensor, "V N d"]]) -> Float[Tensor, "m D"]:
    """The patches of all readings of a picture, thinned."""
    patches = joined(levels).flatten(0, 1)
    return patches[thinned(patches)]  # at once: all readings of all pictures would be too many


def make_bank(
    pictures: Sequence[Float[Tensor, "m D"]],
) -> tuple[Float[Tensor, "M D"], Int[Tensor, " M"]]:
    """The patches of all reference pictures, thinned once more, and which picture each is of."""
    bank = torch.cat(tuple(pictures))
    owner = torch.cat([torch.full((len(one),), i) for i, one in enumerate(pictures)])
    chosen = thinned(bank)  # numbers of the rows to keep
    return bank[chosen], owner.to(bank.device)[chosen]


def distances(
    levels: Sequence[Float[Tensor, "B N d"]], bank: Float[Tensor, "M D"]
) -> Float[Tensor, "B 1 h w"]:
    """1 - cosine to the nearest patch of the bank, on the patch grid."""
    patches = joined(levels)
    if patches.shape[-1] != bank.shape[-1]:  # a bank of another recipe's levels
        raise ValueError(
            f"these features have {patches.shape[-1]} numbers a patch, the references "
            f"{bank.shape[-1]}: remember() them again with this model"
        )
    side = math.isqrt(patches.shape[1])
    nearest = (patches @ bank.T).amax(-1)  # (B, N, D) @ (D, M): the best of M cosines, (B, N)
    distance = 1 - nearest
    return distance.unflatten(1, (side, side)).unsqueeze(1)


def map_units(grid: Float[Tensor, "B 1 h w"], levels: int) -> Float[Tensor, "B 1 h w"]:
    """In the unit of `scoring.anomaly_map`: a sum over levels, 50 for a cosine difference of 1."""
    return 50 * levels * WEIGHT * grid
