"""Weights (B, B) of a batch's negatives: how alike two pairs are, and what follows from it."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

Square = Float[Tensor, "B B"]


def diagonal(W: Tensor, at_least: int = 1) -> Tensor:
    if W.ndim != 2 or W.shape[0] != W.shape[1] or len(W) < at_least:
        raise ValueError(f"{tuple(W.shape)} is not (B, B) with B of at least {at_least}")
    return torch.eye(len(W), dtype=torch.bool, device=W.device)


def alike(image: Float[Tensor, "B d"], text: Float[Tensor, "B e"], alpha: float = 0.5) -> Square:
    """alpha times the captions' cosines plus (1 - alpha) times the pictures'."""
    image, text = F.normalize(image, dim=-1), F.normalize(text, dim=-1)
    return alpha * text @ text.T + (1 - alpha) * image @ image.T


affinity = torch.no_grad()(alike)  # weights steer the loss and are not steered by it


def debias_weights(A: Square, delta: float = 0.6, lam: float = 4.0) -> Square:
    """1 - sigmoid(lam (A - delta)): pairs that are much alike count little."""
    return torch.sigmoid(-lam * (A - delta))


def bandpass_weights(A: Square, m1: float = 0.3, m2: float = 0.8, gamma: float = 0.05) -> Square:
    """Near 1 for affinities between m1 and m2, near 0 outside; the edges are as wide as gamma."""
    return torch.sigmoid((A - m1) / gamma) * torch.sigmoid((m2 - A) / gamma)


def normalise_rows(W: Square) -> Square:
    """Diagonal 0, every row scaled to the sum B - 1."""
    W = W.masked_fill(diagonal(W), 0)
    return W * (len(W) - 1) / W.sum(1, keepdim=True).clamp(min=1e-6)


def v1_weights(A: Square, kind: str, **options: float) -> Square:
    """The identity is added to a diagonal that is not empty: a positive weighs 2 or 1.0025."""
    A = A.masked_fill(itself := diagonal(A), 0)
    if kind == "debias":
        W = torch.exp(-options.get("lam", 4.0) * torch.relu(A - options.get("delta", 0.6)))
    else:
        W = bandpass_weights(A, **options).clamp(min=1e-3)
    return W + itself.to(W.dtype)


def weight_stats(W: Square, kind: str) -> dict[str, float]:
    """For the log. Coverage is of W, the rest of W too, or for debias of what it takes: 1 - W."""
    itself = diagonal(W, at_least=2)
    part = (1 - W if kind == "debias" else W).masked_fill(itself, 0)
    shares = {"band_coverage": (W > 0.1) & ~itself, "w_low": part < 1e-3, "w_high": part > 0.8}
    stats = {f"{name}_pct": 100 * float(share.double().mean()) for name, share in shares.items()}
    return {"w_mean": float(part[~itself].mean())} | stats


def row_entropy(W: Square) -> Float[Tensor, " B"]:
    """Entropy (nats) of each row scaled to the sum 1; 0 log 0 is 0, in the gradient too."""
    p = W / W.sum(1, keepdim=True).clamp(min=1e-12)
    return -(p * p.clamp(min=1e-30).log()).sum(1)


def adaptive_band(A: Square, coverage: float, top: float = 0.05) -> tuple[Tensor, Tensor]:
    """(m1, m2) that hold the share `coverage` of all pairs, just below the `top` most alike."""
    others = A.detach()[~diagonal(A, at_least=2)]
    return torch.quantile(others, 1 - top - coverage), torch.quantile(others, 1 - top)


def warmup(beta: float, epoch: int, epochs: int) -> float:
    """0 in epoch 1, rising evenly to beta in epoch 1 + epochs."""
    return beta * min(1.0, max(0.0, (epoch - 1) / epochs)) if epochs > 0 else beta
