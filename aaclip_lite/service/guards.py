"""What a run must not do: take a step that spoils the weights, or move a frozen one.

Special: a step is judged before it is taken, and the refusal names module and step.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

Weights = Mapping[str, Tensor]
# a gradient norm so many times the largest that its module had in so many steps
EXPLODING = 1e3
RECENT = 50
# a norm below this for so many steps
VANISHING = 1e-12
PATIENCE = 20


class TrainingError(RuntimeError):
    """A run that must not go on; its folder keeps the last good state."""


class Guard:
    """Refuses a step whose loss or gradients would spoil the weights, and notices what did."""

    def __init__(self, stage: str, trained: Weights, frozen: Weights, scaled: bool) -> None:
        self.stage = stage
        self.trained = trained
        self.frozen = frozen
        self.before = checksums(frozen)
        self.scaled = scaled  # fp16 with loss scaling
        self.overflows = 0

    def spoiled(self) -> str | None:
        """What is wrong with the weights, if anything."""
        for name, old, new in zip(self.frozen, self.before, checksums(self.frozen), strict=True):
            if old != new:
                return f"frozen weight {name} moved"
        for name, parameter in self.trained.items():
            if not parameter.isfinite().all():
                return f"{name} is not finite"
        return None

    def judge(self, row: dict[str, float], earlier: list[dict]) -> None:
        where = f"{self.stage} stage, step {row['step']}, not taken"
        gradients = {name: value for name, value in row.items() if name.startswith("gradient/")}
        for name, value in row.items():
            if name not in gradients and not math.isfinite(value):
                raise TrainingError(f"{where}: {name} is {value}")
        finite = all(map(math.isfinite, gradients.values()))
        self.overflows = 0 if finite else self.overflows + 1
        if self.scaled and 0 < self.overflows <= PATIENCE:
            return  # fp16: the scaler leaves this step out and scales less from now on
        for name, norm in gradients.items():
            usual = [r[name] for r in earlier[-RECENT:] if r[name] is not None]
            if problem := _problem(norm, usual):
                raise TrainingError(f"{where}: the {name.replace('/', ' of ')} {problem}")


def _problem(norm: float, usual: list[float]) -> str | None:
    if not math.isfinite(norm):
        return f"is {norm}"
    if len(usual) < PATIENCE:
        return None
    if norm > EXPLODING * max(usual) > 0:
        return f"explodes: {norm:.3g} after {max(usual):.3g} at most"
    if max([*usual[-PATIENCE:], norm]) < VANISHING:
        return f"has vanished: below {VANISHING} for {PATIENCE} steps, the loss does not reach it"
    return None


def checksums(weights: Weights) -> list[int]:
    """Sums of the weights' bits: exact on every device."""
    kinds = {2: torch.int16, 4: torch.int32, 8: torch.int64}
    sums = [p.detach().view(kinds[p.element_size()]).sum() for p in weights.values()]
    return torch.stack(sums).tolist()
