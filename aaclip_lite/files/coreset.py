"""Which patches of a large bank to keep.

Special: those that lie farthest apart (a greedy coreset), seen in a random projection that is always
the same, so that a bank does not depend on chance.
Use: `bank[thinned(bank)]`
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

LARGEST = 1024  # patches in a bank
SKETCH = 32  # numbers that a patch is reduced to while a bank is thinned


def thinned(bank: Float[Tensor, "M D"]) -> Int[Tensor, " m"]:
    """All patches of a small bank, LARGEST of a large one."""
    if len(bank) <= LARGEST:
        return torch.arange(len(bank), device=bank.device)
    return farthest(bank, LARGEST)


def farthest(bank: Float[Tensor, "M D"], count: int) -> Int[Tensor, " count"]:
    """Each is the one farthest from all that were chosen before it, in the random projection."""
    generator = torch.Generator().manual_seed(0)  # always the same projection
    sketch = bank @ torch.randn(bank.shape[1], SKETCH, generator=generator).to(bank)
    nearest = torch.full((len(sketch),), torch.inf, device=bank.device)
    chosen = torch.zeros(count, dtype=torch.long, device=bank.device)
    for place in range(1, count):
        step = (sketch - sketch[chosen[place - 1]]).square().sum(1)
        nearest = torch.minimum(nearest, step)
        chosen[place] = nearest.argmax()
    return chosen
