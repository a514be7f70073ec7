"""Looks before and during training: label columns, gradients by module."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping

from torch import Tensor, nn


def check_columns(table: Mapping[str, Iterable] | Tensor, rare: float = 0.01) -> dict[str, str]:
    """{column: what is wrong}, empty for a sound table {name: 0s and 1s} or (n, columns)."""
    if not isinstance(table, Mapping):
        table = {str(i): column for i, column in enumerate(zip(*table, strict=True))}
    problems: dict[str, str] = {}
    for name, column in table.items():
        values = [float(value) for value in column]
        share = sum(values) / len(values) if values else math.nan
        if math.isnan(share):
            problems[name] = "NaN: a value is missing"
        elif odd := set(values) - {0.0, 1.0}:
            problems[name] = f"not 0 or 1: {min(odd):g}"
        elif share in (0, 1):
            problems[name] = f"all {'one' if share else 'zero'}: nothing to learn, no AUROC"
        elif not rare <= share <= 1 - rare:
            problems[name] = f"{'rare' if share < 0.5 else 'nearly always'}: {share:.2%} positive"
    return problems


def gradient_monitor(model: nn.Module, scaler=None) -> dict[str, float]:
    """Length of the gradient of each module and loose parameter that may train; 0 where none came.

    scaler: the GradScaler, while its factor is in the gradients; after `unscale_` leave it out.
    """
    factor = scaler.get_scale() if scaler is not None else 1.0
    squares: Counter = Counter()
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            length = 0.0 if weight.grad is None else float(weight.grad.double().norm()) / factor
            squares[name.split(".")[0]] += length**2
    return {part: math.sqrt(square) for part, square in squares.items()}
