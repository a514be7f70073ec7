"""S2, the contrastive variants and their simulated results: the rows and what measures them.

The public logs are three files of skcpda/CLIPSE at 89cb3ef, 1,395 lines each; what was read of them
is written here as numbers, with the file's name.
"""

import math

import torch

from ...variants.contrastive import bandpass_weights, contrastive_loss
from .claim import MEASURES, measures

LOGGED = {"baseline": 0.011209, "debias": 0.012083, "bandpass": 0.015006}  # means of epoch 15


def similarities(size: int = 16) -> torch.Tensor:
    """Logits of a batch that is nearly told apart, as at the end of the logs."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(size, size, generator=generator, dtype=torch.float64)
    return 8 * torch.eye(size, dtype=torch.float64) + noise


def lifted(S: torch.Tensor, beta: float) -> float:
    """One direction of the third version with all weights 1. beta 0: cross-entropy."""
    negatives = 1 - torch.eye(len(S), dtype=S.dtype)
    logits = S + negatives * math.log1p(beta)
    return float((logits.logsumexp(1) - S.diagonal()).mean())


def simulated(loss: float, factor: float) -> float:
    """The made-up table's number for a base of 1."""
    return (1 - 10 * (loss - 0.011)) * factor


@measures("S2:36")
def by_definition() -> float:
    S = similarities()
    return 100 * (lifted(S, 0.2) / lifted(S, 0.0) - 1)


@measures("S2:63")
def wider_band() -> float:
    A = 0.3 + 0.1 * torch.randn(20000, generator=torch.Generator().manual_seed(0))
    share = [
        float((bandpass_weights(A, *edges) > 0.1).float().mean())
        for edges in ((0.3, 0.8, 0.05), (0.2, 0.9, 0.1))
    ]
    return share[1] / share[0]


@measures("S2:69")
def entropy_after_a_step() -> float:
    z = torch.randn(
        50, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    ).requires_grad_()

    def entropy() -> torch.Tensor:
        w = z.softmax(0)
        return -(w * (w + 1e-8).log()).sum()

    before = entropy()
    before.backward()
    with torch.no_grad():
        z -= z.grad
    return float((entropy() - before).detach())


@measures("S2:90")
def beta_is_a_margin() -> float:
    S = similarities()
    lowered = S - math.log(2) * torch.eye(len(S), dtype=torch.float64)
    return lifted(S, 1.0) - lifted(lowered, 0.0)


@measures("S2:94")
def two_terms_run_away() -> float:
    perfect = 100 * torch.eye(16, dtype=torch.float64)
    assert lifted(perfect, 0.2) < 1e-12
    return float(contrastive_loss(perfect, torch.ones_like(perfect), "v2"))


@measures("S2:142")
def factors() -> float:
    bases = (45.2, 75.8, 85.3, 52.3, 44.8, 75.2, 84.9, 51.8)
    gain = simulated(LOGGED["debias"], 1.05), simulated(LOGGED["baseline"], 1.0)
    return len({round(gain[0] * base / (gain[1] * base), 9) for base in bases})


@measures("S2:143")
def excess_at_beta_1() -> float:
    S = similarities()
    return 100 * (lifted(S, 1.0) / lifted(S, 0.0) - 1)


MEASURES |= {  # what one line measures
    "S2:5": lambda: (
        100 * (simulated(LOGGED["debias"], 1.05) / simulated(LOGGED["baseline"], 1.0) - 1)
    ),
    "S2:15b": lambda: 100 * (simulated(0.012456, 1.05) / simulated(LOGGED["baseline"], 1.0) - 1),
    "S2:23": lambda: 1 / 14.613,
    "S2:27": lambda: 100 * (LOGGED["debias"] / LOGGED["baseline"] - 1),
    "S2:28": lambda: 90.78 - 89.23,
    "S2:33": lambda: 100 * (LOGGED["bandpass"] / LOGGED["baseline"] - 1),
    "S2:43": lambda: 90.78 - 87.36,
    "S2:77": lambda: 0.15 + (0.35 - 0.15) * 14 / 15,
    "S2:154": lambda: 0.012 / (1 + by_definition() / 100),
}
