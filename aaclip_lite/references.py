"""What sound parts of one product look like: a bank of patches from a few reference pictures, and
how far the patches of a new picture lie from the nearest of them.

Special: a patch is its features of all levels side by side, so that a match has to hold at every
level; a large bank is thinned to the patches that lie farthest apart, which keeps what is rare on
sound parts (a print, a highlight), where chance would drop it.
Use: `bank, owner = make_bank(levels)`, `grid = distances(levels, bank)`; `detector.remember` does
both.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

# In a map, one step of distance weighs as much as so many of the words' cosine difference.
WEIGHT = 9.0
LARGEST = 1024  # patches in a bank
SKETCH = 32  # numbers that a patch is reduced to while a bank is thinned


def joined(levels: Sequence[Float[Tensor, "B N d"]]) -> Float[Tensor, "B N D"]:
    """The levels' features side by side, again of length 1."""
    return F.normalize(torch.cat(tuple(levels), dim=-1), dim=-1)


def make_bank(
    levels: Sequence[Float[Tensor, "B N d"]],
) -> tuple[Float[Tensor, "M D"], Int[Tensor, " M"]]:
    """The reference pictures' patches, thinned to LARGEST, and which picture each came from."""
    patches = joined(levels)
    owner = torch.arange(len(patches), device=patches.device).repeat_interleave(patches.shape[1])
    bank = patches.flatten(0, 1)
    if len(bank) <= LARGEST:
        return bank, owner
    chosen = farthest(bank, LARGEST)
    return bank[chosen], owner[chosen]


def farthest(bank: Float[Tensor, "M D"], count: int) -> Int[Tensor, " count"]:
    """Which patches to keep: each is the one farthest from all that were chosen before it (a greedy
    coreset), as seen in a random projection.
    """
    sketch = bank @ projection(bank.shape[1]).to(bank)
    nearest = torch.full((len(sketch),), torch.inf, device=bank.device)
    chosen = torch.zeros(count, dtype=torch.long, device=bank.device)
    for place in range(1, count):
        step = (sketch - sketch[chosen[place - 1]]).square().sum(1)
        nearest = torch.minimum(nearest, step)
        chosen[place] = nearest.argmax()
    return chosen


def projection(width: int) -> Float[Tensor, "D S"]:
    """Always the same random one."""
    return torch.randn(width, SKETCH, generator=torch.Generator().manual_seed(0))


def distances(
    levels: Sequence[Float[Tensor, "B N d"]], bank: Float[Tensor, "M D"]
) -> Float[Tensor, "B 1 h w"]:
    """1 - cosine to the nearest patch of the bank, on the patch grid."""
    patches = joined(levels)
    if patches.shape[-1] != bank.shape[-1]:
        raise ValueError(
            f"these features have {patches.shape[-1]} numbers a patch, the references "
            f"{bank.shape[-1]}: remember() them again with this model"
        )
    side = math.isqrt(patches.shape[1])
    nearest = 1 - (patches @ bank.T).amax(-1)
    return nearest.unflatten(1, (side, side)).unsqueeze(1)


def distances_among(
    levels: Sequence[Float[Tensor, "B N d"]],
    bank: Float[Tensor, "M D"],
    owner: Int[Tensor, " M"],
) -> Float[Tensor, "B 1 h w"]:
    """The same for the reference pictures themselves, each against the patches of the others."""
    each = enumerate(zip(*(level.split(1) for level in levels), strict=True))
    return torch.cat([distances(one, bank[owner != number]) for number, one in each])


def map_units(grid: Float[Tensor, "B 1 h w"], levels: int) -> Float[Tensor, "B 1 h w"]:
    """Distances in the unit of `scoring.anomaly_map`: a sum over levels, 50 for a cosine difference
    of 1.
    """
    return 50 * levels * WEIGHT * grid
