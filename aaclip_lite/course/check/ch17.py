"""Checks of the exercises of chapter 17_claims_ledger."""

from collections.abc import Callable, Iterator

import torch

from .. import ledger
from .judge import Hint, either, exercise
from .pulls import pull_mistakes

CHAPTER = "17_claims_ledger"


@exercise(CHAPTER, "the error", 1e-6)
def auc_error(learner: Callable) -> Iterator:
    for n, m in ((3, 5), (10, 10), (40, 7), (225, 224)):
        yield learner(n, m), ((n + m + 1) / (12 * n * m)) ** 0.5, _other_errors(n, m)


def _other_errors(n: int, m: int) -> dict:
    both, pairs, one = n + m, n * m, "only one of the two kinds is in the pairs"
    true, coin = ((both + 1) / (12 * pairs)) ** 0.5, "this is the error of a coin's share:"
    inside = "the root goes over the whole fraction:"
    return {
        "this is the variance: an error has the unit of the AUC, take the root": true**2,
        "both numbers, and one more: the + 1 is missing": (both / (12 * pairs)) ** 0.5,
        "ranks are spread evenly: the 12 is missing": ((both + 1) / pairs) ** 0.5,
        "a 12 belongs below the line, not a 6": ((both + 1) / (6 * pairs)) ** 0.5,
        "it is + 1, not + 2": ((both + 2) / (12 * pairs)) ** 0.5,
        "the number of pictures is missing": pairs**-0.5,
        "upside down: the pairs stand below the line": 1 / true,
        "one picture too few: it is + 1, not - 1": ((both - 1) / (12 * pairs)) ** 0.5,
        f"{inside} here over what is above": (both + 1) ** 0.5 / (12 * pairs),
        f"{inside} here not over the 12": ((both + 1) / pairs) ** 0.5 / 12,
        "brackets: all of 12, normal and abnormal stands below the line": (
            ((both + 1) / 12 * pairs) ** 0.5
        ),
        "the number of pictures above the line is missing": (12 * pairs) ** -0.5,
        "this is the error of the number of pairs: divide it by them": true * pairs,
        f"{coin} an AUC counts pairs": 0.5 / both**0.5,
        f"{coin} an AUC counts pairs, of both kinds": 0.5 / min(n, m) ** 0.5,
        "this takes single pictures, an AUC counts pairs of them": either(
            both**-0.5, (12 * both) ** -0.5
        ),
        "divide by the pairs: normal times abnormal": ((both + 1) / 12) ** 0.5,
        "pairs are normal times abnormal, not their sum": ((both + 1) / (12 * both)) ** 0.5,
        "pairs are normal times abnormal, not the square of all pictures": (
            (both + 1) / (12 * both**2)
        )
        ** 0.5,
        "sum and product have changed places": ((pairs + 1) / (12 * pairs)) ** 0.5,
        one: either(((both + 1) / (12 * n * n)) ** 0.5, ((both + 1) / (12 * m * m)) ** 0.5),
        "this is two standard errors; one is asked for": 2 * true,
        "this is half a 95 % interval; one standard error is asked for": 1.96 * true,
        "a share, not in per cent": 100 * true,
    }


@exercise(CHAPTER, "the pull", 1e-6)
def pull(learner: Callable) -> Iterator:
    generator = torch.Generator().manual_seed(0)
    for size, scale in ((4, 30.0), (9, 0.2)):
        weights = torch.randn(size, generator=generator, dtype=torch.float64, requires_grad=True)
        first = scale * (weights - 3).square().mean()
        second = (1 + weights.exp()).log().sum() + 5
        found = learner(first, second, weights)
        if isinstance(found, list | tuple) and len(found) == 2:
            raise Hint("those are two lengths: how long is the first for each of the second?")
        if isinstance(found, torch.Tensor) and found.ndim:
            raise Hint(f"it has shape {tuple(found.shape)}: one number, from one norm each")
        true, hints = pull_mistakes(first, second, [weights])
        yield found, true, hints


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


@exercise(CHAPTER)
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
