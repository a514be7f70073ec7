"""A claim of a document as data, how one is written down, and the rule that gives a verdict.

Special: a row without a measurement may only be called unsupported. `measure` gives the value again
in milliseconds to seconds; a row without it names in `source` where its value was read.
Use: `judge(0.5, 0.52, 0.03)`; in the files s0 to s4, MEASURES names what gives a row's value again.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

VERDICTS = ("true", "false", "mixed", "invalid", "unsupported", "contradicted")
KINDS = {  # error: its cheapest test
    "no null value": "ask the same of a model that knows nothing",
    "sum": "do the sum with the document's own numbers",
    "other than the code": "count the weights, read the constant, compare shapes",
    "two yardsticks": "evaluate both losses on the same input",
    "size for pull": "take the gradient of each term at the same weights",
    "sign": "take one step downhill and look where the value went",
    "no error": "put the standard error beside the number",
    "no run": "ask for the run: its log, its seed, its second time",
}


@dataclass(frozen=True)
class Claim:
    document: str  # S0 to S4, or a name of the reader's own
    line: int  # in that document
    text: str  # the claim in one plain sentence
    check: str  # what was measured, and what its value counts
    null: float | None  # the same of something that knows nothing, where there is such a thing
    value: float | None  # measured; None where nothing could be
    error: float | None  # standard error of the value; 0 where it is exact
    verdict: str  # one of VERDICTS
    date: str  # of the measurement
    quote: str = ""  # a few words of the line, to find it by
    kind: str = ""  # of error, one of KINDS; empty where there is none
    links: tuple[str, ...] = ()  # keys of rows that say otherwise
    source: str = ""  # where a value that is not measured here comes from
    part: str = ""  # tells rows of one line apart
    claimed: float | None = None  # the document's own number for it, where it gives one
    measure: Callable[[], float] | None = None  # gives the value again, quickly

    @property
    def key(self) -> str:
        return f"{self.document}:{self.line}{self.part}"

    @property
    def quick(self) -> bool:
        return self.measure is not None

    def agrees(self, now: float) -> bool:
        """Whether a value measured again is the one of this row, to a hundredth."""
        return math.isclose(now, self.value, rel_tol=0.01, abs_tol=1e-6)


def noise(*shape: int, seed: int = 0, dtype: torch.dtype | None = torch.float64) -> torch.Tensor:
    """The same normal numbers every time."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def judge(
    claimed: float, value: float | None, error: float = 0.0, null: float | None = None
) -> str:
    """A verdict on "it is `claimed`" from a measured value, its standard error and a null value.

    unsupported: not measured, or too coarsely to tell claim and null apart; invalid: what knows
    nothing would give the claimed number too; true and false: within two errors of it or not.
    """
    if value is None or not math.isfinite(value):
        return "unsupported"
    slack = max(2 * error, 1e-9 * max(1.0, abs(claimed)))
    if null is not None and math.isclose(null, claimed, rel_tol=1e-9, abs_tol=1e-12):
        return "invalid"
    near_claim = abs(value - claimed) <= slack
    near_null = null is not None and abs(value - null) <= slack
    if near_claim and near_null:
        return "unsupported"
    return "true" if near_claim else "false"
