"""Checks of the exercises of chapter 17_claims_ledger."""

import math
from collections.abc import Callable

import torch

from .. import ledger
from .judge import Hint, exercise, same


@exercise("17_claims_ledger")
def auc_error(learner: Callable) -> None:
    for normal, abnormal in ((3, 5), (10, 10), (40, 7), (225, 224)):
        n, m = normal, abnormal
        true = math.sqrt((n + m + 1) / (12 * n * m))
        hints = [
            (true**2, "this is the variance: an error has the unit of the AUC, take the root"),
            (math.sqrt((n + m) / (12 * n * m)), "both numbers, and one more: the + 1 is missing"),
            (math.sqrt((n + m + 1) / (n * m)), "ranks are spread evenly: the 12 is missing"),
            (math.sqrt((n + m - 1) / (12 * n * m)), "one picture too few: it is + 1, not - 1"),
            (0.5 / math.sqrt(n + m), "this is the error of a coin's share, an AUC counts pairs"),
            (1 / math.sqrt(n + m), "this takes single pictures, an AUC counts pairs of them"),
            (math.sqrt((n + m + 1) / 12), "divide by the pairs: normal times abnormal"),
            (
                math.sqrt((n + m + 1) / (12 * (n + m) ** 2)),
                "pairs are normal times abnormal, not the square of all pictures",
            ),
            (math.sqrt((n * m + 1) / (12 * n * m)), "sum and product have changed places"),
            (math.sqrt((n + m + 1) / (12 * n * n)), "only one of the two kinds is in the pairs"),
            (math.sqrt((n + m + 1) / (12 * m * m)), "only one of the two kinds is in the pairs"),
            (2 * true, "this is two standard errors; one is asked for"),
        ]
        what = f"the error for {normal} normal and {abnormal} abnormal pictures"
        same(learner(normal, abnormal), true, what, 1e-6, hints)


@exercise("17_claims_ledger")
def pull(learner: Callable) -> None:
    generator = torch.Generator().manual_seed(0)
    for size, scale in ((4, 30.0), (9, 0.2)):
        weights = torch.randn(size, generator=generator, dtype=torch.float64, requires_grad=True)
        first = scale * (weights - 3).square().mean()
        second = (1 + weights.exp()).log().sum() + 5
        slopes = [torch.autograd.grad(x, weights, retain_graph=True)[0] for x in (first, second)]
        a, b = slopes
        heights = float(first.detach()), float(second.detach())
        hints = [
            (heights[0] / heights[1], "this is the ratio of the losses: their slopes pull"),
            (float(b.norm() / a.norm()), "turned round: the first for each of the second"),
            (float((a.norm() / b.norm()) ** 2), "the lengths are squared: the root is missing"),
            (float(a.sum() / b.sum()), "slopes of opposite sign cancel in a sum: take lengths"),
            (float(a.sum().abs() / b.sum().abs()), "slopes cancel in a sum: take lengths"),
            (float((a / b).mean()), "entry by entry is no length: one norm over all weights"),
            (float((a / b).norm()), "a norm of the ratio is not the ratio of the norms"),
            (float((a / b).abs().mean()), "entry by entry is no length: one norm over all weights"),
            (float(a.norm() / (a + b).norm()), "the second gradient holds the first one too: "
             "backward adds to .grad, so clear it between"),
            (float((a + b).norm() / b.norm()), "backward adds to .grad: clear it between the two"),
            (float(a.abs().max() / b.abs().max()), "the largest slope is not the whole pull"),
            (float(a.abs().sum() / b.abs().sum()), "the length is the root of the sum of squares"),
            (float(a.norm()), "and the second term's? a ratio is asked for"),
        ]  # fmt: skip
        what = f"the pull of losses {heights[0]:.3g} and {heights[1]:.3g} on {size} weights"
        found = learner(first, second, weights)
        if isinstance(found, torch.Tensor) and found.ndim:
            raise Hint(f"{what} has shape {tuple(found.shape)}: one number, from one norm each")
        same(
            float(found.detach()) if isinstance(found, torch.Tensor) else found,
            _ratio(a, b),
            what,
            1e-6,
            hints,
        )


def _ratio(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(a.norm() / b.norm())


CASES = (  # claimed, value, error, null, the idea to look at again
    (0.90, None, 0.02, 0.5, "what was not measured is neither true nor false"),
    (0.90, 0.80, 0.02, 0.5, "five errors away from the claim"),
    (0.90, 0.87, 0.02, 0.5, "one and a half errors away: two are allowed"),
    (0.90, 0.96, 0.02, 0.5, "three errors away, above: take the distance, not the difference"),
    (0.50, 0.50, 0.01, 0.5, "what knows nothing gives the claimed number too"),
    (0.50, 0.80, 0.01, 0.5, "the claim is met by what knows nothing, whatever was measured"),
    (0.55, 0.52, 0.04, 0.5, "within two errors of the claim and of the null value as well"),
    (0.10, 0.40, 0.30, None, "without a null value only the distance to the claim counts"),
    (0.10, 0.40, 0.10, 0.4, "far from the claim and at the null value: the claim does not hold"),
)


@exercise("17_claims_ledger")
def verdict(learner: Callable) -> None:
    for claimed, value, error, null, idea in CASES:
        true = ledger.judge(claimed, value, error, null)
        found = learner(claimed, value, error, null)
        case = f"claimed {claimed}, measured {value} ± {error}, null {null}"
        if found is None:
            raise Hint(f"{case}: None comes back; does every way through end in a verdict?")
        if isinstance(found, bool) or not isinstance(found, str):
            raise Hint(f"{case}: {found!r} is no verdict; give one of the four words")
        if found not in ledger.VERDICTS:
            raise Hint(f"{case}: {found!r} is not one of true, false, invalid, unsupported")
        if found != true:
            raise Hint(f"{case}: you say {found}; {idea}")
