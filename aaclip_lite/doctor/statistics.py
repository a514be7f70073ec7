"""What mean |w| looks like before training, and how far training can carry a weight.

Special: pure functions in double precision; each answers "compared with what?" for a number that a
checkpoint printed. A bias starts at zero, so its bound is zero.
Use: `z_score(0.031234, [(768, 768)] * 4)`, `outside(weight)`, `adam_reach(1e-5, 540)`.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

Shape = Sequence[int]


def xavier_bound(shape: Shape) -> float:
    """Xavier-uniform draws a matrix (or a convolution's kernel) from -bound to bound."""
    if len(shape) < 2:
        return 0.0
    field = math.prod(shape[2:])
    return math.sqrt(6 / ((shape[0] + shape[1]) * field))


def printed_statistic(tensors: Iterable[Tensor] | Mapping[str, Tensor]) -> float:
    """Mean over the tensors of mean |w|, biases included; a small tensor counts like a large one."""
    values = tensors.values() if isinstance(tensors, Mapping) else tensors
    means = [float(tensor.detach().double().abs().mean()) for tensor in values]
    if not means:
        raise ValueError("printed_statistic of no tensors; give at least one")
    return sum(means) / len(means)


def expected_statistic(shapes: Iterable[Shape]) -> tuple[float, float]:
    """(mean, standard error) of the printed statistic under Xavier-uniform with zero biases.

    |w| is then uniform from 0 to the bound: mean bound / 2, variance bound^2 / 12.
    """
    shapes = [tuple(shape) for shape in shapes]
    if not shapes:
        raise ValueError("expected_statistic of no shapes; give at least one")
    bounds = [xavier_bound(shape) for shape in shapes]
    variances = [b**2 / 12 / math.prod(shape) for b, shape in zip(bounds, shapes, strict=True)]
    return sum(bounds) / 2 / len(shapes), math.sqrt(sum(variances)) / len(shapes)


def z_score(value: float, shapes: Iterable[Shape]) -> float:
    """How many standard errors a printed value lies from that of untrained weights."""
    mean, error = expected_statistic(shapes)
    if error == 0:
        raise ValueError("z_score of biases alone: they start at zero, without spread")
    return (value - mean) / error


def outside(tensor: Float[Tensor, "*any"]) -> int:
    """Weights strictly above the bound: an untrained tensor has none, so one proves training."""
    # the bound in the tensor's own precision: a float32 draw may round to just above the exact one
    bound = torch.tensor(xavier_bound(tensor.shape), dtype=tensor.dtype, device=tensor.device)
    return int((tensor.detach().abs() > bound).sum())


def relative_distance(w: Float[Tensor, "*any"], w0: Float[Tensor, "*any"]) -> float:
    """|w - w0| / |w0|; 0 where nothing moved, infinite where it moved away from zero."""
    if w.shape != w0.shape:
        raise ValueError(f"relative_distance of shapes {tuple(w.shape)} and {tuple(w0.shape)}")
    moved = float((w.detach().double() - w0.detach().double()).norm())
    length = float(w0.detach().double().norm())
    if length == 0:
        return 0.0 if moved == 0 else math.inf
    return moved / length


def adam_reach(
    lr: float, steps: int, betas: tuple[float, float] = (0.5, 0.999)
) -> tuple[float, float]:
    """(usual, greatest) distance that Adam can carry one weight in so many steps.

    Usual: every step as long as the learning rate, all in one direction. Greatest: no step is
    longer than lr (1 - b1) / sqrt(1 - b2), whatever the gradients are.
    """
    usual = lr * steps
    return usual, usual * (1 - betas[0]) / math.sqrt(1 - betas[1])
