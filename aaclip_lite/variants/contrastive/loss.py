"""The contrastive loss of a batch of pairs: plain, and three versions with weighted negatives."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .weights import Square, diagonal


def contrastive_loss(
    S: Square, W: Square | None = None, version: str = "baseline", beta: float = 0.2
) -> Tensor:
    """Mean of both directions: rows ask, then columns. W is taken as it is: callers normalise.

    v1  each column counts w times in the softmax, the positive too
    v2  log of the weighted share of the negatives, minus log of the positive's
    v3  negatives count 1 + beta w times; W is not transposed for the columns
    """
    itself = diagonal(S, at_least=2)
    if version == "baseline":
        target = torch.arange(len(S), device=S.device)
        return (F.cross_entropy(S, target) + F.cross_entropy(S.T, target)) / 2
    if version not in ("v1", "v2", "v3") or W is None or W.shape != S.shape:
        raise ValueError(f"'baseline', or 'v1', 'v2', 'v3' with W {tuple(S.shape)}: not {version}")
    W = W.to(S.dtype) if version == "v1" else W.to(S.dtype).masked_fill(itself, 0)
    if version == "v2":
        return (_two_terms(S, W) + _two_terms(S.T, W.T)) / 2
    lift = (W + 1e-12).log() if version == "v1" else torch.log1p(beta * W)
    return (_lifted(S, lift) + _lifted(S.T, lift.T if version == "v1" else lift)) / 2


def _lifted(S: Square, lift: Square) -> Tensor:
    return (torch.logsumexp(S + lift, 1) - S.diagonal()).mean()


def _two_terms(S: Square, W: Square) -> Tensor:
    log_p = S.log_softmax(1)
    return ((W * log_p.exp()).sum(1).clamp(min=1e-12).log() - log_p.diagonal()).mean()
