"""Checks of the exercises of chapter 17_claims_ledger."""

from collections.abc import Callable

import torch

from .. import ledger
from .judge import Hint, Steps, Vague, either, exercise
from .pulls import pull_steps


@exercise("the error", 1e-6, cases=((3, 5), (10, 10), (40, 7), (225, 224)))
def auc_error(n: int, m: int) -> Steps:
    n, m = yield n, m
    true = ((n + m + 1) / (12 * n * m)) ** 0.5
    yield true
    both, pairs, one = n + m, n * m, "only one of the two kinds is in the pairs"
    coin = "this is the error of a coin's share:"
    inside = "the root goes over the whole fraction:"
    yield {
        "both numbers, and one more: the + 1 is missing": (both / (12 * pairs)) ** 0.5,
        "ranks are spread evenly: the 12 is missing": ((both + 1) / pairs) ** 0.5,
        "a 12 belongs below the line, not a 6": ((both + 1) / (6 * pairs)) ** 0.5,
        "it is + 1, not + 2": ((both + 2) / (12 * pairs)) ** 0.5,
        "the number of pictures is missing": pairs**-0.5,
        "one picture too few: it is + 1, not - 1": ((both - 1) / (12 * pairs)) ** 0.5,
        f"{inside} here over what is above": (both + 1) ** 0.5 / (12 * pairs),
        f"{inside} here not over the 12": ((both + 1) / pairs) ** 0.5 / 12,
        f"{inside} here over what is below": (both + 1) / (12 * pairs) ** 0.5,
        "brackets: all of 12, normal and abnormal stands below the line": either(
            ((both + 1) / 12 * pairs) ** 0.5, (both + 1 / (12 * pairs)) ** 0.5
        ),
        "the number of pictures above the line is missing": (12 * pairs) ** -0.5,
        f"{coin} an AUC counts pairs": 0.5 / both**0.5,
        f"{coin} an AUC counts pairs, of both kinds": 0.5 / min(n, m) ** 0.5,
        "pairs are normal times abnormal, not their sum": ((both + 1) / (12 * both)) ** 0.5,
        "this takes single pictures, an AUC counts pairs of them": either(
            both**-0.5, (12 * both) ** -0.5
        ),
        "pairs are normal times abnormal, not all pictures squared": (
            ((both + 1) / 12) ** 0.5 / both
        ),
        "sum and product have changed places": either(
            ((pairs + 1) / (12 * pairs)) ** 0.5, ((pairs + 1) / (12 * both)) ** 0.5
        ),
        one: either(((both + 1) / (12 * n * n)) ** 0.5, ((both + 1) / (12 * m * m)) ** 0.5),
        "this is half a 95 % interval; one standard error is asked for": 1.96 * true,
    }


def _single(result):
    if isinstance(result, torch.Tensor) and result.ndim:
        raise Hint(f"it has shape {tuple(result.shape)}: one number, from one norm each")
    return result


@exercise("the pull", 1e-6, cases=((4, 30.0), (9, 0.2)), read=_single)
def pull(size: int, scale: float) -> Steps:
    weights = torch.randn(size, dtype=torch.float64, requires_grad=True)
    second = (weights * torch.linspace(-1, 2.2, size)).sin().sum() + 5
    first, second, weights = yield scale * (weights - 3).square().mean(), second, weights
    yield from pull_steps(first, second, [weights])


CASES = (  # claimed, value, error, null
    (0.90, None, 0.02, 0.5),
    (0.90, 0.80, 0.02, 0.5),
    (0.90, 0.87, 0.02, 0.5),
    (0.90, 0.96, 0.02, 0.5),
    (0.50, 0.50, 0.01, 0.5),
    (0.50, 0.80, 0.01, 0.5),
    (0.50, None, 0.01, 0.5),
    (0.55, 0.52, 0.04, 0.5),
    (0.55, 0.54, 0.03, 0.5),
    (0.60, 0.55, 0.03, 0.5),
    (0.10, 0.45, 0.30, None),
    (0.50, 0.60, 0.02, 0.2),
    (0.10, 0.40, 0.10, 0.4),
    (0.10, 0.00, 0.02, 0.5),
    (0.05, 0.04, 0.03, 0.0),
)
FAULTS = {
    "measured last": "what was not measured is unsupported, whatever the null value is",
    "unmeasured": "what was not measured is neither true nor false",
    "zero": "0 is a value: only None is not measured",
    "zero null": "0 is a null value: only None is none",
    "one": "two errors are allowed, not one",
    "three": "two errors are allowed, not three",
    "above": "far BELOW the claim is far as well: take the distance, not the difference",
    "below": "far ABOVE the claim is far as well: take the distance, not the difference",
    "no null": "what knows nothing gives the claimed number too, or as near a one: ask for it",
    "no near null": "the null value is within two errors as well: that decides nothing, unsupported",
    "no invalid": "where what knows nothing gives the claimed number it is invalid, whatever was "
    "measured",
    "invalid near": "invalid is only where the null value IS the claimed number",
    "invalid met": "a value that fits both claim and null decides nothing: it is unsupported",
    "null at value": "invalid is judged by the claimed number, not by what was measured",
    "null first": "at the null value and far from the claim: the claim does not hold",
    "null of claim": "how near is the null value to what was MEASURED, not to the claim?",
    "nearer": "within two errors of the null value as well: that decides nothing, if nearer or not",
    "needs null": "without a null value only the distance to the claim counts",
    "far from both": "far from the claim it is false, whether or not the null value is near",
    "turned": "true and false have changed places",
}


def _judged(claimed, value, error, null, fault) -> str:
    """A verdict with one of the FAULTS."""
    value = None if fault == "zero" and value == 0 else value
    null = None if fault == "no null" or (fault == "zero null" and null == 0) else null
    if fault == "measured last" and null == claimed:
        return "invalid"
    if value is None or (fault == "needs null" and null is None):
        return "false" if fault == "unmeasured" else "unsupported"
    times = {"one": 1, "three": 3}.get(fault, 2)
    gap, slack = value - claimed, times * error + 1e-9
    gap = {"above": gap, "below": -gap}.get(fault, abs(gap))
    apart = {"null of claim": claimed, "invalid near": claimed}.get(fault, value)
    apart = float("inf") if null is None or fault == "no near null" else abs(apart - null)
    near, met = gap <= slack, apart <= slack and not (fault == "nearer" and gap < apart)
    if null == claimed and fault not in ("no invalid", "invalid met"):
        return "invalid"
    if met and (near or fault in ("null first", "invalid near", "null at value")):
        return (
            "invalid" if fault.startswith("invalid") or fault == "null at value" else "unsupported"
        )
    if fault == "far from both" and not near and slack < apart < float("inf"):
        return "unsupported"
    return "true" if near != (fault == "turned") else "false"


@exercise()
def verdict(learner: Callable) -> None:
    mine, true = [], [ledger.judge(*case) for case in CASES]
    for case in CASES:
        result = learner(*case)
        if result is None:
            raise Hint("None comes back; does every way through end in a verdict?")
        if isinstance(result, bool) or not isinstance(result, str):
            raise Hint(f"{result!r} is no verdict; give one of the four words")
        if result not in ledger.VERDICTS:
            raise Hint(f"{result!r} is not one of true, false, invalid, unsupported")
        mine.append(result)
    off = next((n for n in range(len(CASES)) if mine[n] != true[n]), None)
    if off is None:
        return
    named = (say for name, say in FAULTS.items() if mine == [_judged(*c, name) for c in CASES])
    say = next(named, None)
    if say is None and (mine[off], true[off]) == ("true", "false"):
        say = "more than two errors away: take the distance, not the difference"
    said = f"you say {mine[off]}"
    hint = Hint(f"{said}; {say}") if say else Vague(f"{said}, which is not it")
    hint.call = off
    raise hint
